using Emulator;
using GdbStub.Agents;
using GdbStub.Targets;

namespace Debugging.Live;

/// <summary>
/// The one debugger that controls a machine: its order and how it is carried out, its breakpoints, and where its stops are
/// reported. The order is guarded by the runner's lock.
/// </summary>
internal sealed class DebuggerControl : IRunControl, IProgrammableBreakpoints, ISteppingPolicy
{
    private readonly MachineRunner runner;
    private readonly ITargetEvents events;
    private readonly BreakpointSet breakpoints;
    private ThreadAction action;
    private ulong runStart;

    // A single step met an interrupt: where its handler returns to, and with which stack and page tables. Other processes
    // may be at the same address with the same stack pointer before that.
    private (ulong Pc, ulong Stack, ulong Tables)? interrupted;

    /// <param name="runner">Owns the machine.</param>
    /// <param name="events">The session.</param>
    /// <param name="breakpoints">May have been filled before there was a machine to run.</param>
    public DebuggerControl(MachineRunner runner, ITargetEvents events, BreakpointSet breakpoints)
    {
        this.runner = runner;
        this.events = events;
        this.breakpoints = breakpoints;
        breakpoints.Changed = () => runner.BreakpointsChanged(this);
    }

    /// <summary>The debugger said to run and has not been told of a stop.</summary>
    public bool Resumed { get; private set; }

    /// <summary>It wants the machine back.</summary>
    public bool StopWanted { get; set; }

    public bool StepsRanges => true;

    /// <summary>Timers never run on while somebody steps: guest time is counted in instructions, whether that is asked for or not.</summary>
    public StepMask Supported => StepMask.Enable | StepMask.NoInterrupts | StepMask.NoTimers;

    public StepMask Current { get; set; } = StepMask.Enable | StepMask.NoInterrupts | StepMask.NoTimers;

    /// <summary>A step of one instruction, which may be made where it was ordered.</summary>
    public bool IsSingleStep => action is { Kind: ResumeKind.Step, RangeEnd: 0 };

    public TargetError? Resume(IReadOnlyList<ThreadAction> actions)
    {
        // One vCPU steps alone; all others wait for it.
        ThreadAction order = actions.FirstOrDefault(one => one.Kind == ResumeKind.Step);
        return runner.Resume(this, order.Kind == ResumeKind.Step ? order : new ThreadAction(0, ResumeKind.Continue, 0));
    }

    public void RequestStop() => runner.RequestStop(this);

    public TargetError? Insert(TargetBreakpoint breakpoint) => breakpoints.Insert(breakpoint);

    public TargetError? Insert(TargetBreakpoint breakpoint, BreakpointProgram program) => breakpoints.Insert(breakpoint, program);

    public TargetError? Remove(TargetBreakpoint breakpoint) => breakpoints.Remove(breakpoint);

    /// <summary>An order to run begins.</summary>
    public void Begin(ThreadAction order)
    {
        Resumed = true;
        StopWanted = false;
        action = order;
        interrupted = null;
    }

    /// <summary>The order is fulfilled.</summary>
    public void Finish()
    {
        Resumed = false;
        StopWanted = false;
        interrupted = null;
    }

    /// <summary>Tells the session.</summary>
    public void Report(StopReport report) => events.Stopped(report);

    /// <summary>Sets the breakpoints in the machine if they differ from what it has, or <paramref name="always"/> in a machine that has none of them.</summary>
    public void Apply(IMachineControl machine, bool always = false)
    {
        if (IsSingleStep && !always && interrupted is null)
        {
            breakpoints.ApplyWatchpoints(machine);
        }
        else
        {
            breakpoints.Apply(machine, always, interrupted?.Pc);
        }
    }

    /// <summary>
    /// Carries the order out until something stops the machine. Called on the machine's thread, again and again while an
    /// order lasts: a pause in between is nobody's stop.
    /// </summary>
    public MachineExit Execute(IMachineControl machine)
    {
        runStart = machine.InstructionCount;
        if (action.Kind == ResumeKind.Step)
        {
            while (true)
            {
                if (TryStep(machine, out MachineExit stepped))
                {
                    return stepped;
                }
            }
        }

        while (true)
        {
            MachineExit exit = machine.Run();
            if (exit.Kind != MachineExitKind.Breakpoint)
            {
                return exit;
            }

            machine.Glance(exit.Vcpu, out VcpuGlance registers);
            if (breakpoints.Stops(machine, exit.Vcpu, registers, events))
            {
                return exit;
            }

            runStart = machine.InstructionCount;
        }
    }

