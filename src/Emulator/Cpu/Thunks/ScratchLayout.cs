using System.Runtime.CompilerServices;

namespace Emulator.Cpu.Thunks;

/// <summary>
/// How thunks divide <see cref="CpuState.Scratch"/>. The memory operand stands at its start; emitted code has operands
/// of at most 16 bytes there, so its own slots may overlap what FXSAVE and XSAVE (which are C#) use.
/// </summary>
internal static class ScratchLayout
{
    /// <summary>Offset of <see cref="CpuState.Scratch"/> in the state.</summary>
    internal const int Start = 1024;

    /// <summary>The runtime's MXCSR while the guest's is loaded.</summary>
    internal const int HostMxcsr = Start + 256;

    /// <summary>The MXCSR a thunk runs with: the guest's, flags clear and everything masked; afterwards with its flags.</summary>
    internal const int ThunkMxcsr = Start + 260;

    /// <summary>RFLAGS the instruction left.</summary>
    internal const int Flags = Start + 264;

    /// <summary>The runtime's x87 control word.</summary>
    internal const int HostFcw = Start + 272;

    /// <summary>FXSAVE image after an x87 instruction: 512 bytes.</summary>
    internal const int FxResult = Start + 512;

    /// <summary>CF PF AF ZF SF OF.</summary>
    internal const uint StatusFlags = 0x8D5;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static unsafe byte* Operand0(CpuState* state, ulong operands) => (byte*)state + (ushort)operands;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static unsafe byte* Operand1(CpuState* state, ulong operands) => (byte*)state + (ushort)(operands >> 16);
}
