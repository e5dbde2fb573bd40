namespace Emulator.Cpu;

/// <summary>
/// Far jumps, calls and returns, software interrupts and IRET, in every mode (SDM vol. 2 JMP, CALL, RET, INT n, IRET;
/// vol. 3A chapters 5 and 6). Everything that may fault comes first, the change of state last.
/// </summary>
internal static unsafe class ControlTransfer
{
    private const int MaxParameters = 31;
    private const int CallGate16 = 4, TaskGate = 5, CallGate32 = 12;

    /// <summary>JMP ptr16:16/32: selector in <see cref="Op.Data"/>, offset in <see cref="Op.Imm"/>.</summary>
    internal static Step JumpFarImm(CpuState* s, Op* op) =>
        Jump(s, op, (ushort)op->Data, op->Imm & Registers.Mask(op->OperandSize));

    /// <summary>JMP m16:16/32/64.</summary>
    internal static Step JumpFarMem(CpuState* s, Op* op) =>
        TryLoadPointer(s, op, out ushort selector, out ulong offset) ? Jump(s, op, selector, offset) : Step.Fault;

    /// <summary>CALL ptr16:16/32: selector in <see cref="Op.Data"/>, offset in <see cref="Op.Imm"/>.</summary>
    internal static Step CallFarImm(CpuState* s, Op* op) =>
        Call(s, op, (ushort)op->Data, op->Imm & Registers.Mask(op->OperandSize));

    /// <summary>CALL m16:16/32/64.</summary>
    internal static Step CallFarMem(CpuState* s, Op* op) =>
        TryLoadPointer(s, op, out ushort selector, out ulong offset) ? Call(s, op, selector, offset) : Step.Fault;

    /// <summary>RETF, with <see cref="Op.Imm"/> bytes of parameters to drop.</summary>
    internal static Step ReturnFar(CpuState* s, Op* op)
    {
        Vcpu cpu = Vcpu.Of(s);
        int size = op->OperandSize;
        int extra = (ushort)op->Imm;
        if (!Stack.TryPeek(s, op, 0, size, out ulong offset) || !Stack.TryPeek(s, op, size, size, out ulong popped))
        {
            return Step.Fault;
        }

        ushort selector = (ushort)popped;
        if (IsReal(cpu))
        {
            if (offset > s->Seg(SegmentIndex.Cs).Limit)
            {
                return Fault.Protection(s);
            }

            Stack.Move(s, op, (2 * size) + extra);
            EnterReal(cpu, selector, offset);
            return Step.Branch;
        }

        if (!TryFindReturn(cpu, selector, out Descriptor code))
        {
            return Step.Fault;
        }

        int level = selector & 3;
        if (level == s->Cpl)
        {
            if (!IsInside(cpu, code, offset))
            {
                return Step.Fault;
            }

            Stack.Move(s, op, (2 * size) + extra);
            EnterCode(cpu, selector, code, level, offset);
            return Step.Branch;
        }

        if (!Stack.TryPeek(s, op, (2 * size) + extra, size, out ulong pointer)
            || !Stack.TryPeek(s, op, (3 * size) + extra, size, out ulong stackSelector)
            || !TryFindReturnStack(cpu, (ushort)stackSelector, level, IsCode64(cpu, code), out Segment stack, out Descriptor stackDescriptor)
            || !IsInside(cpu, code, offset))
        {
            return Step.Fault;
        }

        EnterStack(cpu, stack, stackDescriptor, IsCode64(cpu, code), size, pointer + (ulong)extra);
        EnterCode(cpu, selector, code, level, offset);
        DropDataSegments(s, level);
        return Step.Branch;
    }

