namespace Emulator.Translation;

/// <summary>How status flags came about: what was computed of which operands.</summary>
internal enum FlagsKind : byte
{
    /// <summary>Unknown: only the host's own flags have them.</summary>
    None,

    /// <summary>AND, OR, XOR, TEST of a value with itself, CMP with 0: A is the result.</summary>
    Logic,

    /// <summary>CMP of A with B.</summary>
    Compare,

    /// <summary>TEST of A with B.</summary>
    Test,

    /// <summary>A is the sum of something and B.</summary>
    Add,

    /// <summary>A is something less B.</summary>
    Subtract,

    /// <summary>A is the negative of something.</summary>
    Negate,

    /// <summary>A is the result of INC; CF is as it was before.</summary>
    Increment,

    /// <summary>A is the result of DEC; CF is as it was before.</summary>
    Decrement,
}

/// <summary>Where an operand of a <see cref="FlagsRecipe"/> is.</summary>
internal enum Place : byte
{
    Nowhere,

    /// <summary>A guest register, unchanged since.</summary>
    Register,

    Constant,

    /// <summary>In its slot of the frame already.</summary>
    Slot,
}

/// <summary>What flags can be made of once more, while the operands are where they were.</summary>
internal struct FlagsRecipe
{
    internal FlagsKind Kind;

    /// <summary>Bytes of the operation.</summary>
    internal byte Size;

    internal Place PlaceOfA, PlaceOfB;

    /// <summary>A guest register's number or a constant.</summary>
    internal int A, B;

    /// <summary>INC and DEC leave CF to what was there before.</summary>
    internal readonly bool KeepsCarry => Kind >= FlagsKind.Increment;

    internal readonly bool Uses(int registers) =>
        (PlaceOfA == Place.Register && (registers >> A & 1) != 0) || (PlaceOfB == Place.Register && (registers >> B & 1) != 0);
}
