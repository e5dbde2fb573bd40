namespace GdbStub.Targets;

/// <summary>What made a target stop.</summary>
public enum StopReason
{
    /// <summary>A signal and nothing more to say: a finished step, a ^C, a crash.</summary>
    Signal,

    /// <summary>A breakpoint set with Z0; the program counter is at the breakpoint.</summary>
    SoftwareBreakpoint,

    /// <summary>A breakpoint set with Z1.</summary>
    HardwareBreakpoint,

    /// <summary>Memory watched with Z2 was written.</summary>
    WriteWatchpoint,

    /// <summary>Memory watched with Z3 was read.</summary>
    ReadWatchpoint,

    /// <summary>Memory watched with Z4 was touched.</summary>
    AccessWatchpoint,

    /// <summary>Ran backwards to the beginning of what was recorded.</summary>
    HistoryBegin,

    /// <summary>Ran forwards to the end of what was recorded.</summary>
    HistoryEnd,

    /// <summary>The target is gone for good: nothing is left to look at.</summary>
    Exited,
}

/// <summary>A stop, as a debugger is told of it. Source: "Stop Reply Packets" in gdb's manual.</summary>
/// <param name="Thread">The thread that stopped; the debugger selects it.</param>
/// <param name="Reason">Why.</param>
/// <param name="Signal">Signal by gdb's numbers (2 INT, 5 TRAP, 6 ABRT); with <see cref="StopReason.Exited"/> the exit code.</param>
/// <param name="Address">With the watchpoint reasons: the data address.</param>
public sealed record StopReport(int Thread, StopReason Reason, byte Signal, ulong Address = 0)
{
    /// <summary>More for a person to read, in one line: lldb shows it as the stop's description.</summary>
    public string? Description { get; init; }

    /// <summary>Stopped on request.</summary>
    public const byte Interrupt = 2;

    /// <summary>Stopped by a breakpoint, a watchpoint or a finished step.</summary>
    public const byte Trap = 5;

    /// <summary>The target crashed.</summary>
    public const byte Abort = 6;
}