    /// <summary>IRET, IRETD, IRETQ. Ends the blocking of NMIs even where it faults (SDM vol. 3A §6.7.1).</summary>
    internal static Step InterruptReturn(CpuState* s, Op* op)
    {
        Vcpu cpu = Vcpu.Of(s);
        int size = op->OperandSize;
        bool real = IsReal(cpu);
        if (cpu.IsVirtual8086 && (s->Rflags & Flags.IoplMask) != Flags.IoplMask)
        {
            return Fault.Protection(s);
        }

        cpu.UnblockNmi();
        if (!real && (s->Rflags & Flags.Nt) != 0)
        {
            return cpu.IsLongModeActive ? Fault.Protection(s) : ReturnToTask(cpu, op);
        }

        if (!Stack.TryPeek(s, op, 0, size, out ulong offset)
            || !Stack.TryPeek(s, op, size, size, out ulong popped)
            || !Stack.TryPeek(s, op, 2 * size, size, out ulong flags))
        {
            return Step.Fault;
        }

        ushort selector = (ushort)popped;
        if (real)
        {
            if (offset > s->Seg(SegmentIndex.Cs).Limit)
            {
                return Fault.Protection(s);
            }

            Stack.Move(s, op, 3 * size);
            EnterReal(cpu, selector, offset);
            SetFlags(cpu, flags, size, allowVirtual: true);
            return Step.Branch;
        }

        if ((flags & Flags.Vm) != 0 && size == 4 && s->Cpl == 0 && !cpu.IsLongModeActive)
        {
            return ReturnToVirtual(cpu, op, selector, offset, flags);
        }

        if (!TryFindReturn(cpu, selector, out Descriptor code))
        {
            return Step.Fault;
        }

        int level = selector & 3;
        if (level == s->Cpl && !cpu.IsLong)
        {
            if (!IsInside(cpu, code, offset))
            {
                return Step.Fault;
            }

            Stack.Move(s, op, 3 * size);
            SetFlags(cpu, flags, size, allowVirtual: true);
            EnterCode(cpu, selector, code, level, offset);
            return Step.Branch;
        }

        bool outer = level != s->Cpl;
        if (!Stack.TryPeek(s, op, 3 * size, size, out ulong pointer)
            || !Stack.TryPeek(s, op, 4 * size, size, out ulong stackSelector)
            || !TryFindReturnStack(cpu, (ushort)stackSelector, level, IsCode64(cpu, code), out Segment stack, out Descriptor stackDescriptor)
            || !IsInside(cpu, code, offset))
        {
            return Step.Fault;
        }

        // The flags are the inner level's to restore: before the level changes.
        SetFlags(cpu, flags, size, allowVirtual: true);
        EnterStack(cpu, stack, stackDescriptor, IsCode64(cpu, code), size, pointer);
        EnterCode(cpu, selector, code, level, offset);
        if (outer)
        {
            DropDataSegments(s, level);
        }

        return Step.Branch;
    }

    /// <summary>INT n; in virtual-8086 mode IOPL must be 3.</summary>
    internal static Step SoftwareInterrupt(CpuState* s, Op* op)
    {
        Vcpu cpu = Vcpu.Of(s);
        return cpu.IsVirtual8086 && (s->Rflags & Flags.IoplMask) != Flags.IoplMask
            ? Fault.Protection(s)
            : Interrupt(cpu, op, (byte)op->Imm, EventKind.Software);
    }

    /// <summary>INT3.</summary>
    internal static Step Int3(CpuState* s, Op* op) => Interrupt(Vcpu.Of(s), op, Fault.Breakpoint, EventKind.Software);

    /// <summary>INT1: as a debug trap, without a look at the gate's DPL.</summary>
    internal static Step Int1(CpuState* s, Op* op) => Interrupt(Vcpu.Of(s), op, Fault.Debug, EventKind.Trap);

    /// <summary>INTO.</summary>
    internal static Step Into(CpuState* s, Op* op) =>
        (s->Rflags & Flags.Of) == 0 ? Step.Next : Interrupt(Vcpu.Of(s), op, Fault.Overflow, EventKind.Software);

