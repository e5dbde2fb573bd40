using System.Globalization;

namespace GuestOs.Linux;

/// <summary>
/// What the kernel says when it comes to an end, found among the messages of its log. Only the kernel's own messages
/// count: a process may write any words it likes to /dev/kmsg, but never with facility 0.
/// </summary>
public static class KernelWords
{
    /// <summary>How panic() begins its message, at level emergency (kernel/panic.c).</summary>
    public const string Panic = "Kernel panic - not syncing";

    /// <summary>Longest title taken from a message.</summary>
    public const int MaxTitle = 512;

    /// <summary>Kernel messages that may follow the announcement of a restart (drivers shutting down, "machine restart").</summary>
    public const int AnnouncementWindow = 8;

    // kernel/reboot.c and, for sysrq-b, drivers/tty/sysrq.c; without the prefix in old kernels.
    private static readonly string[] Restarts = ["reboot: Restarting system", "Restarting system"];
    private static readonly string[] RestartKeys = ["sysrq: Resetting", "sysrq: SysRq : Resetting", "SysRq : Resetting"];
    private static readonly string[] Ends = ["reboot: Restarting system", "reboot: Power down", "reboot: System halted", "sysrq: Resetting"];
    private static readonly string[] Faults =
    [
        Panic, "BUG:", "kernel BUG at", "Oops:", "general protection fault", "invalid opcode:", "stack segment:", "divide error:",
        "int3:", "double fault", "PANIC:", "traps: PANIC", "Unable to handle", "Internal error", "kernel tried to execute", "watchdog: BUG",
    ];

    /// <summary>
    /// Index of the panic's message, or -1. The kernel itself said it, as an emergency, and did not go on to announce an
    /// orderly end: a real panic never does, so something else put the words there (a firewall's log prefix can).
    /// </summary>
    public static int FindPanic(IReadOnlyList<PrintkRecord> records)
    {
        ArgumentNullException.ThrowIfNull(records);
        for (int i = records.Count - 1; i >= 0; i--)
        {
            PrintkRecord record = records[i];
            if (!record.FromKernel)
            {
                continue;
            }

            if (record.Level == 0 && record.Text.StartsWith(Panic, StringComparison.Ordinal))
            {
                return i;
            }

            if (StartsWithAny(record.Text, Ends))
            {
                return -1;
            }
        }

        return -1;
    }

    /// <summary>The kernel's last words announce a restart: reboot(2), or sysrq-b.</summary>
    public static bool RestartAnnounced(IReadOnlyList<PrintkRecord> records)
    {
        ArgumentNullException.ThrowIfNull(records);
        int seen = 0;
        for (int i = records.Count - 1; i >= 0 && seen < AnnouncementWindow; i--)
        {
            PrintkRecord record = records[i];
            if (!record.FromKernel)
            {
                continue;
            }

            if ((record.Level == 0 && StartsWithAny(record.Text, Restarts)) || StartsWithAny(record.Text, RestartKeys))
            {
                return true;
            }

            if (StartsWithAny(record.Text, Faults))
            {
                return false;
            }

            seen++;
        }

        return false;
    }

    /// <summary>
    /// The first line of the oops that the panic at <paramref name="panic"/> came from, or null when it came without one.
    /// Only a panic that says so itself has one: an oops survived long before is not its cause.
    /// </summary>
    public static string? FindFault(IReadOnlyList<PrintkRecord> records, int panic)
    {
        ArgumentNullException.ThrowIfNull(records);
        if (panic < 0 || panic >= records.Count || !(records[panic].Text.Contains("Fatal exception", StringComparison.Ordinal)
            || records[panic].Text.Contains("killing interrupt handler", StringComparison.Ordinal)))
        {
            return null;
        }

        string? fault = null;
        for (int i = panic - 1; i >= 0; i--)
        {
            if (!records[i].FromKernel)
            {
                continue;
            }

            if (StartsWithAny(records[i].Text, Faults))
            {
                fault = records[i].Text;
            }
            else if (fault is not null && records[i].Text.StartsWith("---[ end trace", StringComparison.Ordinal))
            {
                break;
            }
        }

        return fault is null ? null : FirstLine(fault);
    }

    /// <summary>
    /// The CPU a panic happened on: the first "CPU: n" line after it, else the last one before it (the oops it came
    /// from), else what the message's caller field says; null when none does.
    /// </summary>
    public static int? FindCpu(IReadOnlyList<PrintkRecord> records, int panic)
    {
        ArgumentNullException.ThrowIfNull(records);
        return FindCpuLine(records, panic)?.Cpu
            ?? (panic >= 0 && panic < records.Count && records[panic].Caller is uint caller && caller >> 31 == 1 ? (int)(caller & 0xFFFF) : null);
    }

    /// <summary>The process that was running where the kernel panicked, by the same line; null when there is none.</summary>
    public static int? FindProcess(IReadOnlyList<PrintkRecord> records, int panic)
    {
        ArgumentNullException.ThrowIfNull(records);
        return FindCpuLine(records, panic)?.Process;
    }

    // The "CPU: 0 PID: 1 Comm: …" line of the panic's own report, else of the report nearest before it.
    private static (int Cpu, int Process)? FindCpuLine(IReadOnlyList<PrintkRecord> records, int panic)
    {
        for (int i = panic + 1; i < records.Count; i++)
        {
            if (records[i].FromKernel && TryCpuLine(records[i].Text, out int cpu, out int process))
            {
                return (cpu, process);
            }
        }

        for (int i = Math.Min(panic, records.Count) - 1; i >= 0; i--)
        {
            if (records[i].FromKernel && TryCpuLine(records[i].Text, out int cpu, out int process))
            {
                return (cpu, process);
            }
        }

        return null;
    }

