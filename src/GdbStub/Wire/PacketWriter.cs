using System.Buffers;
using System.Numerics;
using System.Text;

namespace GdbStub.Wire;

/// <summary>
/// Builds one packet after the other in a buffer that goes to the socket in one write. The payload is limited, so that
/// no reply is longer than what the client was told to expect. Run-length encoding is done in place when a packet ends.
/// Source: "Overview" of the remote protocol in gdb's manual.
/// </summary>
internal sealed class PacketWriter
{
    /// <summary>The longest run one count can express: the character itself and 97 repeats (126 - 29).</summary>
    private const int MaxRun = 98;

    /// <summary>The fewest repeats that are worth a count: it takes two characters.</summary>
    private const int LeastRepeats = 3;

    private byte[] buffer = new byte[512];
    private int length;
    private int start = -1;

    private static readonly SearchValues<byte> Special = SearchValues.Create("#$}*"u8);

    /// <param name="maxPayload">Longest payload before run-length encoding.</param>
    public PacketWriter(int maxPayload) => MaxPayload = maxPayload;

    /// <summary>Longest payload.</summary>
    public int MaxPayload { get; }

    /// <summary>True between <see cref="Begin"/> and <see cref="End"/>.</summary>
    public bool IsOpen => start >= 0;

    /// <summary>Bytes the open packet can still take.</summary>
    public int Room => MaxPayload - (length - start - 1);

    /// <summary>Everything finished and not yet taken away.</summary>
    public ReadOnlyMemory<byte> Finished => buffer.AsMemory(0, IsOpen ? start : length);

    /// <summary>Starts a packet; a notification with '%'.</summary>
    public void Begin(char mark = '$')
    {
        Raw((byte)mark);
        start = length - 1;
    }

    /// <summary>Forgets the open packet.</summary>
    public void Abandon()
    {
        length = start;
        start = -1;
    }

    /// <summary>Ends the packet and returns it whole, from '$' to the checksum, where it stands in the buffer.</summary>
    public ReadOnlySpan<byte> End()
    {
        int from = start;
        length = from + 1 + CompressRuns(buffer.AsSpan(from + 1, length - from - 1));
        byte sum = PacketReader.Sum(buffer.AsSpan(from + 1, length - from - 1));
        Raw((byte)'#');
        start = -1;
        Hex.Encode([sum], Grow(2));
        return buffer.AsSpan(from, length - from);
    }

    /// <summary>Takes the last packet back out, for one that must wait its turn.</summary>
    public void TakeBack(int bytes) => length -= bytes;

    /// <summary>Bytes outside a packet: an acknowledgement, or a whole packet sent again.</summary>
    public void Loose(ReadOnlySpan<byte> bytes) => bytes.CopyTo(Grow(bytes.Length));

    /// <summary>Forgets what was sent.</summary>
    public void Clear() => length = 0;

    /// <summary>ASCII text without the protocol's own characters.</summary>
    public PacketWriter Text(string text)
    {
        Demand(text.Length);
        Encoding.ASCII.GetBytes(text, Grow(text.Length));
        return this;
    }

    /// <summary>ASCII text from a literal.</summary>
    public PacketWriter Text(ReadOnlySpan<byte> ascii)
    {
        Demand(ascii.Length);
        ascii.CopyTo(Grow(ascii.Length));
        return this;
    }

    /// <summary>Two digits a byte.</summary>
    public PacketWriter HexBytes(ReadOnlySpan<byte> bytes)
    {
        Demand(bytes.Length * 2);
        Hex.Encode(bytes, Grow(bytes.Length * 2));
        return this;
    }

    /// <summary>A number without leading zeros, most significant digit first.</summary>
    public PacketWriter HexNumber(ulong value)
    {
        Span<byte> digits = stackalloc byte[16];
        value.TryFormat(digits, out int written, "x", System.Globalization.CultureInfo.InvariantCulture);
        return Text(digits[..written]);
    }

