using CsCheck;
using GdbStub.Sessions;
using GdbStub.Targets;

namespace GdbStub.Tests;

/// <summary>Several processes in a session, extended mode, and non-stop mode.</summary>
public sealed class ProcessTests
{
    private static readonly StopReport Breakpoint = new(1, StopReason.SoftwareBreakpoint, 5);
    private static readonly StopReport Interrupted = new(1, StopReason.Signal, 2);

    [Fact]
    public void A_session_opens_and_leaves_processes_in_extended_mode()
    {
        Conversation conversation = Multi(out RichTarget target);
        Assert.Equal("OK", conversation.Ask("!"));
        Assert.Equal("QCp1.1", conversation.Ask("qC"));
        Assert.Equal("T05thread:p2.1;00:00001020;", conversation.Ask("vAttach;2"));
        Assert.Equal("mp1.1,p1.2,p2.1,p2.2", conversation.Ask("qfThreadInfo"));
        Assert.Equal("l", conversation.Ask("qsThreadInfo"));
        Assert.Equal("QCp2.1", conversation.Ask("qC"));
        conversation.Ask("P1=deadbeef");
        Assert.Equal("OK", conversation.Ask("Hgp1.1"));
        Assert.Equal("00002000", conversation.Ask("p1"));
        Assert.Equal("OK", conversation.Ask("D;1"));
        Assert.Equal(1, target.Disposals);
        Assert.Equal("deadbeef", conversation.Ask("p1"));
        Assert.Equal("E.there is no thread 1", conversation.Ask("Hgp1.1"));
        Assert.Equal("OK", conversation.Ask("vKill;2"));
        Assert.Equal(["kill"], target.Open[2].Calls);
        Assert.Equal("W00", conversation.Ask("?"));
        Assert.Equal("l", conversation.Ask("qfThreadInfo"));
        Assert.Equal("E01", conversation.Ask("m1000,4")?[..1] + "01");
        Assert.Equal(SessionState.Idle, conversation.Session.State);
        Assert.StartsWith("T05", conversation.Ask("vAttach;1"));
    }

    [Fact]
    public void Each_process_has_files_of_its_own()
    {
        Conversation conversation = Multi(out RichTarget target);
        conversation.Ask("vAttach;2");
        target.Open[2].Name = "/toy/other";
        string first = PacketTests.Hex("/toy/program"), second = PacketTests.Hex("/toy/other");

        // Without a word the chosen process's.
        Assert.Equal("F-1,2", conversation.Ask($"vFile:open:{first},0,0"));
        Assert.Equal("F0", conversation.Ask($"vFile:open:{second},0,0"));
        Assert.Equal("F0", conversation.Ask("vFile:setfs:1"));
        Assert.Equal("F1", conversation.Ask($"vFile:open:{first},0,0"));
        Assert.Equal("F-1,2", conversation.Ask($"vFile:open:{second},0,0"));
        Assert.Equal("F0", conversation.Ask("vFile:setfs:0"));
        Assert.Equal("F-1,2", conversation.Ask($"vFile:open:{first},0,0"));
        Assert.Equal("F0", conversation.Ask("vFile:setfs:7"));
        Assert.Equal("F-1,2", conversation.Ask($"vFile:open:{second},0,0"));
        Assert.Equal("F-1,16", conversation.Ask("vFile:setfs:x"));
    }

    [Fact]
    public void Without_extended_mode_the_last_process_ends_the_session()
    {
        Conversation conversation = Multi(out _);
        conversation.Ask("vAttach;2");
        Assert.Equal("OK", conversation.Ask("D;1"));
        Assert.Equal(SessionState.Idle, conversation.Session.State);
        Assert.Equal("OK", conversation.Ask("D;2"));
        Assert.Equal(SessionState.Closed, conversation.Session.State);
    }

