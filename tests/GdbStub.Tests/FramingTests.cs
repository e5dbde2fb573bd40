using System.Text;
using GdbStub.Wire;

namespace GdbStub.Tests;

public sealed class FramingTests
{
    // Input, and what it is, in order. C1 is the sum of "m1,2" mod 256 by hand: 6d+31+2c+32 = fc.
    public static TheoryData<string, string> Streams => new()
    {
        { "$m1,2#fc", "packet m1,2" },
        { "$m1,2#FC", "packet m1,2" },
        { "$#00", "packet " },
        { "+$g#67", "ack, packet g" },
        { "-", "nack" },
        { "\x03", "interrupt" },
        { "$g#67\x03$g#67", "packet g, interrupt, packet g" },
        { "$g\x03#6a", "packet g\x03" },
        { "$m1,2#fd", "damaged" },
        { "$m1,2#zz", "damaged" },
        { "$m1,2#f$", "damaged" },
        { "$m1$g#67", "packet g" },
        { "noise\r\n$g#67", "packet g" },
        { "$1234567890123456#zz", "damaged" },
        { "$12345678901234567#00", "too long" },
        { "$12345678901234567#00$g#67", "too long, packet g" },
        { "$X0,1:}\x03#7d", "damaged" },
    };

    [Theory]
    [MemberData(nameof(Streams))]
    public void A_stream_is_read_the_same_wherever_it_is_cut(string stream, string expected)
    {
        byte[] bytes = Encoding.Latin1.GetBytes(stream);
        for (int cut = 0; cut <= bytes.Length; cut++)
        {
            var reader = new PacketReader(16);
            List<string> events = [.. Events(reader, bytes.AsSpan(0, cut)), .. Events(reader, bytes.AsSpan(cut))];
            Assert.Equal(expected, string.Join(", ", events));
        }
    }

    [Fact]
    public void A_stream_is_read_byte_by_byte()
    {
        var reader = new PacketReader(16);
        var events = new List<string>();
        foreach (byte value in "+$m1,2#fc-$g#67"u8)
        {
            events.AddRange(Events(reader, [value]));
        }

        Assert.Equal("ack, packet m1,2, nack, packet g", string.Join(", ", events));
    }

    // Payload as bytes of a reply, and the whole packet. Checksums by hand: OK = 4f+4b = 9a; 0* = 30+2a+20 = 7a.
    [Theory]
    [InlineData("OK", "$OK#9a")]
    [InlineData("", "$#00")]
    [InlineData("000", "$000#90")]
    [InlineData("0000", "$0* #7a")]
    [InlineData("00000", "$0*!#7b")]
    [InlineData("000000", "$0*\"#7c")]
    [InlineData("0000000", "$0*\"0#ac")]
    [InlineData("00000000", "$0*\"00#dc")]
    [InlineData("000000000", "$0*%#7f")]
    [InlineData("1110000222", "$1110* 222#a3")]
    public void Runs_of_a_reply_are_counted(string payload, string packet)
    {
        var writer = new PacketWriter(1024);
        writer.Begin();
        writer.Text(payload);
        Assert.Equal(packet, Encoding.Latin1.GetString(writer.End()));
    }

    [Theory]
    [InlineData(98, "0*~")]
    [InlineData(99, "0*~0")]
    [InlineData(101, "0*~000")]
    [InlineData(102, "0*~0* ")]
    [InlineData(196, "0*~0*~")]
    public void The_longest_run_is_98(int zeros, string body)
    {
        var writer = new PacketWriter(1024);
        writer.Begin();
        writer.Text(new string('0', zeros));
        Assert.Equal(Conversation.Frame(body), Encoding.Latin1.GetString(writer.End()));
    }

    [Theory]
    [InlineData("a#b", "a}\x03" + "b")]
    [InlineData("$", "}\x04")]
    [InlineData("}", "}]")]
    [InlineData("*", "}\x0a")]
    [InlineData("\x03\x00\xff", "\x03\x00\xff")]
    [InlineData("****", "}\x0a}\x0a}\x0a}\x0a")]
    [InlineData("#\x03\x03\x03\x03\x03", "}\x03\x03*!")]
    public void Binary_data_is_escaped_and_a_run_never_starts_at_an_escape(string data, string body)
    {
        var writer = new PacketWriter(1024);
        writer.Begin();
        Assert.Equal(data.Length, writer.Binary(Encoding.Latin1.GetBytes(data)));
        Assert.Equal(Conversation.Frame(body), Encoding.Latin1.GetString(writer.End()));
    }

