namespace Emulator.Cpu;

/// <summary>What brings an event about: decides privilege checks, the pushed RF and the error code's EXT bit.</summary>
internal enum EventKind
{
    /// <summary>A fault: RIP points at the instruction, which will run again.</summary>
    Fault,

    /// <summary>A trap: RIP points behind the instruction.</summary>
    Trap,

    /// <summary>INT n: the gate's DPL is checked.</summary>
    Software,

    /// <summary>An interrupt or NMI.</summary>
    External,
}

// Delivery of exceptions and interrupts (SDM vol. 3A chapter 6). Nothing of the CPU changes until delivery can no longer
// fail, so that a triple fault leaves every register as it was.
internal sealed unsafe partial class Vcpu
{
    private ulong delivered;
    private byte startUpVector;

    /// <summary>What was delivered last, for the exception journal of a debugger.</summary>
    internal Action<int, uint, EventKind>? Journal { get; set; }

    /// <summary>
    /// Delivers an event at <see cref="CpuState.Rip"/>; counts as one instruction. What goes wrong meanwhile becomes the
    /// next event, a double fault, or the reset a triple fault asks for.
    /// </summary>
    internal void Deliver(byte vector, uint error, EventKind kind)
    {
        CpuState* s = State;
        delivered++;
        s->InstructionCount++;
        s->InterruptShadow = 0;
        while (true)
        {
            if (vector == Fault.PageFault && kind == EventKind.Fault)
            {
                s->Cr2 = s->FaultAddress;
            }

            Journal?.Invoke(vector, error, kind);
            if (TryDeliver(vector, error, kind))
            {
                return;
            }

            byte second = s->FaultVector;
            if (vector == Fault.DoubleFault)
            {
                TripleFault();
                return;
            }

            bool first = kind == EventKind.Fault;
            if (first && ((IsContributory(vector) && IsContributory(second))
                || (vector == Fault.PageFault && (IsContributory(second) || second == Fault.PageFault))))
            {
                vector = Fault.DoubleFault;
                error = 0;
            }
            else
            {
                vector = second;
                error = s->FaultError;
            }

            kind = EventKind.Fault;
        }
    }

    private void TripleFault()
    {
        State->Halted = 1;
        signals.RequestReset(ResetCause.TripleFault);
        Leave();
    }

    private static bool IsContributory(int vector) =>
        vector is Fault.DivideError or Fault.InvalidTss or Fault.SegmentNotPresent or Fault.StackFault or Fault.GeneralProtection;

    private bool TryDeliver(byte vector, uint error, EventKind kind)
    {
        CpuState* s = State;
        if (!IsProtected)
        {
            return TryDeliverReal(vector);
        }

        uint external = kind == EventKind.Software ? 0u : 1u;
        bool longMode = IsLongModeActive;
        uint gateError = ((uint)vector * 8) | 2 | external;
        int gateSize = longMode ? 16 : 8;
        if ((vector * gateSize) + gateSize - 1 > s->IdtrLimit)
        {
            return Fail(Fault.GeneralProtection, gateError);
        }

        ulong gateAt = s->IdtrBase + (ulong)(vector * gateSize);
        ulong high = 0;
        if (!TryLoadAs(gateAt, 8, AccessMode.Supervisor, out ulong low)
            || (longMode && !TryLoadAs(gateAt + 8, 8, AccessMode.Supervisor, out high)))
        {
            return false;
        }

        int type = (int)(low >> 40) & 0x1F;
        bool valid = longMode ? type is 14 or 15 : type is 5 or 6 or 7 or 14 or 15;
        int gateDpl = (int)(low >> 45) & 3;
        if (!valid || (kind == EventKind.Software && gateDpl < s->Cpl))
        {
            return Fail(Fault.GeneralProtection, gateError);
        }

        if ((low >> 47 & 1) == 0)
        {
            return Fail(Fault.SegmentNotPresent, gateError);
        }

        bool hasError = kind == EventKind.Fault && Fault.HasErrorCode(vector);
        ushort selector = (ushort)(low >> 16);
        if (type == 5)
        {
            return TaskSwitch.TryEnterGate(this, selector, hasError, error, external);
        }

        ulong offset = (low & 0xFFFF) | ((low >> 32) & 0xFFFF_0000) | (high << 32);
        if ((type & 8) == 0)
        {
            offset &= 0xFFFF;
        }

        if ((selector & ~3) == 0)
        {
            return Fail(Fault.GeneralProtection, external);
        }

        uint selectorError = (uint)(selector & ~3) | external;
        if (!Descriptors.TryRead(this, selector, selectorError, Fault.GeneralProtection, out Descriptor code))
        {
            return false;
        }

        if (!code.IsCode || code.Dpl > s->Cpl || (longMode && (!code.Long || code.Big)))
        {
            return Fail(Fault.GeneralProtection, selectorError);
        }

        if (!code.Present)
        {
            return Fail(Fault.SegmentNotPresent, selectorError);
        }

        ulong flags = s->Rflags;
        if (kind == EventKind.Fault && vector != Fault.Debug)
        {
            flags |= Flags.Rf;
        }

        int newCpl = code.IsConforming ? s->Cpl : code.Dpl;
        return longMode
            ? TryEnterLong(code, selector, offset, type, (int)(low >> 32) & 7, flags, newCpl, hasError, error, external)
            : TryEnterLegacy(code, selector, offset, type, flags, newCpl, hasError, error, external);

    }

