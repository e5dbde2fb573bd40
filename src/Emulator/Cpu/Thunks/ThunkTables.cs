using Iced.Intel;

namespace Emulator.Cpu.Thunks;

/// <summary>Facts of instructions that Iced does not know or that depend on what the guest's CPUID offers.</summary>
internal static class ThunkTables
{
    /// <summary>
    /// True for what x86-64-v2 offers beyond the integer core: x87, MMX, SSE to SSE4.2, POPCNT, FXSR, XSAVE, XSAVEOPT.
    /// Hints, fences, XGETBV and XSETBV are the core's.
    /// </summary>
    internal static bool IsOffered(Code code)
    {
        if (code == Code.Wait)
        {
            return true;
        }

        if (code.Encoding() != EncodingKind.Legacy)
        {
            return false;
        }

        bool conditionalMove = false;
        bool x87 = false;
        foreach (CpuidFeature feature in code.CpuidFeatures())
        {
            switch (feature)
            {
                case CpuidFeature.FPU or CpuidFeature.FPU287 or CpuidFeature.FPU387:
                    x87 = true;
                    break;
                case CpuidFeature.CMOV:
                    conditionalMove = true;
                    break;
                case CpuidFeature.MMX or CpuidFeature.SSE or CpuidFeature.SSE2 or CpuidFeature.SSE3 or CpuidFeature.SSSE3
                    or CpuidFeature.SSE4_1 or CpuidFeature.SSE4_2 or CpuidFeature.POPCNT
                    or CpuidFeature.FXSR or CpuidFeature.XSAVE or CpuidFeature.XSAVEOPT:
                    break;
                default:
                    return false;
            }
        }

        return (!conditionalMove || x87) && code.Mnemonic() is not (Mnemonic.Xgetbv or Mnemonic.Xsetbv
            or Mnemonic.Lfence or Mnemonic.Mfence or Mnemonic.Sfence
            or Mnemonic.Prefetchnta or Mnemonic.Prefetcht0 or Mnemonic.Prefetcht1 or Mnemonic.Prefetcht2);
    }

    /// <summary>True if the instruction looks at MXCSR: it may raise SIMD floating-point exceptions.</summary>
    internal static bool UsesMxcsr(Mnemonic mnemonic) => mnemonic is
        Mnemonic.Addps or Mnemonic.Addpd or Mnemonic.Addss or Mnemonic.Addsd
        or Mnemonic.Subps or Mnemonic.Subpd or Mnemonic.Subss or Mnemonic.Subsd
        or Mnemonic.Mulps or Mnemonic.Mulpd or Mnemonic.Mulss or Mnemonic.Mulsd
        or Mnemonic.Divps or Mnemonic.Divpd or Mnemonic.Divss or Mnemonic.Divsd
        or Mnemonic.Minps or Mnemonic.Minpd or Mnemonic.Minss or Mnemonic.Minsd
        or Mnemonic.Maxps or Mnemonic.Maxpd or Mnemonic.Maxss or Mnemonic.Maxsd
        or Mnemonic.Sqrtps or Mnemonic.Sqrtpd or Mnemonic.Sqrtss or Mnemonic.Sqrtsd
        or Mnemonic.Rcpps or Mnemonic.Rcpss or Mnemonic.Rsqrtps or Mnemonic.Rsqrtss
        or Mnemonic.Cmpps or Mnemonic.Cmppd or Mnemonic.Cmpss or Mnemonic.Cmpsd
        or Mnemonic.Comiss or Mnemonic.Comisd or Mnemonic.Ucomiss or Mnemonic.Ucomisd
        or Mnemonic.Addsubps or Mnemonic.Addsubpd or Mnemonic.Haddps or Mnemonic.Haddpd or Mnemonic.Hsubps or Mnemonic.Hsubpd
        or Mnemonic.Roundps or Mnemonic.Roundpd or Mnemonic.Roundss or Mnemonic.Roundsd
        or Mnemonic.Dpps or Mnemonic.Dppd
        or Mnemonic.Cvtpi2ps or Mnemonic.Cvtpi2pd or Mnemonic.Cvtsi2ss or Mnemonic.Cvtsi2sd
        or Mnemonic.Cvtps2pi or Mnemonic.Cvtpd2pi or Mnemonic.Cvttps2pi or Mnemonic.Cvttpd2pi
        or Mnemonic.Cvtss2si or Mnemonic.Cvtsd2si or Mnemonic.Cvttss2si or Mnemonic.Cvttsd2si
        or Mnemonic.Cvtps2pd or Mnemonic.Cvtpd2ps or Mnemonic.Cvtss2sd or Mnemonic.Cvtsd2ss
        or Mnemonic.Cvtdq2ps or Mnemonic.Cvtdq2pd or Mnemonic.Cvtps2dq or Mnemonic.Cvttps2dq or Mnemonic.Cvtpd2dq or Mnemonic.Cvttpd2dq;

