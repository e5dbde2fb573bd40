namespace Emulator.Cpu;

/// <summary>MOV, MOVZX, MOVSX, XCHG, LEA, CMOVcc, SETcc, XADD, CMPXCHG and their kin.</summary>
internal static unsafe class Move<T>
    where T : unmanaged
{
    internal static Step RegReg(CpuState* s, Op* op)
    {
        Registers.Write<T>(s, op->Dst, Registers.Read<T>(s, op->Src));
        return Step.Next;
    }

    internal static Step RegImm(CpuState* s, Op* op)
    {
        Registers.Write<T>(s, op->Dst, op->Imm);
        return Step.Next;
    }

    internal static Step RegMem(CpuState* s, Op* op)
    {
        if (!Operand.TryLoad<T>(s, op, Operand.Linear(s, op), out ulong value))
        {
            return Step.Fault;
        }

        Registers.Write<T>(s, op->Dst, value);
        return Step.Next;
    }

    internal static Step MemReg(CpuState* s, Op* op) =>
        Operand.TryStore<T>(s, op, Operand.Linear(s, op), Registers.Read<T>(s, op->Src)) ? Step.Next : Step.Fault;

    internal static Step MemImm(CpuState* s, Op* op) =>
        Operand.TryStore<T>(s, op, Operand.Linear(s, op), op->Imm) ? Step.Next : Step.Fault;

    internal static Step Lea(CpuState* s, Op* op)
    {
        Registers.Write<T>(s, op->Dst, Operand.Offset(s, op));
        return Step.Next;
    }

    internal static Step ExchangeReg(CpuState* s, Op* op)
    {
        ulong a = Registers.Read<T>(s, op->Dst);
        Registers.Write<T>(s, op->Dst, Registers.Read<T>(s, op->Src));
        Registers.Write<T>(s, op->Src, a);
        return Step.Next;
    }

    internal static Step ExchangeMem(CpuState* s, Op* op)
    {
        ulong linear = Operand.Linear(s, op);
        if (!Operand.TryLoadForStore<T>(s, op, linear, out ulong value))
        {
            return Step.Fault;
        }

        Operand.TryStore<T>(s, op, linear, Registers.Read<T>(s, op->Src));
        Registers.Write<T>(s, op->Src, value);
        return Step.Next;
    }

    internal static Step ConditionalReg(CpuState* s, Op* op)
    {
        int from = Flags.Holds(s->Rflags, (int)op->Data) ? op->Src : op->Dst;
        Registers.Write<T>(s, op->Dst, Registers.Read<T>(s, from));
        return Step.Next;
    }

    internal static Step ConditionalMem(CpuState* s, Op* op)
    {
        if (!Operand.TryLoad<T>(s, op, Operand.Linear(s, op), out ulong value))
        {
            return Step.Fault;
        }

        Registers.Write<T>(s, op->Dst, Flags.Holds(s->Rflags, (int)op->Data) ? value : Registers.Read<T>(s, op->Dst));
        return Step.Next;
    }

    internal static Step ExchangeAddReg(CpuState* s, Op* op)
    {
        ulong a = Registers.Read<T>(s, op->Dst), b = Registers.Read<T>(s, op->Src);
        ulong sum = Add.Compute<T>(s, a, b);
        Registers.Write<T>(s, op->Src, a);
        Registers.Write<T>(s, op->Dst, sum);
        return Step.Next;
    }

    internal static Step ExchangeAddMem(CpuState* s, Op* op)
    {
        ulong linear = Operand.Linear(s, op);
        if (!Operand.TryLoadForStore<T>(s, op, linear, out ulong a))
        {
            return Step.Fault;
        }

        Operand.TryStore<T>(s, op, linear, Add.Compute<T>(s, a, Registers.Read<T>(s, op->Src)));
        Registers.Write<T>(s, op->Src, a);
        return Step.Next;
    }

    internal static Step CompareExchangeReg(CpuState* s, Op* op)
    {
        ulong value = Registers.Read<T>(s, op->Dst);
        ulong accumulator = Registers.Read<T>(s, Registers.Rax);
        Cmp.Compute<T>(s, accumulator, value);
        if (accumulator == value)
        {
            Registers.Write<T>(s, op->Dst, Registers.Read<T>(s, op->Src));
        }
        else
        {
            Registers.Write<T>(s, Registers.Rax, value);
        }

        return Step.Next;
    }

    internal static Step CompareExchangeMem(CpuState* s, Op* op)
    {
        ulong linear = Operand.Linear(s, op);
        if (!Operand.TryLoadForStore<T>(s, op, linear, out ulong value))
        {
            return Step.Fault;
        }

        ulong accumulator = Registers.Read<T>(s, Registers.Rax);
        // The store happens in either case (SDM vol. 2, CMPXCHG): watchpoints and dirty pages see it.
        Operand.TryStore<T>(s, op, linear, accumulator == value ? Registers.Read<T>(s, op->Src) : value);
        Cmp.Compute<T>(s, accumulator, value);
        if (accumulator != value)
        {
            Registers.Write<T>(s, Registers.Rax, value);
        }

        return Step.Next;
    }
}

