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
        if (!arguments.TryTakeAny(out byte operation) || !arguments.TryThread(out int thread) || !arguments.AtEnd)
        {
            session.ReplyMalformed("H OPERATION THREAD");
        }
        else if (thread > 0 && !session.HasThread(thread))
        {
            session.ReplyError(ResumePackets.NoThread(thread));
        }
        else if (operation == 'g')
        {
            session.SelectGeneral(thread);
            session.ReplyOk();
        }
        else if (operation == 'c')
        {
            session.ResumeThread = thread;
            session.ReplyOk();
        }
        else
        {
            session.ReplyEmpty();
        }
    }

    public static void IsAlive(GdbSession session, PacketArguments arguments)
    {
        if (!arguments.TryThread(out int thread) || !arguments.AtEnd)
        {
            session.ReplyMalformed("T THREAD");
        }
        else if (session.HasThread(thread))
        {
            session.ReplyOk();
        }
        else
        {
            session.ReplyError(ResumePackets.NoThread(thread));
        }
    }

    public static void Current(GdbSession session, PacketArguments arguments) =>
        session.Begin().Text("QC"u8).HexNumber((ulong)session.GeneralThread);

    public static void ListFirst(GdbSession session, PacketArguments arguments)
    {
        session.ThreadsListed = 0;
        ListNext(session, arguments);
    }

    public static void ListNext(GdbSession session, PacketArguments arguments)
    {
        IReadOnlyList<TargetThread> threads = session.Target.Threads;
        PacketWriter reply = session.Begin();
        if (session.ThreadsListed >= threads.Count)
        {
            reply.Text("l"u8);
            return;
        }

        const int widestId = 9;
        char separator = 'm';
        while (session.ThreadsListed < threads.Count && reply.Room >= widestId)
        {
            reply.Text(separator == 'm' ? "m"u8 : ","u8).HexNumber((ulong)threads[session.ThreadsListed++].Id);
            separator = ',';
        }
    }

    public static void Describe(GdbSession session, PacketArguments arguments)
    {
        if (!arguments.TryTake(',') || !arguments.TryThread(out int id) || !arguments.AtEnd)
        {
            session.ReplyMalformed("qThreadExtraInfo,THREAD");
            return;
        }

        foreach (TargetThread thread in session.Target.Threads)
        {
            if (thread.Id == id)
            {
                string text = thread.State.Length == 0 ? thread.Name : $"{thread.Name}: {thread.State}";
                session.Begin().HexBytes(Encoding.UTF8.GetBytes(text));
                return;
            }
        }

        session.ReplyError(ResumePackets.NoThread(id));
    }

    /// <summary>The target was there before the debugger: leaving it means detaching.</summary>
    public static void Attached(GdbSession session, PacketArguments arguments) => session.Begin().Text("1"u8);
}
