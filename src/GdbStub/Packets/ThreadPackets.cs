using System.Text;
using GdbStub.Sessions;
using GdbStub.Targets;
using GdbStub.Wire;

namespace GdbStub.Packets;

/// <summary>Which threads there are, and which one the other packets mean.</summary>
internal static class ThreadPackets
{
    public static void Select(GdbSession session, PacketArguments arguments)
    {
        if (!arguments.TryTakeAny(out byte operation) || !arguments.TryThread(out ThreadId id) || !arguments.AtEnd)
        {
            session.ReplyMalformed("H OPERATION THREAD");
        }
        else if (operation is not ((byte)'g' or (byte)'c'))
        {
            session.ReplyEmpty();
        }
        else if (session.Attached.Count > 0 && !session.IsThere(id))
        {
            session.ReplyError(ResumePackets.NoThread(id.Thread));
        }
        else
        {
            if (operation == 'c')
            {
                session.ResumeThread = id;
            }
            else if (session.Find(id) is { } source)
            {
                session.SelectGeneral(source, id.Thread);
            }

            session.ReplyOk();
        }
    }

    public static void IsAlive(GdbSession session, PacketArguments arguments)
    {
        if (!arguments.TryThread(out ThreadId id) || !arguments.AtEnd)
        {
            session.ReplyMalformed("T THREAD");
        }
        else if (id.Thread > 0 && session.IsThere(id))
        {
            session.ReplyOk();
        }
        else
        {
            session.ReplyError(ResumePackets.NoThread(id.Thread));
        }
    }

    public static void Current(GdbSession session, PacketArguments arguments) =>
        session.WriteThread(session.Begin().Text("QC"u8), session.General, session.GeneralThread);

    public static void ListFirst(GdbSession session, PacketArguments arguments)
    {
        session.ThreadsListed = 0;
        ListNext(session, arguments);
    }

    public static void ListNext(GdbSession session, PacketArguments arguments)
    {
        const int widestId = 20;
        PacketWriter reply = session.Begin();
        int place = 0;
        bool any = false;
        foreach (Attachment source in session.Attached)
        {
            if (!session.Multiprocess && source != session.General)
            {
                continue;
            }

            foreach (TargetThread thread in source.Threads)
            {
                if (place++ < session.ThreadsListed || reply.Room < widestId)
                {
                    continue;
                }

                session.WriteThread(reply.Text(any ? ","u8 : "m"u8), source, thread.Id);
                session.ThreadsListed++;
                any = true;
            }
        }

        if (!any)
        {
            reply.Text("l"u8);
        }
    }

    public static void Describe(GdbSession session, PacketArguments arguments)
    {
        if (!arguments.TryTake(',') || !arguments.TryThread(out ThreadId id) || !arguments.AtEnd)
        {
            session.ReplyMalformed("qThreadExtraInfo,THREAD");
            return;
        }

        if (session.Find(id) is { } source)
        {
            foreach (TargetThread thread in source.Threads)
            {
                if (thread.Id == id.Thread)
                {
                    string text = thread.State.Length == 0 ? thread.Name : $"{thread.Name}: {thread.State}";
                    if (source.Readable && source.Target.DescribeThread(thread.Id) is { } more)
                    {
                        text = $"{text}, {more}";
                    }

                    session.Begin().HexBytes(Encoding.UTF8.GetBytes(text.Length > MaxText ? text[..MaxText] : text));
                    return;
                }
            }
        }

        session.ReplyError(ResumePackets.NoThread(id.Thread));
    }

    private const int MaxText = 1000;

    /// <summary>The target was there before the debugger: leaving it means detaching.</summary>
    public static void Attached(GdbSession session, PacketArguments arguments) => session.Begin().Text("1"u8);
}
