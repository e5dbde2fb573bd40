using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Emulator.Memory;

namespace Emulator.Cpu;

/// <summary>
/// All state of one virtual CPU that executing instructions touch: one blittable native block, so that emitted code
/// and C# see the same bytes. The general registers stand first, so that a register is a byte offset.
/// </summary>
[StructLayout(LayoutKind.Explicit, Size = StateSize)]
public unsafe struct CpuState
{
    /// <summary>Bytes to allocate, 64-byte aligned.</summary>
    public const int StateSize = 4096;

    /// <summary>Byte offset of a register that is always zero: named where an address has no base or no index.</summary>
    public const int ZeroRegister = 128;

    /// <summary>Byte offset of the segment table.</summary>
    public const int SegmentsOffset = 192;

    /// <summary>Byte offset of the FXSAVE image (SDM vol. 1 §10.5.1): x87/MMX at +32, XMM0–15 at +160, MXCSR at +24.</summary>
    public const int FxOffset = 512;

    internal const int Cr0Offset = 360, Cr2Offset = 368, Cr3Offset = 376, Cr4Offset = 384;

    internal const int VectorsReadyOffset = 501, VectorsKeptOffset = 502, BudgetOffset = 504;

    internal const int KernelGsBaseOffset = 2048, TscOffsetOffset = 2056, TscAuxOffset = 2064, CountBaseOffset = 2072, AttentionOffset = 2080;

    /// <summary>Byte offset of XMM0.</summary>
    public const int XmmOffset = FxOffset + 160;

    /// <summary>RAX RCX RDX RBX RSP RBP RSI RDI R8–R15: the ISA's encoding order.</summary>
    [FieldOffset(0)] public fixed ulong Gpr[16];

    /// <summary>Never written.</summary>
    [FieldOffset(ZeroRegister)] public readonly ulong Zero;

    /// <summary>Address of the next instruction to execute. Exact whenever the vCPU is outside a block.</summary>
    [FieldOffset(136)] public ulong Rip;

    /// <summary>RFLAGS with every flag materialised.</summary>
    [FieldOffset(144)] public ulong Rflags;

    /// <summary>Instructions retired since power-on: the machine's time in nanoseconds. Inside a block: the count at its start.</summary>
    [FieldOffset(152)] public ulong InstructionCount;

    /// <summary>Read translations of the current mode: <see cref="TlbEntry"/>[1024].</summary>
    [FieldOffset(160)] public TlbEntry* ReadTlb;

    /// <summary>Write translations of the current mode: only pages that may be written in place.</summary>
    [FieldOffset(168)] public TlbEntry* WriteTlb;

    /// <summary>GCHandle of the owning <see cref="Vcpu"/>.</summary>
    [FieldOffset(176)] public nint Owner;

    [FieldOffset(SegmentsOffset)] private fixed ulong segments[9 * 2];

    /// <summary>GDTR base.</summary>
    [FieldOffset(336)] public ulong GdtrBase;

    /// <summary>IDTR base.</summary>
    [FieldOffset(344)] public ulong IdtrBase;

    /// <summary>GDTR limit.</summary>
    [FieldOffset(352)] public ushort GdtrLimit;

    /// <summary>IDTR limit.</summary>
    [FieldOffset(354)] public ushort IdtrLimit;

    /// <summary>Current privilege level, 0–3.</summary>
    [FieldOffset(356)] public byte Cpl;

    /// <summary>True after HLT until an event wakes the vCPU.</summary>
    [FieldOffset(357)] public byte Halted;

    /// <summary>Interrupts held back for one instruction: 1 after STI, 2 after MOV SS / POP SS.</summary>
    [FieldOffset(358)] public byte InterruptShadow;

    /// <summary>CR0.</summary>
    [FieldOffset(Cr0Offset)] public ulong Cr0;

    /// <summary>CR2.</summary>
    [FieldOffset(Cr2Offset)] public ulong Cr2;

    /// <summary>CR3.</summary>
    [FieldOffset(Cr3Offset)] public ulong Cr3;

    /// <summary>CR4.</summary>
    [FieldOffset(Cr4Offset)] public ulong Cr4;

    /// <summary>IA32_EFER.</summary>
    [FieldOffset(392)] public ulong Efer;

    /// <summary>XCR0.</summary>
    [FieldOffset(400)] public ulong Xcr0;

    /// <summary>DR0–DR3, then DR6 and DR7 at [6] and [7].</summary>
    [FieldOffset(408)] public fixed ulong Dr[8];

    /// <summary>One past the last operation of the block being run; zero once something demands leaving after this instruction.</summary>
    [FieldOffset(472)] public Op* BlockEnd;

    /// <summary>First operation of the block being run: the place of an operation in its block gives the exact count.</summary>
    [FieldOffset(480)] public Op* BlockStart;

    /// <summary>The linear address of a page fault being raised.</summary>
    [FieldOffset(488)] public ulong FaultAddress;

    /// <summary>The error code of the fault being raised.</summary>
    [FieldOffset(496)] public uint FaultError;

    /// <summary>The vector of the fault being raised.</summary>
    [FieldOffset(500)] public byte FaultVector;

    /// <summary>1 while XMM registers may be used without a look at CR0, CR4 and MXCSR: set before translated code is entered.</summary>
    [FieldOffset(VectorsReadyOffset)] public byte VectorsReady;

    /// <summary>1 when translated code goes on in the middle of a block that uses XMM registers.</summary>
    [FieldOffset(VectorsKeptOffset)] public byte VectorsKept;

    /// <summary>Instructions translated code has left: when it was left, and when it is to go on.</summary>
    [FieldOffset(BudgetOffset)] public long Budget;

    /// <summary>The legacy floating-point and SSE state: FCW FSW FTW … MXCSR, ST/MM, XMM, as FXSAVE64 lays them out.</summary>
    [FieldOffset(FxOffset)] public fixed byte Fx[512];

    /// <summary>Scratch for thunks: memory operands and results.</summary>
    [FieldOffset(1024)] public fixed byte Scratch[1024];

    /// <summary>IA32_KERNEL_GS_BASE.</summary>
    [FieldOffset(KernelGsBaseOffset)] public ulong KernelGsBase;

    /// <summary>What is added to <see cref="InstructionCount"/> to give the time-stamp counter.</summary>
    [FieldOffset(TscOffsetOffset)] public ulong TscOffset;

    /// <summary>IA32_TSC_AUX.</summary>
    [FieldOffset(TscAuxOffset)] public ulong TscAux;

    /// <summary>While translated code runs: the exact count is this less what is left of its budget.</summary>
    [FieldOffset(CountBaseOffset)] public ulong CountBase;

    /// <summary>What the vCPU has to look at between two instructions; 0: nothing.</summary>
    [FieldOffset(AttentionOffset)] public int Attention;

    /// <summary>MXCSR inside the FXSAVE image.</summary>
    [FieldOffset(FxOffset + 24)] public uint Mxcsr;

    /// <summary>x87 control word inside the FXSAVE image.</summary>
    [FieldOffset(FxOffset)] public ushort Fcw;

    /// <summary>x87 status word inside the FXSAVE image.</summary>
    [FieldOffset(FxOffset + 2)] public ushort Fsw;

    /// <summary>A segment register by <see cref="SegmentIndex"/>.</summary>
    [UnscopedRef]
    public ref Segment Seg(int index) => ref Unsafe.As<ulong, Segment>(ref segments[index * 2]);
}
