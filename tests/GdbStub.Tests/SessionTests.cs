using System.Text;
using GdbStub.Sessions;
using GdbStub.Targets;

namespace GdbStub.Tests;

public sealed class SessionTests
{
    [Fact]
    public void Packets_are_acknowledged_until_the_client_wants_no_more_of_it()
    {
        var conversation = new Conversation(acknowledge: true);
        Assert.Equal("+$QC1#c5", conversation.Send("$qC#b4"));
        Assert.Equal("", conversation.Send("+"));
        Assert.Equal("+$OK#9a", conversation.Send("$QStartNoAckMode#b0"));
        Assert.Equal("", conversation.Send("+"));
        Assert.Equal("$QC1#c5", conversation.Send("$qC#b4"));
    }

    [Fact]
    public void The_reply_that_ends_acknowledging_can_still_be_asked_for_again()
    {
        var conversation = new Conversation(acknowledge: true);
        conversation.Send("$QStartNoAckMode#b0");
        Assert.Equal("$OK#9a", conversation.Send("-"));
        Assert.Equal("", conversation.Send("+-"));
    }

    [Fact]
    public void A_damaged_packet_is_refused_and_a_refused_reply_sent_again()
    {
        var conversation = new Conversation(acknowledge: true);
        Assert.Equal("-", conversation.Send("$qC#b5"));
        Assert.Equal("+$QC1#c5", conversation.Send("$qC#b4"));
        Assert.Equal("$QC1#c5$QC1#c5", conversation.Send("--"));
        Assert.Equal("", conversation.Send("+-"));
    }

    [Fact]
    public void Without_acknowledgements_a_damaged_packet_is_an_error() =>
        Assert.Equal(["E.the packet's checksum is wrong"], Conversation.Payloads(new Conversation().Send("$qC#b5")));

    [Fact]
    public void A_client_that_refuses_for_ever_is_given_up()
    {
        var conversation = new Conversation(acknowledge: true);
        conversation.Send("$qC#b4");
        conversation.Send(new string('-', 17));
        Assert.Equal(SessionState.Closed, conversation.Session.State);
        Assert.Equal(1, conversation.Target.Disposals);
    }

    [Fact]
    public void Several_packets_wait_for_their_acknowledgements()
    {
        var conversation = new Conversation(acknowledge: true);
        string command = Conversation.Frame("qRcmd," + PacketTests.Hex("hello"));
        string first = conversation.Send(command);
        Assert.Equal(["O" + PacketTests.Hex("hello on 1\n")], Conversation.Payloads(first));
        Assert.Equal("$OK#9a", conversation.Send("+"));

        // A client that talks on without a word has what it was sent.
        conversation.Send("+");
        conversation.Send(command);
        Assert.Equal("$OK#9a+$QC1#c5", conversation.Send("$qC#b4"));
    }

    [Fact]
    public void No_acknowledgements_is_one_connections_matter()
    {
        var target = new FakeTarget();
        new Conversation(target).Session.Dispose();
        Assert.Equal("+$QC1#c5", new Conversation(target, acknowledge: true).Send("$qC#b4"));
    }

    [Fact]
    public void A_connection_that_says_nothing_disturbs_nothing()
    {
        var conversation = new Conversation(acknowledge: true);
        conversation.Send("+\x03-GET / HTTP/1.1\r\n\r\n");
        Assert.Equal(0, conversation.Target.Opened);
        conversation.Session.Dispose();
        Assert.Equal(0, conversation.Target.Disposals);
    }

    [Fact]
    public void A_refused_client_is_told_why_and_let_go()
    {
        var target = new FakeTarget { Refusal = "somebody else has it" };
        var conversation = new Conversation(target, acknowledge: true);
        Assert.Equal("+" + Conversation.Frame("E.somebody else has it"), conversation.Send(Conversation.Frame("qSupported")));
        Assert.Equal(SessionState.Closed, conversation.Session.State);
        Assert.Equal(0, target.Disposals);
    }

    [Theory]
    [InlineData("D", "$OK#9a")]
    [InlineData("k", "")]
    public void Leaving_lets_the_target_go_once(string packet, string reply)
    {
        foreach (bool running in new[] { false, true })
        {
            var conversation = new Conversation();
            if (running)
            {
                conversation.Ask("c");
            }
            else
            {
                conversation.Ask("?");
            }

            Assert.Equal(reply, conversation.Send(Conversation.Frame(packet)));
            Assert.Equal(SessionState.Closed, conversation.Session.State);
            conversation.Session.Dispose();
            Assert.Equal(1, conversation.Target.Disposals);
        }
    }

