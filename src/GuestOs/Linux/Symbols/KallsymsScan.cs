using System.Buffers.Binary;

namespace GuestOs.Linux.Symbols;

/// <summary>
/// Finds kallsyms in a kernel whose VMCOREINFO does not name it (before 6.0). The token table has ten tokens in a row
/// that are the digits, and right behind it stands an index that it determines wholly. In these kernels the order is
/// offsets and base (or addresses), count, names, markers, token table, token index, each on eight bytes
/// (scripts/kallsyms.c, write_src); a marker is the place of every 256th name.
/// </summary>
internal static class KallsymsScan
{
    /// <summary>Bytes of the kernel image searched, holes not counted.</summary>
    public const int MaxSearchBytes = 128 << 20;

    /// <summary>Rows of digits looked into.</summary>
    public const int MaxCandidates = 4096;

    private const int ChunkBytes = 1 << 20;
    private const int Digit0 = 0x30;
    private const int MarkerStep = 256;
    private const ulong LastPlace = KernelMemory.ImageMap + 0x4000_0000;

    private static ReadOnlySpan<byte> Digits => "0\01\02\03\04\05\06\07\08\09\0"u8;

    /// <summary>Finds the tables; false when they are not there.</summary>
    public static bool TryFind(KernelMemory memory, out KallsymsPlace place)
    {
        place = default;
        var chunk = new byte[ChunkBytes + Digits.Length];
        int candidates = 0, searched = 0;
        for (ulong at = FirstPlace(memory); at < LastPlace && searched < MaxSearchBytes && candidates < MaxCandidates; at += ChunkBytes)
        {
            int read = ReadWithHoles(memory, at, chunk);
            searched += read > 0 ? ChunkBytes : 0;
            for (int from = 0; from < read && candidates < MaxCandidates;)
            {
                int hit = chunk.AsSpan(from, read - from).IndexOf(Digits);
                if (hit < 0)
                {
                    break;
                }

                from += hit + 1;
                candidates++;
                if (TryTokens(memory, at + (ulong)(from - 1), out ulong table, out ulong index)
                    && TryNames(memory, table, out ulong names, out int count))
                {
                    return TryAddresses(memory, names, count, table, index, out place);
                }
            }
        }

        return false;
    }

    // A kernel too young to have said anything of itself is looked for where the page tables map an image.
    private static ulong FirstPlace(KernelMemory memory) => memory.Info.TryGetSymbol("_stext", out ulong text) ? text : KernelMemory.ImageMap;

    // A page that is not there (freed init memory that went elsewhere) must not end the search.
    private static int ReadWithHoles(KernelMemory memory, ulong address, Span<byte> destination)
    {
        const int Page = 4096;
        destination.Clear();
        if (!memory.TryTranslate(address, out _) && !memory.TryTranslate(address + ChunkBytes - 1, out _))
        {
            return 0;
        }

        int last = 0;
        for (int at = 0; at < destination.Length; at += Page)
        {
            int read = memory.Read(address + (ulong)at, destination.Slice(at, Math.Min(Page, destination.Length - at)));
            last = read > 0 ? at + read : last;
        }

        return last;
    }

    private static bool TryTokens(KernelMemory memory, ulong digits, out ulong table, out ulong index)
    {
        const int Before = 4096;
        table = index = 0;
        byte[] bytes = KernelBytes.ReadUpTo(memory, digits - Before, Before + Kallsyms.MaxTokenBytes);
        if (bytes.Length < Before + 1024)
        {
            return false;
        }

        int start = Before;
        for (int token = 0; token < Digit0; token++)
        {
            if (start < 2 || bytes[start - 1] != 0)
            {
                return false;
            }

            start = bytes.AsSpan(0, start - 1).LastIndexOf((byte)0) + 1;
        }

        Span<byte> wanted = stackalloc byte[Kallsyms.Tokens * 2];
        int at = start;
        for (int token = 0; token < Kallsyms.Tokens; token++)
        {
            int length = bytes.AsSpan(at).IndexOf((byte)0);
            if (length < 0 || at - start > ushort.MaxValue)
            {
                return false;
            }

            BinaryPrimitives.WriteUInt16LittleEndian(wanted[(token * 2)..], (ushort)(at - start));
            at += length + 1;
        }

        for (int padding = 0; padding < 8; padding++)
        {
            if (at + padding + wanted.Length <= bytes.Length && bytes.AsSpan(at + padding, wanted.Length).SequenceEqual(wanted))
            {
                table = digits - Before + (ulong)start;
                index = digits - Before + (ulong)(at + padding);
                return true;
            }
        }

        return false;
    }

