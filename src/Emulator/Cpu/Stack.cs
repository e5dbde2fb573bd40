using System.Runtime.CompilerServices;

namespace Emulator.Cpu;

/// <summary>
/// PUSH, POP and what builds on them. The stack pointer's width is SS.B's business (64 bits in 64-bit code), the
/// operand's the instruction's; RSP changes only once the access has succeeded.
/// </summary>
internal static unsafe class Stack
{
    /// <summary>Pushes one value; false: a fault was raised and RSP is as it was.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static bool TryPush<T>(CpuState* s, Op* op, ulong value) where T : unmanaged
    {
        if (op->LinearShift == 0)
        {
            ulong top = s->Gpr[4] - (ulong)sizeof(T);
            if (!Operand.TryStore<T>(s, op, top, value))
            {
                return StackFault(s, top);
            }

            s->Gpr[4] = top;
            return true;
        }

        return TryPushLegacy(s, op, sizeof(T), value);
    }

    /// <summary>Reads the top of the stack without moving RSP.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static bool TryPeek<T>(CpuState* s, Op* op, int offset, out ulong value) where T : unmanaged
    {
        if (op->LinearShift == 0)
        {
            ulong top = s->Gpr[4] + (ulong)offset;
            return Operand.TryLoad<T>(s, op, top, out value) || StackFault(s, top);
        }

        return TryPeekLegacy(s, op, offset, sizeof(T), out value);
    }

    /// <summary>Adds to the stack pointer in its width.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static void Move(CpuState* s, Op* op, int bytes)
    {
        if (op->LinearShift == 0)
        {
            s->Gpr[4] += (ulong)bytes;
        }
        else if (s->Seg(SegmentIndex.Ss).Big)
        {
            s->Gpr[4] = (uint)(s->Gpr[4] + (ulong)bytes);
        }
        else
        {
            Registers.Write<ushort>(s, Registers.Rsp, s->Gpr[4] + (ulong)bytes);
        }
    }

    internal static bool TryPush(CpuState* s, Op* op, int size, ulong value) => size switch
    {
        2 => TryPush<ushort>(s, op, value),
        4 => TryPush<uint>(s, op, value),
        _ => TryPush<ulong>(s, op, value),
    };

    internal static bool TryPeek(CpuState* s, Op* op, int offset, int size, out ulong value) => size switch
    {
        2 => TryPeek<ushort>(s, op, offset, out value),
        4 => TryPeek<uint>(s, op, offset, out value),
        _ => TryPeek<ulong>(s, op, offset, out value),
    };

    // An address that is not canonical is #SS, not #GP, where the stack is meant.
    private static bool StackFault(CpuState* s, ulong address)
    {
        if (s->FaultVector == Fault.GeneralProtection && !Vcpu.IsCanonical(address))
        {
            s->FaultVector = Fault.StackFault;
        }

        return false;
    }

    private static bool TryPushLegacy(CpuState* s, Op* op, int size, ulong value)
    {
        ref Segment stack = ref s->Seg(SegmentIndex.Ss);
        uint mask = stack.Big ? uint.MaxValue : 0xFFFF;
        uint top = ((uint)s->Gpr[4] - (uint)size) & mask;
        if (!Segmentation.TryCheck(s, SegmentIndex.Ss, top, size, writes: true)
            || !Operand.TryStore(s, op, (uint)(stack.Base + top), size, value))
        {
            return false;
        }

        Move(s, op, -size);
        return true;
    }

    private static bool TryPeekLegacy(CpuState* s, Op* op, int offset, int size, out ulong value)
    {
        ref Segment stack = ref s->Seg(SegmentIndex.Ss);
        uint mask = stack.Big ? uint.MaxValue : 0xFFFF;
        uint top = ((uint)s->Gpr[4] + (uint)offset) & mask;
        value = 0;
        return Segmentation.TryCheck(s, SegmentIndex.Ss, top, size, writes: false)
            && Operand.TryLoad(s, op, (uint)(stack.Base + top), size, out value);
    }

    internal static Step PushReg<T>(CpuState* s, Op* op) where T : unmanaged =>
        TryPush<T>(s, op, Registers.Read<T>(s, op->Src)) ? Step.Next : Step.Fault;

    internal static Step PushImm<T>(CpuState* s, Op* op) where T : unmanaged => TryPush<T>(s, op, op->Imm) ? Step.Next : Step.Fault;

    internal static Step PushMem<T>(CpuState* s, Op* op) where T : unmanaged =>
        Operand.TryLoad<T>(s, op, Operand.Linear(s, op), out ulong value) && TryPush<T>(s, op, value) ? Step.Next : Step.Fault;

    internal static Step PopReg<T>(CpuState* s, Op* op) where T : unmanaged
    {
        if (!TryPeek<T>(s, op, 0, out ulong value))
        {
            return Step.Fault;
        }

        Move(s, op, sizeof(T));
        Registers.Write<T>(s, op->Dst, value);
        return Step.Next;
    }