    private bool TryEnterLong(
        in Descriptor code, ushort selector, ulong offset, int type, int ist, ulong flags, int newCpl, bool hasError, uint error, uint external)
    {
        CpuState* s = State;
        ulong stack = s->Gpr[4];
        bool switches = newCpl != s->Cpl;
        if (ist != 0 || switches)
        {
            int at = ist != 0 ? 0x1C + (ist * 8) : 4 + (newCpl * 8);
            if (!TryReadTss64(at, external, out stack))
            {
                return false;
            }
        }

        if (!IsCanonical(stack))
        {
            return Fail(Fault.StackFault, external);
        }

        if (!IsCanonical(offset))
        {
            return Fail(Fault.GeneralProtection, external);
        }

        stack &= ~15UL;
        AccessMode mode = ModeOf(newCpl);
        Span<ulong> frame = [s->Seg(SegmentIndex.Ss).Selector, s->Gpr[4], flags, s->Seg(SegmentIndex.Cs).Selector, s->Rip, error];
        int count = hasError ? 6 : 5;
        ulong top = stack - (ulong)(count * 8);
        if (!IsCanonical(top))
        {
            return Fail(Fault.StackFault, external);
        }

        // All translations first: a frame that crosses into a page that faults must leave nothing behind.
        if (!TryTranslate(top, AccessKind.Write, mode, out _)
            || (((top ^ (stack - 1)) & ~0xFFFUL) != 0 && !TryTranslate(stack - 1, AccessKind.Write, mode, out _)))
        {
            return false;
        }

        for (int i = 0; i < count; i++)
        {
            if (!TryStoreAs(stack - (ulong)((i + 1) * 8), 8, mode, frame[i]))
            {
                return false;
            }
        }

        s->Gpr[4] = top;
        if (switches)
        {
            s->Seg(SegmentIndex.Ss) = new Segment { Selector = (ushort)newCpl, Attributes = (ushort)(newCpl << 5), Base = 0, Limit = 0 };
        }

        EnterHandler(code, selector, offset, newCpl, clearInterrupts: type == 14);
        return true;
    }

    private void EnterHandler(in Descriptor code, ushort selector, ulong offset, int newCpl, bool clearInterrupts)
    {
        CpuState* s = State;
        s->Seg(SegmentIndex.Cs) = code.ToSegment((ushort)((selector & ~3) | newCpl));
        Descriptors.MarkAccessed(this, selector, code);
        s->Cpl = (byte)newCpl;
        s->Rip = offset;
        s->Rflags &= ~(Flags.Tf | Flags.Nt | Flags.Rf | Flags.Vm);
        if (clearInterrupts)
        {
            s->Rflags &= ~Flags.If;
        }

        ModeChanged();
        CodeModeChanged();
    }

    private bool TryReadTss64(int at, uint external, out ulong value)
    {
        CpuState* s = State;
        ref Segment tr = ref s->Seg(SegmentIndex.Tr);
        if (at + 7 > tr.Limit)
        {
            value = 0;
            return Fail(Fault.InvalidTss, (uint)(tr.Selector & ~3) | external);
        }

        return TryLoadAs(tr.Base + (ulong)at, 8, AccessMode.Supervisor, out value);
    }

