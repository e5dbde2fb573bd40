using System.Text;
using GdbStub.Sessions;
using GdbStub.Targets;

namespace GdbStub.Packets;

/// <summary>
/// What lldb asks before it does anything, answered so that it neither guesses nor searches. Source: "GDB Remote
/// Protocol Extensions" in lldb's documentation.
/// </summary>
internal static class LldbPackets
{
    public static void HostInfo(GdbSession session, PacketArguments arguments) => Triple(session);

    public static void ProcessInfo(GdbSession session, PacketArguments arguments)
    {
        session.Begin().Text("pid:1;"u8);
        WriteTriple(session);
    }

    public static void ThreadSuffix(GdbSession session, PacketArguments arguments)
    {
        session.Lldb = true;
        session.ReplyOk();
    }

    public static void ListThreadsInStop(GdbSession session, PacketArguments arguments)
    {
        session.ListThreadsInStop = true;
        session.ReplyOk();
    }

    public static void ErrorStrings(GdbSession session, PacketArguments arguments)
    {
        session.LldbErrorStrings = true;
        session.ReplyOk();
    }

    public static void ThreadStop(GdbSession session, PacketArguments arguments)
    {
        if (!arguments.TryThread(out int thread) || !arguments.AtEnd)
        {
            session.ReplyMalformed("qThreadStopInfo THREAD");
        }
        else if (!session.HasThread(thread))
        {
            session.ReplyError(ResumePackets.NoThread(thread));
        }
        else
        {
            StopReport stop = session.Target.CurrentStop;
            session.ReplyStop(stop.Thread == thread ? stop : new StopReport(thread, StopReason.Signal, 0));
        }
    }

    private static void Triple(GdbSession session)
    {
        session.Begin();
        WriteTriple(session);
    }

    private static void WriteTriple(GdbSession session)
    {
        TargetDescription description = session.Target.Description;
        session.Reply.Text("triple:"u8).HexBytes(Encoding.ASCII.GetBytes(description.Triple))
            .Text(description.BigEndian ? ";endian:big;ptrsize:"u8 : ";endian:little;ptrsize:"u8)
            .HexNumber((ulong)description.PointerSize).Text(";"u8);
    }
}
