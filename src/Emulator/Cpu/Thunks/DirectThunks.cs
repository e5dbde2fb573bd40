using Iced.Intel;

namespace Emulator.Cpu.Thunks;

/// <summary>Which instructions have a C# function of their own instead of emitted code.</summary>
internal static unsafe class DirectThunks
{
    /// <summary>Null: none. Register and memory forms may differ.</summary>
    internal static delegate*<CpuState*, Thunk*, ulong, ulong, ulong, ThunkOutcome> Find(Code code, bool memory) => code switch
    {
        Code.Movaps_xmm_xmmm128 or Code.Movapd_xmm_xmmm128 or Code.Movups_xmm_xmmm128 or Code.Movupd_xmm_xmmm128
            or Code.Movdqa_xmm_xmmm128 or Code.Movdqu_xmm_xmmm128 or Code.Lddqu_xmm_m128 or Code.Movntdqa_xmm_m128
            or Code.Movaps_xmmm128_xmm or Code.Movapd_xmmm128_xmm or Code.Movups_xmmm128_xmm or Code.Movupd_xmmm128_xmm
            or Code.Movdqa_xmmm128_xmm or Code.Movdqu_xmmm128_xmm
            or Code.Movntps_m128_xmm or Code.Movntpd_m128_xmm or Code.Movntdq_m128_xmm => &VectorMoves.Move128,
        Code.Movss_xmm_xmmm32 => memory ? &VectorMoves.Load32 : &VectorMoves.Move32,
        Code.Movss_xmmm32_xmm => &VectorMoves.Move32,
        Code.Movsd_xmm_xmmm64 => memory ? &VectorMoves.Load64 : &VectorMoves.Move64,
        Code.Movsd_xmmm64_xmm => &VectorMoves.Move64,
        Code.Movq_xmm_xmmm64 or Code.Movq_xmm_rm64 => &VectorMoves.Load64,
        Code.Movq_xmmm64_xmm => memory ? &VectorMoves.Move64 : &VectorMoves.Load64,
        Code.Movd_xmm_rm32 => &VectorMoves.Load32,
        Code.Movd_rm32_xmm => memory ? &VectorMoves.Move32 : &VectorMoves.ToGeneral32,
        Code.Movq_rm64_xmm or Code.Movnti_m64_r64 => &VectorMoves.Move64,
        Code.Movnti_m32_r32 => &VectorMoves.Move32,
        Code.Movlps_xmm_m64 or Code.Movlpd_xmm_m64 or Code.Movlps_m64_xmm or Code.Movlpd_m64_xmm => &VectorMoves.Move64,
        Code.Movhps_xmm_m64 or Code.Movhpd_xmm_m64 or Code.Movlhps_xmm_xmm => &VectorMoves.LowToHigh,
        Code.Movhps_m64_xmm or Code.Movhpd_m64_xmm or Code.Movhlps_xmm_xmm => &VectorMoves.HighToLow,
        Code.Movntq_m64_mm => &VectorMoves.StoreMmx,
        Code.Maskmovdqu_rDI_xmm_xmm => &VectorMoves.MaskedStore128,
        Code.Maskmovq_rDI_mm_mm => &VectorMoves.MaskedStore64,
        Code.Pmovmskb_r32_xmm or Code.Pmovmskb_r64_xmm => &VectorMoves.MaskOfBytes,

        Code.Pand_xmm_xmmm128 or Code.Andps_xmm_xmmm128 or Code.Andpd_xmm_xmmm128 => &VectorOperations.Run<VectorOperations.And>,
        Code.Pandn_xmm_xmmm128 or Code.Andnps_xmm_xmmm128 or Code.Andnpd_xmm_xmmm128 => &VectorOperations.Run<VectorOperations.AndNot>,
        Code.Por_xmm_xmmm128 or Code.Orps_xmm_xmmm128 or Code.Orpd_xmm_xmmm128 => &VectorOperations.Run<VectorOperations.Or>,
        Code.Pxor_xmm_xmmm128 or Code.Xorps_xmm_xmmm128 or Code.Xorpd_xmm_xmmm128 => &VectorOperations.Run<VectorOperations.Xor>,
        Code.Paddb_xmm_xmmm128 => &VectorOperations.Run<VectorOperations.Add<byte>>,
        Code.Paddw_xmm_xmmm128 => &VectorOperations.Run<VectorOperations.Add<ushort>>,
        Code.Paddd_xmm_xmmm128 => &VectorOperations.Run<VectorOperations.Add<uint>>,
        Code.Paddq_xmm_xmmm128 => &VectorOperations.Run<VectorOperations.Add<ulong>>,
        Code.Psubb_xmm_xmmm128 => &VectorOperations.Run<VectorOperations.Subtract<byte>>,
        Code.Psubw_xmm_xmmm128 => &VectorOperations.Run<VectorOperations.Subtract<ushort>>,
        Code.Psubd_xmm_xmmm128 => &VectorOperations.Run<VectorOperations.Subtract<uint>>,
        Code.Psubq_xmm_xmmm128 => &VectorOperations.Run<VectorOperations.Subtract<ulong>>,
        Code.Pcmpeqb_xmm_xmmm128 => &VectorOperations.Run<VectorOperations.CompareEqual<byte>>,
        Code.Pcmpeqw_xmm_xmmm128 => &VectorOperations.Run<VectorOperations.CompareEqual<ushort>>,
        Code.Pcmpeqd_xmm_xmmm128 => &VectorOperations.Run<VectorOperations.CompareEqual<uint>>,
        Code.Pcmpgtb_xmm_xmmm128 => &VectorOperations.Run<VectorOperations.CompareGreater<sbyte>>,
        Code.Pcmpgtw_xmm_xmmm128 => &VectorOperations.Run<VectorOperations.CompareGreater<short>>,
        Code.Pcmpgtd_xmm_xmmm128 => &VectorOperations.Run<VectorOperations.CompareGreater<int>>,
        Code.Pminub_xmm_xmmm128 => &VectorOperations.Run<VectorOperations.Minimum<byte>>,
        Code.Pmaxub_xmm_xmmm128 => &VectorOperations.Run<VectorOperations.Maximum<byte>>,
        Code.Punpcklbw_xmm_xmmm128 => &VectorOperations.Run<VectorOperations.UnpackLowBytes>,
        Code.Punpcklwd_xmm_xmmm128 => &VectorOperations.Run<VectorOperations.UnpackLowWords>,
        Code.Punpckldq_xmm_xmmm128 or Code.Unpcklps_xmm_xmmm128 => &VectorOperations.Run<VectorOperations.UnpackLowDoublewords>,
        Code.Punpcklqdq_xmm_xmmm128 or Code.Unpcklpd_xmm_xmmm128 => &VectorOperations.Run<VectorOperations.UnpackLowQuadwords>,
        Code.Punpckhqdq_xmm_xmmm128 or Code.Unpckhpd_xmm_xmmm128 => &VectorOperations.Run<VectorOperations.UnpackHighQuadwords>,

        Code.Wait => &X87Control.Wait,
        Code.Emms => &X87Control.Emms,
        Code.Fninit => &X87Control.Fninit,
        Code.Fnclex => &X87Control.Fnclex,
        Code.Fneni or Code.Fndisi or Code.Fnsetpm => &X87Control.Nothing,
        Code.Fnstsw_AX or Code.Fnstsw_m2byte => &X87Control.Fnstsw,
        Code.Fnstcw_m2byte => &X87Control.Fnstcw,
        Code.Fldcw_m2byte => &X87Control.Fldcw,
        Code.Fnstenv_m14byte or Code.Fnstenv_m28byte => &X87Control.Fnstenv,
        Code.Fldenv_m14byte or Code.Fldenv_m28byte => &X87Control.Fldenv,
        Code.Fnsave_m94byte or Code.Fnsave_m108byte => &X87Control.Fnsave,
        Code.Frstor_m94byte or Code.Frstor_m108byte => &X87Control.Frstor,
        Code.Ldmxcsr_m32 => &ExtendedState.Ldmxcsr,
        Code.Stmxcsr_m32 => &ExtendedState.Stmxcsr,
        Code.Fxsave_m512byte => &ExtendedState.Fxsave,
        Code.Fxsave64_m512byte => &ExtendedState.Fxsave64,
        Code.Fxrstor_m512byte => &ExtendedState.Fxrstor,
        Code.Fxrstor64_m512byte => &ExtendedState.Fxrstor64,
        Code.Xsave_mem or Code.Xsaveopt_mem => &ExtendedState.Xsave,
        Code.Xsave64_mem or Code.Xsaveopt64_mem => &ExtendedState.Xsave64,
        Code.Xrstor_mem => &ExtendedState.Xrstor,
        Code.Xrstor64_mem => &ExtendedState.Xrstor64,
        _ => null,
    };
}