    private bool TryEnterLegacy(
        in Descriptor code, ushort selector, ulong offset, int type, ulong flags, int newCpl, bool hasError, uint error, uint external)
    {
        CpuState* s = State;
        bool wide = (type & 8) != 0;
        int unit = wide ? 4 : 2;
        bool fromVirtual = IsVirtual8086;
        Segment stackSegment = s->Seg(SegmentIndex.Ss);
        ulong stack = s->Gpr[4];
        if (fromVirtual && newCpl != 0)
        {
            return Fail(Fault.GeneralProtection, (uint)(selector & ~3) | external);
        }

        bool switches = newCpl != s->Cpl || fromVirtual;
        if (switches && !TaskSwitch.TryReadInnerStack(this, newCpl, external, out stackSegment, out stack))
        {
            return false;
        }

        Span<uint> frame = stackalloc uint[10];
        int count = 0;
        if (fromVirtual)
        {
            frame[count++] = s->Seg(SegmentIndex.Gs).Selector;
            frame[count++] = s->Seg(SegmentIndex.Fs).Selector;
            frame[count++] = s->Seg(SegmentIndex.Ds).Selector;
            frame[count++] = s->Seg(SegmentIndex.Es).Selector;
        }

        if (switches)
        {
            frame[count++] = s->Seg(SegmentIndex.Ss).Selector;
            frame[count++] = (uint)s->Gpr[4];
        }

        frame[count++] = (uint)flags;
        frame[count++] = s->Seg(SegmentIndex.Cs).Selector;
        frame[count++] = (uint)s->Rip;
        if (hasError)
        {
            frame[count++] = error;
        }

        uint mask = stackSegment.Big ? uint.MaxValue : 0xFFFF;
        uint pointer = (uint)stack;
        AccessMode mode = ModeOf(newCpl);
        for (int i = 0; i < count; i++)
        {
            pointer = (pointer & ~mask) | ((pointer - (uint)unit) & mask);
            if (!Segmentation.InLimit(stackSegment, pointer & mask, unit))
            {
                return Fail(Fault.StackFault, (switches ? (uint)(stackSegment.Selector & ~3) : 0) | external);
            }

            if (!TryStoreAs((uint)(stackSegment.Base + (pointer & mask)), unit, mode, frame[i]))
            {
                return false;
            }
        }

        if (offset > code.Limit)
        {
            return Fail(Fault.GeneralProtection, external);
        }

        s->Seg(SegmentIndex.Ss) = stackSegment;
        s->Gpr[4] = (s->Gpr[4] & ~0xFFFF_FFFFUL) | pointer;
        if (fromVirtual)
        {
            for (int i = 0; i < 4; i++)
            {
                s->Seg(i switch { 0 => SegmentIndex.Es, 1 => SegmentIndex.Ds, 2 => SegmentIndex.Fs, _ => SegmentIndex.Gs }) = default;
            }
        }

        EnterHandler(code, selector, offset, newCpl, clearInterrupts: (type & 1) == 0);
        return true;
    }

    private bool TryDeliverReal(byte vector)
    {
        CpuState* s = State;
        if ((vector * 4) + 3 > s->IdtrLimit)
        {
            return Fail(Fault.GeneralProtection, 0);
        }

        if (!TryLoadAs((uint)(s->IdtrBase + ((ulong)vector * 4)), 4, AccessMode.SupervisorUnchecked, out ulong target))
        {
            return false;
        }

        ref Segment stack = ref s->Seg(SegmentIndex.Ss);
        ushort sp = (ushort)s->Gpr[4];
        Span<ushort> frame = [(ushort)s->Rflags, s->Seg(SegmentIndex.Cs).Selector, (ushort)s->Rip];
        foreach (ushort word in frame)
        {
            sp -= 2;
            if (!Segmentation.InLimit(stack, sp, 2))
            {
                return Fail(Fault.StackFault, 0);
            }

            if (!TryStoreAs((uint)(stack.Base + sp), 2, AccessMode.SupervisorUnchecked, word))
            {
                return false;
            }
        }

        *(ushort*)&s->Gpr[4] = sp;
        ref Segment code = ref s->Seg(SegmentIndex.Cs);
        code.Selector = (ushort)(target >> 16);
        code.Base = (ulong)code.Selector << 4;
        s->Rip = (ushort)target;
        s->Rflags &= ~(Flags.If | Flags.Tf | Flags.Ac | Flags.Rf);
        ModeChanged();
        CodeModeChanged();
        return true;
    }

    internal AccessMode ModeOf(int cpl) =>
        cpl == 3 ? AccessMode.User
        : (State->Cr4 & ControlRegisters.Smap) == 0 ? AccessMode.SupervisorUnchecked
        : AccessMode.Supervisor;

    internal bool Fail(byte vector, uint error)
    {
        Fault.Raise(State, vector, error);
        return false;
    }

    private void TakeInitOrStartUp()
    {
        if ((Attention & InitPending) != 0)
        {
            Attention &= ~(InitPending | StartUpPending);
            InitReset();
            WaitsForStartUp = true;
            State->Halted = 1;
        }
        else if (WaitsForStartUp)
        {
            Attention &= ~StartUpPending;
            WaitsForStartUp = false;
            State->Halted = 0;
            State->Seg(SegmentIndex.Cs).Selector = (ushort)(startUpVector << 8);
            State->Seg(SegmentIndex.Cs).Base = (ulong)startUpVector << 12;
            State->Rip = 0;
            CodeModeChanged();
        }
        else
        {
            Attention &= ~StartUpPending;
        }
    }

    /// <summary>An application processor after INIT waits for a start-up message (SDM vol. 3A §8.4).</summary>
    internal bool WaitsForStartUp { get; set; }
}
