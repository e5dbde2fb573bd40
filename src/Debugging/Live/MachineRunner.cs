using Emulator;
using GdbStub.Targets;

namespace Debugging.Live;

/// <summary>
/// Owns a live machine's thread of execution and lends the machine out while it stands still. One thread calls
/// <see cref="Run"/> and stays in it; any other may look through <see cref="Inspect"/>, and one debugger at a time controls.
/// While no debugger holds it, the machine runs.
/// </summary>
/// <remarks>
/// One lock guards everything. It is not held while the machine runs or its supervisor decides (<c>running</c> says so); to
/// touch the machine a thread takes the lock and waits until it is not running, which it hastens by asking for a pause. A
/// pause between two instructions is nothing the guest can notice.
/// </remarks>
public sealed class MachineRunner : IMachineAccess
{
    /// <summary>How long to wait for a pause before asking again: a request may come just before the machine starts to heed it.</summary>
    private const int AskAgainMilliseconds = 2;

    private readonly object gate = new();
    private readonly IMachineSupervisor supervisor;
    private IMachineControl machine;
    private bool running;
    private bool ended;
    private bool restartWanted;
    private bool waitForDebugger;
    private bool suspended;
    private int visitors;
    private long version;
    private string? frozen;
    private Func<IMachineControl>? deferredRestart;
    private MachineExit? cause;
    private MachineExit? handed;
    private DebuggerControl? debugger;

    /// <param name="machine">The machine; from now on only touched through this object.</param>
    /// <param name="supervisor">Decides at resets and the like.</param>
    /// <param name="waitForDebugger">Hold the machine at its first instruction until a debugger lets it go.</param>
    public MachineRunner(IMachineControl machine, IMachineSupervisor supervisor, bool waitForDebugger = false)
    {
        this.machine = machine;
        this.supervisor = supervisor;
        this.waitForDebugger = waitForDebugger;
    }

    /// <summary>Why it stands still before it first runs, for a machine that has a past.</summary>
    public MachineExit? FirstCause
    {
        init => cause = value;
    }

    /// <summary>Called, on any thread, when the debugger that controlled the machine has left it.</summary>
    public Action? DebuggerLeft { get; init; }

    /// <summary>True when the supervisor froze the machine.</summary>
    public bool IsFrozen
    {
        get
        {
            lock (gate)
            {
                return frozen is not null;
            }
        }
    }

    /// <summary>True while a debugger controls the machine.</summary>
    public bool HasDebugger
    {
        get
        {
            lock (gate)
            {
                return debugger is not null;
            }
        }
    }

    long IMachineAccess.Version => version;

    MachineExit? IMachineAccess.Cause => cause;

    /// <summary>
    /// Runs the machine on the calling thread until the supervisor ends it or <see cref="End"/> is called; returns the last
    /// reason it stopped, null when it never started. What the supervisor throws comes out here.
    /// </summary>
    public MachineExit? Run()
    {
        try
        {
            while (TryTakeTurn(out DebuggerControl? orders))
            {
                MachineExit exit = handed ?? orders?.Execute(machine) ?? machine.Run();
                handed = null;
                Settle(exit, IsOwn(exit.Kind) ? null : supervisor.OnExit(machine, exit));
            }
        }
        finally
        {
            DebuggerControl? told;
            lock (gate)
            {
                ended = true;
                running = false;
                told = debugger is { Resumed: true } ? debugger : null;
                told?.Finish();
                Monitor.PulseAll(gate);
            }

            told?.Report(new StopReport(1, StopReason.Exited, 0));
        }

        return cause;
    }

    /// <summary>Makes <see cref="Run"/> return soon. Any thread; a debugger that waits is told that the machine exited.</summary>
    public void End()
    {
        lock (gate)
        {
            ended = true;
            Monitor.PulseAll(gate);
        }

        Hasten();
    }

    /// <summary>
    /// Keeps the machine standing for its owner, or lets it go again. A debugger that has said to run keeps waiting
    /// meanwhile. Any thread but the machine's; when it returns, the machine stands.
    /// </summary>
    public void Suspend(bool stand)
    {
        Hold();
        suspended = stand;
        LetGo();
    }

