namespace GuestOs.Linux.Symbols.Elf;

/// <summary>
/// Puts the symbol file together: an ELF executable without contents whose addresses are the run-time ones. Sections that
/// stand for guest memory hold no bytes; debuggers read those from the machine.
/// </summary>
internal static class SymbolFileWriter
{
    private const int HeaderBytes = 64, SectionHeaderBytes = 64, ProgramHeaderBytes = 56, SymbolBytes = 24;
    private const ushort Executable = 2, X86_64 = 62, Absolute = 0xFFF1;
    private const uint ProgBits = 1, SymTab = 2, StrTab = 3, Note = 7, NoBits = 8, Load = 1;
    private const ulong Write_ = 1, Alloc = 2, Execute = 4, Merge = 0x10, Strings = 0x20;

    /// <summary>The file of an image; null when it has no symbols.</summary>
    public static SymbolFile? Write(KernelImage image, bool types)
    {
        if (image.Symbols is not { } symbols)
        {
            return null;
        }

        List<MemorySection> memory = SectionMap.Of(image, symbols, besideDebugFile: !types);
        var dwarf = new DwarfWriter(image);
        if (types)
        {
            dwarf.Write(symbols);
        }

        ReadOnlyMemory<byte> frames = WriteFrames(image, symbols);
        (ReadOnlyMemory<byte> table, int locals, List<ReadOnlyMemory<byte>> names) = WriteSymbols(image, symbols, memory);
        var file = new Layout();
        foreach (MemorySection section in memory)
        {
            file.Add(section.Name, NoBits, Alloc | (section.Executable ? Execute : 0) | (section.Writable ? Write_ : 0), section.Start, section.End - section.Start);
        }

        if (BuildIdNote(image.BuildId) is { } note)
        {
            file.Add(".note.gnu.build-id", Note, 0, [note], 4);
        }

        if (frames.Length > 0)
        {
            file.Add(".debug_frame", ProgBits, 0, [frames], 8);
        }

        if (dwarf.Info.Length > 0)
        {
            file.Add(".debug_info", ProgBits, 0, [dwarf.Info], 1);
            file.Add(".debug_abbrev", ProgBits, 0, [DwarfAbbreviations.Both], 1);
            file.Add(".debug_ranges", ProgBits, 0, [dwarf.Ranges], 8);
            file.Add(".debug_aranges", ProgBits, 0, [dwarf.Addresses], 16);
            file.Add(".debug_str", ProgBits, Merge | Strings, dwarf.Strings, 1, 1);
        }

        int symbolTable = file.Add(".symtab", SymTab, 0, [table], 8, SymbolBytes);
        file.Link(symbolTable, symbolTable + 1, locals);
        file.Add(".strtab", StrTab, 0, names, 1);
        return new SymbolFile(SymbolFileKey.Of(image, types), file.Compose(memory));
    }

    /// <summary>A file with nothing but the frames of functions that go over to another stack.</summary>
    public static SymbolFile? WriteStackSwitches(KernelImage image)
    {
        if (image.Symbols is not { } symbols || image.Orc is not { } orc)
        {
            return null;
        }

        var frames = new FrameWriter(stackSwitchesOnly: true);
        frames.Write(symbols, orc, image.Text.Start, image.Text.End);
        var file = new Layout();
        file.Add(".debug_frame", ProgBits, 0, [frames.Written], 8);
        return new SymbolFile(SymbolFileKey.Of(image, types: false), file.Compose([]));
    }

    private static ReadOnlyMemory<byte> WriteFrames(KernelImage image, SymbolTable symbols)
    {
        if (image.Orc is not { } orc)
        {
            return default;
        }

        var frames = new FrameWriter();
        (ulong start, ulong end, ulong initStart, ulong initEnd) = image.Text;
        frames.Write(symbols, orc, start, end);
        frames.Write(symbols, orc, initStart, initEnd);
        foreach (KernelModule module in image.Modules)
        {
            if (module is { Orc: { } own, Symbols: { } table })
            {
                frames.Write(table, own, module.TextAddress, module.TextAddress + module.TextLength);
            }
        }

        return frames.Written;
    }

