using System.Globalization;
using Emulator.Cpu;

namespace Emulator.Tests.HostCpu.Sequences;

/// <summary>
/// Runs a sequence on two engines and holds everything against each other: the reference goes instruction by
/// instruction, the candidate in one go to each of the boundaries the reference saw.
/// </summary>
internal sealed unsafe class EngineComparison(SequenceLayout layout, SequenceMachine reference, SequenceMachine candidate, byte[][] data)
{
    /// <summary>Instructions after which a sequence that has not ended is left.</summary>
    private const ulong Limit = 200;

    private const int AllBoundaries = 40, MostStops = 24;

    private readonly List<VcpuRecord> boundaries = [];
    private readonly VcpuRecord left = new(), right = new();
    private int used;

    /// <summary>States held against each other.</summary>
    internal long Compared { get; private set; }

    /// <summary>Each boundary, reached in one go from the start, and then in slices.</summary>
    internal string? Boundaries(Sequence sequence)
    {
        bool resume = (sequence.Index & 1) != 0;
        WalkReference(sequence, resume);
        for (int i = 0; i < used; i++)
        {
            if (i > AllBoundaries && i != used - 1)
            {
                continue;
            }

            candidate.Restore(sequence, data[sequence.DataVariant], resume);
            RunTo(candidate, boundaries[i].Count);
            string? difference = Check(boundaries[i], candidate, $"  run to count {boundaries[i].Count} in one go\n");
            if (difference != null)
            {
                return difference;
            }
        }

        var random = new DeterministicRandom((ulong)(uint)sequence.Index + sequence.Seed);
        candidate.Restore(sequence, data[sequence.DataVariant], resume);
        for (int i = random.Below(4); i < used; i += 1 + random.Below(9))
        {
            RunTo(candidate, boundaries[i].Count);
            string? difference = Check(boundaries[i], candidate, $"  run in slices, to count {boundaries[i].Count}\n");
            if (difference != null)
            {
                return difference;
            }
        }

        return null;
    }

    /// <summary>A debugger's breakpoints on some of the instructions, and watched memory.</summary>
    internal string? Stops(Sequence sequence)
    {
        var random = new DeterministicRandom((ulong)(uint)sequence.Index ^ sequence.Seed);
        bool resume = (sequence.Index & 1) != 0;
        ulong[] breakpoints = new ulong[random.Below(3)];
        for (int i = 0; i < breakpoints.Length; i++)
        {
            breakpoints[i] = sequence.Address + (ulong)sequence.Items[random.Below(sequence.Items.Count)].Offset;
        }

        var watched = new Watchpoint[breakpoints.Length == 0 ? 1 : random.Below(3)];
        for (int i = 0; i < watched.Length; i++)
        {
            WatchKind kind = random.Below(3) switch { 0 => WatchKind.Write, 1 => WatchKind.Read, _ => WatchKind.Access };
            ulong address = random.OneIn(3) ? layout.Data + (ulong)random.Below(8192) : layout.Data + 4096 - 96 + (ulong)random.Below(192);
            watched[i] = new Watchpoint(address, (ulong)(1 + random.Below(16)), kind);
        }

        // The candidate has run the code before the breakpoints come.
        candidate.Restore(sequence, data[sequence.DataVariant], resume);
        RunTo(candidate, Limit);
        foreach (SequenceMachine machine in (ReadOnlySpan<SequenceMachine>)[reference, candidate])
        {
            machine.Restore(sequence, data[sequence.DataVariant], resume);
            machine.Cpu.SetBreakpoints(breakpoints);
            machine.Cpu.SetWatchpoints(watched);
        }

        string? difference = StopByStop(random);
        foreach (SequenceMachine machine in (ReadOnlySpan<SequenceMachine>)[reference, candidate])
        {
            machine.Cpu.SetBreakpoints([]);
            machine.Cpu.SetWatchpoints([]);
        }

        return difference;
    }