    /// <summary>Has the supervisor start the guest again, frozen or not. Any thread but the machine's; returns when it is done.</summary>
    public void Restart()
    {
        lock (gate)
        {
            restartWanted = true;
            Monitor.PulseAll(gate);
            while (restartWanted && !ended)
            {
                if (running)
                {
                    machine.RequestPause();
                }

                Monitor.Wait(gate, AskAgainMilliseconds);
            }
        }
    }

    /// <summary>Looks at the machine while it stands still, stopping it for that long. Any thread but the machine's.</summary>
    public T Inspect<T>(Func<IMachineView, T> look)
    {
        ArgumentNullException.ThrowIfNull(look);
        IMachineAccess access = this;
        IMachineView view = access.Enter();
        try
        {
            return look(view);
        }
        finally
        {
            access.Leave();
        }
    }

    IMachineView IMachineAccess.Enter() => Hold();

    void IMachineAccess.Leave() => LetGo();

    void IMachineAccess.Changed() => version++;

    /// <summary>Takes control: the machine stops before its next instruction. Null when another debugger has it.</summary>
    internal DebuggerControl? TryAttach(ITargetEvents events, BreakpointSet? breakpoints = null)
    {
        DebuggerControl control;
        lock (gate)
        {
            if (debugger is not null)
            {
                return null;
            }

            debugger = control = new DebuggerControl(this, events, breakpoints ?? new BreakpointSet());
            waitForDebugger = false;
        }

        Hold();
        LetGo();
        return control;
    }

    /// <summary>Gives control back: no breakpoints any more, and the machine runs on unless it is frozen.</summary>
    internal void Detach(DebuggerControl control)
    {
        Hold();
        try
        {
            if (debugger == control)
            {
                debugger = null;
                machine.SetBreakpoints([]);
                machine.SetWatchpoints([]);
            }
        }
        finally
        {
            LetGo();
        }

        DebuggerLeft?.Invoke();
    }

    /// <summary>
    /// Sets the machine going for the debugger that controls it. A step of one instruction is made here and now, on the thread that
    /// ordered it, and its stop reported before this returns; what takes longer, or needs the supervisor, is left to the machine's thread.
    /// </summary>
    internal TargetError? Resume(DebuggerControl control, ThreadAction order)
    {
        StopReport? report = null;
        Hold();
        try
        {
            string? refusal = ended ? "the machine's run has ended" : frozen;
            if (refusal is not null)
            {
                return new TargetError(TargetError.NotPermitted, refusal);
            }

            control.Begin(order);
            if (deferredRestart is null)
            {
                control.Apply(machine);
                if (control.IsSingleStep && !suspended && !restartWanted)
                {
                    report = StepHere(control);
                }
            }
        }
        finally
        {
            LetGo();
        }

        if (report is not null)
        {
            control.Report(report);
        }

        return null;
    }

    /// <summary>The set of breakpoints changed: a machine that runs gets them at once, another when it is resumed.</summary>
    internal void BreakpointsChanged(DebuggerControl control)
    {
        if (!control.Resumed)
        {
            return;
        }

        Hold();
        if (control.Resumed && deferredRestart is null)
        {
            control.Apply(machine);
        }

        LetGo();
    }

    /// <summary>Stops the machine for the debugger that waits for it.</summary>
    internal void RequestStop(DebuggerControl control)
    {
        StopReport? report = null;
        lock (gate)
        {
            if (!control.Resumed)
            {
                return;
            }

            control.StopWanted = true;
            if (!running)
            {
                // It had not set out yet.
                control.Finish();
                report = new StopReport(machine.CurrentVcpu + 1, StopReason.Signal, StopReport.Interrupt);
            }
        }

        if (report is not null)
        {
            control.Report(report);
        }
        else
        {
            Hasten();
        }
    }

    private IMachineControl Hold()
    {
        Monitor.Enter(gate);
        visitors++;
        while (running)
        {
            machine.RequestPause();
            Monitor.Wait(gate, AskAgainMilliseconds);
        }

        return machine;
    }

    private void LetGo()
    {
        visitors--;

        // To wake the machine's thread for nothing costs a debugger more than its answer.
        if (ended || (visitors == 0 && IsWanted))
        {
            Monitor.PulseAll(gate);
        }

        Monitor.Exit(gate);
    }