    [Fact]
    public void Binary_data_stops_where_the_packet_is_full()
    {
        var writer = new PacketWriter(4);
        writer.Begin();
        Assert.Equal(3, writer.Binary("ab#c"u8));
        Assert.Equal(Conversation.Frame("ab}\x03"), Encoding.Latin1.GetString(writer.End()));

        writer.Begin();
        Assert.Equal(3, writer.Binary("abc#"u8));
    }

    [Fact]
    public void Any_data_comes_back_as_gdb_and_as_lldb_expand_it()
    {
        // Few distinct bytes, so that runs and escapes meet. One sample of many cases: the seed then fixes them all.
        byte[] alphabet = [0x00, 0x03, 0x0a, 0x23, 0x24, 0x2a, 0x30, 0x7d, 0xff];
        Gen<byte[]> run = Gen.Select(Gen.Int[0, alphabet.Length - 1], Gen.Int[1, 12], (which, length) => Enumerable.Repeat(alphabet[which], length).ToArray());
        Gen<byte[]> data = run.Array[0, 40].Select(runs => runs.SelectMany(bytes => bytes).ToArray());
        data.Array[3000].Sample(cases => Assert.All(cases, bytes =>
        {
            var writer = new PacketWriter(1024);
            writer.Begin();
            writer.Binary(bytes);
            string packet = Encoding.Latin1.GetString(writer.End());
            string body = packet[1..^3];
            string expected = Encoding.Latin1.GetString(bytes);
            Assert.DoesNotContain('#', body);
            Assert.DoesNotContain('$', body);
            Assert.Equal(expected, Conversation.Unescape(Conversation.Expand(body)));
            Assert.Equal(expected, AsLldb(body));
        }), seed: "0N0XIzNsQ0O2", iter: 1, threads: 1);
    }

    [Theory]
    [InlineData("ab", "ab")]
    [InlineData("}\x03}\x04}]}\x0a", "#$}*")]
    [InlineData("a}", null)]
    public void Escapes_of_a_client_are_undone(string escaped, string? expected)
    {
        byte[] text = Encoding.Latin1.GetBytes(escaped);
        byte[] bytes = new byte[text.Length];
        int count = PacketWriter.Unescape(text, bytes);
        Assert.Equal(expected, count < 0 ? null : Encoding.Latin1.GetString(bytes, 0, count));
    }

    [Theory]
    [InlineData("00fF7a", true)]
    [InlineData("00ff7", false)]
    [InlineData("00ff7g", false)]
    [InlineData("00ff7a00", false)]
    public void Hexadecimal_digits_are_read_in_pairs(string text, bool expected)
    {
        byte[] bytes = new byte[3];
        Assert.Equal(expected, Hex.TryDecode(Encoding.ASCII.GetBytes(text), bytes));
        if (expected)
        {
            Assert.Equal([0x00, 0xff, 0x7a], bytes);
        }
    }

    /// <summary>lldb undoes runs and escapes in one pass: a count repeats the last decoded byte.</summary>
    private static string AsLldb(string body)
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
                text.Append(body[i] == '}' ? (char)(body[++i] ^ 0x20) : body[i]);
            }
        }

        return text.ToString();
    }

    private static List<string> Events(PacketReader reader, ReadOnlySpan<byte> bytes)
    {
        var events = new List<string>();
        while (true)
        {
            switch (reader.Read(ref bytes))
            {
                case WireEvent.None: return events;
                case WireEvent.Packet: events.Add("packet " + Encoding.Latin1.GetString(reader.Payload)); break;
                case WireEvent.Acknowledged: events.Add("ack"); break;
                case WireEvent.Refused: events.Add("nack"); break;
                case WireEvent.Interrupt: events.Add("interrupt"); break;
                case WireEvent.Damaged: events.Add("damaged"); break;
                case WireEvent.TooLong: events.Add("too long"); break;
            }
        }
    }
}
