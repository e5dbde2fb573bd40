using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;
using GdbStub.Sessions;

namespace Debugging.Tests;

/// <summary>
/// A small client that writes down what was said: <see cref="Transcript"/> has a line for each packet, "> " sent and "&lt; "
/// received as it came over the wire. Two servers of the same machine give the same lines. Bytes are Latin-1 characters.
/// </summary>
internal sealed class RspClient : IDisposable
{
    private readonly Socket socket;
    private readonly byte[] buffer = new byte[1 << 16];
    private readonly StringBuilder pending = new();

    private RspClient(Socket socket) => this.socket = socket;

    /// <summary>What was said so far.</summary>
    public List<string> Transcript { get; } = [];

    /// <summary>Connects and ends acknowledgements.</summary>
    public static RspClient Connect(GdbEndpoint endpoint)
    {
        bool tcp = endpoint is GdbEndpoint.Tcp;
        EndPoint where = endpoint is GdbEndpoint.Tcp address
            ? new IPEndPoint(address.Address, address.Port)
            : new UnixDomainSocketEndPoint(((GdbEndpoint.Unix)endpoint).Path);
        var socket = new Socket(where.AddressFamily, SocketType.Stream, tcp ? ProtocolType.Tcp : ProtocolType.Unspecified) { ReceiveTimeout = 20_000 };
        if (tcp)
        {
            socket.NoDelay = true;
        }

        socket.Connect(where);
        var client = new RspClient(socket);
        Assert.Equal("OK", client.Ask("QStartNoAckMode"));
        client.SendRaw("+");
        return client;
    }

    /// <summary>Sends a packet and returns the payload of its reply, runs and escapes undone.</summary>
    public string Ask(string payload)
    {
        Send(payload);
        return Receive();
    }

    /// <summary>Sends a packet that is answered later.</summary>
    public void Send(string payload)
    {
        Transcript.Add("> " + payload);
        byte sum = 0;
        foreach (char character in payload)
        {
            sum += (byte)character;
        }

        SendRaw($"${payload}#{sum.ToString("x2", CultureInfo.InvariantCulture)}");
    }

    /// <summary>Sends bytes as they are.</summary>
    public void SendRaw(string bytes) => socket.Send(Encoding.Latin1.GetBytes(bytes));

    /// <summary>The next packet.</summary>
    public string Receive()
    {
        while (true)
        {
            string text = pending.ToString();
            int start = text.IndexOf('$', StringComparison.Ordinal);
            int end = start < 0 ? -1 : text.IndexOf('#', start);
            if (end >= 0 && end + 2 < text.Length)
            {
                pending.Remove(0, end + 3);
                string body = text[(start + 1)..end];
                Transcript.Add("< " + body);
                return Decode(body);
            }

            int read = socket.Receive(buffer);
            if (read == 0)
            {
                throw new EndOfStreamException("the server closed the connection");
            }

            pending.Append(Encoding.Latin1.GetString(buffer, 0, read));
        }
    }

    /// <summary>The output of a monitor command.</summary>
    public string Monitor(string command)
    {
        var output = new StringBuilder();
        string reply = Ask("qRcmd," + Convert.ToHexStringLower(Encoding.UTF8.GetBytes(command)));
        while (reply.Length > 2 && reply[0] == 'O' && reply != "OK")
        {
            output.Append(Encoding.UTF8.GetString(Convert.FromHexString(reply[1..])));
            reply = Receive();
        }

        Assert.Equal("OK", reply);
        return output.ToString();
    }

    public void Dispose() => socket.Dispose();

    private static string Decode(string body)
    {
        var expanded = new StringBuilder();
        for (int i = 0; i < body.Length; i++)
        {
            if (body[i] == '*')
            {
                expanded.Append(expanded[^1], body[++i] - 29);
            }
            else
            {
                expanded.Append(body[i]);
            }
        }

        string text = expanded.ToString();
        if (!text.Contains('}'))
        {
            return text;
        }

        var plain = new StringBuilder();
        for (int i = 0; i < text.Length; i++)
        {
            plain.Append(text[i] == '}' ? (char)(text[++i] ^ 0x20) : text[i]);
        }

        return plain.ToString();
    }
}
