using Iced.Intel;

namespace Emulator.Cpu;

/// <summary>
/// Which instruction set extensions exist: x86-64-v2 and what its CPUs had beside it. CPUID's bits and the decoder's
/// verdict both come from here, so that no bit lacks its instructions and no instruction its bit.
/// </summary>
internal static class CpuFeatures
{
    private static readonly bool[] Offered = Build();

    /// <summary>Whether this CPU executes the instruction at all.</summary>
    internal static bool Offers(in Instruction instruction)
    {
        if (ReadsAsHint(instruction.Mnemonic))
        {
            return true;
        }

        foreach (CpuidFeature feature in instruction.CpuidFeatures)
        {
            if (!Offered[(int)feature])
            {
                return false;
            }
        }

        return true;
    }

    /// <summary>Encodings that older CPUs run as a hint or as the instruction they extend.</summary>
    private static bool ReadsAsHint(Mnemonic mnemonic) => mnemonic is Mnemonic.Endbr64 or Mnemonic.Endbr32 or Mnemonic.Tzcnt
        or Mnemonic.Lzcnt or Mnemonic.Wbnoinvd or Mnemonic.Rdsspd or Mnemonic.Rdsspq or Mnemonic.Cldemote or Mnemonic.Prefetchw
        or Mnemonic.Prefetch or Mnemonic.Prefetchwt1 or Mnemonic.Reservednop or Mnemonic.Prefetchit0 or Mnemonic.Prefetchit1;

    private static bool[] Build()
    {
        CpuidFeature[] features =
        [
            CpuidFeature.INTEL8086, CpuidFeature.INTEL8086_ONLY, CpuidFeature.INTEL186, CpuidFeature.INTEL286, CpuidFeature.INTEL386,
            CpuidFeature.INTEL486, CpuidFeature.X64, CpuidFeature.CPUID, CpuidFeature.CMOV, CpuidFeature.CX8, CpuidFeature.CMPXCHG16B,
            CpuidFeature.FPU, CpuidFeature.FPU287, CpuidFeature.FPU387, CpuidFeature.FXSR, CpuidFeature.MMX,
            CpuidFeature.SSE, CpuidFeature.SSE2, CpuidFeature.SSE3, CpuidFeature.SSSE3, CpuidFeature.SSE4_1, CpuidFeature.SSE4_2,
            CpuidFeature.POPCNT, CpuidFeature.TSC, CpuidFeature.RDTSCP, CpuidFeature.MSR, CpuidFeature.SEP, CpuidFeature.SYSCALL,
            CpuidFeature.SMAP, CpuidFeature.FSGSBASE, CpuidFeature.XSAVE, CpuidFeature.RDRAND, CpuidFeature.MULTIBYTENOP,
            CpuidFeature.PAUSE, CpuidFeature.CLFSH, CpuidFeature.RDPMC,
        ];
        bool[] offered = new bool[1024];
        foreach (CpuidFeature feature in features)
        {
            offered[(int)feature] = true;
        }

        return offered;
    }
}
