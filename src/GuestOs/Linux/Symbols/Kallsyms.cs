using System.Buffers.Binary;

namespace GuestOs.Linux.Symbols;

/// <summary>How the kernel writes a symbol's address down; which one a kernel uses it does not say.</summary>
internal enum AddressEncoding
{
    /// <summary>Eight bytes each: kallsyms_addresses, until 6.11.</summary>
    Absolute,

    /// <summary>kallsyms_relative_base plus an unsigned offset: 4.6 to 6.15 without, and from 6.15 always.</summary>
    BaseRelative,

    /// <summary>Offsets of zero and more are the value itself (per-CPU variables); negative ones count from kallsyms_relative_base − 1 on: 4.6 to 6.15.</summary>
    AbsolutePerCpu,

    /// <summary>Counted from where the offset itself stands: from 7.0.</summary>
    PlaceRelative,
}

/// <summary>Where the tables of kallsyms are; 0 for one that this kernel does not have.</summary>
internal readonly record struct KallsymsPlace(ulong Names, int Count, ulong TokenTable, ulong TokenIndex, ulong Addresses, ulong Offsets, ulong RelativeBase);

/// <summary>
/// The kernel's own symbol table (kernel/kallsyms.c, written by scripts/kallsyms.c): names as strings of tokens, each
/// token a string of up to a few bytes, the first letter of what comes out being nm's type letter.
/// </summary>
internal static class Kallsyms
{
    /// <summary>Symbols read. The largest distribution kernels have under 300,000.</summary>
    public const int MaxSymbols = 1 << 21;

    /// <summary>Bytes of the compressed names.</summary>
    public const int MaxCompressedBytes = 1 << 25;

    /// <summary>Bytes of all tokens; the kernel's index into them has 16 bits.</summary>
    public const int MaxTokenBytes = 1 << 16;

    /// <summary>Number of tokens.</summary>
    public const int Tokens = 256;

    /// <summary>Bytes of all names, written out. Debian's kernel has 2 MiB.</summary>
    public const int MaxNamesBytes = 1 << 27;

    /// <summary>Names from one marker to the next.</summary>
    public const int MarkerStep = 256;

    /// <summary>The kernel's symbols; null, with the reason in <paramref name="problems"/>, when they cannot be read.</summary>
    public static SymbolTable? Read(KernelMemory memory, ProblemLog problems)
    {
        if (!TryPlace(memory, out KallsymsPlace place) && !KallsymsScan.TryFind(memory, out place))
        {
            problems.Add("kallsyms: VMCOREINFO does not name the tables, and they were not found in memory");
            return null;
        }

        return Read(memory, place, problems);
    }

    internal static SymbolTable? Read(KernelMemory memory, KallsymsPlace place, ProblemLog problems)
    {
        if (place.Count is <= 0 or > MaxSymbols)
        {
            problems.Add($"kallsyms: claims {place.Count} symbols");
            return null;
        }

        byte[]? tokens = ReadTokens(memory, place, out ushort[] index);
        if (tokens is null)
        {
            problems.Add("kallsyms: the token table cannot be read");
            return null;
        }

        // The tokens stand behind the names in every version.
        byte[] compressed = KernelBytes.ReadUpTo(
            memory, place.Names, place.TokenTable > place.Names ? (int)Math.Min(place.TokenTable - place.Names, MaxCompressedBytes) : MaxCompressedBytes);
        var symbols = new SymbolTable.Builder(Math.Min(place.Count, compressed.Length));
        ReadOnlySpan<byte> markers = FindMarkers(compressed, place.Count);
        int lost = new NameReader(compressed, tokens, index, symbols).Read(place.Count, markers);
        if (lost > 0)
        {
            problems.Add($"kallsyms: {lost} names of {place.Count} are damaged");
        }

        if (symbols.Count == 0 || !Addresses(memory, place, symbols))
        {
            problems.Add("kallsyms: no way of writing addresses down gives _stext its place");
            return null;
        }

        return symbols.Build();
    }

    /// <summary>Bytes outside of printable ASCII become a question mark: no name is a guest's way to a terminal.</summary>
    internal static void Clean(Span<byte> bytes)
    {
        for (int at = bytes.IndexOfAnyExceptInRange((byte)0x21, (byte)0x7E); at >= 0;)
        {
            bytes[at] = (byte)'?';
            int next = bytes[(at + 1)..].IndexOfAnyExceptInRange((byte)0x21, (byte)0x7E);
            at = next < 0 ? -1 : at + 1 + next;
        }
    }

    private static bool TryPlace(KernelMemory memory, out KallsymsPlace place)
    {
        place = default;
        VmCoreInfo info = memory.Info;
        if (!info.TryGetSymbol("kallsyms_names", out ulong names) || !info.TryGetSymbol("kallsyms_num_syms", out ulong countAt)
            || !info.TryGetSymbol("kallsyms_token_table", out ulong table) || !info.TryGetSymbol("kallsyms_token_index", out ulong index)
            || !memory.TryRead(countAt, out uint count))
        {
            return false;
        }

        info.TryGetSymbol("kallsyms_addresses", out ulong addresses);
        info.TryGetSymbol("kallsyms_offsets", out ulong offsets);
        info.TryGetSymbol("kallsyms_relative_base", out ulong relative);
        place = new KallsymsPlace(names, (int)Math.Min(count, int.MaxValue), table, index, addresses, offsets, relative);
        return addresses != 0 || offsets != 0;
    }

