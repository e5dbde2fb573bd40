namespace Emulator.Cpu;

/// <summary>Model-specific registers by their numbers in SDM vol. 4. An unknown one is #GP, as on a CPU.</summary>
internal sealed unsafe class Msrs(Vcpu cpu)
{
    internal const uint Tsc = 0x10, PlatformId = 0x17, ApicBase = 0x1B, FeatureControl = 0x3A, MicrocodeRevision = 0x8B,
        MtrrCap = 0xFE, ArchCapabilities = 0x10A, SysenterCsMsr = 0x174, SysenterEspMsr = 0x175, SysenterEipMsr = 0x176,
        McgCap = 0x179, McgStatus = 0x17A, MiscEnable = 0x1A0, DebugControl = 0x1D9, MtrrPhysicalFirst = 0x200, MtrrPhysicalLast = 0x20F,
        Pat = 0x277, MtrrDefaultType = 0x2FF, TscDeadline = 0x6E0, EferMsr = 0xC000_0080, StarMsr = 0xC000_0081, LstarMsr = 0xC000_0082,
        CstarMsr = 0xC000_0083, FmaskMsr = 0xC000_0084, FsBase = 0xC000_0100, GsBase = 0xC000_0101, KernelGsBaseMsr = 0xC000_0102,
        TscAuxMsr = 0xC000_0103;

    private static readonly uint[] FixedMtrrs = [0x250, 0x258, 0x259, 0x268, 0x269, 0x26A, 0x26B, 0x26C, 0x26D, 0x26E, 0x26F];

    // Not affected by what their *_NO bits name: an emulator has no speculation to leak by.
    private const ulong ArchCapabilitiesValue = 1 | 1 << 3 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 8 | 1 << 13 | 1 << 14 | 1 << 15 | 1 << 20
        | 1 << 24 | 1 << 26 | 1 << 27;

    private readonly SortedDictionary<uint, ulong> plain = [];

    internal ulong Star { get; private set; }

    internal ulong Lstar { get; private set; }

    internal ulong Fmask { get; private set; }

    internal ulong SysenterCs { get; private set; }

    internal ulong SysenterEsp { get; private set; }

    internal ulong SysenterEip { get; private set; }

    internal ref ulong KernelGsBase => ref cpu.State->KernelGsBase;

    internal ref ulong TscAux => ref cpu.State->TscAux;

    /// <summary>What is added to the machine's time to give the time-stamp counter.</summary>
    internal ulong TscOffset => cpu.State->TscOffset;

    /// <summary>Power-on values (SDM vol. 3A table 9-1), with the memory types firmware leaves.</summary>
    internal void Reset()
    {
        Star = Lstar = Fmask = SysenterCs = SysenterEsp = SysenterEip = KernelGsBase = TscAux = 0;
        plain.Clear();
        plain[CstarMsr] = 0;
        plain[FeatureControl] = 1;
        plain[MicrocodeRevision] = 0;
        plain[McgStatus] = 0;
        plain[MiscEnable] = 1;
        plain[DebugControl] = 0;
        plain[Pat] = 0x0007_0406_0007_0406;
        plain[MtrrDefaultType] = 0xC06;
        for (uint msr = MtrrPhysicalFirst; msr <= MtrrPhysicalLast; msr++)
        {
            plain[msr] = 0;
        }

        foreach (uint msr in FixedMtrrs)
        {
            plain[msr] = msr == 0x259 ? 0UL : 0x0606_0606_0606_0606;
        }
    }

    internal void SetTscOffset(ulong offset)
    {
        cpu.State->TscOffset = offset;
        cpu.Apic.TscOffset = offset;
    }

    internal bool TryRead(uint msr, out ulong value)
    {
        CpuState* s = cpu.State;
        switch (msr)
        {
            case Tsc:
                value = cpu.Now + TscOffset;
                return true;
            case PlatformId:
                value = 0;
                return true;
            case MtrrCap:
                value = 0x508;
                return true;
            case ArchCapabilities:
                value = ArchCapabilitiesValue;
                return true;
            case McgCap:
                value = 0;
                return true;
            case SysenterCsMsr: value = SysenterCs; return true;
            case SysenterEspMsr: value = SysenterEsp; return true;
            case SysenterEipMsr: value = SysenterEip; return true;
            case EferMsr: value = s->Efer; return true;
            case StarMsr: value = Star; return true;
            case LstarMsr: value = Lstar; return true;
            case FmaskMsr: value = Fmask; return true;
            case FsBase: value = s->Seg(SegmentIndex.Fs).Base; return true;
            case GsBase: value = s->Seg(SegmentIndex.Gs).Base; return true;
            case KernelGsBaseMsr: value = KernelGsBase; return true;
            case TscAuxMsr: value = TscAux; return true;
        }

        return IsApic(msr) ? cpu.Apic.TryReadMsr(msr, out value) : plain.TryGetValue(msr, out value);
    }

