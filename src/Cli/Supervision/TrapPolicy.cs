using Emulator;
using GuestOs;

namespace Cli.Supervision;

/// <summary>What becomes of the machine next, when nobody holds it.</summary>
internal enum NextStep
{
    /// <summary>It runs on.</summary>
    Run,

    /// <summary>The guest is started again.</summary>
    Restart,

    /// <summary>It stays as it is until its owner says otherwise.</summary>
    Stay,

    /// <summary>The run ends.</summary>
    End,
}

/// <summary>What to do about an exit.</summary>
/// <param name="Capture">Freeze the machine and archive it.</param>
/// <param name="Next">What then.</param>
/// <param name="LimitReached">The guest would have been started again, but for --max-reboots.</param>
internal readonly record struct PolicyDecision(bool Capture, NextStep Next, bool LimitReached = false);

/// <summary>The rules: from an exit and what it was to what is done about it.</summary>
/// <param name="OnPanic">For crashes.</param>
/// <param name="MaximumRestarts">Every start of the guest after the first counts; null for no limit.</param>
internal sealed record TrapPolicy(PanicAction OnPanic, ulong? MaximumRestarts)
{
    /// <summary>The decision, when the guest was started again <paramref name="restarts"/> times before.</summary>
    public PolicyDecision Decide(MachineExit exit, TrapVerdict verdict, ulong restarts)
    {
        if (verdict.IsCrash)
        {
            return OnPanic switch
            {
                PanicAction.Freeze => new PolicyDecision(true, NextStep.Stay),
                PanicAction.Exit => new PolicyDecision(true, NextStep.End),
                _ => exit.Kind == MachineExitKind.PowerOff ? new PolicyDecision(true, NextStep.End) : Restart(true, restarts),
            };
        }

        return exit.Kind switch
        {
            MachineExitKind.Reset => Restart(false, restarts),
            MachineExitKind.PowerOff or MachineExitKind.Halted or MachineExitKind.ExitPort => new PolicyDecision(false, NextStep.End),
            _ => new PolicyDecision(false, NextStep.Run),
        };
    }

    private PolicyDecision Restart(bool capture, ulong restarts) =>
        restarts >= MaximumRestarts ? new PolicyDecision(capture, NextStep.End, true) : new PolicyDecision(capture, NextStep.Restart);
}
