using System.Text;
using GdbStub.Sessions;
using GdbStub.Targets;

namespace GdbStub.Tests;

/// <summary>Threads that are there to be looked at and take no orders to run: tasks that wait for a processor.</summary>
public sealed class WaitingThreadTests
{
    private const string Refusal = "E.thread 255 waits and cannot be told to run; threads that can: 1 2";

    private static Conversation Start() => new(new FakeTarget { Waiting = [new(0xff, "sleeper", "pid 7")] });

    [Theory]
    [InlineData("qfThreadInfo", "m1,2,ff")]
    [InlineData("Tff", "OK")]
    [InlineData("Hgff", "OK")]
    [InlineData("qThreadExtraInfo,ff", "736c65657065723a207069642037")]
    [InlineData("vCont;s:ff", Refusal)]
    [InlineData("vCont;r1000,1010:ff;c", Refusal)]
    [InlineData("vCont;c:ff", Refusal)]
    [InlineData("vCont;c:1;s:ff", Refusal)]
    [InlineData("vCont;s:fe", "E.there is no thread fe")]
    public void One_is_listed_and_looked_at_but_not_run(string packet, string reply)
    {
        Conversation conversation = Start();
        Assert.Equal(reply, conversation.Ask(packet));
        Assert.Empty(conversation.Target.Calls);
    }

    [Fact]
    public void Hc_of_one_and_a_resume_is_refused()
    {
        Conversation conversation = Start();
        Assert.Equal("OK", conversation.Ask("Hcff"));
        Assert.Equal(Refusal, conversation.Ask("s"));
        Assert.Equal(Refusal, conversation.Ask("c"));
        Assert.Equal("OK", conversation.Ask("Hc-1"));
        Assert.Null(conversation.Ask("c"));
    }

    [Theory]
    [InlineData("vCont;s:ff", "thread 255 waits and cannot be told to run; threads that can: 1 2")]
    [InlineData("vCont;c", "an archive does not run")]
    [InlineData("c", "an archive does not run")]
    public void Lldb_is_told_in_words_and_by_a_stop_why_nothing_runs_because_an_error_would_end_its_session(string packet, string words)
    {
        Conversation conversation = Start();
        conversation.Target.ResumeError = new TargetError(TargetError.NotPermitted, "an archive does not run");
        conversation.Ask("QThreadSuffixSupported");
        Assert.Equal(
            ["O" + Convert.ToHexStringLower(Encoding.ASCII.GetBytes(words + "\n")), "T05thread:1;reason:trace;00:00001020;"],
            Conversation.Payloads(conversation.Send(Conversation.Frame(packet))));
        Assert.Equal(SessionState.Idle, conversation.Session.State);
    }

    [Theory]
    [InlineData("vCont;c", "resume 1:Continue:0 2:Continue:0")]
    [InlineData("vCont;s:1;c", "resume 1:Step:0 2:Continue:0")]
    [InlineData("vCont;s:1;t:ff", "resume 1:Step:0 2:Stay:0")]
    [InlineData("vCont;C06:1;c:2;c:ff", "resume 1:Continue:6 2:Continue:0")]
    [InlineData("vCont;c:ff;s:2", "resume 1:Stay:0 2:Step:0")]
    public void Orders_are_given_to_the_others_alone(string packet, string call)
    {
        Conversation conversation = Start();
        Assert.Null(conversation.Ask(packet));
        Assert.Equal([call], conversation.Target.Calls);
    }

    [Fact]
    public void A_stop_reply_leaves_out_registers_that_are_not_known()
    {
        Conversation conversation = Start();
        Assert.Equal("T05thread:1;00:00001020;", conversation.Ask("?"));
        conversation.Target.Values.Remove((1, 0));
        Assert.Equal("T05thread:1;", conversation.Ask("?"));
    }

    [Fact]
    public void In_non_stop_mode_they_are_not_there()
    {
        Conversation conversation = Start();
        Assert.Equal("OK", conversation.Ask("QNonStop:1"));
        Assert.Equal("m1,2", conversation.Ask("qfThreadInfo"));
        Assert.StartsWith("T05thread:1;", conversation.Ask("?"));
        Assert.StartsWith("T00thread:2;", conversation.Ask("vStopped"));
        Assert.Equal("OK", conversation.Ask("vStopped"));
    }

    [Fact]
    public void Lldb_is_told_of_unknown_registers_by_errors_once_it_knows_the_packet()
    {
        Conversation conversation = Start();
        conversation.Ask("QThreadSuffixSupported");
        Assert.Equal("xxxxxxxx", conversation.Ask("p0;thread:ff;"));
        Assert.Equal("E05", conversation.Ask("p0;thread:ff;"));
        Assert.Equal("00001020", conversation.Ask("p0;thread:1;"));
    }

    [Fact]
    public void Lldb_is_told_that_a_file_lies_where_it_says()
    {
        var conversation = new Conversation(new RichTarget());
        Assert.Equal("TextSeg=4000", conversation.Ask("qOffsets"));
        Assert.Equal("OK", conversation.Ask("QThreadSuffixSupported"));
        Assert.Equal("Text=0;Data=0;Bss=0", conversation.Ask("qOffsets"));
    }
}
