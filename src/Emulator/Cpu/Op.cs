using System.Runtime.InteropServices;

namespace Emulator.Cpu;

/// <summary>What executing one operation led to.</summary>
public enum Step
{
    /// <summary>Retired; execution goes on behind it.</summary>
    Next = 0,

    /// <summary>Retired; <see cref="CpuState.Rip"/> says where execution goes on.</summary>
    Branch,

    /// <summary>Not retired: the fault in <see cref="CpuState.FaultVector"/> is to be delivered.</summary>
    Fault,

    /// <summary>One turn of a repeated instruction is done and counts; the instruction is not finished.</summary>
    Repeat,
}

/// <summary>
/// One decoded instruction, 64 bytes of native memory: the function that executes it and its operands, ready to use.
/// Registers are byte offsets into <see cref="CpuState"/>, so that AH is RAX's offset plus one.
/// </summary>
[StructLayout(LayoutKind.Explicit, Size = 64)]
public unsafe struct Op
{
    /// <summary>Executes the instruction.</summary>
    [FieldOffset(0)] public delegate*<CpuState*, Op*, Step> Run;

    /// <summary>Address of the instruction (its offset in the code segment).</summary>
    [FieldOffset(8)] public ulong Rip;

    /// <summary>Immediate, sign-extended; of a direct branch the target.</summary>
    [FieldOffset(16)] public ulong Imm;

    /// <summary>Displacement of the memory operand; RIP-relative ones are already absolute.</summary>
    [FieldOffset(24)] public long Disp;

    /// <summary>A thunk's entry, or whatever else the family needs.</summary>
    [FieldOffset(32)] public nint Data;

    /// <summary>Destination register.</summary>
    [FieldOffset(40)] public byte Dst;

    /// <summary>Source register.</summary>
    [FieldOffset(41)] public byte Src;

    /// <summary>Base register of the memory operand, or <see cref="CpuState.ZeroRegister"/>.</summary>
    [FieldOffset(42)] public byte Base;

    /// <summary>Index register of the memory operand, or <see cref="CpuState.ZeroRegister"/>.</summary>
    [FieldOffset(43)] public byte Index;

    /// <summary>log2 of the index's scale.</summary>
    [FieldOffset(44)] public byte Scale;

    /// <summary>64 minus the address size in bits.</summary>
    [FieldOffset(45)] public byte AddressShift;

    /// <summary>0 in 64-bit code, else 32: linear addresses wrap.</summary>
    [FieldOffset(46)] public byte LinearShift;

    /// <summary>Bytes of the instruction.</summary>
    [FieldOffset(47)] public byte Length;

    /// <summary>Byte offset in <see cref="CpuState"/> of the base of the segment the memory operand goes through.</summary>
    [FieldOffset(48)] public ushort SegmentBase;

    /// <summary>The segment register the memory operand names or implies.</summary>
    [FieldOffset(50)] public byte Segment;

    /// <summary>What else the decoder found out.</summary>
    [FieldOffset(51)] public OpFlags Flags;

    /// <summary>Iced's <c>Code</c> of the instruction.</summary>
    [FieldOffset(52)] public ushort Code;

    /// <summary>Bytes of the memory operand.</summary>
    [FieldOffset(54)] public byte MemorySize;

    /// <summary>Operand size in bytes.</summary>
    [FieldOffset(55)] public byte OperandSize;

    /// <summary>What a checking <see cref="Run"/> goes on to.</summary>
    [FieldOffset(56)] public delegate*<CpuState*, Op*, Step> Inner;

    /// <summary>Address of the instruction behind this one.</summary>
    public readonly ulong NextRip => Rip + Length;
}

/// <summary>Facts of an <see cref="Op"/> its family may need.</summary>
[Flags]
public enum OpFlags : byte
{
    /// <summary>None.</summary>
    None = 0,

    /// <summary>REP or REPE.</summary>
    Rep = 1,

    /// <summary>REPNE.</summary>
    Repne = 2,

    /// <summary>The memory operand is written.</summary>
    Writes = 4,

    /// <summary>The memory operand is read.</summary>
    Reads = 8,

    /// <summary>Ends its block.</summary>
    EndsBlock = 16,

    /// <summary>LOCK.</summary>
    Lock = 32,

    /// <summary>No instruction of this CPU: executing it only raises a fault.</summary>
    Undefined = 64,
}
