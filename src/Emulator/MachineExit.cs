namespace Emulator;

/// <summary>Why <see cref="IMachineControl.Run"/> returned.</summary>
public enum MachineExitKind
{
    /// <summary>A reset was asked for; nothing was reset.</summary>
    Reset,

    /// <summary>ACPI S5.</summary>
    PowerOff,

    /// <summary>Every vCPU is halted and no event can ever wake one.</summary>
    Halted,

    /// <summary>The guest wrote port F4h.</summary>
    ExitPort,

    /// <summary>Another thread asked the machine to stop.</summary>
    Paused,

    /// <summary>The next instruction has a breakpoint.</summary>
    Breakpoint,

    /// <summary>The last instruction touched watched memory.</summary>
    Watchpoint,

    /// <summary>The instructions asked for were executed.</summary>
    Stepped,

    /// <summary>A crash report was written (ERST, pvpanic) and no reset followed within a guest second.</summary>
    ReportWithoutReset,
}

/// <summary>What kind of access a watchpoint caught.</summary>
public enum WatchKind
{
    /// <summary>Write.</summary>
    Write,

    /// <summary>Read.</summary>
    Read,

    /// <summary>Read or write.</summary>
    Access,
}

/// <summary>Why the machine stands still, at which instant and on which vCPU.</summary>
/// <param name="Kind">Why.</param>
/// <param name="Vcpu">The vCPU that caused it.</param>
/// <param name="InstructionCount">The machine's time in nanoseconds.</param>
/// <param name="Reset">With <see cref="MachineExitKind.Reset"/>: how.</param>
/// <param name="ExitCode">With <see cref="MachineExitKind.ExitPort"/>: the process's exit code.</param>
/// <param name="WatchAddress">With <see cref="MachineExitKind.Watchpoint"/>: the linear address touched.</param>
/// <param name="Watch">With <see cref="MachineExitKind.Watchpoint"/>: the kind of the watchpoint that fired.</param>
public readonly record struct MachineExit(
    MachineExitKind Kind,
    int Vcpu,
    ulong InstructionCount,
    ResetCause? Reset = null,
    int ExitCode = 0,
    ulong WatchAddress = 0,
    WatchKind Watch = WatchKind.Write);
