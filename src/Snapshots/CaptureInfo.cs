using System.Text.Json.Serialization;
using Emulator;

namespace Snapshots;

/// <summary>What made a machine worth keeping.</summary>
public enum CaptureKind
{
    /// <summary>The guest reported a panic and then asked for a reset.</summary>
    Panic,

    /// <summary>The guest reported a panic and did not reset.</summary>
    PanicWithoutReset,

    /// <summary>The CPU shut down (triple fault) without a report.</summary>
    TripleFault,

    /// <summary>Somebody asked for it.</summary>
    Request,

    /// <summary>A foreign dump, taken in.</summary>
    Import,
}

/// <summary>What is known about a capture besides its memory and registers. All of it is given by the caller: nothing here looks at a clock.</summary>
public sealed record CaptureInfo
{
    /// <summary>What made it worth keeping.</summary>
    public required CaptureKind Kind { get; init; }

    /// <summary>One line that names the crash; the same for crashes alike, so that they can be counted.</summary>
    public required string Title { get; init; }

    /// <summary>The host's time at the capture.</summary>
    public required DateTimeOffset HostTime { get; init; }

    /// <summary>Why the machine stood still.</summary>
    public MachineExit? StopCause { get; init; }

    /// <summary>The vCPU to look at first.</summary>
    public int CurrentVcpu { get; init; }

    /// <summary>The cause in words, for people.</summary>
    public string? Cause { get; init; }

    /// <summary>The line a panicking kernel ended with, as it said it; null when it said none.</summary>
    public string? PanicLine { get; init; }

    /// <summary>The first line of the oops a panic came from; null when it came without one.</summary>
    public string? Fault { get; init; }

    /// <summary>The guest's own report, or the end of its log.</summary>
    public string? PanicText { get; init; }

    /// <summary>The kernel's release (uname -r).</summary>
    public string? GuestRelease { get; init; }

    /// <summary>The kernel's build id, in hexadecimal.</summary>
    public string? BuildId { get; init; }

    /// <summary>How far the kernel was moved from its link address.</summary>
    public ulong? KernelOffset { get; init; }

    /// <summary>The text of VMCOREINFO as found in RAM, one Latin-1 character a byte. Kept in its own ELF note, where other tools look for it.</summary>
    [JsonIgnore]
    public string? Vmcoreinfo { get; init; }

    /// <summary>
    /// The process each vCPU was running, 0 for its idle task. drgn takes a running task's registers from the archive only
    /// when the process id there is the task's.
    /// </summary>
    public int[]? RunningProcesses { get; init; }

    /// <summary>
    /// What was left out of the memory, by makedumpfile's bits (1 zeros, 2 cache, 4 cache with buffers, 8 processes' pages, 16
    /// free ones); 0 for nothing. Kept in the file's own header.
    /// </summary>
    [JsonIgnore]
    public int DumpLevel { get; init; }

    /// <summary>The registers are not known: what was taken in had none, and those shown are all zeros but for the page tables.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public bool RegistersUnknown { get; init; }

    /// <summary>The machine's name.</summary>
    public string? MachineName { get; init; }

    /// <summary>Guest nanoseconds since power-on.</summary>
    public ulong GuestNanoseconds { get; init; }

    /// <summary>The kernel's command line.</summary>
    public string? CommandLine { get; init; }
}

/// <summary>What an archive says about itself.</summary>
public sealed record ArchiveInfo
{
    /// <summary>Its name in a store: lower-case hexadecimal digits.</summary>
    public required string Id { get; init; }

    /// <summary>The program and version that wrote it.</summary>
    public required string Writer { get; init; }

    /// <summary>The capture.</summary>
    public required CaptureInfo Capture { get; init; }
}