    /// <summary>
    /// Flags out of memory, as POPF and IRET take them at the current privilege level. With
    /// <paramref name="allowVirtual"/> (IRET) RF and, at level 0 of protected mode, VIF and VIP come from the value;
    /// without, RF is cleared. VM never changes here.
    /// </summary>
    /// <param name="cpu">Whose flags.</param>
    /// <param name="value">The image.</param>
    /// <param name="size">Bytes of the image: 2 leaves the upper flags alone.</param>
    /// <param name="allowVirtual">IRET's rules.</param>
    internal static void SetFlags(Vcpu cpu, ulong value, int size, bool allowVirtual)
    {
        CpuState* s = cpu.State;
        int level = cpu.IsProtected ? s->Cpl : 0;
        ulong mask = Flags.Status | Flags.Tf | Flags.Df | Flags.Nt;
        if (level == 0)
        {
            mask |= Flags.IoplMask;
        }

        if (level <= (int)(s->Rflags >> 12 & 3))
        {
            mask |= Flags.If;
        }

        if (size > 2)
        {
            mask |= Flags.Ac | Flags.Id | Flags.Rf;
            if (!allowVirtual)
            {
                value &= ~Flags.Rf;
            }
            else if (level == 0 && cpu.IsProtected)
            {
                mask |= Flags.Vif | Flags.Vip;
            }
        }

        ulong before = s->Rflags;
        s->Rflags = (before & ~mask) | (value & mask) | Flags.Fixed;
        if (((before ^ s->Rflags) & Flags.Ac) != 0)
        {
            cpu.ModeChanged();
        }

        cpu.LeaveBlock();
    }

    private static bool IsReal(Vcpu cpu) => !cpu.IsProtected || cpu.IsVirtual8086;

    private static bool IsCode64(Vcpu cpu, in Descriptor code) => cpu.IsLongModeActive && code.Long;

    private static uint ErrorOf(ushort selector) => (uint)selector & ~3u;

    private static ulong ReturnAddress(Vcpu cpu, Op* op) => cpu.IsLong ? op->NextRip : (uint)op->NextRip;

    private static Step Interrupt(Vcpu cpu, Op* op, byte vector, EventKind kind) =>
        cpu.TryDeliverSoftware(vector, kind, op->Rip, ReturnAddress(cpu, op)) ? Step.Branch : Step.Fault;

    private static bool TryLoadPointer(CpuState* s, Op* op, out ushort selector, out ulong offset)
    {
        ulong linear = Operand.Linear(s, op);
        ulong behind = (linear + op->OperandSize) << op->LinearShift >> op->LinearShift;
        ulong loaded = 0;
        bool both = Operand.TryLoad(s, op, linear, op->OperandSize, out offset) && Operand.TryLoad(s, op, behind, 2, out loaded);
        selector = (ushort)loaded;
        return both;
    }

    private static Step Jump(CpuState* s, Op* op, ushort selector, ulong offset)
    {
        Vcpu cpu = Vcpu.Of(s);
        if (IsReal(cpu))
        {
            return JumpReal(cpu, op, selector, offset);
        }

        if (!TryFindTarget(cpu, selector, out Descriptor target))
        {
            return Step.Fault;
        }

        if (target.IsSegment)
        {
            if (!TryCheckDirect(cpu, selector, target) || !IsInside(cpu, target, offset))
            {
                return Step.Fault;
            }

            EnterCode(cpu, selector, target, s->Cpl, offset);
            return Step.Branch;
        }

        if (IsTask(target))
        {
            return SwitchTask(cpu, op, selector, target, TaskSwitchKind.Jump);
        }

        if (!TryOpenGate(cpu, target, out ushort codeSelector, out Descriptor code, out ulong entry))
        {
            return Step.Fault;
        }

        if (!code.IsConforming && code.Dpl != s->Cpl)
        {
            return Fault.Protection(s, ErrorOf(codeSelector));
        }

        if (!TryCheckPresent(cpu, codeSelector, code) || !IsInside(cpu, code, entry))
        {
            return Step.Fault;
        }

        EnterCode(cpu, codeSelector, code, s->Cpl, entry);
        return Step.Branch;
    }

    private static Step JumpReal(Vcpu cpu, Op* op, ushort selector, ulong offset)
    {
        CpuState* s = cpu.State;
        if (offset > s->Seg(SegmentIndex.Cs).Limit)
        {
            return Fault.Protection(s);
        }

        // The two names of the reset vector: what a guest means by this is a reset, with its registers as they are now.
        if (!cpu.IsProtected && ((selector == 0xF000 && offset == 0xFFF0) || (selector == 0xFFFF && offset == 0)))
        {
            s->Rip = op->Rip;
            cpu.Signals.RequestReset(ResetCause.ResetVector);
            cpu.Leave();
            return Step.Branch;
        }

        EnterReal(cpu, selector, offset);
        return Step.Branch;
    }

