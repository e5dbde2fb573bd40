namespace Bench.Processes;

/// <summary>What a contender boots: files, and how the run has to end.</summary>
internal sealed record GuestImage
{
    /// <summary>RAM of every machine measured but where a measurement says otherwise, QEMU's among them.</summary>
    public const int UsualMemoryMiB = 256;

    /// <summary>Path of the kernel.</summary>
    public required string Kernel { get; init; }

    /// <summary>Path of the initial RAM disk, or null.</summary>
    public string? Initrd { get; init; }

    /// <summary>The kernel's command line.</summary>
    public string CommandLine { get; init; } = "";

    /// <summary>RAM.</summary>
    public int MemoryMiB { get; init; } = UsualMemoryMiB;

    /// <summary>The process's exit code when all went well: 0 after a reset or a power-off, else what the guest's write to port F4h makes it.</summary>
    public int ExitCode { get; init; }
}
