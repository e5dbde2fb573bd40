using System.Globalization;
using System.Text;
using Emulator;

namespace Debugging.Commands;

/// <summary>The commands of <c>monitor</c>: the built-in ones, then those of the composition. A unique beginning of a name is enough.</summary>
internal sealed class MonitorTable
{
    /// <summary>Most bytes <c>phys</c> shows at a time.</summary>
    public const int MaxDump = 0x10000;

    private readonly MonitorCommand[] commands;

    /// <param name="options">Its commands are added.</param>
    /// <param name="reset">Starts the guest again; null where there is no guest to start.</param>
    public MonitorTable(DebugOptions options, Func<string>? reset) =>
        commands =
        [
            new("help", "[COMMAND]", "this list, or one command", (_, name) => Help(name)),
            new("info", "", "what machine this is, why it stands still, and what is known of its guest", (context, _) => Info(context)),
            new("dmesg", "", "the guest kernel's log, from its memory", (context, _) => KernelLog(context)),
            new("phys", "ADDRESS LENGTH", "physical memory, in hexadecimal; numbers in C's notation", Physical),
            new("reset", "", "start the guest again (live machines only)",
                (_, _) => reset is null ? "this machine cannot be started again from here; only the debugger that controls a live machine can\n" : reset()),
            .. options.Commands,
        ];

    /// <summary>Runs a command line.</summary>
    public string Execute(MonitorContext context, string line)
    {
        string[] words = line.Split((char[]?)null, 2, StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        if (words.Length == 0)
        {
            return Help("");
        }

        MonitorCommand[] found = Find(words[0]);
        return found.Length switch
        {
            1 => found[0].Execute(context, words.Length > 1 ? words[1] : ""),
            0 => $"there is no command '{words[0]}'; 'monitor help' lists them\n",
            _ => $"'{words[0]}' could be {string.Join(" or ", found.Select(command => command.Name))}\n",
        };
    }

    private MonitorCommand[] Find(string name)
    {
        MonitorCommand[] exact = [.. commands.Where(command => command.Name == name)];
        return exact.Length > 0 ? exact[..1] : [.. commands.Where(command => command.Name.StartsWith(name, StringComparison.Ordinal))];
    }

    private string Help(string name)
    {
        MonitorCommand[] shown = name.Length == 0 ? commands : Find(name);
        if (shown.Length == 0)
        {
            return $"there is no command '{name}'; 'monitor help' lists them\n";
        }

        var text = new StringBuilder();
        foreach (MonitorCommand command in shown)
        {
            text.Append(CultureInfo.InvariantCulture, $"{command.Name + " " + command.Arguments,-22} {command.Help}\n");
        }

        return text.ToString();
    }

    private static string Info(MonitorContext context) => context.Inspect(view =>
    {
        var text = new StringBuilder();
        text.Append(CultureInfo.InvariantCulture, $"stopped: {MonitorText.Cause(context.Cause)}\n");
        text.Append(CultureInfo.InvariantCulture, $"time: {view.InstructionCount} ns since power-on\n");
        foreach (PhysicalRange range in view.Ram)
        {
            text.Append(CultureInfo.InvariantCulture, $"ram: 0x{range.Start:x}-0x{range.Start + range.Length - 1:x} ({range.Length >> 10} KiB)\n");
        }

        IReadOnlyList<VcpuState> vcpus = view.Vcpus;
        for (int i = 0; i < vcpus.Count; i++)
        {
            char mark = i == view.CurrentVcpu ? '*' : ' ';
            text.Append(CultureInfo.InvariantCulture, $"vcpu {i}{mark} rip=0x{vcpus[i].Rip:x} cr3=0x{vcpus[i].Cr3:x} {MonitorText.Mode(vcpus[i])}\n");
        }

        return text.Append(context.Options.Guest?.Describe(view)).ToString();
    });

    private static string KernelLog(MonitorContext context) =>
        context.Inspect(view => context.Options.Guest?.KernelLog(view)) ?? "no kernel log was found in this machine's memory\n";

    private static string Physical(MonitorContext context, string arguments)
    {
        string[] words = arguments.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries);
        if (words.Length != 2 || !MonitorText.TryNumber(words[0], out ulong address) || !MonitorText.TryNumber(words[1], out ulong length)
            || length is 0 or > MaxDump)
        {
            return $"usage: phys ADDRESS LENGTH, with a length of 1 to {MaxDump}\n";
        }

        byte[] bytes = new byte[(int)length];
        int read = context.Inspect(view => view.ReadPhysical(address, bytes));
        string dump = MonitorText.Dump(address, bytes.AsSpan(0, read));
        return read == bytes.Length ? dump : dump + $"no RAM at 0x{address + (ulong)read:x}\n";
    }
}