    private static Step Call(CpuState* s, Op* op, ushort selector, ulong offset)
    {
        Vcpu cpu = Vcpu.Of(s);
        int size = op->OperandSize;
        if (IsReal(cpu))
        {
            if (offset > s->Seg(SegmentIndex.Cs).Limit)
            {
                return Fault.Protection(s);
            }

            if (!TryPushReturn(cpu, op, size))
            {
                return Step.Fault;
            }

            EnterReal(cpu, selector, offset);
            return Step.Branch;
        }

        if (!TryFindTarget(cpu, selector, out Descriptor target))
        {
            return Step.Fault;
        }

        if (target.IsSegment)
        {
            if (!TryCheckDirect(cpu, selector, target) || !IsInside(cpu, target, offset) || !TryPushReturn(cpu, op, size))
            {
                return Step.Fault;
            }

            EnterCode(cpu, selector, target, s->Cpl, offset);
            return Step.Branch;
        }

        return IsTask(target) ? SwitchTask(cpu, op, selector, target, TaskSwitchKind.Call) : CallGate(cpu, op, target);
    }

    private static Step CallGate(Vcpu cpu, Op* op, in Descriptor gate)
    {
        CpuState* s = cpu.State;
        if (!TryOpenGate(cpu, gate, out ushort selector, out Descriptor code, out ulong entry)
            || !TryCheckPresent(cpu, selector, code))
        {
            return Step.Fault;
        }

        bool longMode = cpu.IsLongModeActive;
        int unit = longMode ? 8 : gate.Type == CallGate32 ? 4 : 2;
        int level = code.IsConforming ? s->Cpl : code.Dpl;
        bool switches = level != s->Cpl;
        Segment stack = s->Seg(SegmentIndex.Ss);
        ulong pointer = s->Gpr[4];
        if (switches)
        {
            stack = new Segment { Selector = (ushort)level, Attributes = (ushort)(level << 5) };
            bool found = longMode
                ? cpu.TryReadInnerPointer(level, out pointer)
                : TaskSwitch.TryReadInnerStack(cpu, level, 0, out stack, out pointer);
            if (!found)
            {
                return Step.Fault;
            }
        }

        Span<ulong> frame = stackalloc ulong[MaxParameters + 4];
        int count = 0;
        if (switches)
        {
            frame[count++] = s->Seg(SegmentIndex.Ss).Selector;
            frame[count++] = s->Gpr[4];
            int parameters = longMode ? 0 : (int)(gate.Low >> 32) & MaxParameters;
            for (int i = parameters - 1; i >= 0; i--)
            {
                if (!Stack.TryPeek(s, op, i * unit, unit, out frame[count++]))
                {
                    return Step.Fault;
                }
            }
        }

        frame[count++] = s->Seg(SegmentIndex.Cs).Selector;
        frame[count++] = ReturnAddress(cpu, op);
        uint stackError = switches ? ErrorOf(stack.Selector) : 0;
        AccessMode mode = switches ? cpu.ModeOf(level) : cpu.DataMode;
        if (!IsInside(cpu, code, entry)
            || !TryPushFrame(cpu, stack, ref pointer, unit, mode, frame[..count], stackError))
        {
            return Step.Fault;
        }

        s->Gpr[4] = pointer;
        if (switches)
        {
            s->Seg(SegmentIndex.Ss) = stack;
        }

        EnterCode(cpu, selector, code, level, entry);
        return Step.Branch;
    }