    [Fact]
    public void An_endpoint_with_nothing_running_still_lists_what_there_is()
    {
        var conversation = new Conversation(new RichTarget { StartsEmpty = true });
        Assert.Equal("OK", conversation.Ask("!"));
        Assert.Equal("W00", conversation.Ask("?"));
        Assert.Equal("OK", conversation.Ask("Hg0"));
        Assert.Equal(
            "l<?xml version=\"1.0\"?>\n<osdata type=\"processes\">\n"
            + "  <item><column name=\"pid\">1</column><column name=\"user\"></column><column name=\"command\">live machine</column><column name=\"state\">stopped</column></item>\n"
            + "  <item><column name=\"pid\">2</column><column name=\"user\">root</column><column name=\"command\">archive &lt;a&gt;</column><column name=\"state\">sysrq</column></item>\n"
            + "  <item><column name=\"pid\">3</column><column name=\"user\">root</column><column name=\"command\">broken archive</column><column name=\"state\">?</column></item>\n</osdata>\n",
            conversation.Ask("qXfer:osdata:read:processes:0,1000"));
        Assert.Equal("E.no process is attached: 'info os processes' lists what there is, 'attach N' opens one", conversation.Ask("g"));
        Assert.StartsWith("T05thread:1;", conversation.Ask("vAttach;2"));
        Assert.Equal("000010200000200000000031xxxx", conversation.Ask("g"));
    }

