using Emulator;
using GuestOs;

namespace Cli.Supervision;

/// <summary>
/// The loop of a run: run → exit → judge → capture → restart, stay or end. The thread that calls <see cref="Run"/> is the
/// machine's thread: nobody else runs, judges or resets it. Debuggers and the console hold the machine while they look at
/// it, and a holder has it run by an errand.
/// </summary>
internal sealed class Supervisor
{
    private readonly object gate = new();
    private readonly ISupervisedMachine machine;
    private readonly TrapPolicy policy;
    private readonly ArchiveQueue archives;
    private readonly IRunEvents events;
    private readonly CancellationTokenSource giveUp = new();
    private int holders;
    private int waitingHolders;
    private bool running;
    private bool over;
    private bool restartAsked;
    private bool restarting;
    private Errand? errand;
    private EndRequest? endRequest;
    private NextStep next = NextStep.Run;
    private MachineExit lastExit;

    /// <summary>Nothing runs until <see cref="Run"/>.</summary>
    public Supervisor(ISupervisedMachine machine, TrapPolicy policy, ArchiveQueue archives, IRunEvents events)
    {
        this.machine = machine;
        this.policy = policy;
        this.archives = archives;
        this.events = events;
        archives.Changed = Wake;
    }

    /// <summary>Starts of the guest after the first.</summary>
    public ulong Restarts { get; private set; }

    /// <summary>What it was when the machine last came to a stand by itself; null when it never did.</summary>
    public TrapVerdict? LastVerdict { get; private set; }

    /// <summary>True when a trapped machine is what a holder sees: it runs no more until it is restarted.</summary>
    public bool IsTrapped
    {
        get
        {
            lock (gate)
            {
                return !running && next != NextStep.Run;
            }
        }
    }

    /// <summary>Runs the machine until the run is over; returns the process's exit code.</summary>
    public int Run()
    {
        while (TakeTurn() is { } turn)
        {
            if (turn.Restart)
            {
                machine.Restart();
                Restarts++;
                events.Report(new RestartedEvent(Restarts));
                lock (gate)
                {
                    restarting = false;
                    Monitor.PulseAll(gate);
                }
            }

            if (turn.Run)
            {
                MachineExit exit = machine.Run(turn.Errand?.Instructions ?? ulong.MaxValue);
                Handle(exit, turn.Errand);
            }
        }

        return End();
    }

    /// <summary>
    /// Stops the machine and keeps it standing until the hold is disposed. Any thread; returns when it stands. The run may
    /// be over: then it stands for good.
    /// </summary>
    public MachineHold Hold()
    {
        lock (gate)
        {
            holders++;
            waitingHolders++;
            while (running)
            {
                // Asked again and again: a request that came before the machine was under way would be lost.
                machine.RequestPause();
                Monitor.Wait(gate, 1);
            }

            waitingHolders--;
            return new MachineHold(this, lastExit);
        }
    }

    /// <summary>Ends the run in good order; asked a second time, without waiting for what is still being written. Any thread.</summary>
    public void RequestEnd(EndRequest request)
    {
        bool again;
        lock (gate)
        {
            again = endRequest is not null;
            endRequest ??= request;
            machine.RequestPause();
            Monitor.PulseAll(gate);
        }

        if (again)
        {
            giveUp.Cancel();
        }
    }

    /// <summary>Has the guest start again, whatever its state; returns when it was reset. Any thread but the machine's.</summary>
    public void Restart()
    {
        lock (gate)
        {
            restartAsked = true;
            Monitor.PulseAll(gate);
            while ((restartAsked || restarting) && !over && endRequest is null)
            {
                if (running)
                {
                    machine.RequestPause();
                }

                Monitor.Wait(gate, 1);
            }
        }
    }

    /// <summary>A holder has the machine run; returns its next stop. At a trap there is none but the trap itself.</summary>
    internal MachineExit RunFor(Errand order)
    {
        lock (gate)
        {
            while (errand is not null && !over)
            {
                Monitor.Wait(gate);
            }

            if (over)
            {
                return lastExit;
            }

            errand = order;
            Monitor.PulseAll(gate);
            while (!order.Done && !over)
            {
                if (order.PauseAsked && running)
                {
                    machine.RequestPause();
                    Monitor.Wait(gate, 1);
                }
                else
                {
                    Monitor.Wait(gate);
                }
            }

            return order.Done ? order.Exit : lastExit;
        }
    }

    internal void Pause(Errand order)
    {
        lock (gate)
        {
            order.PauseAsked = true;
            Monitor.PulseAll(gate);
        }
    }

    internal void Release()
    {
        lock (gate)
        {
            holders--;
            Monitor.PulseAll(gate);
        }
    }

