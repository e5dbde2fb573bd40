namespace GuestOs.Linux.Symbols.Elf;

/// <summary>
/// Writes the types of one BTF as debugging entries. References to what comes later are filled in at the end. Circles are
/// cut (<see cref="TypeCheck"/>), and members that lie outside of their structure are left out.
/// </summary>
internal sealed class TypeWriter
{
    // DWARF 4, chapter 7.8.
    private const byte Boolean = 2, FloatingPoint = 4, SignedInteger = 5, SignedCharacter = 6, UnsignedInteger = 7, UnsignedCharacter = 8;
    private const int MaxBaseBytes = 32;

    private readonly ByteBuffer info;
    private readonly TypeWriter? below;
    private readonly int stringsAt;
    private readonly int noName;
    private readonly TypeCheck check;
    private readonly int[] places;
    private readonly List<(int At, int Type)> open = [];
    private uint voidAt;
    private int lost;

    public TypeWriter(Btf types, ByteBuffer info, TypeWriter? below, int stringsAt, int noName)
    {
        Types = types;
        this.info = info;
        this.below = below;
        this.stringsAt = stringsAt;
        this.noName = noName;
        check = new TypeCheck(types);
        places = new int[types.Count - types.FirstId];
    }

    public Btf Types { get; }

    /// <summary>Writes all types into the unit that has been begun.</summary>
    public void Write(ProblemLog problems, string what)
    {
        voidAt = (uint)info.Length;
        info.U8(DwarfAbbreviations.Void);
        info.Text("void"u8);
        for (int id = Types.FirstId; id < Types.Count; id++)
        {
            if (info.Length >= DwarfWriter.MaxBytes)
            {
                break;
            }

            Write(Types[id]);
        }

        foreach ((int at, int type) in open)
        {
            info.Patch32(at, PlaceOf(type));
        }

        open.Clear();
        if (check.Cuts > 0)
        {
            problems.Add($"{what}: {check.Cuts} types are made of themselves");
        }

        if (lost > 0)
        {
            problems.Add($"{what}: {lost} members lie outside of their structures");
        }
    }

    /// <summary>The type that a reference leads to, past annotations; 0 for none, and for one that must not be followed.</summary>
    public int Target(in BtfType from, int edge, int id)
    {
        if (check.IsCut(from.Id, edge))
        {
            return 0;
        }

        for (int depth = 0; depth < TypeCheck.MaxDepth; depth++)
        {
            BtfType type = Types[id];
            switch (type.Kind)
            {
                case BtfKind.TypeTag:
                    id = Types.Id(type.SizeOrType);
                    break;
                case BtfKind.Void or BtfKind.Function or BtfKind.Variable or BtfKind.DataSection or BtfKind.DeclarationTag:
                    return 0;
                default:
                    return id;
            }
        }

        return 0;
    }

    /// <summary>Writes a reference; to "void" for 0.</summary>
    public void Refer(int type)
    {
        uint place = type == 0 ? voidAt : KnownPlaceOf(type);
        if (place == 0)
        {
            open.Add((info.Length, type));
        }

        info.U32(place);
    }

    /// <summary>Where a type stands; "void" for one that was not written.</summary>
    public uint PlaceOf(int type) => KnownPlaceOf(type) is not 0 and var place ? place : voidAt;

    /// <summary>A name's place among all strings.</summary>
    public uint NameOf(int name) => (uint)(name == 0 || Types.Name(name).IsEmpty ? noName : name < Types.FirstString ? name : name - Types.FirstString + stringsAt);

    private uint KnownPlaceOf(int type) =>
        type >= Types.FirstId ? (uint)places[type - Types.FirstId] : below is not null && type > 0 ? below.KnownPlaceOf(type) : 0;

    private void Write(in BtfType type)
    {
        places[type.Id - Types.FirstId] = info.Length;
        switch (type.Kind)
        {
            case BtfKind.Int:
                WriteBase(type, Encoding(type));
                break;
            case BtfKind.Float:
                WriteBase(type, FloatingPoint);
                break;
            case BtfKind.Pointer:
                int pointed = Target(type, 0, Types.Id(type.SizeOrType));
                info.U8(pointed == 0 ? DwarfAbbreviations.PointerToVoid : DwarfAbbreviations.Pointer);
                info.U8(8);
                ReferUnlessVoid(pointed);
                break;
            case BtfKind.Typedef:
                int named = Target(type, 0, Types.Id(type.SizeOrType));
                info.U8(named == 0 ? DwarfAbbreviations.TypedefOfVoid : DwarfAbbreviations.Typedef);
                info.U32(NameOf(type.Name));
                ReferUnlessVoid(named);
                break;
            case BtfKind.Const:
                WriteModifier(type, DwarfAbbreviations.Const, DwarfAbbreviations.ConstVoid);
                break;
            case BtfKind.Volatile:
                WriteModifier(type, DwarfAbbreviations.Volatile, DwarfAbbreviations.VolatileVoid);
                break;
            case BtfKind.Restrict:
                info.U8(DwarfAbbreviations.Restrict);
                Refer(Target(type, 0, Types.Id(type.SizeOrType)));
                break;
            case BtfKind.Array:
                WriteArray(type);
                break;
            case BtfKind.Struct:
                WriteStruct(type, DwarfAbbreviations.Struct, DwarfAbbreviations.EmptyStruct);
                break;
            case BtfKind.Union:
                WriteStruct(type, DwarfAbbreviations.Union, DwarfAbbreviations.EmptyUnion);
                break;
            case BtfKind.Forward:
                info.U8(type.Flag ? DwarfAbbreviations.UnionDeclaration : DwarfAbbreviations.StructDeclaration);
                info.U32(NameOf(type.Name));
                break;
            case BtfKind.Enum or BtfKind.Enum64:
                WriteEnumeration(type);
                break;
            case BtfKind.Prototype:
                WritePrototype(type);
                break;
            default:
                places[type.Id - Types.FirstId] = 0;
                break;
        }
    }

