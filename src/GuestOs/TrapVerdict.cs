using Emulator;

namespace GuestOs;

/// <summary>What an end of a guest's run was.</summary>
public enum TrapKind
{
    /// <summary>Nothing ended: a pause, a breakpoint, an oops that was survived. The machine may run on.</summary>
    None,

    /// <summary>A kernel panicked and said so (error store, pvpanic), then asked for a reset.</summary>
    KernelPanic,

    /// <summary>A kernel panicked and stays there: no reset within a guest second, or all its CPUs stand for good.</summary>
    PanicWithoutReset,

    /// <summary>A reset, no report, but the kernel's own log ends in a panic.</summary>
    ResetWithoutReport,

    /// <summary>The CPU could not even deliver a double fault, and no restart had been announced.</summary>
    TripleFault,

    /// <summary>A reset that somebody wanted: reboot, sysrq-b, reboot=t.</summary>
    PlainReset,

    /// <summary>The guest's own crash kernel has taken over, or has done its work and resets: left to it.</summary>
    CrashKernel,

    /// <summary>Switched off.</summary>
    PowerOff,

    /// <summary>Every CPU halted for good without a panic: "halt".</summary>
    Halted,

    /// <summary>A program asked for the end through the exit port.</summary>
    ExitPort,
}

/// <summary>What speaks for a panic. Several may.</summary>
[Flags]
public enum PanicEvidence
{
    /// <summary>Nothing.</summary>
    None = 0,

    /// <summary>A record of a panic in the ACPI error store, written since the guest started.</summary>
    ErrorRecord = 1,

    /// <summary>The pvpanic port.</summary>
    PvPanic = 2,

    /// <summary>The running kernel's own log.</summary>
    KernelLog = 4,
}

/// <summary>Whether the running kernel's log could be asked.</summary>
public enum KernelLogState
{
    /// <summary>No running Linux kernel was found: too early, another system, or the log gone.</summary>
    NotFound,

    /// <summary>A running kernel was found, but its log cannot be read.</summary>
    Unreadable,

    /// <summary>Read.</summary>
    Read,
}

/// <summary>What is known besides the machine itself when it comes to a stand.</summary>
public sealed record TrapEvidence
{
    /// <summary>pvpanic, bit 0: the guest panicked.</summary>
    public const byte PvPanicPanicked = 1;

    /// <summary>pvpanic, bit 1: the guest panicked and hands over to its own crash kernel.</summary>
    public const byte PvPanicCrashLoaded = 2;

    /// <summary>Records written to the error store since the guest was last started or reset, in the order of writing. Older ones do not belong here: they tell of an earlier life.</summary>
    public IReadOnlyList<ReadOnlyMemory<byte>> ErrorRecords { get; init; } = [];

    /// <summary>All bits written to the pvpanic port since then.</summary>
    public byte PvPanicEvents { get; init; }

    /// <summary>When the first report came, in guest nanoseconds; null when not known or none came.</summary>
    public ulong? ReportInstant { get; init; }
}

/// <summary>What a crash looks like to a person: what archives, lists and debuggers show first.</summary>
public sealed record CrashReport
{
    /// <summary>The panic's line as the kernel said it, or what stands for it ("Triple fault at …"). One line.</summary>
    public required string Title { get; init; }

    /// <summary>The first line of the oops the panic came from; null when it came without one.</summary>
    public string? Fault { get; init; }

    /// <summary>The report as the kernel wrote it, as dmesg shows it: the newest ten or more KiB of its log. Empty without one.</summary>
    public required string ReportText { get; init; }

    /// <summary>The running kernel's whole log as dmesg shows it; empty when it could not be read.</summary>
    public required string Log { get; init; }

    /// <summary>What uname -r says; null when not known.</summary>
    public string? Release { get; init; }

    /// <summary>The kernel image's build id in hexadecimal digits; null when not known.</summary>
    public string? BuildId { get; init; }

    /// <summary>KASLR: what was added to every link-time address; null when not known.</summary>
    public ulong? KaslrOffset { get; init; }

    /// <summary>The vCPU that panicked; the one that asked for the reset when the kernel does not tell.</summary>
    public required int Cpu { get; init; }

    /// <summary>The process that was running there; null when the kernel does not tell.</summary>
    public int? Process { get; init; }

    /// <summary>The running kernel's text for crash tools, to be kept with the image; null when there is none.</summary>
    public Linux.VmCoreInfo? VmCoreInfo { get; init; }

    /// <summary>The crash is the guest's own crash kernel's.</summary>
    public bool InCrashKernel { get; init; }

    /// <summary>The text to show when there is room for one: the report, else the log.</summary>
    public string Text => ReportText.Length > 0 ? ReportText : Log;
}

/// <summary>What an end was, why we say so, and the crash if it was one.</summary>
public sealed record TrapVerdict
{
    /// <summary>What it was.</summary>
    public required TrapKind Kind { get; init; }

    /// <summary>What speaks for a panic.</summary>
    public required PanicEvidence Evidence { get; init; }

    /// <summary>Whether the kernel's log could be asked; with <see cref="KernelLogState.Read"/>, a panic without <see cref="PanicEvidence.KernelLog"/> is one the log does not know of.</summary>
    public required KernelLogState LogState { get; init; }

    /// <summary>The kernel's last words announced a restart.</summary>
    public required bool RestartAnnounced { get; init; }

    /// <summary>How the reset was asked for, when one was.</summary>
    public required ResetCause? Reset { get; init; }

    /// <summary>One sentence for a person: what it was and what speaks for it.</summary>
    public required string Summary { get; init; }

    /// <summary>The crash; null when <see cref="IsCrash"/> is false.</summary>
    public required CrashReport? Report { get; init; }

    /// <summary>To be frozen and archived.</summary>
    public bool IsCrash => Kind is TrapKind.KernelPanic or TrapKind.PanicWithoutReset or TrapKind.ResetWithoutReport or TrapKind.TripleFault;

    /// <summary>The guest panicked and its own log says so too.</summary>
    public bool ConfirmedByLog => (Evidence & PanicEvidence.KernelLog) != 0;
}
