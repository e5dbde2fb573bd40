using Iced.Intel;

namespace Emulator.Tests.HostCpu;

/// <summary>
/// The opcodes x86-64-v2 offers to 64-bit user code and that can be executed natively anywhere: what depends on the
/// operating system, on descriptors, on devices or on time is left out.
/// </summary>
internal static class OfferedCodes
{
    internal static IReadOnlyList<Code> All { get; } = [.. Enum.GetValues<Code>().Where(IsOffered)];

    /// <summary>Waiting x87 and MMX instructions: a pending exception would fault.</summary>
    internal static bool WaitsForX87(Code code)
    {
        OpCodeInfo info = code.ToOpCode();
        return code == Code.Wait || (!info.IsFpuNoWait && (IsX87(code) || UsesMmx(info)));
    }

    internal static bool IsX87(Code code) =>
        code.CpuidFeatures().Any(feature => feature is CpuidFeature.FPU or CpuidFeature.FPU287 or CpuidFeature.FPU387);

    private static bool UsesMmx(OpCodeInfo info) =>
        info.Mnemonic == Mnemonic.Emms || Kinds(info).Any(kind => kind is OpCodeOperandKind.mm_reg or OpCodeOperandKind.mm_rm or OpCodeOperandKind.mm_or_mem);

    internal static IEnumerable<OpCodeOperandKind> Kinds(OpCodeInfo info) => Enumerable.Range(0, info.OpCount).Select(info.GetOpKind);

    private static bool IsOffered(Code code)
    {
        OpCodeInfo info = code.ToOpCode();
        return info is { IsInstruction: true, Encoding: EncodingKind.Legacy, Mode64: true, IntelDecoder64: true, Cpl3: true }
            && info is { IsPrivileged: false, IsInputOutput: false, IsReservedNop: false, Fwait: false, DecoderOption: DecoderOptions.None }
            && code.CpuidFeatures().All(IsOffered)
            && code.FlowControl() is not (FlowControl.Interrupt or FlowControl.Exception or FlowControl.XbeginXabortXend)
            && !DependsOnTheSystem(info.Mnemonic)
            && Kinds(info).All(kind => kind is not (OpCodeOperandKind.seg_reg or OpCodeOperandKind.fs or OpCodeOperandKind.gs
                or OpCodeOperandKind.cr_reg or OpCodeOperandKind.dr_reg or OpCodeOperandKind.br16_1 or OpCodeOperandKind.br32_1))
            && !code.IsJmpFarIndirect() && !code.IsCallFarIndirect();
    }

    private static bool IsOffered(CpuidFeature feature) => feature is
        CpuidFeature.INTEL8086 or CpuidFeature.INTEL186 or CpuidFeature.INTEL286 or CpuidFeature.INTEL386 or CpuidFeature.INTEL486
        or CpuidFeature.X64 or CpuidFeature.CMOV or CpuidFeature.MULTIBYTENOP or CpuidFeature.CX8 or CpuidFeature.CMPXCHG16B
        or CpuidFeature.FPU or CpuidFeature.FPU287 or CpuidFeature.FPU387 or CpuidFeature.FXSR
        or CpuidFeature.MMX or CpuidFeature.SSE or CpuidFeature.SSE2 or CpuidFeature.SSE3 or CpuidFeature.SSSE3
        or CpuidFeature.SSE4_1 or CpuidFeature.SSE4_2 or CpuidFeature.POPCNT or CpuidFeature.PAUSE;

    private static bool DependsOnTheSystem(Mnemonic mnemonic) => mnemonic is
        Mnemonic.Syscall or Mnemonic.Sysenter or Mnemonic.Sysexit or Mnemonic.Sysexitq or Mnemonic.Sysret or Mnemonic.Sysretq
        or Mnemonic.Iret or Mnemonic.Iretd or Mnemonic.Iretq or Mnemonic.Retf
        or Mnemonic.Sgdt or Mnemonic.Sidt or Mnemonic.Sldt or Mnemonic.Str or Mnemonic.Smsw
        or Mnemonic.Lar or Mnemonic.Lsl or Mnemonic.Verr or Mnemonic.Verw or Mnemonic.Lfs or Mnemonic.Lgs or Mnemonic.Lss
        or Mnemonic.Cpuid or Mnemonic.Cli or Mnemonic.Sti or Mnemonic.Int1 or Mnemonic.Int3 or Mnemonic.Int or Mnemonic.Hlt
        or Mnemonic.Ud0 or Mnemonic.Ud1 or Mnemonic.Ud2;
}
