namespace GuestOs.Linux.Symbols.Elf;

/// <summary>
/// The debugging entries: what the units of the kernel and its modules hold besides types, which <see cref="TypeWriter"/>
/// writes. Strings are BTF's own, taken over as they are.
/// </summary>
internal sealed class DwarfWriter
{
    /// <summary>Bytes of debugging entries in all. Debian's kernel takes 7 MB.</summary>
    public const int MaxBytes = 1 << 27;

    /// <summary>Parameters of one function that are told; the kernel's longest list has a score.</summary>
    public const int MaxParameters = 64;

    private const ushort Version = 4, LanguageC99 = 0x0C;
    private const byte OpAddr = 3;

    private readonly KernelImage image;
    private readonly ByteBuffer info = new(8 << 20);
    private readonly ByteBuffer ranges = new(1024);
    private readonly ByteBuffer addresses = new(1024);
    private readonly List<ReadOnlyMemory<byte>> strings = [];
    private readonly int noName;
    private int stringsLength;
    private TypeWriter? kernelTypes;

    public DwarfWriter(KernelImage image)
    {
        this.image = image;
        Btf? types = image.Types;
        if (types is not null)
        {
            AddStrings(types);
        }

        noName = AddString([0]);
    }

    public ReadOnlyMemory<byte> Info => info.Written;

    public ReadOnlyMemory<byte> Ranges => ranges.Written;

    /// <summary>Which unit an address belongs to. Without it gdb 13 takes the addresses of variables for code of the unit.</summary>
    public ReadOnlyMemory<byte> Addresses => addresses.Written;

    public IReadOnlyList<ReadOnlyMemory<byte>> Strings => strings;

    public int StringsLength => stringsLength;

    /// <summary>Writes the kernel's unit and one for each module that has types.</summary>
    public void Write(SymbolTable symbols)
    {
        if (image.Types is not { } types)
        {
            return;
        }

        kernelTypes = new TypeWriter(types, info, null, 0, noName);
        (ulong start, ulong end, ulong initStart, ulong initEnd) = image.Text;
        int unit = Begin("vmlinux"u8, 0, (start, end), (initStart, initEnd));
        kernelTypes.Write(image.ProblemLog, "BTF");
        var functions = new FunctionIndex(types);
        WriteFunctions(kernelTypes, functions, symbols, start, end);
        WriteFunctions(kernelTypes, functions, symbols, initStart, initEnd);
        WriteVariables(types, symbols);
        End(unit);
        foreach (KernelModule module in image.Modules)
        {
            if (module is { Types: { } own, Symbols: { } table } && info.Length < MaxBytes)
            {
                WriteModule(module, own, table);
            }
        }

        if (info.Length >= MaxBytes)
        {
            image.ProblemLog.Add($"BTF: more debugging entries than {MaxBytes} bytes");
        }
    }

    private void WriteModule(KernelModule module, Btf own, SymbolTable table)
    {
        int stringsAt = AddStrings(own);
        var types = new TypeWriter(own, info, kernelTypes, stringsAt, noName);
        ulong end = module.TextAddress + module.TextLength;
        int unit = Begin(System.Text.Encoding.UTF8.GetBytes(module.Name), DwarfAbbreviations.ModulesAt, (module.TextAddress, end), (0, 0));
        types.Write(image.ProblemLog, $"module {module.Name}: its BTF");
        WriteFunctions(types, new FunctionIndex(own), table, module.TextAddress, end);
        End(unit);
    }

    private int Begin(ReadOnlySpan<byte> name, int abbreviations, (ulong Start, ulong End) one, (ulong Start, ulong End) other)
    {
        int unit = info.Length;
        info.U32(0);
        info.U16(Version);
        info.U32((uint)abbreviations);
        info.U8(8);
        info.U8(DwarfAbbreviations.Unit);
        info.Text("gdbstub"u8);
        info.U16(LanguageC99);
        info.Text(name);
        info.U64(0);
        info.U32((uint)ranges.Length);
        int set = addresses.Length;
        addresses.U32(0);
        addresses.U16(2);
        addresses.U32((uint)unit);
        addresses.U16(8);
        addresses.Align(16);
        foreach ((ulong start, ulong end) in (ReadOnlySpan<(ulong, ulong)>)[one, other])
        {
            if (start < end)
            {
                ranges.U64(start);
                ranges.U64(end);
                addresses.U64(start);
                addresses.U64(end - start);
            }
        }

        ranges.Bytes(stackalloc byte[16]);
        addresses.Bytes(stackalloc byte[16]);
        addresses.Patch32(set, (uint)(addresses.Length - set - 4));
        return unit;
    }

    private void End(int unit)
    {
        info.U8(0);
        info.Patch32(unit, (uint)(info.Length - unit - 4));
    }

