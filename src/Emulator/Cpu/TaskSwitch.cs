namespace Emulator.Cpu;

/// <summary>The task state segment: inner stacks, and hardware task switches (SDM vol. 3A chapter 7).</summary>
internal static unsafe class TaskSwitch
{
    /// <summary>SSn:ESPn of the current TSS, checked as SDM vol. 3A §6.12.1 demands.</summary>
    internal static bool TryReadInnerStack(Vcpu cpu, int level, uint external, out Segment segment, out ulong pointer)
    {
        CpuState* s = cpu.State;
        segment = default;
        pointer = 0;
        ref Segment tr = ref s->Seg(SegmentIndex.Tr);
        bool wide = (tr.Type & 8) != 0;
        uint at = wide ? 4 + ((uint)level * 8) : 2 + ((uint)level * 4);
        int unit = wide ? 4 : 2;
        if (at + (wide ? 5u : 3u) > tr.Limit)
        {
            return cpu.Fail(Fault.InvalidTss, (uint)(tr.Selector & ~3) | external);
        }

        if (!cpu.TryLoadAs(tr.Base + at, unit, AccessMode.Supervisor, out pointer)
            || !cpu.TryLoadAs(tr.Base + at + (ulong)unit, 2, AccessMode.Supervisor, out ulong selector))
        {
            return false;
        }

        uint error = ((uint)selector & ~3u) | external;
        if ((selector & ~3UL) == 0)
        {
            return cpu.Fail(Fault.InvalidTss, external);
        }

        if (!Descriptors.TryRead(cpu, (ushort)selector, error, Fault.InvalidTss, out Descriptor descriptor))
        {
            return false;
        }

        if ((int)(selector & 3) != level || descriptor.Dpl != level || !descriptor.IsWritableData)
        {
            return cpu.Fail(Fault.InvalidTss, error);
        }

        if (!descriptor.Present)
        {
            return cpu.Fail(Fault.StackFault, error);
        }

        segment = descriptor.ToSegment((ushort)selector);
        return true;
    }

    /// <summary>The flags a TSS or an IRET to virtual-8086 mode may set.</summary>
    internal const ulong FlagsMask = Flags.Status | Flags.Tf | Flags.If | Flags.Df | Flags.IoplMask | Flags.Nt | Flags.Rf
        | Flags.Vm | Flags.Ac | Flags.Vif | Flags.Vip | Flags.Id;

    // Where a TSS keeps what a switch saves and loads (SDM vol. 3A figures 7-2 and 7-10).
    private const uint Limit32 = 0x67, Limit16 = 0x2B;
    private const uint Cr3At = 0x1C, State32At = 0x20, Ldt32At = 0x60, State16At = 0x0E, Ldt16At = 0x2A;
    private const int SavedRegisters = 10;

    // The order of the segment registers in a TSS; the 16-bit one ends with DS.
    private static ReadOnlySpan<byte> SegmentOrder =>
        [SegmentIndex.Es, SegmentIndex.Cs, SegmentIndex.Ss, SegmentIndex.Ds, SegmentIndex.Fs, SegmentIndex.Gs];

    /// <summary>An interrupt through a task gate, with its error code on the new task's stack.</summary>
    internal static bool TryEnterGate(Vcpu cpu, ushort selector, bool hasError, uint error, uint external) =>
        TrySwitch(cpu, selector, TaskSwitchKind.Gate, cpu.State->Rip, external)
            && (!hasError || TryPushError(cpu, error, external));

