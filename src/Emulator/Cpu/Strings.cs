using System.Runtime.CompilerServices;
using Emulator.Memory;

namespace Emulator.Cpu;

/// <summary>
/// String instructions. With a repeat prefix one turn does as many elements as lie in the pages its pointers are in,
/// and counts as one instruction; then the instruction starts again, so that interrupts and the count stay exact.
/// Source: SDM vol. 2, REP.
/// </summary>
internal static unsafe class Strings<T>
    where T : unmanaged
{
    internal static Step Move(CpuState* s, Op* op)
    {
        if (!Begin(s, op, out int width, out ulong count, out long delta))
        {
            return Step.Next;
        }

        ulong done = 0, turns = Turns(s, op, width, count, delta, source: true, destination: true);
        while (done < turns)
        {
            ulong rest = turns - done;
            if (TryFast(s, op, width, rest, delta, source: true, out byte* from, out byte* to))
            {
                int bytes = (int)rest * sizeof(T);
                if (from + bytes <= to || to + bytes <= from)
                {
                    Unsafe.CopyBlockUnaligned(to, from, (uint)bytes);
                }
                else
                {
                    // Overlapping moves forward repeat what they just wrote: element by element, as the CPU does it.
                    for (ulong i = 0; i < rest; i++)
                    {
                        *((T*)to + i) = *((T*)from + i);
                    }
                }
            }
            else
            {
                // A slow element brings its pages into the fast tables if they may be there.
                rest = 1;
                if (!TrySource(s, op, width, out ulong source) || !Operand.TryLoad<T>(s, op, source, out ulong value)
                    || !TryDestination(s, op, width, writes: true, out ulong destination) || !Operand.TryStore<T>(s, op, destination, value))
                {
                    return Interrupted(s, op, width, done);
                }
            }

            done += rest;
            Advance(s, Registers.Rsi, width, delta * (long)rest);
            Advance(s, Registers.Rdi, width, delta * (long)rest);
        }

        return End(s, op, width, done);
    }

    internal static Step Store(CpuState* s, Op* op)
    {
        if (!Begin(s, op, out int width, out ulong count, out long delta))
        {
            return Step.Next;
        }

        ulong done = 0, turns = Turns(s, op, width, count, delta, source: false, destination: true);
        ulong value = Registers.Read<T>(s, Registers.Rax);
        while (done < turns)
        {
            ulong rest = turns - done;
            if (TryFast(s, op, width, rest, delta, source: false, out _, out byte* to))
            {
                new Span<T>(to, (int)rest).Fill(*(T*)&value);
            }
            else
            {
                rest = 1;
                if (!TryDestination(s, op, width, writes: true, out ulong destination) || !Operand.TryStore<T>(s, op, destination, value))
                {
                    return Interrupted(s, op, width, done);
                }
            }

            done += rest;
            Advance(s, Registers.Rdi, width, delta * (long)rest);
        }

        return End(s, op, width, done);
    }

    internal static Step Load(CpuState* s, Op* op)
    {
        if (!Begin(s, op, out int width, out ulong count, out long delta))
        {
            return Step.Next;
        }

        ulong done = 0, turns = Turns(s, op, width, count, delta, source: true, destination: false);
        for (; done < turns; done++)
        {
            if (!TrySource(s, op, width, out ulong source) || !Operand.TryLoad<T>(s, op, source, out ulong value))
            {
                return Interrupted(s, op, width, done);
            }

            Registers.Write<T>(s, Registers.Rax, value);
            Advance(s, Registers.Rsi, width, delta);
        }

        return End(s, op, width, done);
    }

    internal static Step Scan(CpuState* s, Op* op) => Search(s, op, compare: false);

    internal static Step Compare(CpuState* s, Op* op) => Search(s, op, compare: true);

    /// <summary>INS: every element is a port access of its own.</summary>
    internal static Step Input(CpuState* s, Op* op)
    {
        if (!Begin(s, op, out int width, out _, out long delta))
        {
            return Step.Next;
        }

        Vcpu cpu = Vcpu.Of(s);
        if (!PortIo.TryPermit(cpu, (ushort)s->Gpr[2], sizeof(T)) || !TryDestination(s, op, width, writes: true, out ulong destination)
            || !Operand.TryLoadForStore<T>(s, op, destination, out _))
        {
            return Step.Fault;
        }

        Operand.TryStore<T>(s, op, destination, PortIo.Read(cpu, op, (ushort)s->Gpr[2], sizeof(T)));
        Advance(s, Registers.Rdi, width, delta);
        return End(s, op, width, 1);
    }

    internal static Step Output(CpuState* s, Op* op)
    {
        if (!Begin(s, op, out int width, out _, out long delta))
        {
            return Step.Next;
        }

        Vcpu cpu = Vcpu.Of(s);
        if (!PortIo.TryPermit(cpu, (ushort)s->Gpr[2], sizeof(T)) || !TrySource(s, op, width, out ulong source)
            || !Operand.TryLoad<T>(s, op, source, out ulong value))
        {
            return Step.Fault;
        }

        PortIo.Write(cpu, op, (ushort)s->Gpr[2], sizeof(T), (uint)value);
        Advance(s, Registers.Rsi, width, delta);
        return End(s, op, width, 1);
    }

    private static Step Search(CpuState* s, Op* op, bool compare)
    {
        if (!Begin(s, op, out int width, out ulong count, out long delta))
        {
            return Step.Next;
        }

        ulong done = 0, turns = Turns(s, op, width, count, delta, source: compare, destination: true);
        while (done < turns)
        {
            ulong left = Registers.Read<T>(s, Registers.Rax);
            if (compare && (!TrySource(s, op, width, out ulong source) || !Operand.TryLoad<T>(s, op, source, out left)))
            {
                return Interrupted(s, op, width, done);
            }

            if (!TryDestination(s, op, width, writes: false, out ulong destination) || !Operand.TryLoad<T>(s, op, destination, out ulong right))
            {
                return Interrupted(s, op, width, done);
            }

            Cmp.Compute<T>(s, left, right);
            if (compare)
            {
                Advance(s, Registers.Rsi, width, delta);
            }

            Advance(s, Registers.Rdi, width, delta);
            done++;
            bool equal = (s->Rflags & Flags.Zf) != 0;
            if (op->Flags.HasFlag(OpFlags.Repne) ? equal : op->Flags.HasFlag(OpFlags.Rep) && !equal)
            {
                Consume(s, op, width, done);
                return Step.Next;
            }
        }

        return End(s, op, width, done);
    }

    /// <summary>Address width, elements left (1 without a prefix), and bytes a step; false when a repeat has nothing to do.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static bool Begin(CpuState* s, Op* op, out int width, out ulong count, out long delta)
    {
        width = 8 - (op->AddressShift / 8);
        delta = (s->Rflags & Flags.Df) != 0 ? -sizeof(T) : sizeof(T);
        count = 1;
        if ((op->Flags & (OpFlags.Rep | OpFlags.Repne)) == 0)
        {
            return true;
        }

        count = Registers.Read(s, Registers.Rcx, width);
        return count != 0;
    }

    /// <summary>How many elements this turn does: up to the end of the page a pointer that is used is in.</summary>
    private static ulong Turns(CpuState* s, Op* op, int width, ulong count, long delta, bool source, bool destination)
    {
        if (count > 1 && source)
        {
            count = Math.Min(count, InPage(Registers.Read(s, Registers.Rsi, width) + *(ulong*)((byte*)s + op->SegmentBase), delta));
        }

        if (count > 1 && destination)
        {
            count = Math.Min(count, InPage(Registers.Read(s, Registers.Rdi, width) + DestinationBase(s, op), delta));
        }

        return count;
    }

    private static ulong InPage(ulong linear, long delta)
    {
        ulong offset = linear & 0xFFF;
        ulong elements = delta > 0 ? (4096 - offset) / (ulong)sizeof(T) : (offset / (ulong)sizeof(T)) + 1;
        return Math.Max(elements, 1);
    }

    // Forward runs whose pages are in the fast tables, in flat code, go as one block copy.
    private static bool TryFast(CpuState* s, Op* op, int width, ulong elements, long delta, bool source, out byte* from, out byte* to)
    {
        from = null;
        to = null;
        if (delta < 0 || elements < 2 || op->LinearShift != 0 || width != 8)
        {
            return false;
        }

        ulong bytes = elements * (ulong)sizeof(T);
        if (source)
        {
            ulong at = s->Gpr[6] + *(ulong*)((byte*)s + op->SegmentBase);
            TlbEntry* read = s->ReadTlb + SoftTlb.IndexOf(at);
            ulong offset = at ^ read->Tag;
            if (offset > 4096 - bytes)
            {
                return false;
            }

            from = read->Host + offset;
        }

        TlbEntry* write = s->WriteTlb + SoftTlb.IndexOf(s->Gpr[7]);
        ulong into = s->Gpr[7] ^ write->Tag;
        to = write->Host + into;
        return into <= 4096 - bytes;
    }

    private static ulong DestinationBase(CpuState* s, Op* op) => op->LinearShift == 0 ? 0 : s->Seg(SegmentIndex.Es).Base;

    private static bool TrySource(CpuState* s, Op* op, int width, out ulong linear)
    {
        ulong offset = Registers.Read(s, Registers.Rsi, width);
        linear = (offset + *(ulong*)((byte*)s + op->SegmentBase)) << op->LinearShift >> op->LinearShift;
        return op->LinearShift == 0 || Segmentation.TryCheck(s, op->Segment, (uint)offset, sizeof(T), writes: false);
    }

    private static bool TryDestination(CpuState* s, Op* op, int width, bool writes, out ulong linear)
    {
        ulong offset = Registers.Read(s, Registers.Rdi, width);
        linear = (offset + DestinationBase(s, op)) << op->LinearShift >> op->LinearShift;
        return op->LinearShift == 0 || Segmentation.TryCheck(s, SegmentIndex.Es, (uint)offset, sizeof(T), writes);
    }

    private static void Advance(CpuState* s, int register, int width, long delta) =>
        Registers.Write(s, register, width, Registers.Read(s, register, width) + (ulong)delta);

    private static bool Consume(CpuState* s, Op* op, int width, ulong done)
    {
        if ((op->Flags & (OpFlags.Rep | OpFlags.Repne)) == 0)
        {
            return true;
        }

        ulong left = Registers.Read(s, Registers.Rcx, width) - done;
        Registers.Write(s, Registers.Rcx, width, left);
        return left == 0;
    }

    private static Step End(CpuState* s, Op* op, int width, ulong done) =>
        Consume(s, op, width, done) ? Step.Next : Step.Repeat;

    private static Step Interrupted(CpuState* s, Op* op, int width, ulong done)
    {
        Consume(s, op, width, done);
        return Step.Fault;
    }
}
