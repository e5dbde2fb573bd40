namespace Emulator.Cpu;

/// <summary>A segment or system descriptor as the tables hold it (SDM vol. 3A §3.4.5, §3.5).</summary>
internal readonly struct Descriptor(ulong low, ulong high)
{
    internal ulong Low { get; } = low;

    internal int Type => (int)(Low >> 40) & 15;

    /// <summary>The S bit: code or data, not a system descriptor.</summary>
    internal bool IsSegment => (Low >> 44 & 1) != 0;

    internal bool IsCode => IsSegment && (Type & 8) != 0;

    internal bool IsConforming => (Type & 4) != 0;

    internal bool IsReadable => !IsCode || (Type & 2) != 0;

    internal bool IsWritableData => IsSegment && (Type & 8) == 0 && (Type & 2) != 0;

    internal int Dpl => (int)(Low >> 45) & 3;

    internal bool Present => (Low >> 47 & 1) != 0;

    internal bool Long => (Low >> 53 & 1) != 0;

    internal bool Big => (Low >> 54 & 1) != 0;

    internal ulong Base => ((Low >> 16) & 0xFF_FFFF) | ((Low >> 32) & 0xFF00_0000) | (high << 32);

    /// <summary>The upper half of a 16-byte system descriptor.</summary>
    internal ulong High => high;

    internal uint Limit
    {
        get
        {
            uint limit = (uint)(Low & 0xFFFF) | ((uint)(Low >> 32) & 0xF_0000);
            return (Low >> 55 & 1) != 0 ? (limit << 12) | 0xFFF : limit;
        }
    }

    internal Segment ToSegment(ushort selector) => new()
    {
        Selector = selector,
        Attributes = (ushort)((Low >> 40) & 0xF0FF | (IsSegment ? 1UL : 0)),
        Limit = Limit,
        Base = Base,
    };
}

/// <summary>Reads descriptors out of the GDT and LDT.</summary>
internal static unsafe class Descriptors
{
    /// <summary>
    /// Reads the descriptor a selector names; outside its table the exception <paramref name="vector"/> with
    /// <paramref name="error"/> is raised.
    /// </summary>
    internal static bool TryRead(Vcpu cpu, ushort selector, uint error, byte vector, out Descriptor descriptor)
    {
        descriptor = default;
        if (!TryAddress(cpu, selector, 8, out ulong at))
        {
            return cpu.Fail(vector, error);
        }

        if (!cpu.TryLoadAs(at, 8, AccessMode.Supervisor, out ulong low))
        {
            return false;
        }

        descriptor = new Descriptor(low, 0);
        return true;
    }

    /// <summary>Reads a system descriptor: 16 bytes in long mode.</summary>
    internal static bool TryReadSystem(Vcpu cpu, ushort selector, uint error, byte vector, out Descriptor descriptor)
    {
        descriptor = default;
        bool wide = cpu.IsLongModeActive;
        if (!TryAddress(cpu, selector, wide ? 16 : 8, out ulong at))
        {
            return cpu.Fail(vector, error);
        }

        ulong high = 0;
        if (!cpu.TryLoadAs(at, 8, AccessMode.Supervisor, out ulong low)
            || (wide && !cpu.TryLoadAs(at + 8, 8, AccessMode.Supervisor, out high)))
        {
            return false;
        }

        descriptor = new Descriptor(low, high & 0xFFFF_FFFF);
        return true;
    }

    /// <summary>Sets a segment descriptor's accessed bit.</summary>
    internal static void MarkAccessed(Vcpu cpu, ushort selector, in Descriptor descriptor)
    {
        if ((descriptor.Low >> 40 & 1) == 0)
        {
            SetTypeByte(cpu, selector, (byte)((descriptor.Low >> 40) | 1));
        }
    }

    /// <summary>Writes the byte with type, S, DPL and P of a descriptor.</summary>
    internal static bool SetTypeByte(Vcpu cpu, ushort selector, byte value) =>
        TryAddress(cpu, selector, 8, out ulong at) && cpu.TryStoreAs(at + 5, 1, AccessMode.SupervisorUnchecked, value);

    private static bool TryAddress(Vcpu cpu, ushort selector, int size, out ulong address)
    {
        CpuState* s = cpu.State;
        ulong tableBase = s->GdtrBase;
        uint limit = s->GdtrLimit;
        if ((selector & 4) != 0)
        {
            ref Segment ldt = ref s->Seg(SegmentIndex.Ldtr);
            tableBase = ldt.Base;
            limit = ldt.Limit;
            if ((ldt.Attributes & 0x80) == 0)
            {
                address = 0;
                return false;
            }
        }

        uint offset = (uint)selector & ~7u;
        address = tableBase + offset;
        return offset + (uint)size - 1 <= limit;
    }
}
