using System.Text;
using GdbStub.Sessions;
using GdbStub.Wire;

namespace GdbStub.Packets;

/// <summary>
/// qRcmd. Output goes as console packets with OK at the end, whatever it says: gdb would take the text of an error here
/// for hexadecimal digits.
/// </summary>
internal static class MonitorPackets
{
    /// <summary>Longest command, in bytes.</summary>
    public const int MaxCommand = 4096;

    private const int Piece = 8192;

    public static void Execute(GdbSession session, PacketArguments arguments)
    {
        if (session.Target.Monitor is not { } monitor)
        {
            session.ReplyEmpty();
            return;
        }

        if (!arguments.TryTake(',') || arguments.Rest.Length > 2 * MaxCommand)
        {
            session.ReplyMalformed("qRcmd,COMMAND");
            return;
        }

        byte[] command = new byte[arguments.Rest.Length / 2];
        if (!Hex.TryDecode(arguments.Rest, command))
        {
            session.ReplyMalformed("qRcmd,COMMAND");
            return;
        }

        byte[] output = Encoding.UTF8.GetBytes(monitor.Execute(session.GeneralThread, Encoding.UTF8.GetString(command)));
        for (int done = 0; done < output.Length; done += Piece)
        {
            session.Begin().Text("O"u8).HexBytes(output.AsSpan(done, Math.Min(Piece, output.Length - done)));
            session.EndPacket();
        }

        session.ReplyOk();
    }
}
