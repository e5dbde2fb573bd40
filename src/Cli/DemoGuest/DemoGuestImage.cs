using System.Buffers.Binary;
using System.Text;
using Iced.Intel;

namespace Cli.DemoGuest;

/// <summary>
/// The guest <c>gdbstub demo</c> falls back to when no Debian kernel can be had. It is ours, not Linux, and says so in its
/// first line. It follows a bad pointer, writes a report into the ACPI error record store as Linux's pstore would, rings
/// the pvpanic port and resets through the i8042. Booted again with a report in the store, it shows that and powers off.
/// The file is an ELF64 kernel with a PVH note and a symbol table, so a debugger can name its functions.
/// </summary>
internal static class DemoGuestImage
{
    private const int ContentOffset = 0x1000;
    private const int NoteOffset = 0x200;
    private const int SectionNamesOffset = 0x280;
    private const int SectionsOffset = 0x300;
    private const int SymbolSize = 24;

    private static readonly string[] SectionNames = [".text", ".symtab", ".strtab", ".shstrtab"];

    /// <summary>Assembles the guest.</summary>
    public static byte[] Build()
    {
        byte[] entry = Assemble(DemoGuestCode.Entry(), DemoGuestCode.EntryAddress, out _);
        DemoGuestCode kernel = new();
        byte[] code = Assemble(kernel.Assembler, DemoGuestCode.KernelAddress, out AssemblerResult result);
        byte[] texts = kernel.Texts;
        if (entry.Length > (int)(DemoGuestCode.KernelAddress - DemoGuestCode.EntryAddress)
            || code.Length > (int)(DemoGuestCode.TextsAddress - DemoGuestCode.KernelAddress)
            || texts.Length > (int)(DemoGuestCode.DataAddress - DemoGuestCode.TextsAddress))
        {
            throw new InvalidOperationException("the demo guest has outgrown its layout");
        }

        var content = new byte[DemoGuestCode.TextsAddress - DemoGuestCode.EntryAddress + (ulong)texts.Length];
        entry.CopyTo(content, 0);
        code.CopyTo(content, (int)(DemoGuestCode.KernelAddress - DemoGuestCode.EntryAddress));
        texts.CopyTo(content, (int)(DemoGuestCode.TextsAddress - DemoGuestCode.EntryAddress));

        List<(string Name, ulong Address)> symbols = [("demo_entry", DemoGuestCode.EntryAddress)];
        foreach ((string name, Label label) in kernel.Functions)
        {
            symbols.Add((name, result.GetLabelRIP(label)));
        }

        return ToElf(content, symbols, DemoGuestCode.KernelAddress + (ulong)code.Length);
    }

    private static byte[] Assemble(Assembler assembler, ulong address, out AssemblerResult result)
    {
        using var stream = new MemoryStream();
        result = assembler.Assemble(new StreamCodeWriter(stream), address, BlockEncoderOptions.ReturnNewInstructionOffsets);
        return stream.ToArray();
    }

