namespace Emulator.Tests.HostCpu.Sequences;

/// <summary>
/// A place where the host leaves a sequence: its end, or an instruction that always faults in the guest and that the host
/// never executes, because a jump stands there.
/// </summary>
/// <param name="Offset">Where, from the first byte of the sequence.</param>
/// <param name="Length">Bytes of the instruction.</param>
/// <param name="Vector">The exception the guest raises; −1 at the end.</param>
/// <param name="Error">Its error code.</param>
/// <param name="Address">What CR2 must show after a page fault.</param>
/// <param name="Undefined">Status flags the architecture leaves undefined here.</param>
/// <param name="Index">Instructions before it.</param>
internal readonly record struct SequenceExit(int Offset, int Length, int Vector, uint Error, ulong Address, ulong Undefined, int Index);

/// <param name="Offset">Where the instruction stands.</param>
/// <param name="Length">Its bytes.</param>
/// <param name="Droppable">Nothing the generator relied on later depends on it.</param>
internal readonly record struct SequenceItem(int Offset, int Length, bool Droppable);

/// <summary>Some instructions with everything they start from.</summary>
internal sealed class Sequence
{
    /// <summary>The most bytes of code.</summary>
    internal const int MaximumLength = 1024;

    internal ulong Seed;
    internal int Index;
    internal ulong Address;
    internal int Length;
    internal int Cpl;

    /// <summary>Which of the prepared memory contents it starts from.</summary>
    internal int DataVariant;

    /// <summary>No branch and no repeated string instruction: the count at its end is the number of its instructions.</summary>
    internal bool IsStraight;

    internal UserState State;
    internal readonly byte[] Code = new byte[MaximumLength + 16];
    internal readonly List<SequenceItem> Items = [];

    /// <summary>The faults in the order of their offsets, then the end.</summary>
    internal readonly List<SequenceExit> Exits = [];

    internal SequenceExit End => Exits[^1];

    internal ulong EndAddress => Address + (ulong)Length;
}
