using GdbStub.Sessions;
using GdbStub.Targets;

namespace GdbStub.Packets;

/// <summary>What each side can do.</summary>
internal static class QueryPackets
{
    public static void Supported(GdbSession session, PacketArguments arguments)
    {
        if (!arguments.AtEnd && !arguments.TryTake(':'))
        {
            session.ReplyMalformed("qSupported[:FEATURE;...]");
            return;
        }

        while (!arguments.AtEnd)
        {
            ReadOnlySpan<byte> feature = arguments.TakeUntil(';');
            session.ClientTakesErrorTexts |= feature.SequenceEqual("error-message+"u8);
            session.ClientTakesSwBreak |= feature.SequenceEqual("swbreak+"u8);
            session.ClientTakesHwBreak |= feature.SequenceEqual("hwbreak+"u8);
        }

        session.Begin().Text("PacketSize="u8).HexNumber(GdbSession.PacketSize)
            .Text(";QStartNoAckMode+;qXfer:features:read+;qXfer:threads:read+;vContSupported+;swbreak+;hwbreak+"u8)
            .Text(";binary-upload+;error-message+"u8);
        if (session.Target.Breakpoints is IProgrammableBreakpoints)
        {
            session.Reply.Text(";ConditionalBreakpoints+;BreakpointCommands+"u8);
        }
    }

    public static void StartNoAcknowledgements(GdbSession session, PacketArguments arguments)
    {
        session.ReplyOk();
        session.StopAcknowledging();
    }

    public static void MustReplyEmpty(GdbSession session, PacketArguments arguments) => session.ReplyEmpty();
}
