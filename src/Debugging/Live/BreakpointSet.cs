using Debugging.X86;
using Emulator;
using GdbStub.Agents;
using GdbStub.Targets;

namespace Debugging.Live;

/// <summary>
/// The breakpoints a debugger wants, and what a machine has of them. They reach the machine when it is resumed, so that a
/// debugger that takes them out and puts them back at every stop costs nothing.
/// </summary>
internal sealed class BreakpointSet : IProgrammableBreakpoints
{
    private const int Most = 65536;

    private readonly Dictionary<TargetBreakpoint, BreakpointProgram?> wanted = [];
    private Dictionary<ulong, Place> places = [];
    private HashSet<ulong> addresses = [];
    private HashSet<Watchpoint> watchpoints = [];
    private bool placesStale;
    private bool watchpointsStale = true;

    /// <summary>Called when the set has changed.</summary>
    public Action? Changed { get; set; }

    public TargetError? Insert(TargetBreakpoint breakpoint) => Put(breakpoint, null);

    public TargetError? Insert(TargetBreakpoint breakpoint, BreakpointProgram program) => Put(breakpoint, program);

    public TargetError? Remove(TargetBreakpoint breakpoint)
    {
        lock (wanted)
        {
            if (wanted.Remove(breakpoint))
            {
                NoteChange(breakpoint);
            }
        }

        Changed?.Invoke();
        return null;
    }

    /// <summary>The same breakpoints for a machine that has none yet.</summary>
    public BreakpointSet Copy()
    {
        var copy = new BreakpointSet { placesStale = true };
        lock (wanted)
        {
            foreach ((TargetBreakpoint breakpoint, BreakpointProgram? program) in wanted)
            {
                copy.wanted.Add(breakpoint, program);
            }
        }

        return copy;
    }

    /// <summary>
    /// Sets in the machine what it does not have yet, or everything in a machine that has nothing (<paramref name="always"/>).
    /// <paramref name="extra"/> is an address to stop at besides.
    /// </summary>
    public void Apply(IMachineControl machine, bool always = false, ulong? extra = null)
    {
        HashSet<ulong> next;
        lock (wanted)
        {
            Refresh();
            next = [.. places.Keys];
        }

        if (extra is { } address)
        {
            next.Add(address);
        }

        if (always || !next.SetEquals(addresses))
        {
            addresses = next;
            machine.SetBreakpoints(next);
        }

        ApplyWatchpoints(machine, always);
    }

    /// <summary>The same for watchpoints alone: all that a single step needs.</summary>
    public void ApplyWatchpoints(IMachineControl machine, bool always = false)
    {
        HashSet<Watchpoint> next;
        lock (wanted)
        {
            if (!watchpointsStale && !always)
            {
                return;
            }

            watchpointsStale = false;
            next = [.. wanted.Keys.Where(one => one.Kind > BreakpointKind.Hardware).Select(one => new Watchpoint(one.Address, one.Length, one.Kind switch
            {
                BreakpointKind.Write => WatchKind.Write,
                BreakpointKind.Read => WatchKind.Read,
                _ => WatchKind.Access,
            }))];
        }

        if (always || !next.SetEquals(watchpoints))
        {
            watchpoints = next;
            machine.SetWatchpoints(next);
        }
    }

    /// <summary>True when there is a breakpoint at the linear address, whatever its condition.</summary>
    public bool IsAt(ulong address) => places.ContainsKey(address);

    /// <summary>True when every breakpoint there was set with Z1.</summary>
    public bool IsHardware(ulong address) => places.TryGetValue(address, out Place? place) && !place.Software;

    /// <summary>
    /// Decides about a hit: conditions are evaluated and commands carried out against the vCPU itself. False: nobody is
    /// to hear of it. True as well where there is no breakpoint, which is for the caller to know.
    /// </summary>
    public bool Stops(IMachineControl machine, int vcpu, in VcpuGlance registers, ITargetEvents events)
    {
        if (!places.TryGetValue(registers.LinearPc, out Place? place))
        {
            return true;
        }

        bool stops = place.Unconditional;
        foreach (BreakpointProgram program in place.Programs)
        {
            var context = new AgentContext(machine, vcpu, registers, events);
            stops |= program.Hit(ref context) == BreakpointVerdict.Stop;
        }

        return stops;
    }

    private TargetError? Put(TargetBreakpoint breakpoint, BreakpointProgram? program)
    {
        lock (wanted)
        {
            if (wanted.Count >= Most && !wanted.ContainsKey(breakpoint))
            {
                return new TargetError(TargetError.Failed, $"there are {Most} breakpoints already");
            }

            wanted[breakpoint] = program;
            NoteChange(breakpoint);
        }

        Changed?.Invoke();
        return null;
    }

    private void NoteChange(TargetBreakpoint breakpoint)
    {
        placesStale |= breakpoint.Kind <= BreakpointKind.Hardware;
        watchpointsStale |= breakpoint.Kind > BreakpointKind.Hardware;
    }

    private void Refresh()
    {
        if (!placesStale)
        {
            return;
        }

        placesStale = false;
        Dictionary<ulong, Place> next = [];
        foreach ((TargetBreakpoint breakpoint, BreakpointProgram? program) in wanted)
        {
            if (breakpoint.Kind > BreakpointKind.Hardware)
            {
                continue;
            }

            if (!next.TryGetValue(breakpoint.Address, out Place? place))
            {
                next.Add(breakpoint.Address, place = new Place());
            }

            place.Software |= breakpoint.Kind == BreakpointKind.Software;
            if (program is null)
            {
                place.Unconditional = true;
            }
            else
            {
                place.Programs.Add(program);
            }
        }

        places = next;
    }

    private sealed class Place
    {
        public List<BreakpointProgram> Programs { get; } = [];

        public bool Unconditional { get; set; }

        public bool Software { get; set; }
    }
}
