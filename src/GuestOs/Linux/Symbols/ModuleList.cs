using System.Buffers.Binary;

namespace GuestOs.Linux.Symbols;

/// <summary>Reads the kernel's list of modules (kernel/module/main.c), laid out as its BTF says.</summary>
internal sealed class ModuleList
{
    /// <summary>Modules read.</summary>
    public const int MaxModules = 4096;

    /// <summary>Code of one module.</summary>
    public const ulong MaxTextBytes = 1 << 28;

    /// <summary>Symbols of one module.</summary>
    public const int MaxSymbols = 1 << 18;

    /// <summary>Bytes of a module's symbols' names.</summary>
    public const int MaxStringBytes = 1 << 24;

    /// <summary>Sections of one module; those compiled with a section for each function have thousands.</summary>
    public const int MaxSections = 1 << 14;

    /// <summary>Sections of all modules.</summary>
    public const int MaxAllSections = 1 << 18;

    /// <summary>Types of all modules.</summary>
    public const int MaxAllTypes = 1 << 21;

    /// <summary>Bytes read of all modules: thousands of them may all point at the same memory.</summary>
    public const int MaxAllBytes = 1 << 27;

    private const int NameBytes = 56;
    private const int SectionNameBytes = 128;
    private const int NoteBytes = 256;
    private const int ElfSymbolBytes = 24;

    private readonly KernelMemory memory;
    private readonly Btf types;
    private readonly OrcLayout? orc;
    private readonly ProblemLog problems;
    private readonly StructLayout? module;
    private readonly StructLayout? kallsyms;
    private readonly StructLayout? piece;
    private readonly StructLayout? attributes;
    private readonly StructLayout? attribute;
    private readonly StructLayout? binary;
    private int sectionsLeft = MaxAllSections;
    private int typesLeft = MaxAllTypes;
    private int bytesLeft = MaxAllBytes;

    private ModuleList(KernelMemory memory, Btf types, OrcLayout? orc, ProblemLog problems)
    {
        this.memory = memory;
        this.types = types;
        this.orc = orc;
        this.problems = problems;
        module = StructLayout.Find(memory, types, "module");
        kallsyms = StructLayout.Find(memory, types, "mod_kallsyms");
        piece = StructLayout.Find(memory, types, "module_memory");
        attributes = StructLayout.Find(memory, types, "module_sect_attrs");
        attribute = StructLayout.Find(memory, types, "module_sect_attr");
        binary = StructLayout.Find(memory, types, "bin_attribute");
    }

    /// <summary>The loaded modules, newest first as in the kernel's list.</summary>
    public static IReadOnlyList<KernelModule> Read(KernelMemory memory, SymbolTable symbols, Btf? types, OrcLayout? orc, ProblemLog problems)
    {
        if (types is null || !symbols.TryGetAddress("modules", out ulong head))
        {
            return [];
        }

        var list = new ModuleList(memory, types, orc, problems);
        List<KernelModule> found = list.Walk(head);
        list.ReadTypes(symbols, found);
        return found;
    }

    private List<KernelModule> Walk(ulong head)
    {
        var found = new List<KernelModule>();
        if (module is null || !module.Has("list", "name", "kallsyms"))
        {
            problems.Add("modules: struct module has no list, name or kallsyms");
            return found;
        }

        var seen = new HashSet<ulong>();
        ulong at = head;
        while (true)
        {
            if (!memory.TryRead(at, out ulong next))
            {
                problems.Add($"modules: the list breaks off after {found.Count}");
                return found;
            }

            if (next == head)
            {
                return found;
            }

            if (seen.Count == MaxModules || !seen.Add(next))
            {
                problems.Add($"modules: the list goes on after {seen.Count}, or round");
                return found;
            }

            at = next;
            if (Read(at - (ulong)module.Offset("list")) is { } one)
            {
                found.Add(one);
            }
        }
    }

    private KernelModule? Read(ulong address)
    {
        var one = new KernelModule(module!.ReadText(address, "name", NameBytes), address);
        uint state = 0;
        bool readable = one.Name.Length > 0 && (!module.Has("state") || module.TryRead(address, "state", out state));

        // MODULE_STATE_UNFORMED (3): on the list, but nothing in it is set up yet.
        if (!readable || state == 3)
        {
            return null;
        }

        ReadPlace(one);
        one.References = module.TryRead(address, "refcnt.counter", out uint references) ? (int)references - 1 : -1;
        one.Symbols = ReadSymbols(one);
        one.Sections = ReadSections(one);
        one.BuildId = ReadBuildId(one);
        if (orc is not null && module.TryRead(address, "arch.num_orcs", out uint rows) && rows > 0
            && module.TryRead(address, "arch.orc_unwind_ip", out ulong places) && module.TryRead(address, "arch.orc_unwind", out ulong entries))
        {
            one.Orc = TakeBytes(rows * 10L) ? OrcTable.Read(memory, places, entries, rows, orc) : null;
            if (one.Orc is null)
            {
                problems.Add($"module {one.Name}: its ORC cannot be read");
            }
        }

        return one;
    }

