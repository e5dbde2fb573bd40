using GdbStub.Sessions;

namespace GdbStub.Packets;

/// <summary>Answers a packet: exactly one reply, or a resume.</summary>
internal delegate void PacketHandler(GdbSession session, PacketArguments arguments);

/// <summary>How a client that did not announce error texts takes an error in reply to a packet.</summary>
internal enum ErrorStyle
{
    /// <summary>E.text is understood by every gdb since 7.</summary>
    Text,

    /// <summary>Only Enn: gdb before 16 takes anything else for data.</summary>
    Number,
}

/// <summary>When a packet may come.</summary>
internal enum Allowed
{
    /// <summary>Only with a process that stands still; else an error.</summary>
    Stopped,

    /// <summary>With a process, which in non-stop mode may run.</summary>
    Moving,

    /// <summary>Also without a process, but not while a stop is waited for.</summary>
    Detached,

    /// <summary>At any time.</summary>
    Always,
}

/// <summary>One line of the protocol's menu.</summary>
/// <param name="Name">The packet's name as it stands on the wire. What follows it must be nothing, a separator (: ; , ?) or, after a single letter, anything.</param>
/// <param name="Handler">Its handler; null for a packet that is known and left out, answered empty like an unknown one.</param>
/// <param name="Summary">What it is for.</param>
/// <param name="When">When it may come.</param>
/// <param name="Errors">How errors are told to a client that announced nothing.</param>
/// <param name="Silent">True when no reply is expected.</param>
/// <param name="Bare">True when the arguments follow the name with no separator, as in some of lldb's packets.</param>
internal sealed record PacketEntry(
    string Name,
    PacketHandler? Handler,
    string Summary,
    Allowed When = Allowed.Stopped,
    ErrorStyle Errors = ErrorStyle.Text,
    bool Silent = false,
    bool Bare = false)
{
    /// <summary>True when <paramref name="packet"/> is this one.</summary>
    public bool Matches(ReadOnlySpan<byte> packet)
    {
        if (packet.Length < Name.Length || !System.Text.Ascii.Equals(packet[..Name.Length], Name))
        {
            return false;
        }

        return Bare || Name.Length == 1 || packet.Length == Name.Length || Separates(Name[^1]) || Separates((char)packet[Name.Length]);

        static bool Separates(char character) => character is ':' or ';' or ',' or '?';
    }
}
