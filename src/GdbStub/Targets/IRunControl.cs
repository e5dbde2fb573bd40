namespace GdbStub.Targets;

/// <summary>What one thread is to do.</summary>
public enum ResumeKind
{
    /// <summary>Stay where it is.</summary>
    Stay,

    /// <summary>Run.</summary>
    Continue,

    /// <summary>Execute one instruction.</summary>
    Step,
}

/// <summary>An order for one thread.</summary>
/// <param name="Thread">The thread.</param>
/// <param name="Kind">What it does.</param>
/// <param name="Signal">A signal to deliver, 0 for none; targets without signals ignore it.</param>
public readonly record struct ThreadAction(int Thread, ResumeKind Kind, byte Signal);

/// <summary>
/// Runs a target. Resuming returns at once; the target reports the one stop that ends it through
/// <see cref="ITargetEvents.Stopped"/>, from any thread, never before <see cref="Resume"/> was called.
/// </summary>
public interface IRunControl
{
    /// <summary>Sets every thread going as told; null when it runs, else nothing has moved and no stop will be reported.</summary>
    TargetError? Resume(IReadOnlyList<ThreadAction> actions);

    /// <summary>Asks a running target to stop; it reports the stop when it has. Harmless when it stands still.</summary>
    void RequestStop();
}
