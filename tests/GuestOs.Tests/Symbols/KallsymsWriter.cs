using System.Buffers.Binary;
using System.Globalization;
using System.Text;
using GuestOs.Linux.Symbols;

namespace GuestOs.Tests.Symbols;

/// <summary>
/// Writes kallsyms as scripts/kallsyms.c does, from the published format: tokens for each character and a few longer ones,
/// in the order offsets, base, count, names, markers, token table, token index.
/// </summary>
internal sealed class KallsymsWriter(AddressEncoding encoding)
{
    private static readonly (byte Code, string Text)[] Longer = [(0x80, "__"), (0x81, "sys_"), (0x82, "start")];
    private readonly List<(ulong Address, char Type, string Name)> symbols = [];

    public IReadOnlyList<(ulong Address, char Type, string Name)> Symbols => symbols;

    /// <summary>The lines of VMCOREINFO that say where the tables are.</summary>
    public string VmCoreInfoLines { get; private set; } = "";

    /// <summary>Bytes of the tables.</summary>
    public int Length { get; private set; }

    /// <summary>Where the names begin, from the tables' beginning.</summary>
    public int NamesAt { get; private set; }

    public KallsymsWriter Add(ulong address, char type, string name)
    {
        symbols.Add((address, type, name));
        return this;
    }

    public void WriteTo(SyntheticKernel kernel, GuestImage image, ulong at)
    {
        var bytes = new MemoryStream();
        symbols.Sort((a, b) => a.Address.CompareTo(b.Address));
        ulong relativeBase = kernel.Text;
        int offsets = 0;
        for (int i = 0; i < symbols.Count; i++)
        {
            ulong address = symbols[i].Address;
            switch (encoding)
            {
                case AddressEncoding.Absolute:
                    Put(bytes, address, 8);
                    break;
                case AddressEncoding.BaseRelative:
                    Put(bytes, address - relativeBase, 4);
                    break;
                case AddressEncoding.AbsolutePerCpu:
                    Put(bytes, address < relativeBase ? address : relativeBase - 1 - address, 4);
                    break;
                default:
                    Put(bytes, address - (at + (ulong)(i * 4)), 4);
                    break;
            }
        }

        Align(bytes);
        int baseAt = (int)bytes.Length;
        if (encoding is AddressEncoding.BaseRelative or AddressEncoding.AbsolutePerCpu)
        {
            Put(bytes, relativeBase, 8);
        }

        int countAt = (int)bytes.Length;
        Put(bytes, (ulong)symbols.Count, 8);
        int names = (int)bytes.Length;
        var markers = new List<int>();
        for (int i = 0; i < symbols.Count; i++)
        {
            if (i % 256 == 0)
            {
                markers.Add((int)bytes.Length - names);
            }

            byte[] encoded = Encode(symbols[i].Type + symbols[i].Name);
            if (encoded.Length >= 0x80)
            {
                bytes.WriteByte((byte)(0x80 | (encoded.Length & 0x7F)));
                bytes.WriteByte((byte)(encoded.Length >> 7));
            }
            else
            {
                bytes.WriteByte((byte)encoded.Length);
            }

            bytes.Write(encoded);
        }

        Align(bytes);
        markers.ForEach(marker => Put(bytes, (ulong)marker, 4));
        Align(bytes);
        int table = (int)bytes.Length;
        var index = new List<int>();
        for (int token = 0; token < 256; token++)
        {
            index.Add((int)bytes.Length - table);
            string text = Longer.FirstOrDefault(one => one.Code == token).Text ?? (token is > 0x20 and < 0x7F ? ((char)token).ToString() : "");
            bytes.Write(Encoding.ASCII.GetBytes(text + "\0"));
        }

        Align(bytes);
        int indexAt = (int)bytes.Length;
        index.ForEach(place => Put(bytes, (ulong)place, 2));
        image.Write(kernel.Physical(at), bytes.ToArray());
        Length = (int)bytes.Length;
        NamesAt = names;
        string tables = encoding == AddressEncoding.Absolute
            ? $"SYMBOL(kallsyms_addresses)={Hex(at + (ulong)offsets)}\n"
            : $"SYMBOL(kallsyms_offsets)={Hex(at + (ulong)offsets)}\n";
        tables += encoding is AddressEncoding.BaseRelative or AddressEncoding.AbsolutePerCpu ? $"SYMBOL(kallsyms_relative_base)={Hex(at + (ulong)baseAt)}\n" : "";
        VmCoreInfoLines = $"SYMBOL(kallsyms_names)={Hex(at + (ulong)names)}\nSYMBOL(kallsyms_num_syms)={Hex(at + (ulong)countAt)}\n"
            + $"SYMBOL(kallsyms_token_table)={Hex(at + (ulong)table)}\nSYMBOL(kallsyms_token_index)={Hex(at + (ulong)indexAt)}\n" + tables;
    }

    private static byte[] Encode(string text)
    {
        var encoded = new List<byte>();
        for (int i = 0; i < text.Length;)
        {
            (byte code, string? longer) = Longer.FirstOrDefault(one => text.AsSpan(i).StartsWith(one.Text, StringComparison.Ordinal));
            encoded.Add(longer is null ? (byte)text[i] : code);
            i += longer?.Length ?? 1;
        }

        return [.. encoded];
    }

    private static string Hex(ulong value) => value.ToString("x", CultureInfo.InvariantCulture);

    private static void Put(Stream stream, ulong value, int bytes)
    {
        Span<byte> word = stackalloc byte[8];
        BinaryPrimitives.WriteUInt64LittleEndian(word, value);
        stream.Write(word[..bytes]);
    }

    private static void Align(Stream stream)
    {
        while (stream.Length % 8 != 0)
        {
            stream.WriteByte(0);
        }
    }
}
