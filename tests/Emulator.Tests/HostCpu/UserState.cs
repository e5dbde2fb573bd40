using System.Runtime.InteropServices;

namespace Emulator.Tests.HostCpu;

/// <summary>What a user-level instruction can see and change besides memory.</summary>
[StructLayout(LayoutKind.Explicit, Size = 1024)]
internal unsafe struct UserState
{
    internal const int FxOffset = 256;

    /// <summary>The status flags and DF.</summary>
    internal const ulong UserFlags = 0xCD5;

    /// <summary>RFLAGS of user code besides those: IF and the bit that is always one.</summary>
    internal const ulong FixedFlags = 0x202;

    /// <summary>RAX RCX RDX RBX RSP RBP RSI RDI R8–R15.</summary>
    [FieldOffset(0)] internal fixed ulong Gpr[16];

    [FieldOffset(128)] internal ulong Rflags;

    /// <summary>Before: where the instruction is. After: where execution goes on.</summary>
    [FieldOffset(136)] internal ulong Rip;

    /// <summary>An FXSAVE64 image.</summary>
    [FieldOffset(FxOffset)] internal fixed byte Fx[512];

    [FieldOffset(FxOffset)] internal ushort Fcw;

    [FieldOffset(FxOffset + 2)] internal ushort Fsw;

    [FieldOffset(FxOffset + 4)] internal byte Ftw;

    [FieldOffset(FxOffset + 24)] internal uint Mxcsr;
}
