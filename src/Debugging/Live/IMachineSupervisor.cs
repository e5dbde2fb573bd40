using Emulator;

namespace Debugging.Live;

/// <summary>
/// Decides what becomes of a machine that stopped for a reason of its own. Called on the machine's thread, while the
/// machine stands still; nobody else looks at it meanwhile.
/// </summary>
public interface IMachineSupervisor
{
    /// <summary>
    /// The machine asked for a reset, was switched off, is halted for good, ended through its exit port, or reported a crash
    /// and went on. Snapshots are taken here.
    /// </summary>
    TrapDecision OnExit(IMachineControl machine, MachineExit exit);

    /// <summary>Somebody wants the guest started again from the beginning, frozen or not. Returns the machine to run from then on.</summary>
    IMachineControl Restart(IMachineControl machine);
}

/// <summary>What a <see cref="TrapDecision"/> decides.</summary>
public enum TrapDecisionKind
{
    /// <summary>The machine stays as it is for good.</summary>
    Freeze,

    /// <summary>The machine, or another in its place, runs on at once; a waiting debugger keeps waiting.</summary>
    RunOn,

    /// <summary>A waiting debugger is told first, and looks; the machine runs on when it says so or leaves. At once without one.</summary>
    StopThenRunOn,

    /// <summary>The run is over.</summary>
    End,
}

/// <summary>The supervisor's answer; made by its static methods.</summary>
public sealed record TrapDecision
{
    private TrapDecision(TrapDecisionKind kind) => Kind = kind;

    /// <summary>What to do.</summary>
    public TrapDecisionKind Kind { get; }

    internal string Reason { get; private init; } = "";

    internal byte ExitCode { get; private init; }

    internal IMachineControl? Machine { get; private init; }

    internal Func<IMachineControl>? Restart { get; private init; }

    /// <summary>
    /// Keep the machine as it is. A debugger that waits for it gets a stop reply and keeps its session;
    /// <paramref name="reason"/> is what a later continue is answered with, and should say what can be done.
    /// </summary>
    public static TrapDecision Freeze(string reason) => new(TrapDecisionKind.Freeze) { Reason = reason };

    /// <summary>Go on with <paramref name="machine"/>, which may be another than before. Breakpoints are set in it again.</summary>
    public static TrapDecision RunOn(IMachineControl machine) => new(TrapDecisionKind.RunOn) { Machine = machine };

    /// <summary>
    /// Show a debugger the machine as it is; when it resumes or leaves, <paramref name="restart"/> is called on the machine's
    /// thread and returns the machine to go on with.
    /// </summary>
    public static TrapDecision StopThenRunOn(Func<IMachineControl> restart) => new(TrapDecisionKind.StopThenRunOn) { Restart = restart };

    /// <summary>Stop for good; a debugger that waits learns that the machine exited with this code.</summary>
    public static TrapDecision End(byte exitCode) => new(TrapDecisionKind.End) { ExitCode = exitCode };
}