    /// <summary>
    /// The release in a "CPU: 0 PID: 1 Comm: sh Not tainted 6.1.0 #1 Debian…" line, for when nothing else tells it; null
    /// when there is none.
    /// </summary>
    public static string? FindRelease(IReadOnlyList<PrintkRecord> records)
    {
        ArgumentNullException.ThrowIfNull(records);
        for (int i = records.Count - 1; i >= 0; i--)
        {
            string text = records[i].Text;
            const string Banner = "Linux version ";
            if (records[i].FromKernel && text.StartsWith(Banner, StringComparison.Ordinal))
            {
                int space = text.IndexOf(' ', Banner.Length);
                return space > 0 && space - Banner.Length <= 64 ? text[Banner.Length..space] : null;
            }

            int mark = records[i].FromKernel && TryCpuLine(text, out _, out _) ? text.IndexOf(" #", StringComparison.Ordinal) : -1;
            int from = mark > 0 ? text.LastIndexOf(' ', mark - 1) + 1 : 0;
            if (mark > 0 && mark - from is > 0 and <= 64 && char.IsAsciiDigit(text[from]))
            {
                return text[from..mark];
            }
        }

        return null;
    }

    /// <summary>
    /// The kernel was started as a crash kernel: its command line has elfcorehdr= (Documentation/admin-guide/kdump). Null
    /// when the log has gone round and no longer holds the command line.
    /// </summary>
    public static bool? IsCrashKernel(IReadOnlyList<PrintkRecord> records)
    {
        ArgumentNullException.ThrowIfNull(records);
        foreach (PrintkRecord record in records)
        {
            if (record.FromKernel
                && (record.Text.StartsWith("Command line: ", StringComparison.Ordinal) || record.Text.StartsWith("Kernel command line: ", StringComparison.Ordinal)))
            {
                return record.Text.Contains(" elfcorehdr=", StringComparison.Ordinal);
            }
        }

        return null;
    }

    /// <summary>The memory a kernel has reserved for its crash kernel, as its log says at boot; false when it has none.</summary>
    public static bool TryFindCrashReservation(IReadOnlyList<PrintkRecord> records, out ulong start, out ulong length)
    {
        ArgumentNullException.ThrowIfNull(records);
        foreach (PrintkRecord record in records)
        {
            if (record.FromKernel && TryReservation(record.Text, out start, out length))
            {
                return true;
            }
        }

        start = length = 0;
        return false;
    }

    internal static string FirstLine(string text)
    {
        int end = text.AsSpan().IndexOfAny('\r', '\n');
        string line = end < 0 ? text : text[..end];
        return line.Length <= MaxTitle ? line : line[..MaxTitle];
    }

    private static bool StartsWithAny(string text, string[] words)
    {
        foreach (string word in words)
        {
            if (text.StartsWith(word, StringComparison.Ordinal))
            {
                return true;
            }
        }

        return false;
    }

    // "CPU: 0 PID: 1 Comm: …": lib/dump_stack.c, dump_stack_print_info().
    private static bool TryCpuLine(string text, out int cpu, out int process)
    {
        const string Cpu = "CPU: ", Process = " PID: ";
        cpu = process = 0;
        int middle = text.IndexOf(Process, StringComparison.Ordinal);
        return text.StartsWith(Cpu, StringComparison.Ordinal) && middle > 0
            && TryNumber(text.AsSpan(Cpu.Length), out cpu) && cpu < 1 << 16
            && TryNumber(text.AsSpan(middle + Process.Length), out process);
    }

    private static bool TryNumber(ReadOnlySpan<char> text, out int number)
    {
        int end = text.IndexOfAnyExceptInRange('0', '9');
        return int.TryParse(end < 0 ? text : text[..end], NumberStyles.None, CultureInfo.InvariantCulture, out number);
    }

    // Until 6.7: "Reserving 192MB of memory at 560MB for crashkernel (System RAM: 767MB)".
    // From 6.8:  "crashkernel reserved: 0x0000000023000000 - 0x000000002f000000 (192 MB)".
    private static bool TryReservation(string text, out ulong start, out ulong length)
    {
        start = length = 0;
        const string Old = "Reserving ", Middle = "MB of memory at ", New = "crashkernel reserved: 0x", Dash = " - 0x";
        if (text.StartsWith(Old, StringComparison.Ordinal) && text.Contains("MB for crashkernel", StringComparison.Ordinal))
        {
            int middle = text.IndexOf(Middle, StringComparison.Ordinal);
            int end = middle < 0 ? -1 : text.IndexOf("MB", middle + Middle.Length, StringComparison.Ordinal);
            if (end < 0
                || !uint.TryParse(text.AsSpan(Old.Length, middle - Old.Length), NumberStyles.None, CultureInfo.InvariantCulture, out uint size)
                || !uint.TryParse(text.AsSpan(middle + Middle.Length, end - middle - Middle.Length), NumberStyles.None, CultureInfo.InvariantCulture, out uint at))
            {
                return false;
            }

            start = (ulong)at << 20;
            length = (ulong)size << 20;
            return length > 0;
        }

        if (text.StartsWith(New, StringComparison.Ordinal))
        {
            int dash = text.IndexOf(Dash, StringComparison.Ordinal);
            int end = dash < 0 ? -1 : text.IndexOf(' ', dash + Dash.Length);
            if (end < 0
                || !ulong.TryParse(text.AsSpan(New.Length, dash - New.Length), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out start)
                || !ulong.TryParse(text.AsSpan(dash + Dash.Length, end - dash - Dash.Length), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out ulong limit)
                || limit <= start)
            {
                start = 0;
                return false;
            }

            length = limit - start;
            return true;
        }

        return false;
    }
}