    // Pushes on a stack that is not yet the current one; 8-byte units mean a flat stack.
    private static bool TryPushFrame(
        Vcpu cpu, in Segment stack, ref ulong pointer, int unit, AccessMode mode, ReadOnlySpan<ulong> values, uint error)
    {
        if (unit == 8)
        {
            ulong top = pointer - (ulong)(values.Length * 8);
            if (!Vcpu.IsCanonical(top) || !Vcpu.IsCanonical(pointer - 1))
            {
                return cpu.Fail(Fault.StackFault, error);
            }

            for (int i = 0; i < values.Length; i++)
            {
                if (!cpu.TryStoreAs(pointer - (ulong)((i + 1) * 8), 8, mode, values[i]))
                {
                    return false;
                }
            }

            pointer = top;
            return true;
        }

        uint mask = stack.Big ? uint.MaxValue : 0xFFFF;
        uint at = (uint)pointer;
        foreach (ulong value in values)
        {
            at = (at & ~mask) | ((at - (uint)unit) & mask);
            if (!Segmentation.InLimit(stack, at & mask, unit))
            {
                return cpu.Fail(Fault.StackFault, error);
            }

            if (!cpu.TryStoreAs((uint)(stack.Base + (at & mask)), unit, mode, value & Registers.Mask(unit)))
            {
                return false;
            }
        }

        pointer = at;
        return true;
    }

    private static bool TryPushReturn(Vcpu cpu, Op* op, int size)
    {
        CpuState* s = cpu.State;
        ulong before = s->Gpr[4];
        if (!Stack.TryPush(s, op, size, s->Seg(SegmentIndex.Cs).Selector))
        {
            return false;
        }

        if (Stack.TryPush(s, op, size, op->NextRip))
        {
            return true;
        }

        s->Gpr[4] = before;
        return false;
    }

    // What a far jump or call names: a code segment, or a gate or TSS this mode has and this level may use.
    private static bool TryFindTarget(Vcpu cpu, ushort selector, out Descriptor target)
    {
        CpuState* s = cpu.State;
        target = default;
        uint error = ErrorOf(selector);
        if (error == 0)
        {
            return cpu.Fail(Fault.GeneralProtection, 0);
        }

        if (!Descriptors.TryRead(cpu, selector, error, Fault.GeneralProtection, out target))
        {
            return false;
        }

        if (target.IsSegment)
        {
            return target.IsCode || cpu.Fail(Fault.GeneralProtection, error);
        }

        bool longMode = cpu.IsLongModeActive;
        int type = target.Type;
        bool known = type == CallGate32 || (!longMode && (type is CallGate16 or TaskGate || IsTask(target)));
        if (!known || target.Dpl < s->Cpl || target.Dpl < (selector & 3))
        {
            return cpu.Fail(Fault.GeneralProtection, error);
        }

        if (longMode)
        {
            if (!Descriptors.TryReadSystem(cpu, selector, error, Fault.GeneralProtection, out target))
            {
                return false;
            }

            // The type field of the upper half must be zero, so that it cannot be taken for a descriptor of its own.
            if ((target.High >> 40 & 0x1F) != 0)
            {
                return cpu.Fail(Fault.GeneralProtection, error);
            }
        }

        // A TSS is found absent by the task switch, after its type.
        return target.Present || IsTss(target) || cpu.Fail(Fault.SegmentNotPresent, error);
    }

    private static bool IsTss(in Descriptor descriptor) => !descriptor.IsSegment && descriptor.Type is 1 or 3 or 9 or 11;

    private static bool IsTask(in Descriptor descriptor) => IsTss(descriptor) || (!descriptor.IsSegment && descriptor.Type == TaskGate);

    private static bool TryCheckDirect(Vcpu cpu, ushort selector, in Descriptor code)
    {
        int level = cpu.State->Cpl;
        bool allowed = code.IsConforming ? code.Dpl <= level : code.Dpl == level && (selector & 3) <= level;
        if (!allowed || (cpu.IsLongModeActive && code.Long && code.Big))
        {
            return cpu.Fail(Fault.GeneralProtection, ErrorOf(selector));
        }

        return TryCheckPresent(cpu, selector, code);
    }

    private static bool TryCheckPresent(Vcpu cpu, ushort selector, in Descriptor code) =>
        code.Present || cpu.Fail(Fault.SegmentNotPresent, ErrorOf(selector));

