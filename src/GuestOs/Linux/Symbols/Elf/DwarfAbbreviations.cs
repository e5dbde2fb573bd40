namespace GuestOs.Linux.Symbols.Elf;

/// <summary>
/// The shapes of our debugging entries (DWARF 4, chapter 7.5.3), as one table that is both written and used. There are two
/// sets: in the kernel's unit a reference is within the unit, in a module's it may lead to the kernel's.
/// </summary>
internal static class DwarfAbbreviations
{
    public const byte Unit = 1, Void = 2, Base = 3, Pointer = 4, PointerToVoid = 5, Typedef = 6, TypedefOfVoid = 7, Const = 8, ConstVoid = 9,
        Volatile = 10, VolatileVoid = 11, Restrict = 12, Array = 13, Bounds = 14, NoBounds = 15, Struct = 16, EmptyStruct = 17, Union = 18,
        EmptyUnion = 19, Member = 20, BitMember = 21, NamelessMember = 22, Enumeration = 23, EmptyEnumeration = 24, Enumerator = 25,
        StructDeclaration = 26, UnionDeclaration = 27, FunctionType = 28, FunctionTypeOfVoid = 29, EmptyFunctionType = 30,
        EmptyFunctionTypeOfVoid = 31, ParameterType = 32, Ellipsis = 33, Function = 34, FunctionOfVoid = 35, EmptyFunction = 36,
        EmptyFunctionOfVoid = 37, Parameter = 38, Variable = 39, NamedVariable = 40, EnumDeclaration = 41;

    /// <summary>Bytes of the first set: where the modules' one begins.</summary>
    public static int ModulesAt => KernelSet.Length;

    private const int Array_ = 0x01, EnumerationType = 0x04, FormalParameter = 0x05, MemberTag = 0x0D, PointerType = 0x0F, CompileUnit = 0x11,
        StructureType = 0x13, SubroutineType = 0x15, TypedefTag = 0x16, UnionType = 0x17, UnspecifiedParameters = 0x18, SubrangeType = 0x21,
        BaseType = 0x24, ConstType = 0x26, EnumeratorTag = 0x28, Subprogram = 0x2E, VariableTag = 0x34, VolatileType = 0x35, RestrictType = 0x37,
        UnspecifiedType = 0x3B;

    private const int Name = 0x03, ByteSize = 0x0B, Language = 0x13, LowPc = 0x11, HighPc = 0x12, Producer = 0x25, Prototyped = 0x27, Count = 0x37,
        DataMemberLocation = 0x38, Declaration = 0x3C, Encoding = 0x3E, External = 0x3F, Type = 0x49, Ranges = 0x55, BitSize = 0x0D, DataBitOffset = 0x6B,
        ConstValue = 0x1C, Location = 0x02;

    private const int Addr = 0x01, Data2 = 0x05, Data4 = 0x06, Text = 0x08, Data1 = 0x0B, Sdata = 0x0D, Strp = 0x0E, Udata = 0x0F, RefAddr = 0x10,
        Ref4 = 0x13, SecOffset = 0x17, ExprLoc = 0x18, FlagPresent = 0x19;

    private const int Reference = -1;

