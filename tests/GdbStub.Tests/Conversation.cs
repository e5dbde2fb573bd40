using System.Globalization;
using System.Text;
using GdbStub.Sessions;
using Microsoft.Extensions.Logging.Abstractions;

namespace GdbStub.Tests;

/// <summary>Talks to a session without a socket. Text is Latin-1, so that a character is a byte.</summary>
internal sealed class Conversation
{
    public Conversation(FakeTarget? target = null, bool acknowledge = false)
    {
        Target = target ?? new FakeTarget();
        Session = new GdbSession(Target, NullLogger.Instance);
        if (!acknowledge)
        {
            Assert.Equal("+$OK#9a", Send(Frame("QStartNoAckMode")));
            Send("+");
        }
    }

    public FakeTarget Target { get; }

    public GdbSession Session { get; }

    /// <summary>Sends a packet and returns its reply's payload, runs and escapes undone; null when there is none.</summary>
    public string? Ask(string payload)
    {
        IReadOnlyList<string> replies = Payloads(Send(Frame(payload)));
        Assert.True(replies.Count <= 1, $"{payload} got {replies.Count} replies");
        return replies.Count == 0 ? null : replies[0];
    }

    /// <summary>Sends bytes as they are and returns what came back as it is.</summary>
    public string Send(string bytes)
    {
        byte[] data = Encoding.Latin1.GetBytes(bytes);
        var output = new StringBuilder();
        for (int taken = 0; taken < data.Length && Session.State != SessionState.Closed;)
        {
            taken += Session.Receive(data.AsSpan(taken));
            output.Append(Take());
        }

        return output.ToString();
    }

    /// <summary>What the session says after the target stopped.</summary>
    public string Stops()
    {
        Session.HandleStops();
        return Take();
    }

    public static string Frame(string payload)
    {
        int sum = 0;
        foreach (char character in payload)
        {
            sum += character;
        }

        return $"${payload}#{(sum & 255).ToString("x2", CultureInfo.InvariantCulture)}";
    }

    /// <summary>The packets and notifications (with their '%') in a stream, by an independent reading of the manual: runs as gdb expands them, then escapes.</summary>
    public static List<string> Payloads(string stream)
    {
        var packets = new List<string>();
        for (int at = 0; at < stream.Length;)
        {
            if (stream[at] is '+' or '-')
            {
                at++;
                continue;
            }

            Assert.Contains(stream[at], "$%");
            int end = stream.IndexOf('#', at);
            string body = stream[(at + 1)..end];
            Assert.Equal(Frame(body)[1..], stream[(at + 1)..(end + 3)]);
            packets.Add((stream[at] == '%' ? "%" : "") + Unescape(Expand(body)));
            at = end + 3;
        }

        return packets;
    }

    /// <summary>Undoes run-length encoding as gdb does: a count repeats the character that stands before it on the wire.</summary>
    public static string Expand(string body)
    {
        var text = new StringBuilder();
        for (int i = 0; i < body.Length; i++)
        {
            if (body[i] == '*')
            {
                text.Append(text[^1], body[++i] - 29);
            }
            else
            {
                text.Append(body[i]);
            }
        }

        return text.ToString();
    }

    public static string Unescape(string body)
    {
        var text = new StringBuilder();
        for (int i = 0; i < body.Length; i++)
        {
            text.Append(body[i] == '}' ? (char)(body[++i] ^ 0x20) : body[i]);
        }

        return text.ToString();
    }

    private string Take()
    {
        string text = Encoding.Latin1.GetString(Session.Output.Span);
        Session.OutputSent();
        return text;
    }
}
