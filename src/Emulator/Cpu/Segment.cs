using System.Runtime.InteropServices;

namespace Emulator.Cpu;

/// <summary>
/// A segment register with its hidden part, in the layout emitted code reads (16 bytes).
/// Source: Intel SDM vol. 3A §3.4.3 "Segment Registers"; the attribute word is the one of vol. 3C §24.4.1.
/// </summary>
[StructLayout(LayoutKind.Sequential)]
public struct Segment
{
    /// <summary>The visible selector.</summary>
    public ushort Selector;

    /// <summary>Bits 0–3 type, 4 S, 5–6 DPL, 7 present, 12 AVL, 13 L, 14 D/B, 15 G; 0 when the segment is null.</summary>
    public ushort Attributes;

    /// <summary>Highest valid offset in bytes, granularity already applied.</summary>
    public uint Limit;

    /// <summary>Linear base address.</summary>
    public ulong Base;

    /// <summary>Descriptor type field (4 bits).</summary>
    public readonly int Type => Attributes & 15;

    /// <summary>Descriptor privilege level.</summary>
    public readonly int Dpl => (Attributes >> 5) & 3;

    /// <summary>The P bit.</summary>
    public readonly bool Present => (Attributes & 0x80) != 0;

    /// <summary>The L bit: 64-bit code.</summary>
    public readonly bool Long => (Attributes & 0x2000) != 0;

    /// <summary>The D/B bit: 32-bit operands, or a 32-bit stack pointer.</summary>
    public readonly bool Big => (Attributes & 0x4000) != 0;
}

/// <summary>Numbers of the entries of <see cref="CpuState"/>'s segment table: the encoding order of the ISA, then LDTR and TR.</summary>
public static class SegmentIndex
{
    /// <summary>ES.</summary>
    public const int Es = 0;

    /// <summary>CS.</summary>
    public const int Cs = 1;

    /// <summary>SS.</summary>
    public const int Ss = 2;

    /// <summary>DS.</summary>
    public const int Ds = 3;

    /// <summary>FS.</summary>
    public const int Fs = 4;

    /// <summary>GS.</summary>
    public const int Gs = 5;

    /// <summary>LDTR.</summary>
    public const int Ldtr = 6;

    /// <summary>TR.</summary>
    public const int Tr = 7;

    /// <summary>Always base 0: what 64-bit code uses where CS, DS, ES or SS is meant.</summary>
    public const int Flat = 8;
}