    private void WriteFunctions(TypeWriter types, FunctionIndex functions, SymbolTable symbols, ulong start, ulong end)
    {
        ulong last = 0;
        for (int i = symbols.After(start - 1); i < symbols.Count && symbols.AddressOf(i) < end && info.Length < MaxBytes; i++)
        {
            // Of several names at one place the first that BTF knows.
            ulong address = symbols.AddressOf(i);
            if (address == last || !symbols.IsText(i) || functions.Find(symbols.NameBytes(i)) is not (not 0 and var function))
            {
                continue;
            }

            last = address;
            int next = symbols.After(address);
            while (next < symbols.Count && !symbols.IsText(next))
            {
                next++;
            }

            ulong stop = Math.Min(end, next < symbols.Count ? symbols.AddressOf(next) : end);
            WriteFunction(types, function, address, (uint)Math.Min(stop - address, int.MaxValue));
        }
    }

    private void WriteFunction(TypeWriter writer, int function, ulong address, uint length)
    {
        Btf types = writer.Types;
        BtfType type = types[function];
        BtfType prototype = types[types.Id(type.SizeOrType)];
        bool known = prototype.Kind == BtfKind.Prototype;
        int result = known ? writer.Target(prototype, 0, types.Id(prototype.SizeOrType)) : 0;
        int parameters = known ? Math.Min(prototype.Count, MaxParameters) : 0;
        info.U8(parameters > 0
            ? result != 0 ? DwarfAbbreviations.Function : DwarfAbbreviations.FunctionOfVoid
            : result != 0 ? DwarfAbbreviations.EmptyFunction : DwarfAbbreviations.EmptyFunctionOfVoid);
        info.U32(writer.NameOf(type.Name));
        info.U64(address);
        info.U32(length);
        if (result != 0)
        {
            writer.Refer(result);
        }

        for (int i = 0; i < parameters; i++)
        {
            (int name, int parameterType) = types.Parameter(prototype, i);
            if (name == 0 && parameterType == 0)
            {
                info.U8(DwarfAbbreviations.Ellipsis);
            }
            else
            {
                info.U8(DwarfAbbreviations.Parameter);
                info.U32(writer.NameOf(name));
                writer.Refer(writer.Target(prototype, i + 1, parameterType));
            }
        }

        if (parameters > 0)
        {
            info.U8(0);
        }
    }

    private void WriteVariables(Btf types, SymbolTable symbols)
    {
        var typed = new HashSet<string>(StringComparer.Ordinal);
        for (int id = 1; id < types.Count && info.Length < MaxBytes; id++)
        {
            BtfType section = types[id];
            if (section.Kind != BtfKind.DataSection)
            {
                continue;
            }

            for (int i = 0; i < section.Count; i++)
            {
                BtfType variable = types[types.SectionVariable(section, i)];
                int type = variable.Kind == BtfKind.Variable ? kernelTypes!.Target(variable, 0, types.Id(variable.SizeOrType)) : 0;
                int symbol = type == 0 ? -1 : symbols.IndexOf(types.Name(variable.Name));
                if (symbol >= 0 && typed.Add(symbols.NameOf(symbol)))
                {
                    info.U8(DwarfAbbreviations.Variable);
                    info.U32(kernelTypes!.NameOf(variable.Name));
                    kernelTypes.Refer(type);
                    WriteLocation(symbols.AddressOf(symbol));
                }
            }
        }

        foreach ((string name, string typeName, BtfKind kind, VariableShape shape) in KnownVariables.All)
        {
            int type = typed.Contains(name) ? 0 : types.Find(typeName, kind);
            if (type == 0 || !symbols.TryGetAddress(name, out ulong address))
            {
                continue;
            }

            uint place = kernelTypes!.PlaceOf(type);
            if (shape is VariableShape.Pointer or VariableShape.PointerArray)
            {
                uint pointer = (uint)info.Length;
                info.U8(DwarfAbbreviations.Pointer);
                info.U8(8);
                info.U32(place);
                place = pointer;
            }

            if (shape is VariableShape.Array or VariableShape.PointerArray)
            {
                uint array = (uint)info.Length;
                info.U8(DwarfAbbreviations.Array);
                info.U32(place);
                info.U8(DwarfAbbreviations.NoBounds);
                info.U8(0);
                place = array;
            }

            info.U8(DwarfAbbreviations.NamedVariable);
            info.Text(System.Text.Encoding.ASCII.GetBytes(name));
            info.U32(place);
            WriteLocation(address);
        }
    }

    private void WriteLocation(ulong address)
    {
        info.Unsigned(9);
        info.U8(OpAddr);
        info.U64(address);
    }

    private int AddStrings(Btf types)
    {
        // A zero byte more, for strings that lack their end.
        int at = AddString(types.Strings);
        AddString([0]);
        return at;
    }

    private int AddString(ReadOnlyMemory<byte> bytes)
    {
        int at = stringsLength;
        strings.Add(bytes);
        stringsLength += bytes.Length;
        return at;
    }

    private int AddString(byte[] bytes) => AddString((ReadOnlyMemory<byte>)bytes);
}