    private static byte[] ToElf(byte[] content, List<(string Name, ulong Address)> symbols, ulong codeEnd)
    {
        (byte[] symbolTable, byte[] strings) = SymbolTable(symbols, codeEnd);
        int symbolsAt = ContentOffset + ((content.Length + 7) & ~7);
        int stringsAt = symbolsAt + symbolTable.Length;
        var file = new byte[stringsAt + strings.Length];

        "\u007FELF"u8.CopyTo(file);
        file[4] = 2;
        file[5] = file[6] = 1;
        Put16(file, 16, 2);
        Put16(file, 18, 62);
        Put32(file, 20, 1);
        Put64(file, 24, DemoGuestCode.EntryAddress);
        Put64(file, 32, 64);
        Put64(file, 40, SectionsOffset);
        Put16(file, 52, 64);
        Put16(file, 54, 56);
        Put16(file, 56, 2);
        Put16(file, 58, 64);
        Put16(file, 60, 5);
        Put16(file, 62, 4);

        ulong memorySize = DemoGuestCode.End - DemoGuestCode.EntryAddress;
        ProgramHeader(file, 64, 1, 7, ContentOffset, DemoGuestCode.EntryAddress, (ulong)content.Length, memorySize, 0x1000);
        ProgramHeader(file, 120, 4, 4, NoteOffset, 0, 24, 24, 4);
        Put32(file, NoteOffset, 4);
        Put32(file, NoteOffset + 4, 8);
        Put32(file, NoteOffset + 8, 18); // XEN_ELFNOTE_PHYS32_ENTRY
        "Xen\0"u8.CopyTo(file.AsSpan(NoteOffset + 12));
        Put64(file, NoteOffset + 16, DemoGuestCode.EntryAddress);

        int nameAt = 1;
        var names = new int[SectionNames.Length];
        for (int i = 0; i < SectionNames.Length; i++)
        {
            names[i] = nameAt;
            Encoding.ASCII.GetBytes(SectionNames[i]).CopyTo(file, SectionNamesOffset + nameAt);
            nameAt += SectionNames[i].Length + 1;
        }

        Section(file, 1, names[0], 1, 6, DemoGuestCode.EntryAddress, ContentOffset, content.Length, 0, 0, 0);
        Section(file, 2, names[1], 2, 0, 0, symbolsAt, symbolTable.Length, 3, 1, SymbolSize);
        Section(file, 3, names[2], 3, 0, 0, stringsAt, strings.Length, 0, 0, 0);
        Section(file, 4, names[3], 3, 0, 0, SectionNamesOffset, nameAt, 0, 0, 0);
        content.CopyTo(file, ContentOffset);
        symbolTable.CopyTo(file, symbolsAt);
        strings.CopyTo(file, stringsAt);
        return file;
    }

    private static (byte[] Table, byte[] Strings) SymbolTable(List<(string Name, ulong Address)> symbols, ulong codeEnd)
    {
        var table = new byte[(symbols.Count + 1) * SymbolSize];
        List<byte> strings = [0];
        for (int i = 0; i < symbols.Count; i++)
        {
            int at = (i + 1) * SymbolSize;
            ulong next = i + 1 < symbols.Count ? symbols[i + 1].Address : codeEnd;
            Put32(table, at, (uint)strings.Count);
            table[at + 4] = 0x12; // global function
            Put16(table, at + 6, 1);
            Put64(table, at + 8, symbols[i].Address);
            Put64(table, at + 16, next - symbols[i].Address);
            strings.AddRange(Encoding.ASCII.GetBytes(symbols[i].Name));
            strings.Add(0);
        }

        return (table, [.. strings]);
    }

    private static void ProgramHeader(
        byte[] file, int at, uint type, uint flags, ulong offset, ulong address, ulong fileSize, ulong memorySize, ulong alignment)
    {
        Put32(file, at, type);
        Put32(file, at + 4, flags);
        Put64(file, at + 8, offset);
        Put64(file, at + 16, address);
        Put64(file, at + 24, address);
        Put64(file, at + 32, fileSize);
        Put64(file, at + 40, memorySize);
        Put64(file, at + 48, alignment);
    }

    private static void Section(
        byte[] file, int index, int name, uint type, ulong flags, ulong address, int offset, int size, uint link, uint info, ulong entrySize)
    {
        int at = SectionsOffset + (index * 64);
        Put32(file, at, (uint)name);
        Put32(file, at + 4, type);
        Put64(file, at + 8, flags);
        Put64(file, at + 16, address);
        Put64(file, at + 24, (ulong)offset);
        Put64(file, at + 32, (ulong)size);
        Put32(file, at + 40, link);
        Put32(file, at + 44, info);
        Put64(file, at + 48, 1);
        Put64(file, at + 56, entrySize);
    }

    private static void Put16(byte[] bytes, int at, ushort value) => BinaryPrimitives.WriteUInt16LittleEndian(bytes.AsSpan(at), value);

    private static void Put32(byte[] bytes, int at, uint value) => BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(at), value);

    private static void Put64(byte[] bytes, int at, ulong value) => BinaryPrimitives.WriteUInt64LittleEndian(bytes.AsSpan(at), value);
}
