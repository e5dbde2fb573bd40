namespace Emulator.Cpu;

/// <summary>Near jumps, calls and returns. Direct targets are in <see cref="Op.Imm"/>, truncated by the decoder.</summary>
internal static unsafe class Branches
{
    internal static Step Jump(CpuState* s, Op* op)
    {
        s->Rip = op->Imm;
        return Step.Branch;
    }

    internal static Step JumpReg(CpuState* s, Op* op)
    {
        s->Rip = Registers.Read(s, op->Src, op->OperandSize);
        return Step.Branch;
    }

    internal static Step JumpMem(CpuState* s, Op* op)
    {
        if (!Operand.TryLoad(s, op, Operand.Linear(s, op), op->OperandSize, out ulong target))
        {
            return Step.Fault;
        }

        s->Rip = target;
        return Step.Branch;
    }

    internal static Step JumpIf(CpuState* s, Op* op)
    {
        if (!Flags.Holds(s->Rflags, (int)op->Data))
        {
            return Step.Next;
        }

        s->Rip = op->Imm;
        return Step.Branch;
    }

    internal static Step Call<T>(CpuState* s, Op* op) where T : unmanaged
    {
        if (!Stack.TryPush<T>(s, op, op->NextRip))
        {
            return Step.Fault;
        }

        s->Rip = op->Imm;
        return Step.Branch;
    }

    internal static Step CallReg<T>(CpuState* s, Op* op) where T : unmanaged
    {
        ulong target = Registers.Read<T>(s, op->Src);
        if (!Stack.TryPush<T>(s, op, op->NextRip))
        {
            return Step.Fault;
        }

        s->Rip = target;
        return Step.Branch;
    }

    internal static Step CallMem<T>(CpuState* s, Op* op) where T : unmanaged
    {
        if (!Operand.TryLoad<T>(s, op, Operand.Linear(s, op), out ulong target) || !Stack.TryPush<T>(s, op, op->NextRip))
        {
            return Step.Fault;
        }

        s->Rip = target;
        return Step.Branch;
    }

    internal static Step Return<T>(CpuState* s, Op* op) where T : unmanaged
    {
        if (!Stack.TryPeek<T>(s, op, 0, out ulong target))
        {
            return Step.Fault;
        }

        Stack.Move(s, op, sizeof(T) + (int)op->Imm);
        s->Rip = target;
        return Step.Branch;
    }

    /// <summary>LOOP, LOOPE, LOOPNE: <see cref="Op.Data"/> is 0, or the value ZF must have plus one.</summary>
    internal static Step Loop(CpuState* s, Op* op)
    {
        int width = 8 - (op->AddressShift / 8);
        ulong count = (Registers.Read(s, Registers.Rcx, width) - 1) & Registers.Mask(width);
        Registers.Write(s, Registers.Rcx, width, count);
        bool zero = (s->Rflags & Flags.Zf) != 0;
        if (count == 0 || (op->Data != 0 && zero != (op->Data == 2)))
        {
            return Step.Next;
        }

        s->Rip = op->Imm;
        return Step.Branch;
    }

    internal static Step JumpIfCountZero(CpuState* s, Op* op)
    {
        if (Registers.Read(s, Registers.Rcx, 8 - (op->AddressShift / 8)) != 0)
        {
            return Step.Next;
        }

        s->Rip = op->Imm;
        return Step.Branch;
    }
}