    /// <summary>An NMI at some boundary, and the guest's own debug registers.</summary>
    internal string? Interruptions(Sequence sequence)
    {
        var random = new DeterministicRandom((ulong)(uint)sequence.Index * 3 ^ sequence.Seed);
        ulong at = (ulong)random.Below(sequence.Items.Count + 4);
        ulong control = 0x400, first = 0, second = 0;
        if (random.OneIn(2))
        {
            // DR0 an instruction of the sequence; DR1 written or touched data of four bytes.
            first = sequence.Address + (ulong)sequence.Items[random.Below(sequence.Items.Count)].Offset;
            second = (layout.Data + 4096 - 96 + (ulong)random.Below(192)) & ~3UL;
            control |= random.Below(3) switch { 0 => 0x1UL, 1 => 0x4, _ => 0x5 } | (random.OneIn(2) ? 0xD0_0000UL : 0xF0_0000);
        }

        bool step = random.OneIn(4);
        foreach (SequenceMachine machine in (ReadOnlySpan<SequenceMachine>)[reference, candidate])
        {
            machine.Restore(sequence, data[sequence.DataVariant], resume: true);
            CpuState* s = machine.State;
            s->Dr[0] = first;
            s->Dr[1] = second;
            s->Dr[7] = control;
            s->Rflags |= step ? 0x100UL : 0;
            machine.Cpu.DebugRegistersChanged();
        }

        while (reference.State->InstructionCount < at && Step(reference))
        {
        }

        RunTo(candidate, reference.State->InstructionCount);
        left.Take(reference);
        string? difference = Check(left, candidate, $"  run to the interruption at count {left.Count}\n");
        if (difference != null)
        {
            return difference;
        }

        reference.Cpu.InjectNmi();
        candidate.Cpu.InjectNmi();
        while (reference.State->InstructionCount < Limit && Step(reference))
        {
        }

        RunTo(candidate, reference.State->InstructionCount);
        left.Take(reference);
        return Check(left, candidate, $"  run on from the NMI at count {at} to {left.Count}\n");
    }

    private string? StopByStop(DeterministicRandom random)
    {
        for (int stop = 0; stop < MostStops; stop++)
        {
            // From a stop one goes on over the breakpoint, as a debugger does; the reference step by step.
            ulong until = random.OneIn(4) ? reference.State->InstructionCount + (ulong)random.Below(6) : Limit;
            VcpuExit wanted = RunStepping(reference, until);
            VcpuExit got = RunTo(candidate, until, skipBreakpoint: true);
            left.Take(reference);
            string? difference = Check(left, candidate, string.Create(CultureInfo.InvariantCulture, $"  stop {stop}: reference {wanted}, candidate {got}, until {until}\n"));
            if (difference != null || wanted != got)
            {
                return difference ?? string.Create(CultureInfo.InvariantCulture, $"  stop {stop}: reference {wanted}, candidate {got}\n");
            }

            if (wanted == VcpuExit.Watchpoint)
            {
                if (reference.Cpu.WatchHit != candidate.Cpu.WatchHit)
                {
                    return $"  stop {stop}: reference hit {reference.Cpu.WatchHit}, candidate {candidate.Cpu.WatchHit}\n";
                }

                reference.Cpu.ClearWatchHit();
                candidate.Cpu.ClearWatchHit();
            }
            else if (wanted == VcpuExit.Halted || reference.ResetRequested || reference.State->InstructionCount >= Limit)
            {
                return null;
            }
        }

        return null;
    }

    private void WalkReference(Sequence sequence, bool resume)
    {
        reference.Restore(sequence, data[sequence.DataVariant], resume);
        used = 0;
        do
        {
            if (used == boundaries.Count)
            {
                boundaries.Add(new VcpuRecord());
            }

            boundaries[used++].Take(reference);
        }
        while (reference.State->InstructionCount < Limit && Step(reference));
    }

    /// <summary>One instruction; false when there is none to come.</summary>
    private static bool Step(SequenceMachine machine) =>
        !machine.ResetRequested && RunTo(machine, machine.State->InstructionCount + 1) == VcpuExit.Budget;

    private static VcpuExit RunTo(SequenceMachine machine, ulong until, bool skipBreakpoint = true)
    {
        VcpuExit exit;
        do
        {
            ulong before = machine.State->InstructionCount;
            exit = machine.Cpu.Run(until, skipBreakpoint);
            skipBreakpoint &= machine.State->InstructionCount == before;
        }
        while (exit == VcpuExit.Budget && machine.State->InstructionCount < until && !machine.ResetRequested);
        return exit;
    }

    private static VcpuExit RunStepping(SequenceMachine machine, ulong until)
    {
        VcpuExit exit = VcpuExit.Budget;
        bool skip = true;
        do
        {
            ulong before = machine.State->InstructionCount;
            exit = machine.Cpu.Run(Math.Min(until, before + 1), skip);
            skip &= machine.State->InstructionCount == before;
        }
        while (exit == VcpuExit.Budget && machine.State->InstructionCount < until && !machine.ResetRequested);
        return exit;
    }

    private string? Check(VcpuRecord expected, SequenceMachine machine, string where)
    {
        Compared++;
        right.Take(machine);
        string? difference = expected.Difference(right);
        return difference == null ? null : where + difference;
    }
}
