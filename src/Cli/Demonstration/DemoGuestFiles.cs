using Cli.DemoGuest;

namespace Cli.Demonstration;

/// <summary>The guest a demonstration boots: files, and what it is.</summary>
/// <param name="What">For the person who looks on.</param>
/// <param name="RunArguments">What `gdbstub run` is given for it.</param>
/// <param name="SymbolFile">A file with symbols that gdb can use as it is; null when there is none.</param>
internal sealed record DemoGuestFiles(string What, IReadOnlyList<string> RunArguments, string? SymbolFile)
{
    /// <summary>Debian's kernel from the cache that scripts/fetch-guests fills, else the small guest of our own.</summary>
    /// <param name="environment">Looks up an environment variable.</param>
    /// <param name="scratch">A directory for files of ours.</param>
    public static DemoGuestFiles Find(Func<string, string?> environment, string scratch)
    {
        string debian = Path.Combine(GuestsDirectory(environment), "debian");
        string kernel = Path.Combine(debian, "vmlinuz");
        string initrd = Path.Combine(debian, "initrd");
        if (File.Exists(kernel) && File.Exists(initrd))
        {
            string release = File.Exists(Path.Combine(debian, "release")) ? File.ReadAllText(Path.Combine(debian, "release")).Trim() : "";
            return new DemoGuestFiles(
                $"Debian's kernel {release}, as it is, with busybox",
                ["--kernel", kernel, "--initrd", initrd, "--append", "console=ttyS0 quiet panic=1 gdbstub.do=crash-once"],
                null);
        }

        string image = Path.Combine(scratch, "demo-guest.elf");
        File.WriteAllBytes(image, DemoGuestImage.Build());
        return new DemoGuestFiles(
            $"a small guest of our own, because there is no Debian kernel in {debian} (scripts/fetch-guests fetches one)",
            ["--kernel", image],
            image);
    }

    private static string GuestsDirectory(Func<string, string?> environment) =>
        environment("GDBSTUB_GUESTS") is { Length: > 0 } guests ? guests
        : environment("XDG_CACHE_HOME") is { Length: > 0 } cache ? Path.Combine(cache, "gdbstub", "guests")
        : Path.Combine(environment("HOME") ?? "/", ".cache", "gdbstub", "guests");
}
