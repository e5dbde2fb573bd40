using GdbStub.Sessions;
using GdbStub.Targets;
using GdbStub.Wire;

namespace GdbStub.Packets;

/// <summary>
/// m M x X, and the searches that save a client from reading all of memory. A read that meets the end of what is mapped
/// is answered short; a read or a write that cannot start is an error.
/// </summary>
internal static class MemoryPackets
{
    /// <summary>Most bytes one search or checksum looks through: page tables can map one page a million times.</summary>
    public const ulong MaxScan = 1UL << 36;

    public static void ReadHex(GdbSession session, PacketArguments arguments)
    {
        if (!arguments.TryRange(out ulong address, out ulong length) || !arguments.AtEnd)
        {
            session.ReplyMalformed("m ADDRESS,LENGTH");
            return;
        }

        Span<byte> buffer = session.Scratch(Math.Min(length, (ulong)session.Reply.MaxPayload / 2));
        int read = session.ReadMemory(address, buffer);
        if (read == 0 && length > 0)
        {
            session.ReplyError(Unreadable(address));
            return;
        }

        session.Begin().HexBytes(buffer[..read]);
    }

    public static void ReadBinary(GdbSession session, PacketArguments arguments)
    {
        if (!arguments.TryRange(out ulong address, out ulong length) || !arguments.AtEnd)
        {
            session.ReplyMalformed("x ADDRESS,LENGTH");
            return;
        }

        // lldb's older form has no 'b' in front, and is asked for by x0,0, to be answered OK.
        if (session.Lldb && address == 0 && length == 0)
        {
            session.BareBinary = true;
            session.ReplyOk();
            return;
        }

        PacketWriter reply = session.Begin();
        if (!session.BareBinary)
        {
            reply.Text("b"u8);
        }

        // As much as is there and fits: the client asks on for the rest.
        ulong done = 0;
        while (done < length && reply.Room >= 2)
        {
            int ask = (int)Math.Min(length - done, (ulong)reply.Room);
            ReadOnlySpan<byte> piece = session.Peek(address + done, ask);
            if (piece.IsEmpty)
            {
                Span<byte> buffer = session.Scratch((ulong)ask);
                piece = buffer[..session.ReadMemory(address + done, buffer)];
            }

            int taken = reply.Binary(piece);
            done += (ulong)taken;
            if (taken == 0)
            {
                break;
            }
        }

        if (done == 0 && length > 0)
        {
            session.ReplyError(Unreadable(address));
        }
    }

    public static void WriteHex(GdbSession session, PacketArguments arguments)
    {
        if (!TryHeader(ref arguments, out ulong address, out ulong length) || (ulong)arguments.Rest.Length != length * 2)
        {
            session.ReplyMalformed("M ADDRESS,LENGTH:DATA");
            return;
        }

        Span<byte> data = session.Scratch(length);
        if (!Hex.TryDecode(arguments.Rest, data))
        {
            session.ReplyMalformed("M ADDRESS,LENGTH:DATA");
            return;
        }

        Write(session, address, data);
    }

    public static void WriteBinary(GdbSession session, PacketArguments arguments)
    {
        if (!TryHeader(ref arguments, out ulong address, out ulong length))
        {
            session.ReplyMalformed("X ADDRESS,LENGTH:DATA");
            return;
        }

        Span<byte> data = session.Scratch((ulong)arguments.Rest.Length);
        int count = PacketWriter.Unescape(arguments.Rest, data);
        if (count < 0 || (ulong)count != length)
        {
            session.ReplyMalformed("X ADDRESS,LENGTH:DATA");
            return;
        }

        Write(session, address, data[..count]);
    }

