using Cli.Archives;
using Snapshots;

namespace Cli.Pages;

/// <summary>The commands by which a person gets at a crashed machine, ready to be copied.</summary>
internal static class AttachCommands
{
    /// <summary>Of an archive, or of a dump that is no archive.</summary>
    public static IReadOnlyList<(string Tool, string Command)> Of(ArchiveDescription archive, CaptureInfo capture, bool isLinux)
    {
        string name = archive.Id == Path.GetFileName(archive.Path) ? Quote(archive.Path) : archive.Id;
        string kernel = $"/usr/lib/debug/boot/vmlinux-{capture.GuestRelease}";
        List<(string, string)> commands =
        [
            ("gdb", $"gdbstub debug {name}"),
            ("gdb, from elsewhere", $"gdbstub serve {name} --gdb tcp:127.0.0.1:1234    # then: target remote 127.0.0.1:1234"),
        ];
        if (isLinux)
        {
            commands.Add(("lldb", $"gdbstub symbols {name} -o kernel.elf; lldb kernel.elf -o 'gdb-remote 127.0.0.1:1234'"));
        }

        if (isLinux && capture.GuestRelease is not null)
        {
            commands.Add(("crash", $"crash {Quote(kernel)} {Quote(archive.Path)}"));
            commands.Add(("drgn", $"drgn -c {Quote(archive.Path)} -s {Quote(kernel)}"));
        }

        return commands;
    }

    /// <summary>A word for a shell.</summary>
    public static string Quote(string word) =>
        word.All(letter => char.IsAsciiLetterOrDigit(letter) || letter is '/' or '.' or '-' or '_' or '+' or ':' or '=' or ',') && word.Length > 0
            ? word
            : $"'{word.Replace("'", "'\\''", StringComparison.Ordinal)}'";
}