    private StopReport? StepHere(DebuggerControl control)
    {
        machine.Glance(machine.CurrentVcpu, out VcpuGlance registers);
        if (registers.Halted)
        {
            return null;
        }

        version++;
        if (!control.TryStep(machine, out MachineExit exit) || exit.Kind == MachineExitKind.Paused)
        {
            return null;
        }

        if (!IsOwn(exit.Kind))
        {
            handed = exit;
            return null;
        }

        cause = exit;
        StopReport? report = control.StopFor(exit, machine);
        control.Finish();
        return report;
    }

    /// <summary>Stops that are a debugger's doing and no business of the supervisor.</summary>
    private static bool IsOwn(MachineExitKind kind) =>
        kind is MachineExitKind.Paused or MachineExitKind.Breakpoint or MachineExitKind.Watchpoint or MachineExitKind.Stepped;

    /// <summary>Asks for a pause until the machine stands still, from a thread that has nothing else to do.</summary>
    private void Hasten() => ThreadPool.UnsafeQueueUserWorkItem(
        static runner =>
        {
            lock (runner.gate)
            {
                while (runner.running && (runner.ended || runner.debugger is { StopWanted: true }))
                {
                    runner.machine.RequestPause();
                    Monitor.Wait(runner.gate, AskAgainMilliseconds);
                }
            }
        },
        this,
        preferLocal: false);

    /// <summary>Waits until the machine is to run, and says by whose orders; false when the run is over.</summary>
    private bool TryTakeTurn(out DebuggerControl? orders)
    {
        while (true)
        {
            Func<IMachineControl>? restart;
            lock (gate)
            {
                while (!ended && (visitors > 0 || !IsWanted))
                {
                    Monitor.Wait(gate);
                }

                orders = debugger is { Resumed: true } ? debugger : null;
                if (ended)
                {
                    return false;
                }

                running = true;
                version++;
                restart = restartWanted ? () => supervisor.Restart(machine) : deferredRestart;
            }

            if (restart is null)
            {
                return true;
            }

            IMachineControl next = restart();
            lock (gate)
            {
                Replace(next);
                running = false;
                restartWanted = false;
                Monitor.PulseAll(gate);
            }
        }
    }

    /// <summary>The machine's thread has something to do.</summary>
    private bool IsWanted => restartWanted || MayRun;

    private bool MayRun => frozen is null && !suspended && (debugger?.Resumed ?? !waitForDebugger);

    /// <summary>Another life of the guest begins, in this machine or another.</summary>
    private void Replace(IMachineControl next)
    {
        machine = next;
        version++;
        deferredRestart = null;
        handed = null;
        frozen = null;
        cause = null;
        debugger?.Apply(machine, always: true);
    }

    private void Settle(MachineExit exit, TrapDecision? decision)
    {
        StopReport? report = null;
        DebuggerControl? told;
        lock (gate)
        {
            version++;
            running = false;
            told = debugger;
            switch (decision?.Kind)
            {
                case TrapDecisionKind.RunOn:
                    Replace(decision.Machine!);
                    break;

                case TrapDecisionKind.End:
                    cause = exit;
                    ended = true;
                    report = new StopReport(exit.Vcpu + 1, StopReason.Exited, decision.ExitCode);
                    break;

                case { } kind:
                    cause = exit;
                    frozen = kind == TrapDecisionKind.Freeze ? decision!.Reason : null;
                    deferredRestart = decision!.Restart;
                    report = StopReports.Standing(exit, machine.CurrentVcpu);
                    break;

                default:
                    report = told?.StopFor(exit, machine);
                    if (report is not null || exit.Kind == MachineExitKind.Paused)
                    {
                        cause = exit;
                    }

                    break;
            }

            if (report is not null)
            {
                // Without a debugger that waits there is nobody to tell.
                if (told is { Resumed: true })
                {
                    told.Finish();
                }
                else
                {
                    report = null;
                }
            }

            Monitor.PulseAll(gate);
        }

        if (report is not null)
        {
            told!.Report(report);
        }
    }
}