    private byte Encoding(in BtfType type)
    {
        uint encoding = (Types.IntData(type) >> 24) & 0xF;
        ReadOnlySpan<byte> name = Types.Name(type.Name);
        return (encoding & 4) != 0 ? Boolean
            : name.SequenceEqual("char"u8) || name.SequenceEqual("signed char"u8) ? SignedCharacter
            : type.SizeOrType == 1 && (encoding & 1) == 0 ? UnsignedCharacter
            : (encoding & 1) != 0 ? SignedInteger : UnsignedInteger;
    }

    private void WriteBase(in BtfType type, byte encoding)
    {
        info.U8(DwarfAbbreviations.Base);
        info.U32(NameOf(type.Name));
        info.Unsigned(Math.Min(type.SizeOrType, MaxBaseBytes));
        info.U8(encoding);
    }

    private void WriteModifier(in BtfType type, byte shape, byte shapeOfVoid)
    {
        int modified = Target(type, 0, Types.Id(type.SizeOrType));
        info.U8(modified == 0 ? shapeOfVoid : shape);
        ReferUnlessVoid(modified);
    }

    private void WriteArray(in BtfType type)
    {
        (int element, uint length) = Types.ArrayData(type);
        info.U8(DwarfAbbreviations.Array);
        Refer(Target(type, 0, element));
        if (length == 0)
        {
            info.U8(DwarfAbbreviations.NoBounds);
        }
        else
        {
            info.U8(DwarfAbbreviations.Bounds);
            info.Unsigned(length);
        }

        info.U8(0);
    }

    private void WriteStruct(in BtfType type, byte shape, byte shapeWhenEmpty)
    {
        info.U8(type.Count == 0 ? shapeWhenEmpty : shape);
        info.U32(NameOf(type.Name));
        info.Unsigned(type.SizeOrType);
        if (type.Count == 0)
        {
            return;
        }

        long bits = type.SizeOrType * 8L;
        for (int i = 0; i < type.Count; i++)
        {
            BtfMember member = Types.Member(type, i);
            int target = Target(type, i, member.Type);
            long end = member.BitOffset + (member.BitSize != 0 ? member.BitSize : Types.SizeOf(target) * 8);
            if (target == 0 || end > bits || (member.BitSize == 0 && member.BitOffset % 8 != 0))
            {
                lost++;
            }
            else if (member.BitSize != 0)
            {
                info.U8(DwarfAbbreviations.BitMember);
                info.U32(NameOf(member.Name));
                Refer(target);
                info.U8((byte)Math.Min(member.BitSize, 64));
                info.Unsigned((ulong)member.BitOffset);
            }
            else
            {
                info.U8(member.Name == 0 ? DwarfAbbreviations.NamelessMember : DwarfAbbreviations.Member);
                if (member.Name != 0)
                {
                    info.U32(NameOf(member.Name));
                }

                Refer(target);
                info.Unsigned((ulong)(member.BitOffset / 8));
            }
        }

        info.U8(0);
    }

    private void WriteEnumeration(in BtfType type)
    {
        info.U8(type.Count == 0 ? DwarfAbbreviations.EmptyEnumeration : DwarfAbbreviations.Enumeration);
        info.U32(NameOf(type.Name));
        info.U8(type.SizeOrType is 1 or 2 or 4 or 8 ? (byte)type.SizeOrType : (byte)4);
        if (type.Count == 0)
        {
            return;
        }

        for (int i = 0; i < type.Count; i++)
        {
            (int name, long value) = Types.Enumerator(type, i);
            info.U8(DwarfAbbreviations.Enumerator);
            info.U32(NameOf(name));
            info.Signed(value);
        }

        info.U8(0);
    }

    private void WritePrototype(in BtfType type)
    {
        int result = Target(type, 0, Types.Id(type.SizeOrType));
        int parameters = Math.Min(type.Count, DwarfWriter.MaxParameters);
        info.U8(parameters > 0
            ? result == 0 ? DwarfAbbreviations.FunctionTypeOfVoid : DwarfAbbreviations.FunctionType
            : result == 0 ? DwarfAbbreviations.EmptyFunctionTypeOfVoid : DwarfAbbreviations.EmptyFunctionType);
        ReferUnlessVoid(result);
        for (int i = 0; i < parameters; i++)
        {
            (int name, int parameter) = Types.Parameter(type, i);
            if (name == 0 && parameter == 0)
            {
                info.U8(DwarfAbbreviations.Ellipsis);
            }
            else
            {
                info.U8(DwarfAbbreviations.ParameterType);
                Refer(Target(type, i + 1, parameter));
            }
        }

        if (parameters > 0)
        {
            info.U8(0);
        }
    }

    private void ReferUnlessVoid(int type)
    {
        if (type != 0)
        {
            Refer(type);
        }
    }
}
