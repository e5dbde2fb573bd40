namespace GuestOs.Linux.Symbols;

/// <summary>What a guest's kernel tells of the system it runs: its names, clocks and command line. What cannot be read is null.</summary>
public sealed record KernelSystem
{
    private const int NameBytes = 65; // struct new_utsname, include/uapi/linux/utsname.h
    private const int MaxCommandLine = 4096;
    private const ulong EarliestClock = 946_684_800; // 2000-01-01; before that a clock was never set
    private const ulong LatestClock = 4_102_444_800; // 2100-01-01

    // struct { seqcount_raw_spinlock_t seq; struct timekeeper timekeeper; } tk_core, kernel/time/timekeeping.c.
    private const ulong TimekeeperInCore = 8;

    /// <summary>uname -n.</summary>
    public string? NodeName { get; init; }

    /// <summary>uname -v.</summary>
    public string? Version { get; init; }

    /// <summary>The command line the kernel was started with.</summary>
    public string? CommandLine { get; init; }

    /// <summary>The guest's own clock, as it last was when the kernel looked at it.</summary>
    public DateTimeOffset? Clock { get; init; }

    /// <summary>How long the guest had been up, by its own monotonic clock.</summary>
    public TimeSpan? Uptime { get; init; }

    /// <summary>CPUs the kernel has.</summary>
    public int Cpus { get; init; }

    /// <summary>Reads what there is.</summary>
    public static KernelSystem Read(KernelImage image)
    {
        ArgumentNullException.ThrowIfNull(image);
        KernelMemory memory = image.Memory;
        SymbolTable? symbols = image.Symbols;
        string? node = null, version = null;
        if (symbols is not null && symbols.TryGetAddress("init_uts_ns", out ulong names) && StructLayout.Find(memory, image.Types, "uts_namespace") is { } uts
            && uts.Offset("name") is >= 0 and var name)
        {
            names += (ulong)name;
            node = Text(memory, names + NameBytes, NameBytes);
            version = Text(memory, names + (3 * NameBytes), NameBytes);
        }

        ulong? clock = null, up = null;
        if (symbols is not null && symbols.TryGetAddress("tk_core", out ulong core) && StructLayout.Find(memory, image.Types, "timekeeper") is { } keeper)
        {
            core += TimekeeperInCore;
            clock = keeper.TryRead(core, "xtime_sec", out ulong seconds) && seconds is > EarliestClock and < LatestClock ? seconds : null;
            up = keeper.TryRead(core, "ktime_sec", out ulong since) && since < LatestClock ? since : null;
        }

        return new KernelSystem
        {
            NodeName = node,
            Version = version,
            CommandLine = symbols is not null && symbols.TryGetAddress("saved_command_line", out ulong pointer) && memory.TryRead(pointer, out ulong line)
                ? Text(memory, line, MaxCommandLine)
                : null,
            Clock = clock is { } at ? DateTimeOffset.FromUnixTimeSeconds((long)at) : null,
            Uptime = up is { } length ? TimeSpan.FromSeconds(length) : null,
            Cpus = image.CpuCount,
        };
    }

    private static string? Text(KernelMemory memory, ulong address, int limit)
    {
        byte[] bytes = new byte[limit];
        ReadOnlySpan<byte> read = bytes.AsSpan(0, memory.Read(address, bytes));
        int end = read.IndexOf((byte)0);
        return end > 0 ? GuestText.Decode(read[..end]) : null;
    }
}