    internal bool TryWrite(uint msr, ulong value)
    {
        CpuState* s = cpu.State;
        switch (msr)
        {
            case Tsc:
                SetTscOffset(value - cpu.Now);
                return true;
            case SysenterCsMsr:
                SysenterCs = value & 0xFFFF_FFFF;
                return true;
            case SysenterEspMsr when Vcpu.IsCanonical(value):
                SysenterEsp = value;
                return true;
            case SysenterEipMsr when Vcpu.IsCanonical(value):
                SysenterEip = value;
                return true;
            case EferMsr:
                return cpu.TrySetEfer(value);
            case StarMsr:
                Star = value;
                return true;
            case LstarMsr when Vcpu.IsCanonical(value):
                Lstar = value;
                return true;
            case CstarMsr when Vcpu.IsCanonical(value):
                plain[CstarMsr] = value;
                return true;
            case FmaskMsr:
                Fmask = value & 0xFFFF_FFFF;
                return value >> 32 == 0;
            case FsBase when Vcpu.IsCanonical(value):
                s->Seg(SegmentIndex.Fs).Base = value;
                return true;
            case GsBase when Vcpu.IsCanonical(value):
                s->Seg(SegmentIndex.Gs).Base = value;
                return true;
            case KernelGsBaseMsr when Vcpu.IsCanonical(value):
                KernelGsBase = value;
                return true;
            case TscAuxMsr:
                TscAux = value & 0xFFFF_FFFF;
                return value >> 32 == 0;
            case MicrocodeRevision:
                return true;
            case McgStatus:
                plain[McgStatus] = 0;
                return value == 0;
            case MiscEnable:
                plain[MiscEnable] = value;
                return true;
            case DebugControl:
                plain[DebugControl] = value & 3;
                return true;
            case Pat when ValidMemoryTypes(value, pat: true):
                plain[Pat] = value;
                return true;
            case MtrrDefaultType when (value & ~0xCFFUL) == 0 && ValidType((byte)value, pat: false):
                plain[MtrrDefaultType] = value;
                return true;
            case >= MtrrPhysicalFirst and <= MtrrPhysicalLast:
                plain[msr] = value & ((1UL << Paging.PhysicalBits) - 1);
                return (msr & 1) != 0 || ValidType((byte)value, pat: false);
        }

        if (Array.IndexOf(FixedMtrrs, msr) >= 0 && ValidMemoryTypes(value, pat: false))
        {
            plain[msr] = value;
            return true;
        }

        return IsApic(msr) && cpu.Apic.TryWriteMsr(msr, value);
    }

    /// <summary>Every register that is kept here, by number.</summary>
    internal SortedDictionary<uint, ulong> Save()
    {
        var all = new SortedDictionary<uint, ulong>(plain)
        {
            [Tsc] = TscOffset,
            [SysenterCsMsr] = SysenterCs,
            [SysenterEspMsr] = SysenterEsp,
            [SysenterEipMsr] = SysenterEip,
            [StarMsr] = Star,
            [LstarMsr] = Lstar,
            [FmaskMsr] = Fmask,
            [KernelGsBaseMsr] = KernelGsBase,
            [TscAuxMsr] = TscAux,
        };
        return all;
    }

    /// <summary>Takes over what <see cref="Save"/> gave, or part of it; what is not named keeps its power-on value.</summary>
    internal void Load(SortedDictionary<uint, ulong> saved)
    {
        Reset();
        foreach ((uint msr, ulong value) in saved)
        {
            switch (msr)
            {
                case Tsc: SetTscOffset(value); break;
                case SysenterCsMsr: SysenterCs = value; break;
                case SysenterEspMsr: SysenterEsp = value; break;
                case SysenterEipMsr: SysenterEip = value; break;
                case StarMsr: Star = value; break;
                case LstarMsr: Lstar = value; break;
                case FmaskMsr: Fmask = value; break;
                case KernelGsBaseMsr: KernelGsBase = value; break;
                case TscAuxMsr: TscAux = value; break;
                default:
                    if (plain.ContainsKey(msr))
                    {
                        plain[msr] = value;
                    }

                    break;
            }
        }
    }

    private static bool IsApic(uint msr) => msr is ApicBase or TscDeadline or (>= 0x800 and <= 0x8FF);

    private static bool ValidMemoryTypes(ulong value, bool pat)
    {
        for (int i = 0; i < 8; i++)
        {
            if (!ValidType((byte)(value >> (8 * i)), pat))
            {
                return false;
            }
        }

        return true;
    }

    private static bool ValidType(byte type, bool pat) => type is 0 or 1 or 4 or 5 or 6 || (pat && type == 7);
}
