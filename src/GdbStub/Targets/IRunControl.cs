namespace GdbStub.Targets;

/// <summary>What one thread is to do.</summary>
public enum ResumeKind
{
    /// <summary>Stay where it is.</summary>
    Stay,

    /// <summary>Run.</summary>
    Continue,

    /// <summary>Execute one instruction; with a range, go on until the program counter is outside it.</summary>
    Step,
}

/// <summary>An order for one thread.</summary>
/// <param name="Thread">The thread.</param>
/// <param name="Kind">What it does.</param>
/// <param name="Signal">A signal to deliver, 0 for none; targets without signals ignore it.</param>
/// <param name="RangeStart">First address of the range of a range step.</param>
/// <param name="RangeEnd">
/// First address behind it; 0 for a single step. At least one instruction is executed. Only given to a target whose
/// <see cref="IRunControl.StepsRanges"/> is true.
/// </param>
public readonly record struct ThreadAction(int Thread, ResumeKind Kind, byte Signal, ulong RangeStart = 0, ulong RangeEnd = 0);

/// <summary>
/// Runs a target. Resuming returns at once; the target reports the one stop that ends it through
/// <see cref="ITargetEvents.Stopped"/>, from any thread and perhaps before <see cref="Resume"/> returns: a single step that is
/// executed right there costs no change of threads. A stop stops all threads. From an instruction that has a breakpoint, resuming executes that instruction first.
/// </summary>
public interface IRunControl
{
    /// <summary>Sets every thread going as told; null when it runs, else nothing has moved and no stop will be reported.</summary>
    TargetError? Resume(IReadOnlyList<ThreadAction> actions);

    /// <summary>Asks a running target to stop; it reports the stop when it has. Harmless when it stands still.</summary>
    void RequestStop();

    /// <summary>
    /// True when the target steps through a range by itself. Otherwise the session steps again and again, which is as
    /// right and slower.
    /// </summary>
    bool StepsRanges => false;

    /// <summary>
    /// Signals that need not be reported and go to the program directly, by gdb's numbers (QPassSignals); called with the
    /// whole list whenever it changes. A target without signals has nothing to do.
    /// </summary>
    void PassSignals(ReadOnlySpan<byte> signals)
    {
    }
}

/// <summary>Runs a target backwards; reports stops as <see cref="IRunControl"/> does. At the beginning of what was recorded the stop's reason is <see cref="StopReason.HistoryBegin"/>.</summary>
public interface IReverseControl
{
    /// <summary>Runs backwards until something stops it.</summary>
    TargetError? Continue();

    /// <summary>Undoes one instruction of a thread.</summary>
    TargetError? Step(int thread);
}

/// <summary>What is held back while a single step lasts; bits as QEMU's <c>qqemu.sstepbits</c> has them.</summary>
[Flags]
public enum StepMask
{
    /// <summary>Nothing.</summary>
    None = 0,

    /// <summary>Steps are single steps at all; QEMU's, always on.</summary>
    Enable = 1,

    /// <summary>Interrupts: a step does not land in a handler.</summary>
    NoInterrupts = 2,

    /// <summary>The machine's clock and timers.</summary>
    NoTimers = 4,
}

/// <summary>What a single step does when an interrupt is due (<c>Qqemu.sstep</c>).</summary>
public interface ISteppingPolicy
{
    /// <summary>The bits that can be chosen.</summary>
    StepMask Supported { get; }

    /// <summary>The bits in force; only supported ones are set.</summary>
    StepMask Current { get; set; }
}