    /// <summary>Underflow: whether the result can be denormal, and where its elements stand.</summary>
    internal static ThunkTraits Underflow(Mnemonic mnemonic)
    {
        switch (mnemonic)
        {
            case Mnemonic.Addps or Mnemonic.Subps or Mnemonic.Mulps or Mnemonic.Divps or Mnemonic.Addsubps
                or Mnemonic.Haddps or Mnemonic.Hsubps or Mnemonic.Dpps or Mnemonic.Cvtpd2ps:
                return ThunkTraits.CanUnderflow;
            case Mnemonic.Addss or Mnemonic.Subss or Mnemonic.Mulss or Mnemonic.Divss or Mnemonic.Cvtsd2ss:
                return ThunkTraits.CanUnderflow | ThunkTraits.LowElement;
            case Mnemonic.Addpd or Mnemonic.Subpd or Mnemonic.Mulpd or Mnemonic.Divpd or Mnemonic.Addsubpd
                or Mnemonic.Haddpd or Mnemonic.Hsubpd or Mnemonic.Dppd:
                return ThunkTraits.CanUnderflow | ThunkTraits.DoubleElements;
            case Mnemonic.Addsd or Mnemonic.Subsd or Mnemonic.Mulsd or Mnemonic.Divsd:
                return ThunkTraits.CanUnderflow | ThunkTraits.DoubleElements | ThunkTraits.LowElement;
            default:
                return ThunkTraits.None;
        }
    }

    /// <summary>Operands the encoding does not name.</summary>
    internal static ImplicitOperands Implicit(Mnemonic mnemonic) => mnemonic switch
    {
        Mnemonic.Blendvps or Mnemonic.Blendvpd or Mnemonic.Pblendvb => ImplicitOperands.ReadsXmm0,
        Mnemonic.Pcmpistrm => ImplicitOperands.WritesXmm0,
        Mnemonic.Pcmpistri => ImplicitOperands.WritesEcx,
        Mnemonic.Pcmpestrm or Mnemonic.Pcmpestrm64 => ImplicitOperands.ReadsLengths | ImplicitOperands.WritesXmm0,
        Mnemonic.Pcmpestri or Mnemonic.Pcmpestri64 => ImplicitOperands.ReadsLengths | ImplicitOperands.WritesEcx,
        _ => ImplicitOperands.None,
    };

    /// <summary>
    /// Alignment a memory operand must have: 16-byte operands of SSE instructions, but for the unaligned moves and the
    /// string comparisons (SDM vol. 2, exception types 2 and 4; vol. 1 §14.9 has the table).
    /// </summary>
    internal static byte Alignment(Mnemonic mnemonic, int size) => mnemonic switch
    {
        Mnemonic.Fxsave or Mnemonic.Fxsave64 or Mnemonic.Fxrstor or Mnemonic.Fxrstor64 => 16,
        Mnemonic.Xsave or Mnemonic.Xsave64 or Mnemonic.Xsaveopt or Mnemonic.Xsaveopt64 or Mnemonic.Xrstor or Mnemonic.Xrstor64 => 64,
        Mnemonic.Movups or Mnemonic.Movupd or Mnemonic.Movdqu or Mnemonic.Lddqu or Mnemonic.Maskmovdqu
            or Mnemonic.Pcmpestri or Mnemonic.Pcmpestri64 or Mnemonic.Pcmpestrm or Mnemonic.Pcmpestrm64
            or Mnemonic.Pcmpistri or Mnemonic.Pcmpistrm => 1,
        _ => size == 16 ? (byte)16 : (byte)1,
    };

    /// <summary>Memory operands whose use Iced's access facts do not say as precisely as a thunk needs it.</summary>
    internal static bool TryMemory(Mnemonic mnemonic, out int size, out MemoryUse use)
    {
        (size, use) = mnemonic switch
        {
            Mnemonic.Maskmovdqu => (16, MemoryUse.ReadWrite),
            Mnemonic.Maskmovq => (8, MemoryUse.ReadWrite),
            Mnemonic.Fxsave or Mnemonic.Fxsave64 => (ExtendedState.FxsaveSize, MemoryUse.ReadWrite),
            Mnemonic.Fxrstor or Mnemonic.Fxrstor64 => (ExtendedState.FxsaveSize, MemoryUse.Read),
            Mnemonic.Xsave or Mnemonic.Xsave64 or Mnemonic.Xsaveopt or Mnemonic.Xsaveopt64 => (ExtendedState.XsaveSize, MemoryUse.ReadWrite),
            Mnemonic.Xrstor or Mnemonic.Xrstor64 => (ExtendedState.XsaveSize, MemoryUse.Read),
            _ => (0, MemoryUse.None),
        };
        return size != 0;
    }

    /// <summary>x87 control instructions leave FOP, FIP and FDP alone (SDM vol. 1 §8.1.8).</summary>
    internal static bool IsX87(Code code)
    {
        foreach (CpuidFeature feature in code.CpuidFeatures())
        {
            if (feature is CpuidFeature.FPU or CpuidFeature.FPU287 or CpuidFeature.FPU387)
            {
                return true;
            }
        }

        return false;
    }
}
