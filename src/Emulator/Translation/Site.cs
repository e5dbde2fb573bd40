using System.Runtime.InteropServices;
using Emulator.Cpu;

namespace Emulator.Translation;

/// <summary>Why translated code was left.</summary>
internal enum SiteKind : byte
{
    /// <summary>The operation is to be run by the interpreter: it is not translated, or its access missed for good.</summary>
    Operation,

    /// <summary>Fewer instructions are left than the block has: nothing of it was run.</summary>
    Budget,

    /// <summary>The block wants XMM registers that the interpreter must look after: nothing of it was run.</summary>
    Vectors,

    /// <summary>A jump inside the page whose target was not translated yet.</summary>
    Link,

    /// <summary>A jump to an address the jump cache does not know; it stands in <see cref="CpuState.Rip"/>.</summary>
    Jump,
}

/// <summary>One place where translated code can be left, and what is known there without looking.</summary>
[StructLayout(LayoutKind.Explicit, Size = 32)]
internal unsafe struct Site
{
    internal const int ResumeOffset = 16;

    /// <summary>The block it belongs to.</summary>
    [FieldOffset(0)] internal Block* Block;

    /// <summary>Where a link leads.</summary>
    [FieldOffset(8)] internal ulong Target;

    /// <summary>Where an access goes on once its translation is there; of a link the displacement to patch.</summary>
    [FieldOffset(ResumeOffset)] internal uint Resume;

    /// <summary>The operation's place in its block.</summary>
    [FieldOffset(20)] internal ushort Index;

    /// <summary>Bytes of the access, 0 where there is none.</summary>
    [FieldOffset(22)] internal byte Size;

    /// <summary>1 if the access writes.</summary>
    [FieldOffset(23)] internal byte Writes;

    /// <summary>Of a link the code that leaves here, where it leads while its target is not known.</summary>
    [FieldOffset(20)] internal uint Exit;

    [FieldOffset(24)] internal SiteKind Kind;

    /// <summary>Of a link that leads to a block the address of the next such.</summary>
    [FieldOffset(28)] internal uint Next;
}