    [Fact]
    public void An_interrupt_asks_once_and_is_answered_by_one_stop()
    {
        var conversation = new Conversation();
        Assert.Equal("", conversation.Send("\x03"));
        conversation.Ask("c");
        Assert.Equal("", conversation.Send("\x03\x03"));
        Assert.Equal(SessionState.Interrupting, conversation.Session.State);
        Assert.Equal(["resume 1:Continue:0 2:Continue:0", "stop"], conversation.Target.Calls);
        conversation.Target.Report(new StopReport(1, StopReason.Signal, 2));
        Assert.Equal(["T02thread:1;00:00001020;"], Conversation.Payloads(conversation.Stops()));
        Assert.Equal("", conversation.Send("\x03"));
        Assert.Equal("", conversation.Stops());
    }

    [Fact]
    public void Interrupting_by_packet_is_acknowledged_and_then_answered_by_the_stop()
    {
        var conversation = new Conversation();
        conversation.Ask("c");
        Assert.Equal("OK", conversation.Ask("vCtrlC"));
        conversation.Target.Report(new StopReport(1, StopReason.Signal, 2));
        Assert.Single(Conversation.Payloads(conversation.Stops()));
    }

    [Fact]
    public void Packets_that_need_a_stopped_target_say_so_while_it_runs()
    {
        var conversation = new Conversation();
        conversation.Ask("c");
        foreach (string packet in new[] { "g", "m1000,4", "c", "?", "Z0,0,1", "qXfer:threads:read::0,100" })
        {
            Assert.StartsWith("E", conversation.Ask(packet));
        }

        Assert.Equal("", conversation.Ask("qUnknown"));
        Assert.Equal(SessionState.Running, conversation.Session.State);
    }

    [Fact]
    public void A_resume_that_fails_is_an_error_and_no_stop()
    {
        var conversation = new Conversation();
        conversation.Target.ResumeError = new TargetError(1, "frozen");
        Assert.Equal("E.frozen", conversation.Ask("c"));
        Assert.Equal(SessionState.Idle, conversation.Session.State);
        Assert.Equal("", conversation.Stops());
    }

    [Fact]
    public void A_stop_that_nobody_waits_for_is_not_told()
    {
        var conversation = new Conversation();
        conversation.Ask("?");
        conversation.Target.Report(new StopReport(1, StopReason.Signal, 5));
        Assert.Equal("", conversation.Stops());
    }

