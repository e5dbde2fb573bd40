using System.Runtime.InteropServices;

namespace Emulator.Cpu.Thunks;

/// <summary>What a thunk does with its memory operand.</summary>
internal enum MemoryUse : byte
{
    /// <summary>There is none.</summary>
    None,

    /// <summary>Reads all <see cref="Thunk.MemorySize"/> bytes.</summary>
    Read,

    /// <summary>Writes all of them; what stood there does not matter.</summary>
    Write,

    /// <summary>Needs what stands there and leaves all of it, changed or not, to be written.</summary>
    ReadWrite,
}

/// <summary>
/// Which checks of CR0, CR4 and XCR0 the caller makes before anything else. Source: SDM vol. 3A §2.5, §13.1, vol. 2
/// "Exceptions" of the instructions.
/// </summary>
internal enum ThunkClass : byte
{
    /// <summary>None: general registers only (CRC32, POPCNT, MOVNTI).</summary>
    General,

    /// <summary>#UD if CR0.EM or not CR4.OSFXSR; #NM if CR0.TS. Also conversions between XMM and MMX registers.</summary>
    Sse,

    /// <summary>#UD if CR0.EM; #NM if CR0.TS.</summary>
    Mmx,

    /// <summary>#NM if CR0.EM or CR0.TS. Also FXSAVE and FXRSTOR.</summary>
    X87,

    /// <summary>FWAIT: #NM if CR0.MP and CR0.TS.</summary>
    Wait,

    /// <summary>XSAVE and its family: #UD if not CR4.OSXSAVE; #NM if CR0.TS.</summary>
    Xsave,
}

/// <summary>How running a thunk ended.</summary>
internal enum ThunkOutcome
{
    /// <summary>Retired; the caller writes the memory operand if the thunk writes one.</summary>
    Done = 0,

    /// <summary>
    /// Retired, and nothing is written to memory: an x87 store met an unmasked exception, which is now pending
    /// (SDM vol. 1 §8.5: the destination of an unmasked exception other than #P is unchanged).
    /// </summary>
    DoneWithoutStore,

    /// <summary>#MF: an unmasked x87 exception is pending. Nothing changed. With CR0.NE clear it is FERR# (IRQ 13) instead.</summary>
    MathFault,

    /// <summary>#XM, or #UD if CR4.OSXMMEXCPT is clear. MXCSR's flags are set, nothing else changed.</summary>
    SimdFault,

    /// <summary>#GP(0): reserved bits of MXCSR, or a header XRSTOR refuses. Nothing changed.</summary>
    GeneralProtection,
}

/// <summary>What of a thunk the runners need to know.</summary>
[Flags]
internal enum ThunkTraits : byte
{
    None = 0,

    /// <summary>#MF comes first if an x87 exception is pending.</summary>
    Waits = 1,

    /// <summary>CF PF AF ZF SF OF are written.</summary>
    WritesFlags = 2,

    /// <summary>The first operand is an MMX register and is written: bits 64–79 of it become ones.</summary>
    WritesMmx = 4,

    /// <summary>An x87 instruction that is not a control instruction: FOP and FIP, and FDP if it has a memory operand, are set.</summary>
    SetsPointers = 8,

    /// <summary>An arithmetic result may be denormal and exact: matters while underflow is unmasked.</summary>
    CanUnderflow = 16,

    /// <summary>Elements of that result are binary64, else binary32.</summary>
    DoubleElements = 32,

    /// <summary>Only the lowest element is computed.</summary>
    LowElement = 64,

    /// <summary>The instruction belongs to 64-bit code: 16 XMM registers in an FXSAVE image.</summary>
    LongMode = 128,
}

/// <summary>
/// One shape of instruction (opcode, immediate, register or memory form) and how to run it, in native memory that lives
/// as long as its <see cref="ThunkCompiler"/>. Registers are not part of it: they come with each call.
/// </summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct Thunk
{
    /// <summary>
    /// Runs it: state, this thunk, <see cref="ThunkInfo.Operands"/>, the instruction's own address (offset in its code
    /// segment) and the offset of its memory operand in its segment (anything if it has none). See <see cref="ThunkCompiler"/>.
    /// </summary>
    internal delegate*<CpuState*, Thunk*, ulong, ulong, ulong, ThunkOutcome> Run;

    /// <summary>Emitted code, or 0 if <see cref="Run"/> computes by itself.</summary>
    internal nint Native;

    /// <summary>Bytes of the memory operand, 0 to 576.</summary>
    internal ushort MemorySize;

    /// <summary>1, 16 or 64: #GP(0) if the linear address of the memory operand is not a multiple.</summary>
    internal byte Alignment;

    /// <summary>What happens to the memory operand.</summary>
    internal MemoryUse Memory;

    /// <summary>Checks to make first.</summary>
    internal ThunkClass Class;

    internal ThunkTraits Traits;

    /// <summary>The caller raises #MF before it touches memory if <see cref="X87State.Pending"/>.</summary>
    internal readonly bool Waits => (Traits & ThunkTraits.Waits) != 0;
}

/// <summary>One instruction: its shape, and the registers it names.</summary>
internal readonly unsafe struct ThunkInfo(Thunk* thunk, ulong operands)
{
    /// <summary>How to run it.</summary>
    internal Thunk* Thunk { get; } = thunk;

    /// <summary>Byte offsets of operand 0 (bits 0–15) and operand 1 (16–31) in <see cref="CpuState"/>, FOP (32–42).</summary>
    internal ulong Operands { get; } = operands;
}