    /// <summary>
    /// Switches to the task of a TSS selector; privilege is the caller's to have checked. False: a fault was raised, of
    /// the old task with nothing changed, or, when <see cref="Vcpu.TaskEntered"/> is set, of the new one.
    /// </summary>
    /// <param name="cpu">The CPU.</param>
    /// <param name="selector">The new task.</param>
    /// <param name="kind">What switches.</param>
    /// <param name="rip">Where the old task will go on.</param>
    /// <param name="external">The EXT bit of error codes.</param>
    internal static bool TrySwitch(Vcpu cpu, ushort selector, TaskSwitchKind kind, ulong rip, uint external)
    {
        CpuState* s = cpu.State;
        cpu.TaskEntered = false;
        bool returns = kind == TaskSwitchKind.Return;
        uint error = ((uint)selector & ~3u) | external;
        byte vector = returns ? Fault.InvalidTss : Fault.GeneralProtection;
        if ((selector & 4) != 0 || (selector & ~3) == 0)
        {
            return cpu.Fail(vector, error);
        }

        if (!Descriptors.TryRead(cpu, selector, error, vector, out Descriptor target))
        {
            return false;
        }

        // Busy and available TSSs differ in bit 1 of the type.
        if (target.IsSegment || (target.Type & ~8) != (returns ? 3 : 1))
        {
            return cpu.Fail(vector, error);
        }

        if (!target.Present)
        {
            return cpu.Fail(Fault.SegmentNotPresent, error);
        }

        bool wide = (target.Type & 8) != 0;
        if (target.Limit < (wide ? Limit32 : Limit16))
        {
            return cpu.Fail(Fault.InvalidTss, error);
        }

        Segment old = s->Seg(SegmentIndex.Tr);
        bool oldWide = (old.Type & 8) != 0;
        if (!old.Present || old.Limit < (oldWide ? Limit32 : Limit16))
        {
            return cpu.Fail(Fault.InvalidTss, (uint)(old.Selector & ~3) | external);
        }

        Image image = default;
        bool links = kind is TaskSwitchKind.Call or TaskSwitchKind.Gate;
        uint oldState = oldWide ? State32At : State16At;
        if (!TryLoad(cpu, target.Base, wide, ref image)
            || !cpu.TryProbeWrite(old.Base + oldState, (int)((oldWide ? Ldt32At : Ldt16At) - oldState))
            || (links && !cpu.TryProbeWrite(target.Base, 2))
            || (!links && !cpu.TryProbeWrite(TypeByteAt(s, old.Selector), 1))
            || (!returns && !cpu.TryProbeWrite(TypeByteAt(s, selector), 1)))
        {
            return false;
        }

        // Nothing below can fail until the new task is in.
        ulong flags = s->Rflags;
        if (returns)
        {
            flags &= ~Flags.Nt;
        }

        if (!links)
        {
            SetBusy(cpu, old.Selector, busy: false);
        }

        Save(cpu, old.Base, oldWide, rip, flags);
        if (links)
        {
            cpu.TryStoreAs(target.Base, 2, AccessMode.Supervisor, old.Selector);
            image.Flags |= (uint)Flags.Nt;
        }

        if (!returns)
        {
            SetBusy(cpu, selector, busy: true);
        }

        Segment task = target.ToSegment(selector);
        task.Attributes |= 2;
        s->Seg(SegmentIndex.Tr) = task;
        return Enter(cpu, image, wide, external);
    }

    // A fault in the middle of a switch belongs to the new task, whose instruction pointer is loaded: it is delivered
    // here, where the usual way would put the instruction's own address back.
    internal static Step Finish(Vcpu cpu, bool switched)
    {
        if (!switched && !cpu.TaskEntered)
        {
            return Step.Fault;
        }

        if (!switched)
        {
            cpu.Deliver(cpu.State->FaultVector, cpu.State->FaultError, EventKind.Fault);
        }

        return Step.Branch;
    }

    private static ulong TypeByteAt(CpuState* s, ushort selector) => s->GdtrBase + ((uint)selector & ~7u) + 5;

    private static void SetBusy(Vcpu cpu, ushort selector, bool busy)
    {
        if (cpu.TryLoadAs(TypeByteAt(cpu.State, selector), 1, AccessMode.Supervisor, out ulong type))
        {
            Descriptors.SetTypeByte(cpu, selector, (byte)(busy ? type | 2 : type & ~2UL));
        }
    }

    private static bool TryLoad(Vcpu cpu, ulong tss, bool wide, ref Image image)
    {
        int unit = wide ? 4 : 2;
        ulong at = tss + (wide ? State32At : State16At);
        for (int i = 0; i < SavedRegisters; i++, at += (ulong)unit)
        {
            if (!cpu.TryLoadAs(at, unit, AccessMode.Supervisor, out ulong value))
            {
                return false;
            }

            // A 16-bit task finds the upper halves of its registers all ones.
            image.Values[i] = (uint)value | (wide || i < 2 ? 0 : 0xFFFF_0000);
        }

        for (int i = 0; i < (wide ? 6 : 4); i++, at += (ulong)unit)
        {
            if (!cpu.TryLoadAs(at, 2, AccessMode.Supervisor, out ulong value))
            {
                return false;
            }

            image.Selectors[i] = (ushort)value;
        }

        ulong cr3 = 0;
        if (!cpu.TryLoadAs(tss + (wide ? Ldt32At : Ldt16At), 2, AccessMode.Supervisor, out ulong ldt)
            || (wide && !cpu.TryLoadAs(tss + Cr3At, 4, AccessMode.Supervisor, out cr3)))
        {
            return false;
        }

        image.Ldt = (ushort)ldt;
        image.Cr3 = (uint)cr3;
        return true;
    }

