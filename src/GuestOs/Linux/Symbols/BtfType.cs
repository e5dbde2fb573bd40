namespace GuestOs.Linux.Symbols;

/// <summary>Kinds of BTF types, by their numbers (include/uapi/linux/btf.h).</summary>
public enum BtfKind
{
    /// <summary>No type: id 0, and what cannot be read.</summary>
    Void,

    /// <summary>An integer, character or boolean.</summary>
    Int,

    /// <summary>A pointer.</summary>
    Pointer,

    /// <summary>An array.</summary>
    Array,

    /// <summary>A structure.</summary>
    Struct,

    /// <summary>A union.</summary>
    Union,

    /// <summary>An enumeration of 32-bit values.</summary>
    Enum,

    /// <summary>A structure or union known by name only.</summary>
    Forward,

    /// <summary>Another name for a type.</summary>
    Typedef,

    /// <summary>volatile.</summary>
    Volatile,

    /// <summary>const.</summary>
    Const,

    /// <summary>restrict.</summary>
    Restrict,

    /// <summary>A function by name.</summary>
    Function,

    /// <summary>What a function takes and returns.</summary>
    Prototype,

    /// <summary>A variable.</summary>
    Variable,

    /// <summary>The variables of a section.</summary>
    DataSection,

    /// <summary>A floating-point number.</summary>
    Float,

    /// <summary>An annotation of a declaration.</summary>
    DeclarationTag,

    /// <summary>An annotation of a type.</summary>
    TypeTag,

    /// <summary>An enumeration of 64-bit values.</summary>
    Enum64,
}

/// <summary>One type, as BTF describes it.</summary>
/// <param name="Id">Its number.</param>
/// <param name="Kind">What it is.</param>
/// <param name="Flag">kind_flag: bit-field members, union instead of struct, signed enumeration.</param>
/// <param name="Count">vlen: members, enumerators, parameters.</param>
/// <param name="Name">Place of its name among the strings.</param>
/// <param name="SizeOrType">Bytes, or the type it is made of, by kind.</param>
/// <param name="Data">Place of what follows, in the bytes of the BTF it is defined in.</param>
internal readonly record struct BtfType(int Id, BtfKind Kind, bool Flag, int Count, int Name, uint SizeOrType, int Data)
{
    /// <summary>A modifier or name that leaves a value's shape as it is.</summary>
    public bool IsTransparent => Kind is BtfKind.Typedef or BtfKind.Volatile or BtfKind.Const or BtfKind.Restrict or BtfKind.TypeTag;
}

/// <summary>One member of a structure or union.</summary>
/// <param name="Name">Place of its name among the strings; 0 when it has none.</param>
/// <param name="Type">Its type's id.</param>
/// <param name="BitOffset">Where it begins.</param>
/// <param name="BitSize">Its bits when it is a bit-field, else 0.</param>
internal readonly record struct BtfMember(int Name, int Type, long BitOffset, int BitSize)
{
    /// <summary>Where it begins, in bytes.</summary>
    public int Offset => (int)(BitOffset / 8);
}
