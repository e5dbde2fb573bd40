using System.Numerics;

namespace GdbStub.Wire;

/// <summary>What arrived.</summary>
internal enum WireEvent
{
    /// <summary>Nothing whole yet.</summary>
    None,

    /// <summary>A packet with a right checksum.</summary>
    Packet,

    /// <summary>A packet whose checksum is wrong or not a checksum.</summary>
    Damaged,

    /// <summary>A packet longer than we said we take; its bytes were dropped.</summary>
    TooLong,

    /// <summary>'+'.</summary>
    Acknowledged,

    /// <summary>'-': send it again.</summary>
    Refused,

    /// <summary>03h between packets: stop the target.</summary>
    Interrupt,
}

/// <summary>
/// Cuts the byte stream of a client into packets, acknowledgements and interrupts, wherever the stream itself is cut.
/// It keeps one packet of at most <see cref="MaxPayload"/> bytes; a longer one is dropped as it arrives.
/// Source: "Overview" and "Interrupts" of the remote protocol in gdb's manual.
/// </summary>
internal sealed class PacketReader
{
    private readonly byte[] payload;
    private int length;
    private Place place;
    private byte sum;
    private int given;
    private bool overflowed;

    /// <param name="maxPayload">Longest payload taken, in bytes.</param>
    public PacketReader(int maxPayload) => payload = new byte[maxPayload];

    private enum Place
    {
        Outside,
        Inside,
        FirstDigit,
        SecondDigit,
    }

    /// <summary>Longest payload taken.</summary>
    public int MaxPayload => payload.Length;

    /// <summary>The last packet, still escaped; valid until the next <see cref="Read"/>.</summary>
    public ReadOnlySpan<byte> Payload => payload.AsSpan(0, length);

    /// <summary>Takes bytes from the front of <paramref name="bytes"/> up to and including the next event.</summary>
    public WireEvent Read(ref ReadOnlySpan<byte> bytes)
    {
        while (!bytes.IsEmpty)
        {
            if (place == Place.Inside)
            {
                TakePayload(ref bytes);
                continue;
            }

            byte next = bytes[0];
            bytes = bytes[1..];
            switch (place)
            {
                case Place.Outside:
                    switch (next)
                    {
                        case (byte)'$': Begin(); break;
                        case (byte)'+': return WireEvent.Acknowledged;
                        case (byte)'-': return WireEvent.Refused;
                        case 3: return WireEvent.Interrupt;
                    }

                    break;

                case Place.FirstDigit:
                    given = Hex.Digit(next) << 4;
                    place = Place.SecondDigit;
                    break;

                default:
                    given |= Hex.Digit(next);
                    place = Place.Outside;
                    return overflowed ? WireEvent.TooLong : given == sum ? WireEvent.Packet : WireEvent.Damaged;
            }
        }

        return WireEvent.None;
    }

    private void Begin()
    {
        place = Place.Inside;
        length = 0;
        sum = 0;
        overflowed = false;
    }

    private void TakePayload(ref ReadOnlySpan<byte> bytes)
    {
        int end = bytes.IndexOfAny((byte)'#', (byte)'$');
        ReadOnlySpan<byte> part = end < 0 ? bytes : bytes[..end];
        if (part.Length > payload.Length - length)
        {
            overflowed = true;
        }
        else
        {
            part.CopyTo(payload.AsSpan(length));
            length += part.Length;
            sum += Sum(part);
        }

        if (end < 0)
        {
            bytes = [];
            return;
        }

        // A '$' is never inside a payload (it would be escaped): the packet before it lost its end, and a new one begins.
        if (bytes[end] == (byte)'$')
        {
            Begin();
        }
        else
        {
            place = Place.FirstDigit;
        }

        bytes = bytes[(end + 1)..];
    }

    /// <summary>Sum of the bytes modulo 256.</summary>
    public static byte Sum(ReadOnlySpan<byte> bytes)
    {
        Vector<byte> sums = Vector<byte>.Zero;
        while (bytes.Length >= Vector<byte>.Count)
        {
            sums += new Vector<byte>(bytes);
            bytes = bytes[Vector<byte>.Count..];
        }

        byte sum = Vector.Sum(sums);
        foreach (byte value in bytes)
        {
            sum += value;
        }

        return sum;
    }
}
