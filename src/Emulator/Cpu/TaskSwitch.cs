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

    /// <summary>An interrupt through a task gate.</summary>
    internal static bool TryEnterGate(Vcpu cpu, ushort selector, bool hasError, uint error, uint external) =>
        TrySwitch(cpu, selector, TaskSwitchKind.Gate, cpu.State->Rip, external)
            && (!hasError || TryPushError(cpu, error, external));

    /// <summary>Placeholder.</summary>
    internal static bool TrySwitch(Vcpu cpu, ushort selector, TaskSwitchKind kind, ulong rip, uint external) =>
        cpu.Fail(Fault.InvalidTss, ((uint)selector & ~3u) | external);

    private static bool TryPushError(Vcpu cpu, uint error, uint external) => cpu.Fail(Fault.StackFault, external);
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
