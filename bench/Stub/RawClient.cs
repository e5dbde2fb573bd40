using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Bench.Stub;

/// <summary>A client that is no slower than it must be: whole packets in, whole packets out, on the loopback interface.</summary>
internal sealed class RawClient : IDisposable
{
    private readonly Socket socket = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
    private readonly byte[] buffer = new byte[1 << 20];
    private readonly bool acknowledges = true;
    private int payloadStart;

    public RawClient(int port)
    {
        socket.Connect(IPAddress.Loopback, port);
        string features = AskText("qSupported:swbreak+;hwbreak+;vContSupported+");
        int at = features.IndexOf("PacketSize=", StringComparison.Ordinal);
        PacketSize = at < 0 ? 1024 : int.Parse(features[(at + 11)..].Split(';')[0], NumberStyles.HexNumber, CultureInfo.InvariantCulture);
        if (features.Contains("QStartNoAckMode+", StringComparison.Ordinal))
        {
            AskText("QStartNoAckMode");
            acknowledges = false;
        }

        Binary = features.Contains("binary-upload+", StringComparison.Ordinal);
    }

    /// <summary>Longest packet the server says it takes.</summary>
    public int PacketSize { get; }

    /// <summary>The server says that it knows x.</summary>
    public bool Binary { get; }

    /// <summary>A packet as it is sent.</summary>
    public static byte[] Frame(string payload)
    {
        byte sum = 0;
        foreach (char character in payload)
        {
            sum += (byte)character;
        }

        return Encoding.Latin1.GetBytes($"${payload}#{sum:x2}");
    }

    /// <summary>Sends a packet and takes the reply; returns the bytes of its payload as they came.</summary>
    public int Ask(string payload) => Ask(Frame(payload));

    /// <summary>The same of a packet made before.</summary>
    public int Ask(byte[] packet)
    {
        socket.Send(packet);
        int filled = 0;
        while (true)
        {
            int read = socket.Receive(buffer, filled, buffer.Length - filled, SocketFlags.None);
            if (read == 0)
            {
                throw new BenchmarkException("the server closed the connection");
            }

            filled += read;
            int start = Array.IndexOf(buffer, (byte)'$', 0, Math.Min(filled, 2));
            if (start >= 0 && filled >= start + 4 && buffer[filled - 3] == '#')
            {
                if (acknowledges)
                {
                    socket.Send("+"u8);
                }

                payloadStart = start + 1;
                return filled - start - 4;
            }
        }
    }

    public void Dispose()
    {
        try
        {
            Ask("D");
        }
        catch (Exception exception) when (exception is SocketException or BenchmarkException)
        {
            // It has gone before us.
        }

        socket.Dispose();
    }

    private string AskText(string payload)
    {
        // Runs are a character, a star, and 29 more than how often it is repeated.
        int length = Ask(payload);
        var text = new StringBuilder();
        for (int i = payloadStart; i < payloadStart + length; i++)
        {
            if (buffer[i] == '*' && i + 1 < payloadStart + length)
            {
                text.Append(text[^1], buffer[++i] - 29);
            }
            else
            {
                text.Append((char)buffer[i]);
            }
        }

        return text.ToString();
    }
}
