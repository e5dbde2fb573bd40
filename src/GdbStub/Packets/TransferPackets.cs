using System.Text;
using GdbStub.Sessions;
using GdbStub.Targets;
using GdbStub.Wire;

namespace GdbStub.Packets;

/// <summary>qXfer: objects read in pieces. Each is made when its reading starts and kept, so that its pieces fit together.</summary>
internal static class TransferPackets
{
    private static readonly TargetError NoAnnex = new(0, "there is no such annex");

    public static void Features(GdbSession session, PacketArguments arguments) => Send(session, arguments, "features", annex =>
        annex == "target.xml" ? Whole(TransferDocuments.Features(session.Target.Description)) : null, "the only annex is target.xml");

    public static void Threads(GdbSession session, PacketArguments arguments) => Send(session, arguments, "threads", annex =>
        annex.Length == 0 ? Whole(TransferDocuments.Threads(session)) : null, "threads have no annex");

    public static void MemoryMap(GdbSession session, PacketArguments arguments)
    {
        if (session.Target.MemoryMap is not { } map)
        {
            session.ReplyEmpty();
            return;
        }

        Send(session, arguments, "memory-map", annex => annex.Length == 0 ? Whole(TransferDocuments.MemoryMap(map.Entries)) : null, "the map has no annex");
    }

    /// <summary>exec-file: the annex is a process, or nothing.</summary>
    public static void ExecutableFile(GdbSession session, PacketArguments arguments) => Send(session, arguments, "exec-file", annex =>
    {
        Attachment? source = annex.Length == 0 ? session.General
            : int.TryParse(annex, System.Globalization.NumberStyles.AllowHexSpecifier, null, out int process) ? session.Find(new ThreadId(process, 0)) : null;
        return source?.Target.Files?.Executable is { } path ? Whole(Encoding.UTF8.GetBytes(path)) : null;
    }, "there is no file of the program");

    public static void SystemData(GdbSession session, PacketArguments arguments) => Send(session, arguments, "osdata", annex =>
        TransferDocuments.SystemData(annex, session), "there is no such table; 'info os' lists them");

    /// <summary>Objects of the target's own.</summary>
    public static void Named(GdbSession session, PacketArguments arguments)
    {
        string name = Encoding.ASCII.GetString(arguments.TakeUntil(':'));
        if (session.Target.Objects is not { } objects || !objects.Names.Contains(name) || !arguments.TryTake("read:"u8))
        {
            session.ReplyEmpty();
            return;
        }

        Send(session, arguments, name, annex => objects.Read(name, annex), null);
    }

    /// <summary>Typed, because a null array would turn into an empty object.</summary>
    private static ReadOnlyMemory<byte>? Whole(byte[] bytes) => bytes;

    private static void Send(GdbSession session, PacketArguments arguments, string name, Func<string, ReadOnlyMemory<byte>?> make, string? refusal)
    {
        string annex = Encoding.UTF8.GetString(arguments.TakeUntil(':'));
        if (!arguments.TryRange(out ulong offset, out ulong length) || !arguments.AtEnd)
        {
            session.ReplyMalformed("qXfer:OBJECT:read:ANNEX:OFFSET,LENGTH");
            return;
        }

        if (session.Transfer($"{name}:{annex}", offset == 0, () => make(annex)) is not { } document)
        {
            session.ReplyError(refusal is null ? NoAnnex : new TargetError(0, refusal));
            return;
        }

        if (offset > (ulong)document.Length)
        {
            session.ReplyError(new TargetError(TargetError.Invalid, $"offset 0x{offset:x} is behind the end"));
            return;
        }

        ReadOnlySpan<byte> rest = document.Span[(int)offset..];
        ReadOnlySpan<byte> piece = rest[..(int)Math.Min(length, (ulong)Math.Min(rest.Length, session.Reply.MaxPayload / 2))];
        PacketWriter reply = session.Begin().Text(piece.Length == rest.Length ? "l"u8 : "m"u8);
        reply.Binary(piece);
    }
}