    // Backwards from the tokens: the markers, which only ever grow and begin with 0; then the names; then their count.
    private static bool TryNames(KernelMemory memory, ulong table, out ulong names, out int count)
    {
        names = 0;
        count = 0;
        const int Window = Kallsyms.MaxSymbols / MarkerStep * 4;
        ulong windowAt = table - Window;
        byte[] window = KernelBytes.ReadUpTo(memory, windowAt, Window);
        if (window.Length < Window)
        {
            return false;
        }

        int end = Window;
        for (int padding = 0; padding < 2 && end > 4 && Word(window, end - 4) == 0; padding++)
        {
            end -= 4;
        }

        int first = end - 4;
        while (first >= 4 && Word(window, first) != 0 && Word(window, first - 4) < Word(window, first))
        {
            first -= 4;
        }

        uint last = Word(window, end - 4);
        int markers = (end - first) / 4;
        ulong markersAt = windowAt + (ulong)first;
        if (first < 4 || Word(window, first) != 0 || markers < 2 || last > Kallsyms.MaxCompressedBytes)
        {
            return false;
        }

        // The names end, up to seven bytes of padding, where the markers begin; their last stretch has at most 256 of them.
        const int Stretch = MarkerStep * (SymbolTable.MaxNameBytes + 2);
        int length = ((int)last + Stretch) & ~7;
        byte[] bytes = KernelBytes.ReadUpTo(memory, markersAt - (ulong)length, length);
        for (int start = (length - (int)last) & ~7; bytes.Length == length && start >= 8; start -= 8)
        {
            uint claimed = Word(bytes, start - 8);
            if (claimed > (uint)((markers - 1) * MarkerStep) && claimed <= (uint)(markers * MarkerStep)
                && IsNames(bytes.AsSpan(start), (int)claimed, window.AsSpan(first)))
            {
                names = markersAt - (ulong)(length - start);
                count = (int)claimed;
                return true;
            }
        }

        return false;
    }

    private static bool IsNames(ReadOnlySpan<byte> names, int count, ReadOnlySpan<byte> markers)
    {
        int at = 0;
        for (int i = 0; i < count; i++)
        {
            if (at >= names.Length - 1 || (i % MarkerStep == 0 && BinaryPrimitives.ReadUInt32LittleEndian(markers[(i / MarkerStep * 4)..]) != at))
            {
                return false;
            }

            int length = names[at++];
            at += (length & 0x80) != 0 ? ((length & 0x7F) | (names[at] << 7)) + 1 : length;
        }

        return at <= names.Length && names.Length - at < 8;
    }

    private static bool TryAddresses(KernelMemory memory, ulong names, int count, ulong table, ulong index, out KallsymsPlace place)
    {
        ulong countAt = names - 8, relativeBase = names - 16;
        ulong offsets = relativeBase - ((((ulong)count * 4) + 7) & ~7UL);
        ulong absolute = countAt - ((ulong)count * 8);
        place = new KallsymsPlace(names, count, table, index, 0, offsets, relativeBase);

        // A base lies in the kernel's image; an address there may too, but then the one before it does not lie above.
        if (memory.TryRead(relativeBase, out ulong value) && memory.TryRead(absolute, out ulong lowest) && memory.TryRead(absolute + (((ulong)count * 4) & ~7UL), out ulong middle)
            && lowest <= middle && middle <= value && memory.IsImageAddress(middle))
        {
            place = new KallsymsPlace(names, count, table, index, absolute, 0, 0);
        }

        return true;
    }

    private static uint Word(ReadOnlySpan<byte> bytes, int at) => BinaryPrimitives.ReadUInt32LittleEndian(bytes[at..]);
}
