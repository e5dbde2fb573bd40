using Debugging.X86;
using Emulator;
using GdbStub.Targets;

namespace Debugging.Live;

/// <summary>
/// The one debugger that controls a live machine: its order, its breakpoints, and where its stops are reported. The order is
/// guarded by the runner's lock; the breakpoints belong to the session and reach the machine when it is next resumed, so
/// that a debugger that takes them out and puts them back at every stop costs nothing.
/// </summary>
internal sealed class DebuggerControl(MachineRunner runner, ITargetEvents events) : IRunControl, IBreakpoints
{
    private readonly HashSet<TargetBreakpoint> wanted = [];
    private HashSet<TargetBreakpoint> applied = [];
    private ulong start;

    /// <summary>The debugger said to run and has not been told of a stop.</summary>
    public bool Resumed { get; private set; }

    /// <summary>It said to run for one instruction.</summary>
    public bool Stepping { get; private set; }

    /// <summary>It wants the machine back.</summary>
    public bool StopWanted { get; set; }

    public TargetError? Resume(IReadOnlyList<ThreadAction> actions) =>
        runner.Resume(this, actions.Any(action => action.Kind == ResumeKind.Step));

    public void RequestStop() => runner.RequestStop(this);

    public TargetError? Insert(TargetBreakpoint breakpoint)
    {
        const int most = 65536;
        lock (wanted)
        {
            if (wanted.Count >= most && !wanted.Contains(breakpoint))
            {
                return new TargetError(TargetError.Failed, $"there are {most} breakpoints already");
            }

            wanted.Add(breakpoint);
            return null;
        }
    }

    public TargetError? Remove(TargetBreakpoint breakpoint)
    {
        lock (wanted)
        {
            wanted.Remove(breakpoint);
            return null;
        }
    }

    /// <summary>An order to run begins.</summary>
    public void Begin(bool step, ulong instructionCount)
    {
        Resumed = true;
        Stepping = step;
        StopWanted = false;
        start = instructionCount;
    }

    /// <summary>The order is fulfilled.</summary>
    public void Finish()
    {
        Resumed = false;
        Stepping = false;
        StopWanted = false;
    }

    /// <summary>Tells the session.</summary>
    public void Report(StopReport report) => events.Stopped(report);

    /// <summary>Sets the breakpoints in the machine if they differ from what it has, or <paramref name="always"/> in a machine that has none of them.</summary>
    public void Apply(IMachineControl machine, bool always = false)
    {
        lock (wanted)
        {
            if (!always && applied.SetEquals(wanted))
            {
                return;
            }

            applied = [.. wanted];
        }

        machine.SetBreakpoints([.. applied.Where(one => one.Kind <= BreakpointKind.Hardware).Select(one => one.Address).Distinct()]);
        machine.SetWatchpoints([.. applied.Where(one => one.Kind > BreakpointKind.Hardware).Select(one => new Watchpoint(one.Address, one.Length, one.Kind switch
        {
            BreakpointKind.Write => WatchKind.Write,
            BreakpointKind.Read => WatchKind.Read,
            _ => WatchKind.Access,
        }))]);
    }

    /// <summary>The stop that a pause, breakpoint, watchpoint or step is to this debugger; null when it is none and the machine goes on.</summary>
    public StopReport? StopFor(MachineExit exit, IMachineControl machine)
    {
        if (!Resumed)
        {
            return null;
        }

        if (exit.Kind == MachineExitKind.Paused)
        {
            bool moved = exit.InstructionCount > start;
            if (moved && Stepping)
            {
                return StopReports.Ending(exit with { Kind = MachineExitKind.Stepped }, machine.CurrentVcpu, hardwareBreakpoint: false);
            }

            // Paused just before a breakpoint: to go on from here would step over it.
            ulong pc = X86Registers.LinearPc(machine.Vcpus[exit.Vcpu]);
            if (moved && applied.Any(one => one.Kind <= BreakpointKind.Hardware && one.Address == pc))
            {
                exit = exit with { Kind = MachineExitKind.Breakpoint };
            }
            else if (!StopWanted)
            {
                return null;
            }
        }

        return StopReports.Ending(exit, machine.CurrentVcpu, exit.Kind == MachineExitKind.Breakpoint && IsHardware(machine, exit.Vcpu));
    }

    private bool IsHardware(IMachineControl machine, int vcpu)
    {
        ulong pc = X86Registers.LinearPc(machine.Vcpus[vcpu]);
        return !applied.Any(one => one.Kind == BreakpointKind.Software && one.Address == pc);
    }
}
