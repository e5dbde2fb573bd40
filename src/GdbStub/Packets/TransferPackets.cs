using GdbStub.Sessions;
using GdbStub.Wire;

namespace GdbStub.Packets;

/// <summary>qXfer: objects read in pieces.</summary>
internal static class TransferPackets
{
    public static void Features(GdbSession session, PacketArguments arguments)
    {
        if (System.Text.Ascii.Equals(arguments.TakeUntil(':'), "target.xml"))
        {
            Send(session, arguments, TransferDocuments.Features(session.Target.Description));
        }
        else
        {
            session.ReplyError(new Targets.TargetError(0, "the only annex is target.xml"));
        }
    }

    public static void Threads(GdbSession session, PacketArguments arguments)
    {
        if (!arguments.TakeUntil(':').IsEmpty)
        {
            session.ReplyError(new Targets.TargetError(0, "threads have no annex"));
            return;
        }

        // The list is made at its start and kept, so that its pieces fit together.
        if (session.ThreadsDocument is null || arguments.Rest.StartsWith("0,"u8))
        {
            session.ThreadsDocument = TransferDocuments.Threads(session.Target.Threads);
        }

        Send(session, arguments, session.ThreadsDocument);
    }

    private static void Send(GdbSession session, PacketArguments arguments, ReadOnlySpan<byte> document)
    {
        if (!arguments.TryRange(out ulong offset, out ulong length) || !arguments.AtEnd)
        {
            session.ReplyMalformed("qXfer:OBJECT:read:ANNEX:OFFSET,LENGTH");
            return;
        }

        if (offset > (ulong)document.Length)
        {
            session.ReplyError(new Targets.TargetError(Targets.TargetError.Invalid, $"offset 0x{offset:x} is behind the end"));
            return;
        }

        ReadOnlySpan<byte> rest = document[(int)offset..];
        ReadOnlySpan<byte> piece = rest[..(int)Math.Min(length, (ulong)Math.Min(rest.Length, session.Reply.MaxPayload / 2))];
        PacketWriter reply = session.Begin().Text(piece.Length == rest.Length ? "l"u8 : "m"u8);
        reply.Binary(piece);
    }
}