    private static byte[]? ReadTokens(KernelMemory memory, in KallsymsPlace place, out ushort[] index)
    {
        index = new ushort[Tokens];
        byte[] indexBytes = KernelBytes.ReadUpTo(memory, place.TokenIndex, Tokens * 2);
        byte[] tokens = KernelBytes.ReadUpTo(memory, place.TokenTable, MaxTokenBytes);
        if (indexBytes.Length < Tokens * 2 || tokens.Length == 0)
        {
            return null;
        }

        for (int i = 0; i < Tokens; i++)
        {
            index[i] = BinaryPrimitives.ReadUInt16LittleEndian(indexBytes.AsSpan(i * 2));
        }

        return tokens;
    }

    /// <summary>
    /// The places of every 256th name, which stand between the names and the tokens (from 6.2 to 6.3 there are three bytes
    /// for each symbol more behind them). Empty when they are not to be recognised.
    /// </summary>
    internal static ReadOnlySpan<byte> FindMarkers(ReadOnlySpan<byte> compressed, int count)
    {
        int length = (count + MarkerStep - 1) / MarkerStep * 4;
        int sequences = ((3 * count) + 7) & ~7;
        foreach (int behind in (ReadOnlySpan<int>)[0, 4, sequences, sequences + 4])
        {
            int at = compressed.Length - behind - length;
            if (at < 0 || BinaryPrimitives.ReadUInt32LittleEndian(compressed[at..]) != 0)
            {
                continue;
            }

            // Some may be damaged too.
            int sound = 0;
            uint last = 0;
            for (int i = 4; i < length; i += 4)
            {
                uint marker = BinaryPrimitives.ReadUInt32LittleEndian(compressed[(at + i)..]);
                sound += marker > last && marker < (uint)at ? 1 : 0;
                last = marker;
            }

            if (sound >= (length / 4 - 1) * 3 / 4)
            {
                return compressed.Slice(at, length);
            }
        }

        return default;
    }

    private static bool Addresses(KernelMemory memory, KallsymsPlace place, SymbolTable.Builder symbols)
    {
        int count = symbols.Count;
        byte[] table = KernelBytes.ReadUpTo(memory, place.Addresses != 0 ? place.Addresses : place.Offsets, count * (place.Addresses != 0 ? 8 : 4));
        if (table.Length < count * (place.Addresses != 0 ? 8 : 4))
        {
            return false;
        }

        ulong relative = 0;
        bool based = place.RelativeBase != 0 && memory.TryRead(place.RelativeBase, out relative);
        foreach (AddressEncoding encoding in Enum.GetValues<AddressEncoding>())
        {
            bool possible = encoding switch
            {
                AddressEncoding.Absolute => place.Addresses != 0,
                AddressEncoding.PlaceRelative => place.Addresses == 0,
                _ => place.Addresses == 0 && based,
            };
            if (possible && IsRight(memory, symbols, i => Address(encoding, table, i, place.Offsets, relative)))
            {
                ulong[] addresses = symbols.Addresses;
                for (int i = 0; i < count; i++)
                {
                    addresses[i] = Address(encoding, table, i, place.Offsets, relative);
                }

                return true;
            }
        }

        return false;
    }

    internal static ulong Address(AddressEncoding encoding, ReadOnlySpan<byte> table, int index, ulong tableAt, ulong relativeBase)
    {
        if (encoding == AddressEncoding.Absolute)
        {
            return BinaryPrimitives.ReadUInt64LittleEndian(table[(index * 8)..]);
        }

        int offset = BinaryPrimitives.ReadInt32LittleEndian(table[(index * 4)..]);
        return encoding switch
        {
            AddressEncoding.BaseRelative => relativeBase + (uint)offset,
            AddressEncoding.AbsolutePerCpu => offset >= 0 ? (ulong)offset : unchecked(relativeBase - 1 - (ulong)(long)offset),
            _ => unchecked(tableAt + ((ulong)index * 4) + (ulong)(long)offset),
        };
    }

    // The kernel's text has one place, and the kernel says which. One that does not has a banner that begins in known words.
    private static bool IsRight(KernelMemory memory, SymbolTable.Builder symbols, Func<int, ulong> address)
    {
        int text = symbols.IndexOf("_stext"u8);
        if (text >= 0 && memory.Info.TryGetSymbol("_stext", out ulong known))
        {
            return address(text) == known;
        }

        int banner = symbols.IndexOf("linux_banner"u8);
        Span<byte> words = stackalloc byte[14];
        return banner >= 0 && memory.Read(address(banner), words) == words.Length && words.SequenceEqual("Linux version "u8);
    }
}
