namespace GuestOs.Linux.Symbols;

/// <summary>What a frame's or a saved register's place is counted from.</summary>
internal enum OrcBase : byte
{
    /// <summary>Not known.</summary>
    Undefined,

    /// <summary>The caller's stack pointer, which is this frame's CFA.</summary>
    PreviousSp,

    /// <summary>RSP.</summary>
    Sp,

    /// <summary>RBP.</summary>
    Bp,

    /// <summary>What RSP points at, then the offset.</summary>
    SpIndirect,

    /// <summary>What stands at RBP plus the offset.</summary>
    BpIndirect,

    /// <summary>RAX itself.</summary>
    Ax,

    /// <summary>RDX itself.</summary>
    Dx,

    /// <summary>RDI itself.</summary>
    Di,

    /// <summary>R10 itself.</summary>
    R10,

    /// <summary>R13 itself.</summary>
    R13,
}

/// <summary>What stands at a frame's CFA.</summary>
internal enum OrcKind : byte
{
    /// <summary>Nothing is known of this place: data, padding, or code that never returns.</summary>
    Undefined,

    /// <summary>The first frame of all: nobody called it.</summary>
    EndOfStack,

    /// <summary>Below it, the return address.</summary>
    Call,

    /// <summary>At it, all registers (struct pt_regs).</summary>
    Registers,

    /// <summary>At it, the five words the CPU pushed.</summary>
    InterruptFrame,
}

/// <summary>One row of ORC: how to get from an instruction to its caller (arch/x86/include/asm/orc_types.h).</summary>
/// <param name="Sp">What the CFA is counted from.</param>
/// <param name="SpOffset">Bytes to it.</param>
/// <param name="Bp">Where the caller's RBP is kept; <see cref="OrcBase.Undefined"/> when it was not touched.</param>
/// <param name="BpOffset">Bytes to it.</param>
/// <param name="Kind">What stands at the CFA.</param>
/// <param name="Signal">The caller was interrupted: its next instruction has not begun.</param>
internal readonly record struct OrcRow(OrcBase Sp, short SpOffset, OrcBase Bp, short BpOffset, OrcKind Kind, bool Signal);
