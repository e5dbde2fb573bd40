using GdbStub.Sessions;
using GdbStub.Targets;

namespace GdbStub.Packets;

/// <summary>Z and z. Conditions and commands are not announced, so a client that sends some is told, not misled.</summary>
internal static class BreakpointPackets
{
    public static void Insert(GdbSession session, PacketArguments arguments) => Change(session, arguments, insert: true);

    public static void Remove(GdbSession session, PacketArguments arguments) => Change(session, arguments, insert: false);

    private static void Change(GdbSession session, PacketArguments arguments, bool insert)
    {
        if (!arguments.TryHex(out ulong type) || !arguments.TryTake(',') || !arguments.TryRange(out ulong address, out ulong length))
        {
            session.ReplyMalformed("Z TYPE,ADDRESS,KIND");
            return;
        }

        if (session.Target.Breakpoints is not { } breakpoints || type > (ulong)BreakpointKind.Access)
        {
            session.ReplyEmpty();
            return;
        }

        if (!arguments.AtEnd)
        {
            session.ReplyError(new TargetError(TargetError.Invalid, "conditions and commands of breakpoints were not announced; keep them in the debugger"));
            return;
        }

        var breakpoint = new TargetBreakpoint((BreakpointKind)type, address, length);
        if (type >= (ulong)BreakpointKind.Write && length == 0)
        {
            session.ReplyMalformed("Z TYPE,ADDRESS,KIND: a watchpoint of no bytes");
        }
        else if ((insert ? breakpoints.Insert(breakpoint) : breakpoints.Remove(breakpoint)) is { } error)
        {
            session.ReplyError(error);
        }
        else
        {
            session.ReplyOk();
        }
    }
}
