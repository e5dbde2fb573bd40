using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
using CsCheck;
using GdbStub.Sessions;
using GdbStub.Targets;
using GdbStub.Wire;

namespace GdbStub.Tests;

/// <summary>
/// Hostile input, for a bounded time: the wire layer under any bytes in any cuts, and whole sessions under what real and
/// hostile clients said (Corpus/), mutated and cut. GDBSTUB_FUZZ multiplies the effort.
/// </summary>
public sealed partial class FuzzTests
{
    /// <summary>A line that is sent without a frame.</summary>
    private const string RawMark = "!raw ";

    private static readonly int Effort = int.TryParse(Environment.GetEnvironmentVariable("GDBSTUB_FUZZ"), CultureInfo.InvariantCulture, out int effort) ? effort : 1;

    /// <summary>The same course every time, unless more is asked for.</summary>
    private static readonly string? Seed = Effort == 1 ? "0N0XIzNsQ0O2" : null;

    public static TheoryData<string> Files => [.. Directory.GetFiles(Path.Combine(AppContext.BaseDirectory, "Corpus")).Select(path => Path.GetFileName(path)).Order(StringComparer.Ordinal)];

    /// <summary>However a stream is cut, it says the same; and nothing is kept that the sender did not send.</summary>
    [Fact]
    public void The_wire_layer_does_not_see_where_a_stream_is_cut() => Gen.Select(
        Gen.Frequency((4, Gen.Int[0, 10].Select(i => (byte)"$#+-\x03}*az09"[i])), (1, Gen.Byte)).Array[0, 300],
        Gen.Int[1, 40].Array[1, 40]).Sample(
            (bytes, cuts) =>
            {
                List<string> whole = Read(bytes, [bytes.Length + 1]);
                Assert.Equal(whole, Read(bytes, cuts));
                Assert.True(whole.Sum(one => one.Length) <= (bytes.Length * 16) + 16);
            }, iter: 20_000 * Effort, seed: Seed);

    [Theory]
    [MemberData(nameof(Files))]
    public void A_recorded_session_goes_through_whole_and_byte_by_byte(string file)
    {
        string[] lines = Lines(file);
        Assert.Equal(Play(lines, cut: int.MaxValue), Play(lines, cut: 1));
    }

    [Theory]
    [MemberData(nameof(Files))]
    public void A_recorded_session_may_be_mutated(string file)
    {
        string[] lines = Lines(file);
        Gen<(int, int, int, byte)> mutation = Gen.Select(Gen.Int[0, 4], Gen.Int[0, lines.Length - 1], Gen.Int[0, 60], Gen.Frequency((2, Gen.Byte), (3, Gen.Int[0, 15].Select(i => (byte)"0123f;:,.-pX#$}*"[i]))));
        Gen.Select(mutation.Array[1, 6], Gen.Int[1, 50]).Sample(
            (mutations, cut) => Play(Mutate(lines, mutations), cut), iter: 400 * Effort, seed: Seed);
    }

    /// <summary>The client vanishes at any byte: whatever was opened is let go, once.</summary>
    [Theory]
    [MemberData(nameof(Files))]
    public void A_recorded_session_may_end_anywhere(string file)
    {
        string[] lines = Lines(file);
        for (int last = 0; last < lines.Length; last++)
        {
            for (int cut = 1; cut < Math.Min(lines[last].Length, 12); cut += 3)
            {
                Play([.. lines[..last], RawMark + "$" + lines[last][..cut]], cut: 7);
            }
        }
    }

    private static string[] Mutate(string[] lines, (int Kind, int Line, int Place, byte Value)[] mutations)
    {
        var mutated = lines.ToList();
        foreach ((int kind, int line, int place, byte value) in mutations)
        {
            int at = line % mutated.Count;
            string text = mutated[at];
            int inside = text.Length == 0 ? 0 : place % text.Length;
            switch (kind)
            {
                case 0:
                    mutated[at] = text[..inside] + (char)value + (text.Length > inside ? text[(inside + 1)..] : "");
                    break;

                case 1:
                    mutated[at] = text[..inside];
                    break;

                case 2:
                    mutated[at] = text.Insert(inside, new string((char)value, (place % 20) + 1));
                    break;

                case 3:
                    mutated.Insert(place % mutated.Count, text);
                    break;

                default:
                    mutated[at] = "!stop";
                    break;
            }
        }

        return [.. mutated];
    }

