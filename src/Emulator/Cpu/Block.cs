using System.Runtime.InteropServices;

namespace Emulator.Cpu;

/// <summary>A run of decoded instructions inside one physical page that ends at control flow, at the page's end, or where it must be left.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct Block
{
    /// <summary>Another block of the same bucket.</summary>
    internal Block* NextInBucket;

    /// <summary>Offset of the first instruction in its code segment.</summary>
    internal ulong Rip;

    /// <summary>Base of the code segment it was decoded for.</summary>
    internal ulong CsBase;

    /// <summary>Physical page number.</summary>
    internal ulong PhysicalPage;

    /// <summary>What of the CPU's mode decoding depended on.</summary>
    internal CodeMode Mode;

    /// <summary>Operations.</summary>
    internal ushort Count;

    /// <summary>False once its bytes were written.</summary>
    internal byte Valid;

    /// <summary>True when a debugger's breakpoint is on its first instruction.</summary>
    internal byte Breakpoint;

    /// <summary>Translated code; 0 if there is none.</summary>
    internal nint Code;

    // What follows is looked at more seldom.

    /// <summary>The 64-byte granules of the page it was decoded from.</summary>
    internal ulong Granules;

    /// <summary>The next block of the same page.</summary>
    internal Block* NextInPage;

    /// <summary>The operations; null if nobody wanted them since the block was translated.</summary>
    internal Op* Ops;

    /// <summary>A copy of the bytes it was decoded from.</summary>
    internal byte* Bytes;

    /// <summary>Of an instruction that crosses into another page what stands for it there, and the other way round; else null.</summary>
    internal Block* Other;

    /// <summary>How many bytes there are.</summary>
    internal ushort Size;

    /// <summary>Address of the first <see cref="Translation.Site"/> that leads straight to the translated code.</summary>
    internal uint Links;
}

/// <summary>What of the CPU's mode decoding depends on.</summary>
[Flags]
internal enum CodeMode
{
    /// <summary>16-bit code.</summary>
    Bits16 = 0,

    /// <summary>CS.D: 32-bit code.</summary>
    Bits32 = 1,

    /// <summary>CS.L in long mode: 64-bit code.</summary>
    Bits64 = 2,

    /// <summary>CR0.PE without EFLAGS.VM.</summary>
    Protected = 4,

    /// <summary>Memory operands need segment checks: some data segment is not flat.</summary>
    Checked = 8,

    /// <summary>Data is accessed with the rights of <see cref="AccessMode.Supervisor"/>: translated code has its tables built in.</summary>
    Supervisor = 16,

    /// <summary>Data is accessed with the rights of <see cref="AccessMode.SupervisorUnchecked"/>.</summary>
    Unchecked = 32,
}
