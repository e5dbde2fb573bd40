using System.Buffers.Binary;
using System.Runtime.CompilerServices;

namespace GuestOs.Linux.Symbols;

/// <summary>
/// Writes out the names of kallsyms: for each a length (one byte, or two when the first has its top bit set) and that many
/// tokens. A damaged length puts everything behind it out of step; where the markers are known, only up to the next one.
/// </summary>
internal sealed class NameReader
{
    private readonly byte[] compressed;
    private readonly byte[] tokens;
    private readonly int[] starts = new int[Kallsyms.Tokens];
    private readonly int[] lengths = new int[Kallsyms.Tokens];
    private readonly SymbolTable.Builder symbols;

    /// <param name="compressed">The names, and what follows them.</param>
    /// <param name="tokens">The tokens, each ended by a zero byte.</param>
    /// <param name="index">Where each token begins.</param>
    /// <param name="symbols">Takes the names, with addresses of 0.</param>
    public NameReader(byte[] compressed, byte[] tokens, ushort[] index, SymbolTable.Builder symbols)
    {
        this.compressed = compressed;
        this.tokens = tokens;
        this.symbols = symbols;
        for (int i = 0; i < Kallsyms.Tokens; i++)
        {
            ReadOnlySpan<byte> from = index[i] < tokens.Length ? tokens.AsSpan(index[i]) : [];
            starts[i] = index[i];
            lengths[i] = Math.Clamp(from.IndexOf((byte)0), 0, SymbolTable.MaxNameBytes);
        }
    }

    /// <summary>Reads the names; returns how many were lost. Those in the middle have the name and type "?".</summary>
    public int Read(int count, ReadOnlySpan<byte> markers)
    {
        int at = 0, lost = 0;
        for (int first = 0; first < count; first += Kallsyms.MarkerStep)
        {
            int next = Math.Min(first + Kallsyms.MarkerStep, count);
            int names = symbols.NamesLength;
            int start = Marker(markers, first) ?? at;
            int? end = next < count ? Marker(markers, next) : null;
            at = start;
            bool whole = ReadSome(ref at, next - first);
            if (symbols.NamesLength > Kallsyms.MaxNamesBytes || (!whole && markers.IsEmpty))
            {
                return lost + count - symbols.Count;
            }

            if (!whole || (end is int place && place != at))
            {
                // Which of them is damaged, nothing tells.
                symbols.GoBack(first, names);
                for (int i = first; i < next; i++)
                {
                    symbols.NextName()[0] = (byte)'?';
                    symbols.Add(0, (byte)'?', 1);
                }

                lost += next - first;
            }
        }

        return lost;
    }

    private int? Marker(ReadOnlySpan<byte> markers, int symbol)
    {
        if (markers.IsEmpty)
        {
            return null;
        }

        uint place = BinaryPrimitives.ReadUInt32LittleEndian(markers[(symbol / Kallsyms.MarkerStep * 4)..]);
        return place < (uint)compressed.Length ? (int)place : null;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private bool ReadSome(ref int at, int count)
    {
        for (int i = 0; i < count; i++)
        {
            if (at >= compressed.Length - 1)
            {
                return false;
            }

            int left = compressed[at++];
            if ((left & 0x80) != 0)
            {
                left = (left & 0x7F) | (compressed[at++] << 7);
            }

            if (left == 0 || left > compressed.Length - at)
            {
                return false;
            }

            Span<byte> name = symbols.NextName();
            byte type = 0;
            int length = 0;
            foreach (byte token in compressed.AsSpan(at, left))
            {
                ReadOnlySpan<byte> text = tokens.AsSpan(starts[token], lengths[token]);
                if (type == 0 && !text.IsEmpty)
                {
                    type = text[0];
                    text = text[1..];
                }

                // No name is a guest's way to a terminal.
                foreach (byte letter in text)
                {
                    if (length < name.Length)
                    {
                        name[length++] = letter is > 0x20 and < 0x7F ? letter : (byte)'?';
                    }
                }
            }

            if (type == 0 || length == 0)
            {
                return false;
            }

            at += left;
            symbols.Add(0, type is > 0x20 and < 0x7F ? type : (byte)'?', length);
        }

        return true;
    }
}