/// <summary>MOVZX and MOVSX from <typeparamref name="TFrom"/> to <typeparamref name="T"/>.</summary>
internal static unsafe class Extend<T, TFrom>
    where T : unmanaged
    where TFrom : unmanaged
{
    internal static Step ZeroReg(CpuState* s, Op* op)
    {
        Registers.Write<T>(s, op->Dst, Registers.Read<TFrom>(s, op->Src));
        return Step.Next;
    }

    internal static Step ZeroMem(CpuState* s, Op* op)
    {
        if (!Operand.TryLoad<TFrom>(s, op, Operand.Linear(s, op), out ulong value))
        {
            return Step.Fault;
        }

        Registers.Write<T>(s, op->Dst, value);
        return Step.Next;
    }

    internal static Step SignReg(CpuState* s, Op* op)
    {
        Registers.Write<T>(s, op->Dst, (ulong)Registers.SignExtend<TFrom>(Registers.Read<TFrom>(s, op->Src)));
        return Step.Next;
    }

    internal static Step SignMem(CpuState* s, Op* op)
    {
        if (!Operand.TryLoad<TFrom>(s, op, Operand.Linear(s, op), out ulong value))
        {
            return Step.Fault;
        }

        Registers.Write<T>(s, op->Dst, (ulong)Registers.SignExtend<TFrom>(value));
        return Step.Next;
    }
}

/// <summary>Moves of one form only, and flag instructions.</summary>
internal static unsafe class Moves
{
    internal static Step Nop(CpuState* s, Op* op) => Step.Next;

    internal static Step SetReg(CpuState* s, Op* op)
    {
        Registers.Write<byte>(s, op->Dst, Flags.Holds(s->Rflags, (int)op->Data) ? 1UL : 0);
        return Step.Next;
    }

    internal static Step SetMem(CpuState* s, Op* op) =>
        Operand.TryStore<byte>(s, op, Operand.Linear(s, op), Flags.Holds(s->Rflags, (int)op->Data) ? 1UL : 0) ? Step.Next : Step.Fault;

    internal static Step SignExtendAccumulator(CpuState* s, Op* op)
    {
        int half = op->OperandSize / 2;
        Registers.Write(s, Registers.Rax, op->OperandSize, (ulong)Registers.SignExtend(s->Gpr[0], half));
        return Step.Next;
    }

    internal static Step SignExtendToDx(CpuState* s, Op* op)
    {
        long value = Registers.SignExtend(s->Gpr[0], op->OperandSize);
        Registers.Write(s, Registers.Rdx, op->OperandSize, (ulong)(value >> 63));
        return Step.Next;
    }

    internal static Step Lahf(CpuState* s, Op* op)
    {
        Registers.Write<byte>(s, Registers.Rax + 1, (s->Rflags & 0xD5) | Flags.Fixed);
        return Step.Next;
    }

    internal static Step Sahf(CpuState* s, Op* op)
    {
        Flags.Set(s, 0xD5, Registers.Read<byte>(s, Registers.Rax + 1));
        return Step.Next;
    }

    internal static Step Clc(CpuState* s, Op* op)
    {
        s->Rflags &= ~Flags.Cf;
        return Step.Next;
    }

    internal static Step Stc(CpuState* s, Op* op)
    {
        s->Rflags |= Flags.Cf;
        return Step.Next;
    }

    internal static Step Cmc(CpuState* s, Op* op)
    {
        s->Rflags ^= Flags.Cf;
        return Step.Next;
    }

    internal static Step Cld(CpuState* s, Op* op)
    {
        s->Rflags &= ~Flags.Df;
        return Step.Next;
    }

    internal static Step Std(CpuState* s, Op* op)
    {
        s->Rflags |= Flags.Df;
        return Step.Next;
    }

    /// <summary>XLATB: AL = [rBX + AL] in the segment of <see cref="Op.Segment"/>.</summary>
    internal static Step Xlat(CpuState* s, Op* op)
    {
        ulong offset = (s->Gpr[3] + (byte)s->Gpr[0]) << op->AddressShift >> op->AddressShift;
        if (op->LinearShift != 0 && !Segmentation.TryCheck(s, op->Segment, (uint)offset, 1, writes: false))
        {
            return Step.Fault;
        }

        ulong linear = (offset + *(ulong*)((byte*)s + op->SegmentBase)) << op->LinearShift >> op->LinearShift;
        if (!Operand.TryLoad<byte>(s, op, linear, out ulong value))
        {
            return Step.Fault;
        }

        Registers.Write<byte>(s, Registers.Rax, value);
        return Step.Next;
    }

    internal static Step CompareExchange8(CpuState* s, Op* op)
    {
        ulong linear = Operand.Linear(s, op);
        if (!Operand.TryLoadForStore<ulong>(s, op, linear, out ulong value))
        {
            return Step.Fault;
        }

        ulong compared = (uint)s->Gpr[0] | (s->Gpr[2] << 32);
        bool equal = compared == value;
        Operand.TryStore<ulong>(s, op, linear, equal ? (uint)s->Gpr[3] | (s->Gpr[1] << 32) : value);
        if (!equal)
        {
            s->Gpr[0] = (uint)value;
            s->Gpr[2] = value >> 32;
        }

        Flags.Set(s, Flags.Zf, equal ? Flags.Zf : 0);
        return Step.Next;
    }

    internal static Step CompareExchange16(CpuState* s, Op* op)
    {
        ulong linear = Operand.Linear(s, op);
        if ((linear & 15) != 0)
        {
            return Fault.Protection(s);
        }

        ulong* value = (ulong*)s->Scratch;
        if (!Vcpu.Of(s).LoadBytesSlow(op, linear, (byte*)value, 16, forStore: true))
        {
            return Step.Fault;
        }

        ulong low = value[0], high = value[1];
        bool equal = low == s->Gpr[0] && high == s->Gpr[2];
        value[0] = equal ? s->Gpr[3] : low;
        value[1] = equal ? s->Gpr[1] : high;
        Operand.TryStoreBytes(s, op, linear, (byte*)value, 16);
        if (!equal)
        {
            s->Gpr[0] = low;
            s->Gpr[2] = high;
        }

        Flags.Set(s, Flags.Zf, equal ? Flags.Zf : 0);
        return Step.Next;
    }
}
