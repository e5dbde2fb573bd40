namespace Snapshots.Dumps;

/// <summary>What a format's reader found in a dump.</summary>
internal sealed record DumpContents
{
    /// <summary>The kind of file, for people.</summary>
    public required string Format { get; init; }

    /// <summary>Its pages.</summary>
    public required IPageSource Pages { get; init; }

    /// <summary>Registers and VMCOREINFO; of formats without notes what they have in their place.</summary>
    public required DumpNotes Notes { get; init; }

    /// <summary>uname -r, when the file says it.</summary>
    public string? Release { get; init; }

    /// <summary>phys_base, when the file says it elsewhere than in VMCOREINFO.</summary>
    public ulong? PhysicalBase { get; init; }

    /// <summary>When it was taken, when the file says it.</summary>
    public DateTimeOffset? Time { get; init; }

    /// <summary>What was left out, as <see cref="CaptureInfo.DumpLevel"/> has it.</summary>
    public int DumpLevel { get; init; }

    /// <summary>The CPU that took it.</summary>
    public int CurrentCpu { get; init; }
}