    /// <summary>
    /// One move towards the end of a step; false when there is more to do: an interrupt came first and its handler has to
    /// run to its end, or the range is not left yet.
    /// </summary>
    public bool TryStep(IMachineControl machine, out MachineExit exit)
    {
        runStart = machine.InstructionCount;
        if (interrupted is { } place)
        {
            return TryFinishHandler(machine, place, out exit);
        }

        machine.Glance(machine.CurrentVcpu, out VcpuGlance before);
        ulong interrupts = machine.Journal?.Interrupts ?? 0;
        exit = machine.Run(1);
        if (exit.Kind != MachineExitKind.Stepped)
        {
            return true;
        }

        if ((Current & StepMask.NoInterrupts) != 0 && (machine.Journal?.Interrupts ?? 0) != interrupts)
        {
            interrupted = (before.LinearPc, before.Gpr[4], TablesOf(before));
            breakpoints.Apply(machine, extra: before.LinearPc);
            return false;
        }

        if (action.RangeEnd == 0)
        {
            return true;
        }

        machine.Glance(exit.Vcpu, out VcpuGlance now);
        if (breakpoints.IsAt(now.LinearPc) && breakpoints.Stops(machine, exit.Vcpu, now, events))
        {
            exit = exit with { Kind = MachineExitKind.Breakpoint };
            return true;
        }

        return now.Rip < action.RangeStart || now.Rip >= action.RangeEnd;
    }

    /// <summary>The stop that a pause, breakpoint, watchpoint or step is to this debugger; null when it is none and the machine goes on.</summary>
    public StopReport? StopFor(MachineExit exit, IMachineControl machine)
    {
        if (!Resumed)
        {
            return null;
        }

        machine.Glance(exit.Vcpu, out VcpuGlance registers);
        if (exit.Kind == MachineExitKind.Paused)
        {
            // Paused just before a breakpoint: to go on from here would step over it.
            if (exit.InstructionCount > runStart && breakpoints.IsAt(registers.LinearPc) && breakpoints.Stops(machine, exit.Vcpu, registers, events))
            {
                exit = exit with { Kind = MachineExitKind.Breakpoint };
            }
            else if (!StopWanted)
            {
                return null;
            }
        }

        // Where the program counter is not the address it was set at (a segment's base is added), gdb finds no breakpoint of its
        // own at it, takes one that is reported for an old one, and goes on without a word. A plain trap it shows.
        if (exit.Kind == MachineExitKind.Breakpoint && registers.Rip != registers.LinearPc)
        {
            exit = exit with { Kind = MachineExitKind.Stepped };
        }

        return StopReports.Ending(exit, machine.CurrentVcpu, exit.Kind == MachineExitKind.Breakpoint && breakpoints.IsHardware(registers.LinearPc));
    }

    /// <summary>CR3 without PCID and caching bits: the kernel may have given the same tables another PCID meanwhile.</summary>
    private static ulong TablesOf(in VcpuGlance registers) => registers.Cr3 & ~0xFFFUL;

    private bool TryFinishHandler(IMachineControl machine, (ulong Pc, ulong Stack, ulong Tables) place, out MachineExit exit)
    {
        exit = machine.Run();
        if (exit.Kind != MachineExitKind.Breakpoint)
        {
            return true;
        }

        machine.Glance(exit.Vcpu, out VcpuGlance registers);
        if (registers.LinearPc == place.Pc && registers.Gpr[4] == place.Stack && TablesOf(registers) == place.Tables)
        {
            // Back in the interrupted code, whose instruction is still to be executed.
            interrupted = null;
            return false;
        }

        return breakpoints.IsAt(registers.LinearPc) && breakpoints.Stops(machine, exit.Vcpu, registers, events);
    }
}
