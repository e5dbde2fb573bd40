using GdbStub.Sessions;
using GdbStub.Targets;
using GdbStub.Wire;

namespace GdbStub.Packets;

/// <summary>What each side can do, where the program lies, and which symbols the target wants.</summary>
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
            session.Multiprocess |= feature.SequenceEqual("multiprocess+"u8);
        }

        PacketWriter reply = session.Begin().Text("PacketSize="u8).HexNumber(GdbSession.PacketSize)
            .Text(";QStartNoAckMode+;qXfer:features:read+;qXfer:threads:read+;vContSupported+;swbreak+;hwbreak+"u8)
            .Text(";binary-upload+;error-message+;multiprocess+;QNonStop+;QPassSignals+"u8);
        IDebugTarget? target = session.Attached.Count > 0 ? session.Target : null;
        Announce(target is null || target.Breakpoints is IProgrammableBreakpoints, "ConditionalBreakpoints+;BreakpointCommands+"u8);
        Announce(target?.Reverse is not null, "ReverseContinue+;ReverseStep+"u8);
        Announce(target?.MemoryMap is not null, "qXfer:memory-map:read+"u8);
        Announce(target?.Files is not null, "qXfer:exec-file:read+"u8);
        Announce(target?.Tables is not null || session.Provider.Processes is not null, "qXfer:osdata:read+"u8);
        foreach (string name in target?.Objects?.Names ?? [])
        {
            reply.Text(";qXfer:"u8).Text(name).Text(":read+"u8);
        }

        void Announce(bool there, ReadOnlySpan<byte> feature)
        {
            if (there)
            {
                reply.Text(";"u8).Text(feature);
            }
        }
    }

    public static void StartNoAcknowledgements(GdbSession session, PacketArguments arguments)
    {
        session.ReplyOk();
        session.StopAcknowledging();
    }

    public static void MustReplyEmpty(GdbSession session, PacketArguments arguments) => session.ReplyEmpty();

    /// <summary>
    /// qOffsets: one segment, which moves all sections alike; gdb's other form leaves read-only data behind. lldb takes the segment's
    /// address for a distance, so it is told that its file lies where it says, and moves it when its user does.
    /// </summary>
    public static void Offsets(GdbSession session, PacketArguments arguments)
    {
        if (session.Lldb)
        {
            session.Begin().Text("Text=0;Data=0;Bss=0"u8);
        }
        else if (session.Target.Relocation?.TextSegment is { } address)
        {
            session.Begin().Text("TextSeg="u8).HexNumber(address);
        }
        else
        {
            session.ReplyEmpty();
        }
    }

    /// <summary>qSymbol::, then qSymbol:VALUE:NAME for each symbol asked for; the last is answered OK.</summary>
    public static void Symbol(GdbSession session, PacketArguments arguments)
    {
        if (session.Target.Symbols is not { } symbols)
        {
            session.ReplyOk();
            return;
        }

        if (!arguments.TryTake(':'))
        {
            session.ReplyMalformed("qSymbol:[VALUE]:[NAME]");
            return;
        }

        bool found = arguments.TryHex(out ulong value);
        byte[] name = new byte[Math.Min(arguments.Rest.Length / 2, MaxName)];
        if (!arguments.TryTake(':') || !Hex.TryDecode(arguments.Rest, name))
        {
            session.ReplyMalformed("qSymbol:[VALUE]:[NAME]");
            return;
        }

        IReadOnlyList<string> wanted = symbols.Wanted;
        int next = 0;
        if (name.Length > 0)
        {
            string asked = System.Text.Encoding.UTF8.GetString(name);
            while (next < wanted.Count && wanted[next] != asked)
            {
                next++;
            }

            if (next < wanted.Count)
            {
                symbols.Found(asked, found ? value : null);
                next++;
            }
        }

        if (next < wanted.Count)
        {
            session.Begin().Text("qSymbol:"u8).HexBytes(System.Text.Encoding.UTF8.GetBytes(wanted[next]));
        }
        else
        {
            session.ReplyOk();
        }
    }

    private const int MaxName = 1024;
}