    private void ReadPlace(KernelModule one)
    {
        // Until 6.3 one piece (before 4.5 the members stood in struct module itself); from 6.4 one for each use, text first.
        string layout = module!.Has("core_layout.base") ? "core_layout." : "";
        if (layout.Length > 0 && module.TryRead(one.Address, layout + "base", out ulong start) && module.TryRead(one.Address, layout + "text_size", out uint text)
            && module.TryRead(one.Address, layout + "size", out uint all))
        {
            one.TextAddress = start;
            one.TextLength = text;
            one.Length = all;
        }
        else if (piece is { Size: > 0 } && piece.Has("base", "size") && module.Has("mem"))
        {
            // MOD_TEXT, MOD_DATA, MOD_RODATA, MOD_RO_AFTER_INIT; those of the initialisation follow.
            for (int kind = 0; kind < 4; kind++)
            {
                ulong at = one.Address + (ulong)module.Offset("mem") + ((ulong)kind * (ulong)piece.Size);
                if (piece.TryRead(at, "base", out start) && piece.TryRead(at, "size", out uint size))
                {
                    (one.TextAddress, one.TextLength) = kind == 0 ? (start, size) : (one.TextAddress, one.TextLength);
                    one.Length += size;
                }
            }
        }

        if (one.TextLength > MaxTextBytes || one.TextAddress + one.TextLength < one.TextAddress || (one.TextLength > 0 && one.TextAddress < KernelMemory.ImageMap))
        {
            problems.Add($"module {one.Name}: claims {one.TextLength} bytes of code at 0x{one.TextAddress:x}");
            one.TextAddress = one.TextLength = 0;
        }
    }

    private SymbolTable? ReadSymbols(KernelModule one)
    {
        if (kallsyms is null || !module!.TryRead(one.Address, "kallsyms", out ulong at) || !kallsyms.TryRead(at, "symtab", out ulong symbolsAt)
            || !kallsyms.TryRead(at, "num_symtab", out uint count) || !kallsyms.TryRead(at, "strtab", out ulong stringsAt))
        {
            problems.Add($"module {one.Name}: its symbols cannot be read");
            return null;
        }

        count = Math.Min(count, MaxSymbols);
        byte[] raw = TakeBytes(count * (long)ElfSymbolBytes) ? KernelBytes.ReadUpTo(memory, symbolsAt, (int)count * ElfSymbolBytes) : [];
        int read = raw.Length / ElfSymbolBytes;
        uint longest = 0;
        for (int i = 0; i < read; i++)
        {
            longest = Math.Max(longest, BinaryPrimitives.ReadUInt32LittleEndian(raw.AsSpan(i * ElfSymbolBytes)));
        }

        int stringBytes = (int)Math.Min((ulong)longest + SymbolTable.MaxNameBytes, MaxStringBytes);
        byte[] strings = TakeBytes(stringBytes) ? KernelBytes.ReadUpTo(memory, stringsAt, stringBytes) : [];
        byte[] letters = kallsyms.TryRead(at, "typetab", out ulong lettersAt) && lettersAt != 0 ? KernelBytes.ReadUpTo(memory, lettersAt, read) : [];
        var table = new SymbolTable.Builder(read);
        long bytes = 0;
        for (int i = 1; i < read; i++)
        {
            // st_name, st_info, st_other, st_shndx, st_value, st_size.
            ReadOnlySpan<byte> symbol = raw.AsSpan(i * ElfSymbolBytes, ElfSymbolBytes);
            uint nameAt = BinaryPrimitives.ReadUInt32LittleEndian(symbol);
            ushort section = BinaryPrimitives.ReadUInt16LittleEndian(symbol[6..]);
            ReadOnlySpan<byte> name = nameAt < (uint)strings.Length ? strings.AsSpan((int)nameAt, Math.Min(SymbolTable.MaxNameBytes, strings.Length - (int)nameAt)) : [];
            int end = name.IndexOf((byte)0);
            name = end < 0 ? name : name[..end];
            if (section == 0 || name.IsEmpty || (bytes += name.Length) > MaxStringBytes)
            {
                continue;
            }

            Span<byte> place = table.NextName();
            name.CopyTo(place);
            Kallsyms.Clean(place[..name.Length]);
            byte letter = i < letters.Length && letters[i] is > 0x20 and < 0x7F ? letters[i] : Letter(symbol[4], symbol[5]);
            table.Add(BinaryPrimitives.ReadUInt64LittleEndian(symbol[8..]), letter, name.Length);
        }

        return table.Build();
    }

    // Until 5.2 the kernel kept nm's letter in st_info, from then in st_other's place or beside the table.
    private static byte Letter(byte info, byte other) =>
        char.IsAsciiLetter((char)info) ? info : char.IsAsciiLetter((char)other) ? other : (info & 0xF) == 2 ? (byte)'t' : (byte)'d';

