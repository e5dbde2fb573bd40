using Debugging.Live;
using Emulator;
using GuestOs;

namespace Cli.Supervision;

/// <summary>
/// The loop of a run: run → exit → judge → capture → restart, stay or end. The machine's thread is the one that calls
/// <see cref="Run"/>; debuggers and the console reach the machine through <see cref="Runner"/>.
/// </summary>
internal sealed class Supervisor : IMachineSupervisor
{
    private readonly IGuestMachine guest;
    private readonly TrapPolicy policy;
    private readonly ArchiveQueue archives;
    private readonly IRunEvents events;
    private readonly CancellationTokenSource giveUp = new();
    private readonly RestartBackoff backoff;
    private readonly TimeProvider clock;
    private EndRequest? endRequest;
    private MachineExit? last;
    private string? lastCrash;
    private long started;
    private ITimer? wait;
    private int restartDue;

    // The run is to end when every capture is written and no debugger looks any more.
    private volatile bool ending;

    /// <summary>Nothing runs until <see cref="Run"/>.</summary>
    /// <param name="guest">The machine.</param>
    /// <param name="policy">What to do about exits.</param>
    /// <param name="archives">Writes what is captured.</param>
    /// <param name="events">Hears of it.</param>
    /// <param name="waitForDebugger">Nothing is executed before a debugger says so.</param>
    /// <param name="backoff">How long a guest that crashed waits; null: not at all.</param>
    /// <param name="clock">By which it waits.</param>
    public Supervisor(
        IGuestMachine guest, TrapPolicy policy, ArchiveQueue archives, IRunEvents events, bool waitForDebugger,
        RestartBackoff? backoff = null, TimeProvider? clock = null)
    {
        this.guest = guest;
        this.policy = policy;
        this.archives = archives;
        this.events = events;
        this.backoff = backoff ?? new RestartBackoff(TimeSpan.Zero);
        this.clock = clock ?? TimeProvider.System;
        started = this.clock.GetTimestamp();
        Runner = new MachineRunner(guest.Control, this, waitForDebugger) { DebuggerLeft = DebuggerLeft };
        archives.Changed = EndIfDone;
    }

    /// <summary>Where debuggers and the console reach the machine.</summary>
    public MachineRunner Runner { get; }

    /// <summary>Starts of the guest after the first.</summary>
    public ulong Restarts { get; private set; }

    /// <summary>Runs the machine until the run is over and everything captured is written; returns the process's exit code.</summary>
    public int Run()
    {
        try
        {
            Runner.Run();
        }
        finally
        {
            wait?.Dispose();
        }

        bool allWritten = archives.Finish(giveUp.Token);
        int code = !allWritten ? ExitCode.Error
            : last is { Kind: MachineExitKind.ExitPort } port ? port.ExitCode
            : archives.Written > 0 ? ExitCode.CrashArchived
            : endRequest?.ExitCode ?? ExitCode.Success;
        events.Report(new EndedEvent(code, allWritten ? endRequest?.Why ?? Why() : "a crash could not be archived and is lost"));
        return code;
    }

    /// <summary>Ends the run in good order; asked a second time, without waiting for what is still being written. Any thread.</summary>
    public void RequestEnd(EndRequest request)
    {
        if (Interlocked.CompareExchange(ref endRequest, request, null) is null)
        {
            Runner.End();
        }
        else
        {
            giveUp.Cancel();
        }
    }

    /// <inheritdoc/>
    public TrapDecision OnExit(IMachineControl machine, MachineExit exit)
    {
        TrapVerdict verdict = guest.Judge(exit);
        PolicyDecision decision = policy.Decide(exit, verdict, Restarts);
        last = exit;
        Report(exit, verdict);
        if (decision.Capture)
        {
            lastCrash = verdict.Report?.Title;
            archives.Add(guest.Capture(exit, verdict), giveUp.Token);
        }

        if (decision.LimitReached)
        {
            string crash = lastCrash is null ? "" : $"; its last crash: {lastCrash}";
            events.Report(new StayingEvent($"the guest is not started again: it was so {Restarts} times, and --max-reboots allows no more{crash}"));
        }

        switch (decision.Next)
        {
            case NextStep.Run:
                return TrapDecision.RunOn(machine);

            case NextStep.Restart when decision.Capture && backoff.Next(clock.GetElapsedTime(started)) is { Ticks: > 0 } pause:
                events.Report(new BackoffEvent(backoff.SoonCrashes, pause.TotalSeconds));
                wait = clock.CreateTimer(_ => RestartAfterWait(), null, pause, Timeout.InfiniteTimeSpan);
                return TrapDecision.Freeze($"the guest crashed {backoff.SoonCrashes} times soon after its start, and starts again in {pause.TotalSeconds:F0} s, or at once with 'monitor reset'");

            case NextStep.Restart:
                return decision.Capture ? TrapDecision.StopThenRunOn(StartAgain) : TrapDecision.RunOn(StartAgain());

            case NextStep.Stay:
                events.Report(new StayingEvent("the machine stays frozen for a debugger; 'monitor reset' there starts the guest again, SIGTERM or Ctrl-A x ends the run"));
                return TrapDecision.Freeze("the machine is frozen at a crash and does not run: examine it, or start the guest again with 'monitor reset'");

            default:
                if (!decision.Capture && archives.IsIdle)
                {
                    return TrapDecision.End((byte)(exit.Kind == MachineExitKind.ExitPort ? exit.ExitCode : 0));
                }

                ending = true;
                EndIfDone();
                return TrapDecision.Freeze("the run is over and ends when you detach; 'monitor reset' starts the guest again instead");
        }
    }

    /// <inheritdoc/>
    public IMachineControl Restart(IMachineControl machine) => StartAgain();

    private IMachineControl StartAgain()
    {
        ending = false;
        restartDue = 0;
        wait?.Dispose();
        wait = null;
        guest.Restart();
        started = clock.GetTimestamp();
        Restarts++;
        events.Report(new RestartedEvent(Restarts));
        return guest.Control;
    }

    // A debugger that looks at the crash keeps it as long as it looks.
    private void RestartAfterWait()
    {
        Volatile.Write(ref restartDue, 1);
        if (!Runner.HasDebugger)
        {
            RestartIfDue();
        }
    }

    private void DebuggerLeft()
    {
        EndIfDone();
        RestartIfDue();
    }

    private void RestartIfDue()
    {
        if (Interlocked.Exchange(ref restartDue, 0) != 0)
        {
            Runner.Restart();
        }
    }

    private void EndIfDone()
    {
        if (ending && archives.IsIdle && !Runner.HasDebugger)
        {
            Runner.End();
        }
    }

    private void Report(MachineExit exit, TrapVerdict verdict) => events.Report(new TrappedEvent(
        RunWords.Of(verdict.Kind), verdict.IsCrash, verdict.Summary, verdict.Report?.Title, verdict.Report?.Fault,
        exit is { Kind: MachineExitKind.Reset, Reset: { } cause } ? RunWords.Of(cause) : null,
        verdict.Report?.Release, verdict.Report?.Cpu ?? exit.Vcpu, exit.InstructionCount));

    private string Why() => last?.Kind switch
    {
        MachineExitKind.PowerOff => "the guest powered off",
        MachineExitKind.Halted => "the guest halted for good",
        MachineExitKind.ExitPort => $"the guest ended the run with exit code {last.Value.ExitCode}",
        _ => "the run is over",
    };
}