    // The code segment and entry point behind a call gate; whether it is present is left to the caller, whose check of
    // the level comes first.
    private static bool TryOpenGate(Vcpu cpu, in Descriptor gate, out ushort selector, out Descriptor code, out ulong entry)
    {
        bool longMode = cpu.IsLongModeActive;
        selector = (ushort)(gate.Low >> 16);
        code = default;
        entry = gate.Low & 0xFFFF;
        if (gate.Type == CallGate32)
        {
            entry |= gate.Low >> 32 & 0xFFFF_0000;
        }

        if (longMode)
        {
            entry |= gate.High << 32;
        }

        uint error = ErrorOf(selector);
        if (error == 0)
        {
            return cpu.Fail(Fault.GeneralProtection, 0);
        }

        if (!Descriptors.TryRead(cpu, selector, error, Fault.GeneralProtection, out code))
        {
            return false;
        }

        bool allowed = code.IsCode && code.Dpl <= cpu.State->Cpl && (!longMode || (code.Long && !code.Big));
        return allowed || cpu.Fail(Fault.GeneralProtection, error);
    }

    // The code segment a far return or IRET names: RPL is the level returned to, never an inner one.
    private static bool TryFindReturn(Vcpu cpu, ushort selector, out Descriptor code)
    {
        code = default;
        uint error = ErrorOf(selector);
        if (error == 0)
        {
            return cpu.Fail(Fault.GeneralProtection, 0);
        }

        if (!Descriptors.TryRead(cpu, selector, error, Fault.GeneralProtection, out code))
        {
            return false;
        }

        int level = selector & 3;
        bool allowed = code.IsCode && level >= cpu.State->Cpl
            && (code.IsConforming ? code.Dpl <= level : code.Dpl == level)
            && !(cpu.IsLongModeActive && code.Long && code.Big);
        return allowed ? TryCheckPresent(cpu, selector, code) : cpu.Fail(Fault.GeneralProtection, error);
    }

    private static bool TryFindReturnStack(
        Vcpu cpu, ushort selector, int level, bool to64, out Segment stack, out Descriptor descriptor)
    {
        descriptor = default;
        stack = new Segment { Selector = selector, Attributes = (ushort)(level << 5) };
        uint error = ErrorOf(selector);
        if (error == 0)
        {
            // Only 64-bit code below level 3 may do without a stack segment.
            return (to64 && level != 3 && (selector & 3) == level) || cpu.Fail(Fault.GeneralProtection, 0);
        }

        if (!Descriptors.TryRead(cpu, selector, error, Fault.GeneralProtection, out descriptor))
        {
            return false;
        }

        if ((selector & 3) != level || !descriptor.IsWritableData || descriptor.Dpl != level)
        {
            return cpu.Fail(Fault.GeneralProtection, error);
        }

        if (!descriptor.Present)
        {
            return cpu.Fail(Fault.StackFault, error);
        }

        stack = descriptor.ToSegment(selector);
        return true;
    }

    private static bool IsInside(Vcpu cpu, in Descriptor code, ulong offset) =>
        (IsCode64(cpu, code) ? Vcpu.IsCanonical(offset) : offset <= code.Limit) || cpu.Fail(Fault.GeneralProtection, 0);

    private static void EnterReal(Vcpu cpu, ushort selector, ulong offset)
    {
        Segmentation.LoadReal(cpu.State, SegmentIndex.Cs, selector, cpu.IsVirtual8086);
        cpu.State->Rip = offset;
        cpu.CodeModeChanged();
    }

    private static void EnterCode(Vcpu cpu, ushort selector, in Descriptor code, int level, ulong offset)
    {
        CpuState* s = cpu.State;
        Descriptors.MarkAccessed(cpu, selector, code);
        s->Seg(SegmentIndex.Cs) = code.ToSegment((ushort)(ErrorOf(selector) | (uint)level));
        s->Rip = offset;
        if (level != s->Cpl)
        {
            s->Cpl = (byte)level;
            cpu.ModeChanged();
        }

        cpu.CodeModeChanged();
    }

    private static void EnterStack(Vcpu cpu, in Segment stack, in Descriptor descriptor, bool to64, int size, ulong pointer)
    {
        CpuState* s = cpu.State;
        if (descriptor.Present)
        {
            Descriptors.MarkAccessed(cpu, stack.Selector, descriptor);
        }

        s->Seg(SegmentIndex.Ss) = stack;
        if (to64)
        {
            s->Gpr[4] = pointer & Registers.Mask(size);
        }
        else if (stack.Big)
        {
            s->Gpr[4] = (uint)pointer;
        }
        else
        {
            Registers.Write<ushort>(s, Registers.Rsp, pointer);
        }
    }

