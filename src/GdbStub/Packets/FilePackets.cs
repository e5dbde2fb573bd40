using System.Buffers.Binary;
using System.Text;
using GdbStub.Sessions;
using GdbStub.Targets;
using GdbStub.Wire;

namespace GdbStub.Packets;

/// <summary>
/// vFile over the target's own files. The host's file system is not reached: a path only ever becomes a question to the target.
/// Source: "Host I/O Packets" and "File-I/O Remote Protocol Extension" in gdb's manual; size, exists, mode are lldb's.
/// </summary>
internal static class FilePackets
{
    /// <summary>Longest path, in bytes.</summary>
    public const int MaxPath = 4096;

    private const int NoEntry = 2;
    private const int BadFile = 9;
    private const int Invalid = 22;
    private const int TooManyFiles = 23;
    private const int ReadOnly = 30;
    private const uint RegularReadOnly = 0x8124;

    public static void Open(GdbSession session, PacketArguments arguments)
    {
        ReadOnlySpan<byte> name = arguments.TakeUntil(',');
        if (!TryPath(name, out string? path) || !arguments.TryRange(out ulong flags, out _) || !arguments.AtEnd)
        {
            Fail(session, Invalid);
        }
        else if ((flags & 3) != 0)
        {
            Fail(session, ReadOnly);
        }
        else if (session.Files is not { } files || !files.TryOpen(path, out IVirtualFile? file))
        {
            Fail(session, NoEntry);
        }
        else if (session.KeepFile(file) is >= 0 and int number)
        {
            Succeed(session, (ulong)number);
        }
        else
        {
            file.Dispose();
            Fail(session, TooManyFiles);
        }
    }

    public static void Read(GdbSession session, PacketArguments arguments)
    {
        if (!arguments.TryHex(out ulong number) || !arguments.TryTake(',') || !arguments.TryRange(out ulong count, out ulong offset) || !arguments.AtEnd)
        {
            Fail(session, Invalid);
            return;
        }

        if (session.File(number) is not { } file)
        {
            Fail(session, BadFile);
            return;
        }

        // The count stands in front of data whose escapes decide how much fits: half always does.
        Span<byte> buffer = session.Scratch(Math.Min(count, (ulong)(session.Reply.MaxPayload - 32) / 2));
        int read = file.Read(offset, buffer);
        Succeed(session, (ulong)read);
        session.Reply.Text(";"u8).Binary(buffer[..read]);
    }

    public static void Close(GdbSession session, PacketArguments arguments)
    {
        if (arguments.TryHex(out ulong number) && arguments.AtEnd && session.CloseFile(number))
        {
            Succeed(session, 0);
        }
        else
        {
            Fail(session, BadFile);
        }
    }

    public static void Status(GdbSession session, PacketArguments arguments)
    {
        if (arguments.TryHex(out ulong number) && arguments.AtEnd && session.File(number) is { } file)
        {
            ReplyStatus(session, file.Length);
        }
        else
        {
            Fail(session, BadFile);
        }
    }

    public static void StatusByName(GdbSession session, PacketArguments arguments)
    {
        if (TryLength(session, arguments.Rest, out ulong length))
        {
            ReplyStatus(session, length);
        }
        else
        {
            Fail(session, NoEntry);
        }
    }

    public static void ReadLink(GdbSession session, PacketArguments arguments)
    {
        if (TryPath(arguments.Rest, out string? path) && session.Files?.ReadLink(path) is { } to)
        {
            byte[] text = Encoding.UTF8.GetBytes(to);
            Succeed(session, (ulong)text.Length);
            session.Reply.Text(";"u8).Binary(text);
        }
        else
        {
            Fail(session, NoEntry);
        }
    }

    /// <summary>Whose files are meant from now on; 0 for the chosen process, whichever that is.</summary>
    public static void SetProcess(GdbSession session, PacketArguments arguments)
    {
        if (!arguments.TryHex(out ulong process) || !arguments.AtEnd)
        {
            Fail(session, Invalid);
            return;
        }

        session.FileProcess = (int)Math.Min(process, int.MaxValue);
        Succeed(session, 0);
    }

    public static void Refuse(GdbSession session, PacketArguments arguments) => Fail(session, ReadOnly);

    public static void Size(GdbSession session, PacketArguments arguments)
    {
        if (TryLength(session, arguments.Rest, out ulong length))
        {
            Succeed(session, length);
        }
        else
        {
            Fail(session, NoEntry);
        }
    }

    public static void Exists(GdbSession session, PacketArguments arguments) =>
        session.Begin().Text(TryLength(session, arguments.Rest, out _) ? "F,1"u8 : "F,0"u8);

    public static void Mode(GdbSession session, PacketArguments arguments)
    {
        if (TryLength(session, arguments.Rest, out _))
        {
            Succeed(session, RegularReadOnly);
        }
        else
        {
            Fail(session, NoEntry);
        }
    }

    private static bool TryLength(GdbSession session, ReadOnlySpan<byte> name, out ulong length)
    {
        length = 0;
        if (!TryPath(name, out string? path) || session.Files is not { } files || !files.TryOpen(path, out IVirtualFile? file))
        {
            return false;
        }

        using (file)
        {
            length = file.Length;
        }

        return true;
    }

    private static bool TryPath(ReadOnlySpan<byte> digits, [System.Diagnostics.CodeAnalysis.NotNullWhen(true)] out string? path)
    {
        byte[] bytes = new byte[Math.Min(digits.Length / 2, MaxPath)];
        path = Hex.TryDecode(digits, bytes) ? Encoding.UTF8.GetString(bytes) : null;
        return path is not null;
    }

    /// <summary>struct stat as the protocol lays it out: big-endian, 64 bytes.</summary>
    private static void ReplyStatus(GdbSession session, ulong length)
    {
        const int mode = 8;
        const int links = 12;
        const int size = 28;
        const int blockSize = 36;
        const int blocks = 44;
        Span<byte> status = stackalloc byte[64];
        status.Clear();
        BinaryPrimitives.WriteUInt32BigEndian(status[mode..], RegularReadOnly);
        BinaryPrimitives.WriteUInt32BigEndian(status[links..], 1);
        BinaryPrimitives.WriteUInt64BigEndian(status[size..], length);
        BinaryPrimitives.WriteUInt64BigEndian(status[blockSize..], 4096);
        BinaryPrimitives.WriteUInt64BigEndian(status[blocks..], (length / 512) + 1);
        Succeed(session, (ulong)status.Length);
        session.Reply.Text(";"u8).Binary(status);
    }

    private static void Succeed(GdbSession session, ulong result) => session.Begin().Text("F"u8).HexNumber(result);

    private static void Fail(GdbSession session, int error) => session.Begin().Text("F-1,"u8).HexNumber((ulong)error);
}
