using GdbStub.Sessions;

namespace GdbStub.Packets;

/// <summary>Extended mode: a connection that opens and leaves processes of the endpoint.</summary>
internal static class ProcessPackets
{
    public static void Extend(GdbSession session, PacketArguments arguments)
    {
        session.Extended = true;
        session.ReplyOk();
    }

    public static void Attach(GdbSession session, PacketArguments arguments)
    {
        if (!arguments.TryTake(';') || !arguments.TryHex(out ulong process) || process is 0 or > int.MaxValue || !arguments.AtEnd)
        {
            session.ReplyMalformed("vAttach;PROCESS");
        }
        else if (session.Provider.Processes is not { } processes)
        {
            session.ReplyEmpty();
        }
        else if (session.Attach(processes, (int)process) is { } error)
        {
            session.ReplyError(error);
        }
        else if (session.NonStop)
        {
            session.ReplyOk();
        }
        else
        {
            session.ReplyStop(session.General, session.Target.CurrentStop);
        }
    }
}
