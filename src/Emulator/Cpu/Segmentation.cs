namespace Emulator.Cpu;

/// <summary>Limits, and loading of segment registers (SDM vol. 3A §3.4, §5.5).</summary>
internal static unsafe class Segmentation
{
    /// <summary>Whether an access of some bytes at an offset lies inside a segment, expand-down ones included.</summary>
    internal static bool InLimit(in Segment segment, uint offset, int size)
    {
        ulong last = (ulong)offset + (ulong)size - 1;
        bool expandDown = (segment.Attributes & 0x1C) == 0x14;
        if (!expandDown)
        {
            return last <= segment.Limit;
        }

        return offset > segment.Limit && last <= (segment.Big ? uint.MaxValue : 0xFFFFu);
    }

    /// <summary>Checks a legacy memory access: null, limit, and rights. False: the fault was raised.</summary>
    internal static bool TryCheck(CpuState* s, int index, uint offset, int size, bool writes)
    {
        ref Segment segment = ref s->Seg(index);
        bool real = (s->Cr0 & ControlRegisters.Pe) == 0 || (s->Rflags & Flags.Vm) != 0;
        bool allowed = real || ((segment.Attributes & 0x80) != 0
            && (writes ? (segment.Attributes & 0x1A) == 0x12 : (segment.Attributes & 0x1A) != 0x18));
        if (allowed && InLimit(segment, offset, size))
        {
            return true;
        }

        Fault.Raise(s, index == SegmentIndex.Ss ? Fault.StackFault : Fault.GeneralProtection);
        return false;
    }

    /// <summary>MOV to, POP or Lxx of ES, SS, DS, FS, GS. CS is the far transfers' business.</summary>
    internal static bool TryLoad(Vcpu cpu, int index, ushort selector)
    {
        CpuState* s = cpu.State;
        if (!cpu.IsProtected || cpu.IsVirtual8086)
        {
            LoadReal(s, index, selector, cpu.IsVirtual8086);
            cpu.CodeModeChanged();
            return true;
        }

        if ((selector & ~3) == 0)
        {
            if (index == SegmentIndex.Ss && !(cpu.IsLong && s->Cpl != 3 && (selector & 3) == s->Cpl))
            {
                return cpu.Fail(Fault.GeneralProtection, 0);
            }

            ref Segment segment = ref s->Seg(index);
            // SS keeps its DPL: that is where the privilege level is kept.
            segment.Attributes = index == SegmentIndex.Ss ? (ushort)(s->Cpl << 5) : (ushort)0;
            segment.Selector = selector;
            segment.Limit = 0;
            segment.Base = 0;
            cpu.CodeModeChanged();
            return true;
        }

        uint error = (uint)selector & ~3u;
        if (!Descriptors.TryRead(cpu, selector, error, Fault.GeneralProtection, out Descriptor descriptor))
        {
            return false;
        }

        int rpl = selector & 3;
        bool allowed = index == SegmentIndex.Ss
            ? descriptor.IsWritableData && rpl == s->Cpl && descriptor.Dpl == s->Cpl
            : descriptor.IsSegment && descriptor.IsReadable
                && ((descriptor.IsCode && descriptor.IsConforming) || (descriptor.Dpl >= rpl && descriptor.Dpl >= s->Cpl));
        if (!allowed)
        {
            return cpu.Fail(Fault.GeneralProtection, error);
        }

        if (!descriptor.Present)
        {
            return cpu.Fail(index == SegmentIndex.Ss ? Fault.StackFault : Fault.SegmentNotPresent, error);
        }

        s->Seg(index) = descriptor.ToSegment(selector);
        Descriptors.MarkAccessed(cpu, selector, descriptor);
        cpu.CodeModeChanged();
        return true;
    }

    /// <summary>A real-mode or virtual-8086 load: base only; limit and rights stay (virtual-8086: are fixed).</summary>
    internal static void LoadReal(CpuState* s, int index, ushort selector, bool virtual8086)
    {
        ref Segment segment = ref s->Seg(index);
        segment.Selector = selector;
        segment.Base = (ulong)selector << 4;
        if (virtual8086)
        {
            segment.Limit = 0xFFFF;
            segment.Attributes = 0xF3;
        }
        else if (index == SegmentIndex.Cs)
        {
            segment.Attributes = 0x93;
        }
        else
        {
            segment.Attributes = (ushort)((segment.Attributes & 0x4000) | 0x93);
        }
    }
}
