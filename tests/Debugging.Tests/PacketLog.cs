using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;

namespace Debugging.Tests;

/// <summary>What a client sent and what it was answered, packet by packet, from the server's own log.</summary>
internal sealed class PacketLog : ILogger
{
    private const string Received = " <- ", Answered = " -> ";

    private readonly ConcurrentQueue<string> lines = [];
    private readonly ConcurrentQueue<string> errors = [];

    /// <summary>What the server had to complain about: a failure of the target's or its own, never the client's.</summary>
    public IReadOnlyList<string> Errors => [.. errors];

    /// <summary>The packets that came, without their frames.</summary>
    public IReadOnlyList<string> Packets => [.. Parts(Received)];

    /// <summary>The packets that got an empty reply: they are not known here.</summary>
    public IReadOnlyList<string> Unknown => [.. Exchanges().Where(exchange => exchange.Reply == "$#00").Select(exchange => exchange.Packet)];

    /// <summary>Reads of memory that were answered by an error.</summary>
    public IReadOnlyList<string> FailedReads =>
        [.. Exchanges().Where(exchange => exchange.Packet is ['m' or 'x', ..] && exchange.Reply.StartsWith("$E", StringComparison.Ordinal)).Select(exchange => exchange.Packet)];

    /// <summary>The addresses of all reads of memory.</summary>
    public IReadOnlyList<ulong> Reads =>
    [
        .. Packets.Where(packet => packet.Length > 1 && packet[0] is 'm' or 'x')
            .Select(packet => packet[1..].Split(','))
            .Where(parts => parts is [_, not "0"])
            .Select(parts => Convert.ToUInt64(parts[0], 16)),
    ];

    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull => null;

    public bool IsEnabled(LogLevel logLevel) => true;

    public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
    {
        if (logLevel >= LogLevel.Error)
        {
            errors.Enqueue($"{formatter(state, exception)}: {exception}");
        }

        if (logLevel == LogLevel.Trace)
        {
            lines.Enqueue(formatter(state, exception));
        }
    }

    private static string Part(string line, string mark) => line[(line.IndexOf(mark, StringComparison.Ordinal) + mark.Length)..];

    private List<(string Packet, string Reply)> Exchanges()
    {
        List<(string, string)> exchanges = [];
        string last = "";
        foreach (string line in lines)
        {
            if (line.Contains(Received, StringComparison.Ordinal))
            {
                last = Part(line, Received);
            }
            else if (line.Contains(Answered, StringComparison.Ordinal))
            {
                exchanges.Add((last, Part(line, Answered)));
            }
        }

        return exchanges;
    }

    private IEnumerable<string> Parts(string mark) =>
        lines.Where(line => line.Contains(mark, StringComparison.Ordinal)).Select(line => Part(line, mark));
}