    /// <summary>
    /// Binary data with the protocol's characters escaped, as much as fits; returns how many of <paramref name="bytes"/> went in.
    /// </summary>
    public int Binary(ReadOnlySpan<byte> bytes)
    {
        int done = 0;
        while (done < bytes.Length)
        {
            ReadOnlySpan<byte> rest = bytes[done..];
            int plain = rest.IndexOfAny(Special);
            plain = Math.Min(plain < 0 ? rest.Length : plain, Room);
            rest[..plain].CopyTo(Grow(plain));
            done += plain;
            if (done == bytes.Length || Room < 2)
            {
                break;
            }

            if (plain < rest.Length)
            {
                Span<byte> pair = Grow(2);
                pair[0] = (byte)'}';
                pair[1] = (byte)(bytes[done++] ^ 0x20);
            }
        }

        return done;
    }

    /// <summary>Undoes the escapes of binary data from a client; returns the bytes written, or -1 when an escape has nothing after it.</summary>
    public static int Unescape(ReadOnlySpan<byte> escaped, Span<byte> bytes)
    {
        int done = 0;
        for (int i = 0; i < escaped.Length; i++)
        {
            byte value = escaped[i];
            if (value == '}')
            {
                if (++i == escaped.Length)
                {
                    return -1;
                }

                value = (byte)(escaped[i] ^ 0x20);
            }

            bytes[done++] = value;
        }

        return done;
    }

    /// <summary>
    /// Replaces runs by counts and returns the new length. A run never starts at an escaped character: gdb would repeat
    /// what stands on the wire, lldb what it stands for.
    /// </summary>
    private static int CompressRuns(Span<byte> text)
    {
        int to = 0;
        for (int from = 0; from < text.Length;)
        {
            int plain = FindRun(text[from..]);
            if (to != from)
            {
                text.Slice(from, plain).CopyTo(text[to..]);
            }

            (to, from) = (to + plain, from + plain);
            if (from == text.Length)
            {
                break;
            }

            byte value = text[from];

            // What is behind the bytes written so far is as it was: the character before this one among it.
            bool escaped = value == '}' || (from > 0 && text[from - 1] == '}');
            int limit = escaped ? 1 : Math.Min(MaxRun, text.Length - from);
            int differs = text.Slice(from, limit).IndexOfAnyExcept(value);
            int run = differs < 0 ? limit : differs;
            text[to++] = value;
            from += run;

            // A count of 6 or 7 repeats would be '#' or '$': five, and the rest stands for itself.
            int repeats = run - 1;
            int spelled = repeats is 6 or 7 ? 5 : repeats < LeastRepeats ? 0 : repeats;
            if (spelled > 0)
            {
                text[to++] = (byte)'*';
                text[to++] = (byte)(spelled + 29);
            }

            for (int i = spelled; i < repeats; i++)
            {
                text[to++] = value;
            }
        }

        return to;
    }

    /// <summary>Where a character stands that three like it follow, the fewest that a count is shorter than; the length where none does.</summary>
    private static int FindRun(ReadOnlySpan<byte> text)
    {
        int at = 0;
        for (; at + Vector<byte>.Count + LeastRepeats <= text.Length; at += Vector<byte>.Count)
        {
            var here = new Vector<byte>(text[at..]);
            Vector<byte> same = Vector.Equals(here, new Vector<byte>(text[(at + 1)..]))
                & Vector.Equals(here, new Vector<byte>(text[(at + 2)..])) & Vector.Equals(here, new Vector<byte>(text[(at + 3)..]));
            if (same != Vector<byte>.Zero)
            {
                break;
            }
        }

        for (; at + LeastRepeats < text.Length; at++)
        {
            byte value = text[at];
            if (text[at + 1] == value && text[at + 2] == value && text[at + 3] == value)
            {
                return at;
            }
        }

        return text.Length;
    }

    private void Demand(int bytes)
    {
        if (!IsOpen || bytes > Room)
        {
            throw new InvalidOperationException($"a reply of more than {MaxPayload} bytes, or none begun");
        }
    }

    private void Raw(byte value) => Grow(1)[0] = value;

    private Span<byte> Grow(int bytes)
    {
        if (bytes > buffer.Length - length)
        {
            Array.Resize(ref buffer, Math.Max(buffer.Length * 2, length + bytes));
        }

        length += bytes;
        return buffer.AsSpan(length - bytes, bytes);
    }
}