    /// <summary>POP to memory: an address through RSP is computed with RSP already incremented.</summary>
    internal static Step PopMem<T>(CpuState* s, Op* op) where T : unmanaged
    {
        if (!TryPeek<T>(s, op, 0, out ulong value))
        {
            return Step.Fault;
        }

        ulong before = s->Gpr[4];
        Move(s, op, sizeof(T));
        if (Operand.TryStore<T>(s, op, Operand.Linear(s, op), value))
        {
            return Step.Next;
        }

        s->Gpr[4] = before;
        return Step.Fault;
    }

    internal static Step PushSegment(CpuState* s, Op* op) =>
        TryPush(s, op, op->OperandSize, s->Seg(op->Src).Selector) ? Step.Next : Step.Fault;

    internal static Step PopSegment(CpuState* s, Op* op)
    {
        if (!TryPeek(s, op, 0, op->OperandSize, out ulong value) || !Segmentation.TryLoad(Vcpu.Of(s), op->Dst, (ushort)value))
        {
            return Step.Fault;
        }

        Move(s, op, op->OperandSize);
        if (op->Dst == SegmentIndex.Ss)
        {
            s->InterruptShadow = 2;
        }

        return Step.Next;
    }

    internal static Step PushAll(CpuState* s, Op* op)
    {
        int size = op->OperandSize;
        ulong before = s->Gpr[4];
        for (int register = 0; register < 8; register++)
        {
            ulong value = register == 4 ? before : s->Gpr[register];
            if (!TryPush(s, op, size, value))
            {
                s->Gpr[4] = before;
                return Step.Fault;
            }
        }

        return Step.Next;
    }

    internal static Step PopAll(CpuState* s, Op* op)
    {
        int size = op->OperandSize;
        Span<ulong> values = stackalloc ulong[8];
        for (int i = 0; i < 8; i++)
        {
            if (!TryPeek(s, op, i * size, size, out values[7 - i]))
            {
                return Step.Fault;
            }
        }

        for (int register = 0; register < 8; register++)
        {
            if (register != 4)
            {
                Registers.Write(s, register * 8, size, values[register]);
            }
        }

        Move(s, op, 8 * size);
        return Step.Next;
    }

    internal static Step PushFlags(CpuState* s, Op* op)
    {
        if ((s->Rflags & Flags.Vm) != 0 && (s->Rflags & Flags.IoplMask) != Flags.IoplMask)
        {
            return Fault.Protection(s);
        }

        return TryPush(s, op, op->OperandSize, s->Rflags & ~(Flags.Vm | Flags.Rf)) ? Step.Next : Step.Fault;
    }

    internal static Step PopFlags(CpuState* s, Op* op)
    {
        if ((s->Rflags & Flags.Vm) != 0 && (s->Rflags & Flags.IoplMask) != Flags.IoplMask)
        {
            return Fault.Protection(s);
        }

        if (!TryPeek(s, op, 0, op->OperandSize, out ulong value))
        {
            return Step.Fault;
        }

        Move(s, op, op->OperandSize);
        ControlTransfer.SetFlags(Vcpu.Of(s), value, op->OperandSize, allowVirtual: false);
        return Step.Next;
    }

    internal static Step Enter(CpuState* s, Op* op)
    {
        int size = op->OperandSize;
        int level = (int)(op->Imm >> 16) & 31;
        ulong savedStack = s->Gpr[4], savedFrame = s->Gpr[5];
        if (!TryPush(s, op, size, savedFrame))
        {
            return Step.Fault;
        }

        ulong frame = s->Gpr[4];
        bool wide = op->LinearShift == 0 || s->Seg(SegmentIndex.Ss).Big;
        for (int i = 1; i < level; i++)
        {
            ulong at = savedFrame - (ulong)(i * size);
            ulong linear = op->LinearShift == 0 ? at : (uint)(s->Seg(SegmentIndex.Ss).Base + (wide ? (uint)at : (ushort)at));
            if (!Operand.TryLoad(s, op, linear, size, out ulong pointer) || !TryPush(s, op, size, pointer))
            {
                s->Gpr[4] = savedStack;
                return Step.Fault;
            }
        }

        if (level > 0 && !TryPush(s, op, size, frame))
        {
            s->Gpr[4] = savedStack;
            return Step.Fault;
        }

        Move(s, op, -(int)(ushort)op->Imm);
        Registers.Write(s, Registers.Rbp, size, frame);
        return Step.Next;
    }

    internal static Step Leave(CpuState* s, Op* op)
    {
        ulong before = s->Gpr[4];
        if (op->LinearShift == 0)
        {
            s->Gpr[4] = s->Gpr[5];
        }
        else if (s->Seg(SegmentIndex.Ss).Big)
        {
            s->Gpr[4] = (uint)s->Gpr[5];
        }
        else
        {
            Registers.Write<ushort>(s, Registers.Rsp, s->Gpr[5]);
        }

        if (!TryPeek(s, op, 0, op->OperandSize, out ulong value))
        {
            s->Gpr[4] = before;
            return Step.Fault;
        }

        Move(s, op, op->OperandSize);
        Registers.Write(s, Registers.Rbp, op->OperandSize, value);
        return Step.Next;
    }
}