    // Data segments the outer level may not use are nulled on the way out.
    private static void DropDataSegments(CpuState* s, int level)
    {
        for (int i = SegmentIndex.Es; i <= SegmentIndex.Gs; i++)
        {
            if (i is SegmentIndex.Cs or SegmentIndex.Ss)
            {
                continue;
            }

            ref Segment segment = ref s->Seg(i);
            bool dataOrNonconforming = (segment.Attributes & 0x1C) != 0x1C;
            if (dataOrNonconforming && segment.Dpl < level)
            {
                // The base of FS and GS stays: 64-bit code goes on using it.
                segment.Selector = 0;
                segment.Attributes = 0;
                segment.Limit = 0;
            }
        }
    }

    private static Step ReturnToVirtual(Vcpu cpu, Op* op, ushort selector, ulong offset, ulong flags)
    {
        CpuState* s = cpu.State;
        Span<ulong> popped = stackalloc ulong[6];
        for (int i = 0; i < popped.Length; i++)
        {
            if (!Stack.TryPeek(s, op, (3 + i) * 4, 4, out popped[i]))
            {
                return Step.Fault;
            }
        }

        if (offset > 0xFFFF)
        {
            return Fault.Protection(s);
        }

        s->Rflags = (flags & TaskSwitch.FlagsMask) | Flags.Fixed;
        s->Cpl = 3;
        Segmentation.LoadReal(s, SegmentIndex.Cs, selector, virtual8086: true);
        ReadOnlySpan<int> order = [SegmentIndex.Ss, SegmentIndex.Es, SegmentIndex.Ds, SegmentIndex.Fs, SegmentIndex.Gs];
        for (int i = 0; i < order.Length; i++)
        {
            Segmentation.LoadReal(s, order[i], (ushort)popped[i + 1], virtual8086: true);
        }

        s->Gpr[4] = popped[0];
        s->Rip = offset;
        cpu.ModeChanged();
        cpu.CodeModeChanged();
        return Step.Branch;
    }

    private static Step ReturnToTask(Vcpu cpu, Op* op)
    {
        CpuState* s = cpu.State;
        return cpu.TryLoadAs(s->Seg(SegmentIndex.Tr).Base, 2, AccessMode.Supervisor, out ulong link)
            ? TaskSwitch.Finish(cpu, TaskSwitch.TrySwitch(cpu, (ushort)link, TaskSwitchKind.Return, ReturnAddress(cpu, op), 0))
            : Step.Fault;
    }

    private static Step SwitchTask(Vcpu cpu, Op* op, ushort selector, in Descriptor target, TaskSwitchKind kind)
    {
        ushort task = target.Type == TaskGate ? (ushort)(target.Low >> 16) : selector;
        return TaskSwitch.Finish(cpu, TaskSwitch.TrySwitch(cpu, task, kind, ReturnAddress(cpu, op), 0));
    }
}

// What control transfers need of the CPU's inside.
internal sealed unsafe partial class Vcpu
{
    /// <summary>IRET was executed.</summary>
    internal void UnblockNmi() => nmiBlocked = false;

    /// <summary>RSPn of the 64-bit TSS.</summary>
    internal bool TryReadInnerPointer(int level, out ulong pointer) => TryReadTss64(4 + (level * 8), 0, out pointer);

    /// <summary>
    /// An INT instruction: <paramref name="next"/> is what the handler returns to. False: a fault of the instruction at
    /// <paramref name="rip"/> was raised.
    /// </summary>
    internal bool TryDeliverSoftware(byte vector, EventKind kind, ulong rip, ulong next)
    {
        CpuState* s = State;
        s->Rip = next;
        TaskEntered = false;
        if (TryDeliver(vector, 0, kind))
        {
            delivered++;
            Journal?.Invoke(vector, 0, kind);
            return true;
        }

        if (TaskEntered)
        {
            Deliver(s->FaultVector, s->FaultError, EventKind.Fault);
            return true;
        }

        s->Rip = rip;
        return false;
    }
}