    [Fact]
    public void What_was_resumed_together_stops_together_and_is_told_once()
    {
        Conversation conversation = Multi(out RichTarget target);
        conversation.Ask("vAttach;2");
        RichTarget other = target.Open[2];
        Assert.Null(conversation.Ask("vCont;c"));
        Assert.True(target.Running && other.Running);
        other.Report(Breakpoint);
        Assert.Equal("", conversation.Stops());
        Assert.Contains("stop", target.Calls);

        // The first met a breakpoint of its own before it heard.
        target.Report(Breakpoint);
        Assert.Equal(["T05thread:p2.1;swbreak:;00:00001020;"], Conversation.Payloads(conversation.Stops()));

        // That is told when it is next to run, and it does not run.
        Assert.Equal("T05thread:p1.1;swbreak:;00:00001020;", conversation.Ask("vCont;c"));
        Assert.False(target.Running || other.Running);
        Assert.Null(conversation.Ask("vCont;c:p1.-1"));
        Assert.True(target.Running && !other.Running);
        conversation.Send("\x03");
        target.Report(Interrupted);
        Assert.Equal(["T02thread:p1.1;00:00001020;"], Conversation.Payloads(conversation.Stops()));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public void A_process_that_is_left_takes_no_stop_with_it(int left)
    {
        Conversation conversation = Multi(out RichTarget target);
        conversation.Ask("!");
        conversation.Ask("vAttach;2");
        conversation.Ask("vCont;c");
        target.Report(Breakpoint);
        Assert.Equal("", conversation.Stops());
        Assert.Equal("OK", conversation.Ask($"D;{left}"));
        if (left == 1)
        {
            // The one whose stop was to be told is gone; the other was asked to stop, and that is the stop now.
            target.Open[2].Report(Interrupted);
        }

        Assert.Equal([left == 1 ? "T02thread:p2.1;00:00001020;" : "T05thread:p1.1;swbreak:;00:00001020;"], Conversation.Payloads(conversation.Stops()));
        Assert.Equal(SessionState.Idle, conversation.Session.State);
        Assert.Equal("000010200000200000000031xxxx", conversation.Ask("g"));
    }

    [Fact]
    public void What_cannot_run_stays_while_the_others_run()
    {
        Conversation conversation = Multi(out RichTarget target);
        conversation.Ask("vAttach;2");
        RichTarget other = target.Open[2];
        other.ResumeError = new TargetError(1, "an archive does not run");
        Assert.Equal("E.an archive does not run", conversation.Ask("vCont;c:p2.-1"));
        Assert.Null(conversation.Ask("vCont;c"));
        target.Report(Breakpoint);
        Assert.Single(Conversation.Payloads(conversation.Stops()));
    }

    [Fact]
    public void The_end_of_one_process_is_not_the_sessions()
    {
        Conversation conversation = Multi(out RichTarget target);
        conversation.Ask("vAttach;2");
        conversation.Ask("vCont;c:p2.-1");
        target.Open[2].Report(new StopReport(1, StopReason.Exited, 3));
        Assert.Equal(["W03;process:2"], Conversation.Payloads(conversation.Stops()));
        Assert.Equal("QCp1.1", conversation.Ask("qC"));
        Assert.Equal(1, target.Open[2].Disposals);
    }

    [Fact]
    public void In_non_stop_mode_stops_are_notifications_fetched_one_by_one()
    {
        Conversation conversation = Multi(out RichTarget target);
        Assert.Equal("OK", conversation.Ask("QNonStop:1"));
        Assert.Equal("T05thread:p1.1;00:00001020;", conversation.Ask("?"));
        Assert.Equal("T00thread:p1.2;00:00003333;", conversation.Ask("vStopped"));
        Assert.Equal("OK", conversation.Ask("vStopped"));
        Assert.Equal("OK", conversation.Ask("vCont;c"));
        Assert.Equal("E.the process is running; stop it first", conversation.Ask("g"));
        Assert.Equal("mp1.1,p1.2", conversation.Ask("qfThreadInfo"));
        target.Report(Breakpoint);
        Assert.Equal(["%Stop:T05thread:p1.1;swbreak:;00:00001020;"], Conversation.Payloads(conversation.Stops()));
        Assert.Equal("T00thread:p1.2;00:00003333;", conversation.Ask("vStopped"));
        Assert.Equal("OK", conversation.Ask("vStopped"));
        Assert.Equal("000010200000200000000031xxxx", conversation.Ask("g"));
    }

    [Fact]
    public void In_non_stop_mode_a_thread_can_be_stopped_and_another_sent_after_the_first()
    {
        Conversation conversation = Multi(out RichTarget target);
        conversation.Ask("QNonStop:1");
        Assert.Equal("OK", conversation.Ask("vCont;c:p1.1"));
        Assert.Equal("OK", conversation.Ask("vCont;c:p1.2"));
        Assert.Contains("stop", target.Calls);
        target.Report(Interrupted);
        Assert.Equal("", conversation.Stops());
        Assert.Equal("resume 1:Continue:0 2:Continue:0", target.Calls[^1]);
        Assert.Equal("OK", conversation.Ask("vCont;t:p1.1"));
        target.Report(Interrupted);
        Assert.Equal(["%Stop:T00thread:p1.1;00:00001020;"], Conversation.Payloads(conversation.Stops()));
        Assert.Equal("T00thread:p1.2;00:00003333;", conversation.Ask("vStopped"));
        Assert.Equal("OK", conversation.Ask("vStopped"));
    }

    /// <summary>What may happen, as text: P packet, S process 1 or 2 stops, B bytes.</summary>
    private static readonly string[] Happenings =
    [
        "P?", "Pg", "Pm1000,10", "PvCont;c", "PvCont;c", "PvCont;s:p1.1", "PvCont;c:p2.-1", "PvCont;t", "PvCtrlC", "PvAttach;2", "PvAttach;2", "PvAttach;3", "PD;2",
        "PvKill;2", "PHgp1.1", "PHgp2.1", "PqfThreadInfo", "PqC", "PvStopped", "PqXfer:osdata:read::0,10", "PZ0,1000,1", "PvCont;r1000,2000:p1.1",
        "S1", "S1", "S2", "S2", "B\x03",
    ];

    [Fact]
    public void Whatever_happens_to_two_processes_each_packet_has_one_reply_and_each_resume_one_stop() =>
        Gen.Int[0, Happenings.Length - 1].Select(i => Happenings[i]).Array[1, 80].Array[1500].Sample(
            histories => Assert.All(histories, Follow), seed: "0N0XIzNsQ0O2", iter: 1, threads: 1);

    [Fact]
    public void Whatever_happens_in_non_stop_mode_each_packet_has_one_reply_and_all_stops_can_be_fetched() =>
        Gen.Int[0, Happenings.Length - 1].Select(i => Happenings[i]).Array[1, 80].Array[1500].Sample(
            histories => Assert.All(histories, FollowNonStop), seed: "0N0XIzNsQ0O2", iter: 1, threads: 1);

    private static void Follow(string[] history)
    {
        Conversation conversation = Multi(out RichTarget target);
        conversation.Ask("!");
        bool waits = false;
        foreach (string happening in history)
        {
            List<string> said;
            switch (happening[0])
            {
                case 'S':
                    bool was = Stop(target, happening[1] - '0');
                    said = Conversation.Payloads(conversation.Stops());
                    Assert.True(said.Count <= 1);
                    Assert.True(was || said.Count == 0);
                    waits &= said.Count == 0;
                    break;

                case 'B':
                    Assert.Equal("", conversation.Send(happening[1..]));
                    break;

                default:
                    said = Conversation.Payloads(conversation.Send(Conversation.Frame(happening[1..])));
                    if (said.Count == 0)
                    {
                        Assert.StartsWith("PvCont", happening);
                        Assert.False(waits);
                        waits = true;
                    }
                    else
                    {
                        Assert.Single(said);
                    }

                    if (happening is "PD;2" or "PvKill;2")
                    {
                        // Another's stop may have waited for the one that left; without one there is nothing to wait for.
                        List<string> late = Conversation.Payloads(conversation.Stops());
                        Assert.True(late.Count == 0 || (waits && late.Count == 1 && !Running(target)));
                        waits &= Running(target);
                    }

                    break;
            }

            Assert.Equal(waits, conversation.Session.State is SessionState.Running or SessionState.Interrupting);
            Assert.Equal(waits, Running(target));
        }

        conversation.Session.Dispose();
        Assert.False(Running(target));
    }

    private static void FollowNonStop(string[] history)
    {
        Conversation conversation = Multi(out RichTarget target);
        conversation.Ask("!");
        conversation.Ask("QNonStop:1");
        int owed = 0;
        foreach (string happening in history)
        {
            List<string> said;
            if (happening[0] == 'S')
            {
                Stop(target, happening[1] - '0');
                said = Conversation.Payloads(conversation.Stops());
                Assert.True(said.Count <= 1 && said.All(one => one.StartsWith("%Stop:T", StringComparison.Ordinal)));
                Assert.True(said.Count == 0 || owed == 0);
                owed += said.Count;
            }
            else if (happening[0] == 'P')
            {
                said = Conversation.Payloads(conversation.Send(Conversation.Frame(happening[1..])));
                Assert.Single(said);
                owed = happening is "P?" or "PvStopped" ? (said[0] == "OK" ? 0 : 1) : owed;
            }
            else
            {
                Assert.Equal("", conversation.Send(happening[1..]));
            }

            Assert.Equal(SessionState.Idle, conversation.Session.State);
        }

        // All that is running is stopped, and all stops are fetched: a bounded number.
        conversation.Send("\x03");
        Stop(target, 1);
        Stop(target, 2);
        conversation.Stops();
        int fetched = 0;
        while (conversation.Ask("vStopped") != "OK")
        {
            Assert.True(++fetched < 400);
        }

        Assert.False(Running(target));
    }

    private static bool Stop(RichTarget target, int process)
    {
        RichTarget? one = process == 1 ? target : target.Open.GetValueOrDefault(2);
        if (one is not { Running: true })
        {
            return false;
        }

        one.Report(one.Calls[^1] == "stop" ? Interrupted : Breakpoint);
        return true;
    }

    private static bool Running(RichTarget target) => target.Running || target.Open.GetValueOrDefault(2) is { Running: true };

    private static Conversation Multi(out RichTarget target)
    {
        Conversation conversation = RichTests.Fresh(out target);
        Assert.Contains("multiprocess+", conversation.Ask("qSupported:multiprocess+;swbreak+"), StringComparison.Ordinal);
        return conversation;
    }
}