    public static void Search(GdbSession session, PacketArguments arguments)
    {
        if (!arguments.TryHex(out ulong address) || !arguments.TryTake(';') || !arguments.TryHex(out ulong length) || !arguments.TryTake(';'))
        {
            session.ReplyMalformed("qSearch:memory:ADDRESS;LENGTH;PATTERN");
            return;
        }

        byte[] pattern = new byte[arguments.Rest.Length];
        int count = PacketWriter.Unescape(arguments.Rest, pattern);
        if (count <= 0 || count > MaxPattern)
        {
            session.ReplyMalformed($"qSearch:memory:ADDRESS;LENGTH;PATTERN with a pattern of 1 to {MaxPattern} bytes");
            return;
        }

        if (length > MaxScan)
        {
            session.ReplyError(TooMuch(length));
            return;
        }

        ReadOnlySpan<byte> wanted = pattern.AsSpan(0, count);

        // The end of what was searched and the beginning of what comes next, where a match may lie across.
        byte[] seam = new byte[2 * (count - 1)];
        int kept = 0;
        for (ulong done = 0; done < length;)
        {
            ReadOnlySpan<byte> piece = Window(session, address + done, length - done);
            if (piece.IsEmpty)
            {
                session.ReplyError(Unreadable(address + done));
                return;
            }

            int joined = Math.Min(count - 1, piece.Length);
            piece[..joined].CopyTo(seam.AsSpan(kept));
            ulong start = address + done - (ulong)kept;
            int found = seam.AsSpan(0, kept + joined).IndexOf(wanted);
            if (found < 0)
            {
                found = piece.IndexOf(wanted);
                start = address + done;
            }

            if (found >= 0)
            {
                session.Begin().Text("1,"u8).HexNumber(start + (ulong)found);
                return;
            }

            if (piece.Length >= count - 1)
            {
                kept = count - 1;
                piece[^kept..].CopyTo(seam);
            }
            else
            {
                int all = kept + piece.Length;
                int keep = Math.Min(all, count - 1);
                seam.AsSpan(all - keep, keep).CopyTo(seam);
                kept = keep;
            }

            done += (ulong)piece.Length;
        }

        session.Begin().Text("0"u8);
    }

    /// <summary>The next bytes of a scan: where they lie, or a copy; empty at a hole.</summary>
    private static ReadOnlySpan<byte> Window(GdbSession session, ulong address, ulong wanted)
    {
        ReadOnlySpan<byte> piece = session.Peek(address, (int)Math.Min(wanted, int.MaxValue));
        if (!piece.IsEmpty)
        {
            return piece;
        }

        Span<byte> window = session.Scratch(Math.Min(wanted, ScanWindow));
        return window[..session.ReadMemory(address, window)];
    }

    public static void Checksum(GdbSession session, PacketArguments arguments)
    {
        if (!arguments.TryRange(out ulong address, out ulong length) || !arguments.AtEnd)
        {
            session.ReplyMalformed("qCRC:ADDRESS,LENGTH");
            return;
        }

        if (length > MaxScan)
        {
            session.ReplyError(TooMuch(length));
            return;
        }

        uint sum = 0xFFFF_FFFF;
        for (ulong done = 0; done < length;)
        {
            ReadOnlySpan<byte> piece = Window(session, address + done, length - done);
            if (piece.IsEmpty)
            {
                session.ReplyError(Unreadable(address + done));
                return;
            }

            sum = Crc(sum, piece);
            done += (ulong)piece.Length;
        }

        session.Begin().Text("C"u8).HexNumber(sum);
    }

    private const int MaxPattern = 0x4000;
    private const ulong ScanWindow = 0x10000;

    /// <summary>gdb's CRC-32: polynomial 04C11DB7h, most significant bit first, no final inversion ("Separate Debug Files" has the other one).</summary>
    private static uint Crc(uint sum, ReadOnlySpan<byte> bytes)
    {
        foreach (byte value in bytes)
        {
            sum = (sum << 8) ^ CrcTable[(sum >> 24) ^ value];
        }

        return sum;
    }

    private static readonly uint[] CrcTable = BuildCrcTable();

    private static uint[] BuildCrcTable()
    {
        var table = new uint[256];
        for (uint i = 0; i < table.Length; i++)
        {
            uint value = i << 24;
            for (int bit = 0; bit < 8; bit++)
            {
                value = (value << 1) ^ ((value >> 31) * 0x04C1_1DB7);
            }

            table[i] = value;
        }

        return table;
    }

    private static bool TryHeader(ref PacketArguments arguments, out ulong address, out ulong length) =>
        arguments.TryRange(out address, out length) && arguments.TryTake(':') && length <= (ulong)arguments.Rest.Length;

    private static void Write(GdbSession session, ulong address, ReadOnlySpan<byte> data)
    {
        if (session.Target.Writer is not { } writer)
        {
            session.ReplyError(session.Target.Unsupported(TargetAbility.Write));
            return;
        }

        int written = session.Physical && session.Target.PhysicalMemory is { } physical
            ? physical.Write(address, data)
            : writer.WriteMemory(session.GeneralThread, address, data);
        if (written == data.Length)
        {
            session.ReplyOk();
        }
        else
        {
            session.ReplyError(new TargetError(TargetError.BadAddress, $"no memory to write at 0x{address + (ulong)written:x}"));
        }
    }

    private static TargetError Unreadable(ulong address) => new(TargetError.BadAddress, $"no memory at 0x{address:x}");

    private static TargetError TooMuch(ulong length) =>
        new(TargetError.Invalid, $"0x{length:x} bytes are more than one request may scan (0x{MaxScan:x}); search smaller ranges");
}