    [Theory]
    [InlineData("$m1000,ffffffffffffffff#")]
    [InlineData("$x1000,ffffffffffffffff#")]
    [InlineData("$M1000,7fffffffffffffff:00#")]
    [InlineData("$X1000,7fffffff:0#")]
    [InlineData("$qXfer:features:read:target.xml:0,ffffffffffffffff#")]
    [InlineData("$qSearch:memory:1000;1000000000;zz#")]
    [InlineData("$vCont;s:ffffffffffffffff#")]
    [InlineData("$Tffffffffffffffff#")]
    [InlineData("$Z2,ffffffffffffffff,ffffffffffffffff#")]
    public void A_length_field_allocates_nothing(string packet)
    {
        var conversation = new Conversation();
        conversation.Ask("?");
        packet = Conversation.Frame(packet[1..^1]);
        conversation.Send(packet);
        long before = GC.GetAllocatedBytesForCurrentThread();
        conversation.Send(packet);
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 2_000_000);
    }

    [Fact]
    public void The_longest_packet_fits_and_a_longer_one_is_an_error()
    {
        var conversation = new Conversation();
        string head = "X1000,10000:";
        Assert.Equal("OK", conversation.Ask(head + new string('z', 0x10000)));
        string longest = new('z', GdbSession.PacketSize - "qSearch:memory:0;0;".Length);
        Assert.StartsWith("E.malformed", conversation.Ask("qSearch:memory:0;0;" + longest));
        Assert.Equal("E.the packet is longer than 0x20000 bytes", conversation.Ask("qSearch:memory:0;0;" + longest + "z"));
        Assert.Equal("QC1", conversation.Ask("qC"));
    }

    [Fact]
    public void Replies_wait_for_the_client_instead_of_piling_up()
    {
        var session = new GdbSession(new FakeTarget(), Microsoft.Extensions.Logging.Abstractions.NullLogger.Instance);
        string flood = string.Concat(Enumerable.Repeat(Conversation.Frame("x1000,10000"), 1000));
        byte[] bytes = Encoding.Latin1.GetBytes(flood);
        var target = new FakeTarget();
        Random.Shared.NextBytes(target.Memory);
        session = new GdbSession(target, Microsoft.Extensions.Logging.Abstractions.NullLogger.Instance);
        int taken = session.Receive(bytes);
        Assert.InRange(taken, 1, bytes.Length - 1);
        Assert.InRange(session.Output.Length, 1, 3 * GdbSession.PacketSize);
    }

    /// <summary>What may happen to a session, as text: P packet, S the target stops, B bytes as they are.</summary>
    private static readonly string[] Happenings =
    [
        "P?", "Pg", "Pm1000,10", "PM1000,1:00", "Pc", "Pc", "Ps", "PvCont;c", "PvCont;s:2", "PvCont;t", "PvCtrlC", "PqC", "PHg2", "PHc0",
        "PZ0,1000,1", "Pz0,1000,1", "PqSupported:swbreak+", "PvMustReplyEmpty", "PqNothing", "P", "Pm", "PvCont;x", "PqXfer:threads:read::0,100",
        "PqRcmd,41", "PQThreadSuffixSupported",
        "S", "S", "S", "S", "B\x03", "B\x03", "B+", "B-", "B\r\n",
    ];

    [Fact]
    public void Whatever_happens_each_packet_has_one_reply_and_each_resume_one_stop()
    {
        Gen<string> happening = Gen.Int[0, Happenings.Length - 1].Select(i => Happenings[i]);
        happening.Array[1, 60].Array[2000].Sample(
            histories => Assert.All(histories, history => Follow(history)), seed: "0N0XIzNsQ0O2", iter: 1, threads: 1);
    }

    private static void Follow(string[] history)
    {
        var conversation = new Conversation();
        FakeTarget target = conversation.Target;
        bool running = false;
        foreach (string happening in history)
        {
            string argument = happening[1..];
            switch (happening[0])
            {
                case 'S':
                    if (target.Running)
                    {
                        target.Report(new StopReport(1, StopReason.Signal, 5));
                    }

                    List<string> stops = Conversation.Payloads(conversation.Stops());
                    Assert.Equal(running ? 1 : 0, stops.Count);
                    Assert.All(stops, stop => Assert.StartsWith("T05", stop));
                    running = false;
                    break;

                case 'B':
                    Assert.Equal("", conversation.Send(argument));
                    break;

                default:
                    bool resumes = !running && argument is "c" or "s" or "vCont;c" or "vCont;s:2";
                    List<string> replies = Conversation.Payloads(conversation.Send(Conversation.Frame(argument)));
                    if (resumes && !running)
                    {
                        Assert.Empty(replies);
                        running = true;
                    }
                    else if (argument == "qRcmd,41" && !running)
                    {
                        Assert.Equal(["O41206f6e20" + "310a", "OK"], [.. replies.Select(reply => reply.Replace("320a", "310a", StringComparison.Ordinal))]);
                    }
                    else
                    {
                        Assert.Single(replies);
                    }

                    break;
            }

            Assert.Equal(running, target.Running);
            Assert.Equal(running, conversation.Session.State is SessionState.Running or SessionState.Interrupting);
        }

        conversation.Session.Dispose();
        Assert.Equal(target.Opened, target.Disposals);
    }

    [Fact]
    public void Noise_never_throws_and_never_stops_the_conversation()
    {
        Gen<char> character = Gen.Frequency(
            (6, Gen.Int[0, 19].Select(i => "$#+-\x03}*:;,=0aFZmgcvq"[i])),
            (1, Gen.Int[0, 255].Select(i => (char)i)));
        character.Array[0, 200].Array[2000].Sample(
            noises => Assert.All(noises, noise =>
            {
                var conversation = new Conversation();
                conversation.Send(new string(noise));
                if (conversation.Session.State == SessionState.Closed)
                {
                    return;
                }

                // Ends whatever the noise began; the target is stopped if the noise set it going.
                conversation.Send("#00");
                if (conversation.Target.Running)
                {
                    conversation.Target.Report(new StopReport(1, StopReason.Signal, 5));
                }

                conversation.Stops();
                Assert.Matches("^QC[12]$", conversation.Ask("qC"));
            }), seed: "0N0XIzNsQ0O2", iter: 1, threads: 1);
    }
}