    private static (ReadOnlyMemory<byte> Table, int Locals, List<ReadOnlyMemory<byte>> Names) WriteSymbols(
        KernelImage image, SymbolTable symbols, List<MemorySection> memory)
    {
        var tables = new List<(SymbolTable Symbols, int NamesAt)>();
        var names = new List<ReadOnlyMemory<byte>>();
        int namesAt = 0, count = 1;
        foreach (SymbolTable? own in image.Modules.Select(module => module.Symbols).Prepend(symbols))
        {
            if (own is { Count: > 0 })
            {
                tables.Add((own, namesAt));
                names.Add(own.Names);
                namesAt += own.Names.Length;
                count += own.Count;
            }
        }

        var table = new ByteBuffer(count * SymbolBytes);
        table.Bytes(stackalloc byte[SymbolBytes]);

        // ELF wants the local ones first.
        foreach ((SymbolTable own, int at) in tables)
        {
            WriteSymbols(table, own, at, memory, false);
        }

        int locals = table.Length / SymbolBytes;
        foreach ((SymbolTable own, int at) in tables)
        {
            WriteSymbols(table, own, at, memory, true);
        }

        return (table.Written, locals, names);
    }

    private static void WriteSymbols(ByteBuffer table, SymbolTable symbols, int namesAt, List<MemorySection> memory, bool globals)
    {
        const byte Global = 0x10, Object = 1, Function = 2;
        int section = 0;
        ulong end = ulong.MaxValue, place = 0;
        for (int i = 0; i < symbols.Count; i++)
        {
            ulong address = symbols.AddressOf(i);
            if (i == 0 || address != place)
            {
                int next = symbols.After(address);
                place = address;
                end = next < symbols.Count ? symbols.AddressOf(next) : address;
            }

            if (symbols.IsGlobal(i) != globals)
            {
                continue;
            }

            while (section < memory.Count && memory[section].End <= address)
            {
                section++;
            }

            bool inside = section < memory.Count && address >= memory[section].Start && address < memory[section].End;
            ulong size = inside ? Math.Min(end, memory[section].End) - address : 0;
            bool text = symbols.IsText(i) && inside && memory[section].Executable;
            table.U32((uint)(namesAt + symbols.NameStart(i)));
            table.U8((byte)((globals ? Global : 0) | (text ? Function : Object)));
            table.U8(0);
            table.U16(inside ? (ushort)(section + 1) : Absolute);
            table.U64(address);
            table.U64(size);
        }
    }

    private static ReadOnlyMemory<byte>? BuildIdNote(string? buildId)
    {
        if (buildId is null || buildId.Length % 2 != 0)
        {
            return null;
        }

        const uint GnuBuildId = 3;
        byte[] id = Convert.FromHexString(buildId);
        var note = new ByteBuffer(64);
        note.U32(4);
        note.U32((uint)id.Length);
        note.U32(GnuBuildId);
        note.Bytes("GNU\0"u8);
        note.Bytes(id);
        note.Align(4);
        return note.Written;
    }

    /// <summary>Sections in the order they are added, and where each stands in the file.</summary>
    private sealed class Layout
    {
        private readonly List<Section> sections = [new Section { Name = "" }];

        public void Add(string name, uint type, ulong flags, ulong address, ulong size) =>
            sections.Add(new Section { Name = name, Type = type, Flags = flags, Address = address, Size = size, Alignment = 1 });

        public int Add(string name, uint type, ulong flags, IReadOnlyList<ReadOnlyMemory<byte>> parts, ulong alignment, ulong entryBytes = 0)
        {
            sections.Add(new Section
            {
                Name = name,
                Type = type,
                Flags = flags,
                Parts = parts,
                Alignment = alignment,
                EntryBytes = entryBytes,
                Size = (ulong)parts.Sum(part => (long)part.Length),
            });
            return sections.Count - 1;
        }