    // What /sys/module/NAME/sections shows (kernel/module/sysfs.c): until 6.13 an array with its length, from then binary attributes
    // with the address in "private", behind a list of pointers that a null ends.
    private List<ModuleSection> ReadSections(KernelModule one)
    {
        var sections = new List<ModuleSection>();
        if (attributes is not null && module!.TryRead(one.Address, "sect_attrs", out ulong at) && at != 0)
        {
            if (attribute is { Size: > 0 } && attributes.Has("attrs") && attribute.Has("address", "battr.attr.name") && attributes.TryRead(at, "nsections", out uint count))
            {
                for (uint i = 0; i < Math.Min(count, MaxSections) && sectionsLeft-- > 0; i++)
                {
                    ulong entry = at + (ulong)attributes.Offset("attrs") + (i * (ulong)attribute.Size);
                    if (!AddSection(sections, attribute, entry, "address", "battr.attr.name"))
                    {
                        break;
                    }
                }
            }
            else if (binary is not null && binary.Has("private", "attr.name") && attributes.TryRead(at, "grp.bin_attrs", out ulong list))
            {
                for (int i = 0; i < MaxSections && sectionsLeft-- > 0 && memory.TryRead(list, out ulong entry) && entry != 0; i++, list += sizeof(ulong))
                {
                    if (!AddSection(sections, binary, entry, "private", "attr.name"))
                    {
                        break;
                    }
                }
            }
        }

        if (sections.Count == 0 && one.TextLength > 0)
        {
            sections.Add(new ModuleSection(".text", one.TextAddress, one.TextLength));
        }

        return sections;
    }

    private bool AddSection(List<ModuleSection> sections, StructLayout layout, ulong entry, string addressMember, string nameMember)
    {
        if (!layout.TryRead(entry, addressMember, out ulong address) || !layout.TryRead(entry, nameMember, out ulong nameAt))
        {
            return false;
        }

        Span<byte> text = stackalloc byte[SectionNameBytes];
        int read = memory.Read(nameAt, text);
        int end = text[..read].IndexOf((byte)0);
        if (end > 0)
        {
            sections.Add(new ModuleSection(GuestText.Decode(text[..end]), address, 0));
        }

        return true;
    }

    private string? ReadBuildId(KernelModule one)
    {
        ulong at = one.Sections.FirstOrDefault(section => section.Name == ".note.gnu.build-id").Address;
        return at == 0 ? null : BuildIdNote.Find(KernelBytes.ReadUpTo(memory, at, NoteBytes));
    }

    private bool TakeBytes(long bytes)
    {
        if (bytes > bytesLeft)
        {
            problems.Add($"modules: they claim more than {MaxAllBytes} bytes in all");
            return false;
        }

        bytesLeft -= (int)bytes;
        return true;
    }

    // What a module's file brought is freed once it is loaded; the kernel keeps a checked copy on a list of its own (kernel/bpf/btf.c).
    private void ReadTypes(SymbolTable symbols, List<KernelModule> found)
    {
        StructLayout? entry = StructLayout.Find(memory, types, "btf_module");
        StructLayout? btf = StructLayout.Find(memory, types, "btf");
        if (found.Count == 0 || entry is null || btf is null || !symbols.TryGetAddress("btf_modules", out ulong head))
        {
            return;
        }

        var byAddress = new Dictionary<ulong, KernelModule>();
        foreach (KernelModule one in found)
        {
            byAddress.TryAdd(one.Address, one);
        }

        var seen = new HashSet<ulong>();
        for (ulong at = head; memory.TryRead(at, out at) && at != head;)
        {
            if (seen.Count == MaxModules || !seen.Add(at))
            {
                problems.Add($"modules: the list of their types goes on after {seen.Count}, or round");
                return;
            }

            ulong here = at - (ulong)Math.Max(0, entry.Offset("list"));
            if (entry.TryRead(here, "module", out ulong owner) && byAddress.TryGetValue(owner, out KernelModule? module)
                && entry.TryRead(here, "btf", out ulong place) && btf.TryRead(place, "data", out ulong dataAt) && btf.TryRead(place, "data_size", out uint size))
            {
                module.Types = ReadTypes(module, dataAt, size);
            }
        }
    }

    private Btf? ReadTypes(KernelModule module, ulong at, uint size)
    {
        byte[]? data = TakeBytes(size) ? KernelBytes.Read(memory, at, at + size, Btf.MaxBytes) : null;
        string? problem = "it cannot be read";
        Btf? read = data is null ? null : Btf.Parse(data, types, out problem);
        if (problem is not null)
        {
            problems.Add($"module {module.Name}: its BTF: {problem}");
        }

        typesLeft -= read is null ? 0 : read.Count - types.Count;
        return typesLeft < 0 ? null : read;
    }
}