    /// <summary>
    /// Plays a session: each line a payload, or what happens. Checks that what comes out is packets, one a packet that went
    /// in and one more a stop, that nothing failed inside, and that at the end every target was let go.
    /// </summary>
    private static string Play(string[] lines, int cut)
    {
        var target = new RichTarget();
        var log = new ErrorLog();
        using var session = new GdbSession(target, log);
        var output = new StringBuilder();
        int packets = 0;
        int stops = 0;
        foreach (string line in lines)
        {
            switch (line)
            {
                case "!stop":
                    foreach (RichTarget one in target.Open.Values.Append(target).Distinct().Where(one => one.Running))
                    {
                        one.Report(new StopReport(1, StopReason.Signal, one.Calls.Contains("stop") ? StopReport.Interrupt : StopReport.Trap));
                        stops++;
                    }

                    session.HandleStops();
                    Take();
                    break;

                case "!interrupt":
                    Send([3]);
                    break;

                case var _ when line.StartsWith(RawMark, StringComparison.Ordinal):
                    Send(Encoding.Latin1.GetBytes(line[RawMark.Length..]));
                    break;

                default:
                    packets++;
                    Send(Encoding.Latin1.GetBytes(Conversation.Frame(line)));
                    break;
            }
        }

        session.HandleStops();
        Take();

        // All acknowledged, so that nothing waits.
        bool cutOff = lines.Any(line => line.StartsWith(RawMark, StringComparison.Ordinal));
        for (int i = 0; i < packets + 4 && !cutOff && session.State != SessionState.Closed; i++)
        {
            Send("+"u8);
        }

        List<string> said = Conversation.Payloads(output.ToString());
        int console = said.Count(one => one.StartsWith('O') && one != "OK");
        Assert.True(said.Count - console <= packets + (3 * stops) + 64, $"{said.Count} packets for {packets} and {stops} stops");
        session.Dispose();
        Assert.Empty(log.Errors);
        Assert.Equal(target.Opened, target.Disposals);
        foreach (RichTarget one in target.Open.Values.Where(one => one != target))
        {
            Assert.Equal(1, one.Disposals);
        }

        return output.ToString();

        void Send(ReadOnlySpan<byte> bytes)
        {
            while (!bytes.IsEmpty && session.State != SessionState.Closed)
            {
                int taken = session.Receive(bytes[..Math.Min(cut, bytes.Length)]);
                bytes = bytes[taken..];
                Take();
            }
        }

        void Take()
        {
            output.Append(Encoding.Latin1.GetString(session.Output.Span));
            session.OutputSent();
        }
    }

    private static List<string> Read(byte[] bytes, int[] cuts)
    {
        var reader = new PacketReader(64);
        var events = new List<string>();
        int at = 0;
        for (int i = 0; at < bytes.Length; i++)
        {
            ReadOnlySpan<byte> piece = bytes.AsSpan(at, Math.Min(cuts[i % cuts.Length], bytes.Length - at));
            at += piece.Length;
            while (!piece.IsEmpty)
            {
                WireEvent happened = reader.Read(ref piece);
                if (happened == WireEvent.Packet)
                {
                    events.Add(Encoding.Latin1.GetString(reader.Payload));
                }
                else if (happened != WireEvent.None)
                {
                    events.Add(happened.ToString());
                }
            }
        }

        return events;
    }

    private static string[] Lines(string file) =>
        [.. File.ReadAllLines(Path.Combine(AppContext.BaseDirectory, "Corpus", file)).Select(line =>
            Escapes().Replace(line, match => ((char)Convert.ToByte(match.Groups[1].Value, 16)).ToString()))];

    [GeneratedRegex(@"\\x([0-9a-f]{2})")]
    private static partial Regex Escapes();
}