    /// <summary>Waits until there is something for the machine's thread to do; null when the run is over.</summary>
    private Turn? TakeTurn()
    {
        lock (gate)
        {
            running = false;
            Monitor.PulseAll(gate);
            while (true)
            {
                if (endRequest is not null)
                {
                    return null;
                }

                if (restartAsked)
                {
                    restartAsked = false;
                    restarting = true;
                    next = NextStep.Run;
                    lastExit = lastExit with { Kind = MachineExitKind.Paused, Reset = null };
                    return new Turn(Restart: true, Run: false, null);
                }

                if (errand is { } order)
                {
                    if (order.PauseAsked && next == NextStep.Run)
                    {
                        Complete(order, lastExit with { Kind = MachineExitKind.Paused, Reset = null });
                    }
                    else if (next is NextStep.Run or NextStep.Restart)
                    {
                        return Go(order);
                    }
                    else
                    {
                        Complete(order, lastExit);
                        if (next == NextStep.End && archives.IsIdle)
                        {
                            return null;
                        }
                    }
                }
                else if (holders == 0)
                {
                    if (next is NextStep.Run or NextStep.Restart)
                    {
                        return Go(null);
                    }

                    if (next == NextStep.End && archives.IsIdle)
                    {
                        return null;
                    }
                }

                Monitor.Wait(gate);
            }
        }
    }

    private Turn Go(Errand? order)
    {
        var turn = new Turn(next == NextStep.Restart, true, order);
        next = NextStep.Run;
        running = true;
        return turn;
    }

    private void Handle(MachineExit exit, Errand? order)
    {
        TrapDecision decision = default;
        switch (exit.Kind)
        {
            case MachineExitKind.Paused or MachineExitKind.Breakpoint or MachineExitKind.Watchpoint or MachineExitKind.Stepped:
                break;
            default:
                decision = Trap(exit);
                break;
        }

        lock (gate)
        {
            lastExit = exit;
            next = decision.Next;
            bool goesOn = decision is { Capture: false, Next: NextStep.Run or NextStep.Restart };
            switch (exit.Kind)
            {
                case MachineExitKind.Paused:
                    // Nobody's request, or one that came late: the machine's owner does not care.
                    goesOn = order is { PauseAsked: false } && waitingHolders == 0 && endRequest is null && !restartAsked;
                    break;
                case MachineExitKind.Breakpoint or MachineExitKind.Watchpoint or MachineExitKind.Stepped:
                    goesOn = false;
                    break;
                default:
                    // A debugger that steps over a reboot has made its step.
                    goesOn &= order is null or { Instructions: ulong.MaxValue };
                    break;
            }

            if (order is not null && !goesOn)
            {
                Complete(order, exit);
            }
        }
    }

    private TrapDecision Trap(MachineExit exit)
    {
        TrapVerdict verdict = machine.Judge(exit);
        TrapDecision decision = policy.Decide(exit, verdict, Restarts);
        LastVerdict = verdict;
        events.Report(new TrappedEvent(
            RunWords.Of(verdict.Kind), verdict.IsCrash, verdict.Summary, verdict.Report?.Title, verdict.Report?.Fault,
            exit.Kind == MachineExitKind.Reset && exit.Reset is { } cause ? RunWords.Of(cause) : null,
            verdict.Report?.Release, verdict.Report?.Cpu ?? exit.Vcpu, exit.InstructionCount));
        if (decision.Capture)
        {
            archives.Add(machine.Capture(exit, verdict), giveUp.Token);
        }

        if (decision.LimitReached)
        {
            events.Report(new StayingEvent("the guest is not started again: --max-reboots is reached"));
        }
        else if (decision.Next == NextStep.Stay)
        {
            events.Report(new StayingEvent("the machine stays frozen for a debugger; 'monitor reset' starts the guest again, Ctrl-A x or SIGTERM ends the run"));
        }

        return decision;
    }

    private int End()
    {
        bool allWritten = archives.Finish(giveUp.Token);
        lock (gate)
        {
            over = true;
            Monitor.PulseAll(gate);
        }

        int code = !allWritten ? ExitCode.Error
            : lastExit.Kind == MachineExitKind.ExitPort ? lastExit.ExitCode
            : archives.Written > 0 ? ExitCode.CrashArchived
            : endRequest?.ExitCode ?? ExitCode.Success;
        string why = !allWritten ? "a crash could not be archived and is lost: see above"
            : endRequest?.Why ?? lastExit.Kind switch
            {
                MachineExitKind.PowerOff => "the guest powered off",
                MachineExitKind.Halted => "the guest halted for good",
                MachineExitKind.ExitPort => $"the guest ended the run with exit code {lastExit.ExitCode}",
                _ => "the run is over",
            };
        events.Report(new EndedEvent(code, why));
        return code;
    }

    private void Complete(Errand order, MachineExit exit)
    {
        order.Exit = exit;
        order.Done = true;
        errand = null;
        Monitor.PulseAll(gate);
    }

    private void Wake()
    {
        lock (gate)
        {
            Monitor.PulseAll(gate);
        }
    }

    /// <summary>One round of the loop.</summary>
    private sealed record Turn(bool Restart, bool Run, Errand? Errand);
}