        public void Link(int section, int link, int info) => (sections[section].Link, sections[section].Info) = (link, info);

        public List<ReadOnlyMemory<byte>> Compose(List<MemorySection> memory)
        {
            var names = new ByteBuffer(1024);
            names.U8(0);
            Add(".shstrtab", StrTab, 0, [], 1);
            foreach (Section section in sections.Skip(1))
            {
                section.NameAt = names.Text(System.Text.Encoding.UTF8.GetBytes(section.Name));
            }

            sections[^1].Parts = [names.Written];
            sections[^1].Size = (ulong)names.Length;
            var head = new ByteBuffer(8192);
            head.Bytes(stackalloc byte[HeaderBytes]);
            foreach (MemorySection section in memory)
            {
                WriteProgramHeader(head, section);
            }

            var parts = new List<ReadOnlyMemory<byte>> { default };
            ulong at = (ulong)head.Length;
            foreach (Section section in sections.Skip(1))
            {
                int padding = (int)((section.Alignment - (at % section.Alignment)) % section.Alignment);
                at += (ulong)padding;
                section.Offset = at;
                if (section.Type != NoBits)
                {
                    parts.Add(new byte[padding]);
                    parts.AddRange(section.Parts);
                    at += section.Size;
                }
            }

            int lastPadding = (int)((8 - (at % 8)) % 8);
            parts.Add(new byte[lastPadding]);
            at += (ulong)lastPadding;
            parts.Add(WriteSectionHeaders());
            parts[0] = WriteHeader(head, at, memory.Count);
            return parts;
        }

        private static void WriteProgramHeader(ByteBuffer head, in MemorySection section)
        {
            head.U32(Load);
            head.U32(4 | (section.Executable ? 1u : 0) | (section.Writable ? 2u : 0));
            head.U64(0);
            head.U64(section.Start);
            head.U64(section.Start);
            head.U64(0);
            head.U64(section.End - section.Start);
            head.U64(1);
        }

        private ReadOnlyMemory<byte> WriteSectionHeaders()
        {
            var headers = new ByteBuffer(sections.Count * SectionHeaderBytes);
            foreach (Section section in sections)
            {
                headers.U32((uint)section.NameAt);
                headers.U32(section.Type);
                headers.U64(section.Flags);
                headers.U64(section.Address);
                headers.U64(section.Offset);
                headers.U64(section.Size);
                headers.U32((uint)section.Link);
                headers.U32((uint)section.Info);
                headers.U64(section.Alignment);
                headers.U64(section.EntryBytes);
            }

            return headers.Written;
        }

        private byte[] WriteHeader(ByteBuffer head, ulong sectionHeaders, int programHeaders)
        {
            var header = new ByteBuffer(HeaderBytes);
            header.Bytes([0x7F, (byte)'E', (byte)'L', (byte)'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
            header.U16(Executable);
            header.U16(X86_64);
            header.U32(1);
            header.U64(0);
            header.U64(HeaderBytes);
            header.U64(sectionHeaders);
            header.U32(0);
            header.U16(HeaderBytes);
            header.U16(ProgramHeaderBytes);
            header.U16((ushort)programHeaders);
            header.U16(SectionHeaderBytes);
            header.U16((ushort)sections.Count);
            header.U16((ushort)(sections.Count - 1));
            byte[] bytes = head.Written.ToArray();
            header.Written.Span.CopyTo(bytes);
            return bytes;
        }

        private sealed class Section
        {
            public required string Name { get; init; }

            public uint Type { get; init; }

            public ulong Flags { get; init; }

            public ulong Address { get; init; }

            public ulong Size { get; set; }

            public ulong Offset { get; set; }

            public ulong Alignment { get; init; }

            public ulong EntryBytes { get; init; }

            public int NameAt { get; set; }

            public int Link { get; set; }

            public int Info { get; set; }

            public IReadOnlyList<ReadOnlyMemory<byte>> Parts { get; set; } = [];
        }
    }
}