    private static void Save(Vcpu cpu, ulong tss, bool wide, ulong rip, ulong flags)
    {
        CpuState* s = cpu.State;
        int unit = wide ? 4 : 2;
        ulong at = tss + (wide ? State32At : State16At);
        for (int i = 0; i < SavedRegisters; i++, at += (ulong)unit)
        {
            ulong value = i switch { 0 => rip, 1 => flags, _ => s->Gpr[i - 2] };
            cpu.TryStoreAs(at, unit, AccessMode.Supervisor, value);
        }

        for (int i = 0; i < (wide ? 6 : 4); i++, at += (ulong)unit)
        {
            cpu.TryStoreAs(at, 2, AccessMode.Supervisor, s->Seg(SegmentOrder[i]).Selector);
        }
    }

    private static bool Enter(Vcpu cpu, in Image image, bool wide, uint external)
    {
        CpuState* s = cpu.State;
        cpu.TaskEntered = true;
        s->Cr0 |= ControlRegisters.Ts;
        if (wide && (s->Cr0 & ControlRegisters.Pg) != 0 && s->Cr3 != image.Cr3)
        {
            s->Cr3 = image.Cr3;
            cpu.FlushTlb(true);
        }

        s->Rip = image.Values[0];
        s->Rflags = (image.Flags & FlagsMask) | Flags.Fixed;
        for (int i = 0; i < 8; i++)
        {
            s->Gpr[i] = image.Values[i + 2];
        }

        bool virtual8086 = (s->Rflags & Flags.Vm) != 0;
        s->Cpl = (byte)(virtual8086 ? 3 : image.Selectors[1] & 3);

        // All selectors are the new task's before the first check can fail; unchecked ones are not usable.
        s->Seg(SegmentIndex.Ldtr) = new Segment { Selector = image.Ldt };
        for (int i = 0; i < SegmentOrder.Length; i++)
        {
            s->Seg(SegmentOrder[i]) = new Segment { Selector = image.Selectors[i] };
            if (virtual8086)
            {
                Segmentation.LoadReal(s, SegmentOrder[i], image.Selectors[i], virtual8086: true);
            }
        }

        if (!virtual8086)
        {
            s->Seg(SegmentIndex.Ss).Attributes = (ushort)(s->Cpl << 5);
        }

        // The local enable bits of DR7 are the old task's.
        const ulong Local = 0x155;
        if ((s->Dr[7] & Local) != 0)
        {
            s->Dr[7] &= ~Local;
            cpu.DebugRegistersChanged();
        }

        cpu.ModeChanged();
        cpu.CodeModeChanged();
        bool loaded = TryLoadLdt(cpu, image.Ldt, external)
            && (virtual8086 || TryLoadSegments(cpu, image, external));
        cpu.CodeModeChanged();
        return loaded && (s->Rip <= s->Seg(SegmentIndex.Cs).Limit || cpu.Fail(Fault.GeneralProtection, external));
    }

    private static bool TryLoadLdt(Vcpu cpu, ushort selector, uint external)
    {
        if ((selector & ~3) == 0)
        {
            return true;
        }

        uint error = ((uint)selector & ~3u) | external;
        if ((selector & 4) != 0)
        {
            return cpu.Fail(Fault.InvalidTss, error);
        }

        if (!Descriptors.TryRead(cpu, selector, error, Fault.InvalidTss, out Descriptor descriptor))
        {
            return false;
        }

        if (descriptor.IsSegment || descriptor.Type != 2 || !descriptor.Present)
        {
            return cpu.Fail(Fault.InvalidTss, error);
        }

        cpu.State->Seg(SegmentIndex.Ldtr) = descriptor.ToSegment(selector);
        return true;
    }