    private static readonly (byte Code, int Tag, bool Children, int[] Attributes)[] Shapes =
    [
        (Unit, CompileUnit, true, [Producer, Text, Language, Data2, Name, Text, LowPc, Addr, Ranges, SecOffset]),
        (Void, UnspecifiedType, false, [Name, Text]),
        (Base, BaseType, false, [Name, Strp, ByteSize, Udata, Encoding, Data1]),
        (Pointer, PointerType, false, [ByteSize, Data1, Type, Reference]),
        (PointerToVoid, PointerType, false, [ByteSize, Data1]),
        (Typedef, TypedefTag, false, [Name, Strp, Type, Reference]),
        (TypedefOfVoid, TypedefTag, false, [Name, Strp]),
        (Const, ConstType, false, [Type, Reference]),
        (ConstVoid, ConstType, false, []),
        (Volatile, VolatileType, false, [Type, Reference]),
        (VolatileVoid, VolatileType, false, []),
        (Restrict, RestrictType, false, [Type, Reference]),
        (Array, Array_, true, [Type, Reference]),
        (Bounds, SubrangeType, false, [Count, Udata]),
        (NoBounds, SubrangeType, false, []),
        (Struct, StructureType, true, [Name, Strp, ByteSize, Udata]),
        (EmptyStruct, StructureType, false, [Name, Strp, ByteSize, Udata]),
        (Union, UnionType, true, [Name, Strp, ByteSize, Udata]),
        (EmptyUnion, UnionType, false, [Name, Strp, ByteSize, Udata]),
        (Member, MemberTag, false, [Name, Strp, Type, Reference, DataMemberLocation, Udata]),
        (BitMember, MemberTag, false, [Name, Strp, Type, Reference, BitSize, Data1, DataBitOffset, Udata]),
        (NamelessMember, MemberTag, false, [Type, Reference, DataMemberLocation, Udata]),
        (Enumeration, EnumerationType, true, [Name, Strp, ByteSize, Data1]),
        (EmptyEnumeration, EnumerationType, false, [Name, Strp, ByteSize, Data1]),
        (EnumDeclaration, EnumerationType, false, [Name, Strp, Declaration, FlagPresent]),
        (Enumerator, EnumeratorTag, false, [Name, Strp, ConstValue, Sdata]),
        (StructDeclaration, StructureType, false, [Name, Strp, Declaration, FlagPresent]),
        (UnionDeclaration, UnionType, false, [Name, Strp, Declaration, FlagPresent]),
        (FunctionType, SubroutineType, true, [Prototyped, FlagPresent, Type, Reference]),
        (FunctionTypeOfVoid, SubroutineType, true, [Prototyped, FlagPresent]),
        (EmptyFunctionType, SubroutineType, false, [Prototyped, FlagPresent, Type, Reference]),
        (EmptyFunctionTypeOfVoid, SubroutineType, false, [Prototyped, FlagPresent]),
        (ParameterType, FormalParameter, false, [Type, Reference]),
        (Ellipsis, UnspecifiedParameters, false, []),
        (Function, Subprogram, true, [External, FlagPresent, Prototyped, FlagPresent, Name, Strp, LowPc, Addr, HighPc, Data4, Type, Reference]),
        (FunctionOfVoid, Subprogram, true, [External, FlagPresent, Prototyped, FlagPresent, Name, Strp, LowPc, Addr, HighPc, Data4]),
        (EmptyFunction, Subprogram, false, [External, FlagPresent, Prototyped, FlagPresent, Name, Strp, LowPc, Addr, HighPc, Data4, Type, Reference]),
        (EmptyFunctionOfVoid, Subprogram, false, [External, FlagPresent, Prototyped, FlagPresent, Name, Strp, LowPc, Addr, HighPc, Data4]),
        (Parameter, FormalParameter, false, [Name, Strp, Type, Reference]),
        (Variable, VariableTag, false, [Name, Strp, Type, Reference, External, FlagPresent, Location, ExprLoc]),
        (NamedVariable, VariableTag, false, [Name, Text, Type, Reference, External, FlagPresent, Location, ExprLoc]),
    ];

    private static readonly byte[] KernelSet = Write(Ref4);
    private static readonly byte[] ModuleSet = Write(RefAddr);

    /// <summary>Both sets: .debug_abbrev.</summary>
    public static byte[] Both => [.. KernelSet, .. ModuleSet];

    private static byte[] Write(int reference)
    {
        var set = new ByteBuffer(1024);
        foreach ((byte code, int tag, bool children, int[] attributes) in Shapes)
        {
            set.Unsigned(code);
            set.Unsigned((uint)tag);
            set.U8(children ? (byte)1 : (byte)0);
            foreach (int word in attributes)
            {
                set.Unsigned((uint)(word == Reference ? reference : word));
            }

            set.U16(0);
        }

        set.U8(0);
        return set.Written.ToArray();
    }
}