    private static bool TryLoadSegments(Vcpu cpu, in Image image, uint external)
    {
        // CS and SS before the others.
        ReadOnlySpan<int> order = [1, 2, 0, 3, 4, 5];
        foreach (int i in order)
        {
            if (!TryLoadSegment(cpu, SegmentOrder[i], image.Selectors[i], external))
            {
                return false;
            }
        }

        return true;
    }

    private static bool TryLoadSegment(Vcpu cpu, int index, ushort selector, uint external)
    {
        CpuState* s = cpu.State;
        uint error = ((uint)selector & ~3u) | external;
        bool needed = index is SegmentIndex.Cs or SegmentIndex.Ss;
        if ((selector & ~3) == 0)
        {
            return !needed || cpu.Fail(Fault.InvalidTss, error);
        }

        if (!Descriptors.TryRead(cpu, selector, error, Fault.InvalidTss, out Descriptor descriptor))
        {
            return false;
        }

        int level = s->Cpl;
        int rpl = selector & 3;
        bool allowed = index switch
        {
            SegmentIndex.Cs => descriptor.IsCode && (descriptor.IsConforming ? descriptor.Dpl <= rpl : descriptor.Dpl == rpl),
            SegmentIndex.Ss => descriptor.IsWritableData && rpl == level && descriptor.Dpl == level,
            _ => descriptor.IsSegment && descriptor.IsReadable
                && ((descriptor.IsCode && descriptor.IsConforming) || (descriptor.Dpl >= rpl && descriptor.Dpl >= level)),
        };
        if (!allowed)
        {
            return cpu.Fail(Fault.InvalidTss, error);
        }

        if (!descriptor.Present)
        {
            return cpu.Fail(index == SegmentIndex.Ss ? Fault.StackFault : Fault.SegmentNotPresent, error);
        }

        s->Seg(index) = descriptor.ToSegment(selector);
        Descriptors.MarkAccessed(cpu, selector, descriptor);
        return true;
    }

    private static bool TryPushError(Vcpu cpu, uint error, uint external)
    {
        CpuState* s = cpu.State;
        int unit = (s->Seg(SegmentIndex.Tr).Type & 8) != 0 ? 4 : 2;
        Segment stack = s->Seg(SegmentIndex.Ss);
        uint mask = stack.Big ? uint.MaxValue : 0xFFFF;
        uint top = ((uint)s->Gpr[4] - (uint)unit) & mask;
        if (!Segmentation.InLimit(stack, top, unit))
        {
            return cpu.Fail(Fault.StackFault, external);
        }

        if (!cpu.TryStoreAs((uint)(stack.Base + top), unit, cpu.DataMode, error))
        {
            return false;
        }

        s->Gpr[4] = ((uint)s->Gpr[4] & ~mask) | top;
        return true;
    }

    // What a TSS holds of its task: EIP, EFLAGS and the eight registers; the selectors in the order of SegmentOrder.
    private struct Image
    {
        internal fixed uint Values[SavedRegisters];
        internal fixed ushort Selectors[6];
        internal ushort Ldt;
        internal uint Cr3;

        internal uint Flags
        {
            readonly get => Values[1];
            set => Values[1] = value;
        }
    }
}

/// <summary>What brings a task switch about: decides about busy bits, the back link and NT.</summary>
internal enum TaskSwitchKind
{
    /// <summary>JMP.</summary>
    Jump,

    /// <summary>CALL.</summary>
    Call,

    /// <summary>An exception or interrupt through a task gate.</summary>
    Gate,

    /// <summary>IRET with NT set.</summary>
    Return,
}

// What task switches need of the CPU's inside.
internal sealed unsafe partial class Vcpu
{
    /// <summary>The last task switch got past the point where faults belong to the new task.</summary>
    internal bool TaskEntered { get; set; }

    /// <summary>Whether all of some bytes (no more than a page) may be written as the supervisor; false: the fault was raised.</summary>
    internal bool TryProbeWrite(ulong linear, int size)
    {
        ulong last = linear + (ulong)size - 1;
        return TryTranslate(linear, AccessKind.Write, AccessMode.Supervisor, out _)
            && ((linear ^ last) < 0x1000 || TryTranslate(last, AccessKind.Write, AccessMode.Supervisor, out _));
    }
}
