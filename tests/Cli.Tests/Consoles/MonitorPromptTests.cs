using System.Text;
using Cli.Consoles;

namespace Cli.Tests.Consoles;

public sealed class MonitorPromptTests
{
    [Theory]
    [InlineData("info\r", "info")]
    [InlineData("info\n", "info")]
    [InlineData("  stop  \r", "stop")]
    [InlineData("inx\x7f" + "fo\r", "info")]
    [InlineData("inx\bfo\r", "info")]
    [InlineData("\x7f\x7finfo\r", "info")]
    [InlineData("quit\x03info\r", "info")]
    [InlineData("quit\x15info\r", "info")]
    [InlineData("\r\r  \rinfo\r", "info")]
    [InlineData("in\x1b" + "fo\r", "info")]
    [InlineData("info\x04\r", "info")]
    public void A_line_is_what_is_left_of_the_typing(string typed, string line)
    {
        var prompt = new MonitorPrompt(_ => { });
        prompt.Toggle();
        string? complete = null;
        foreach (byte key in Encoding.Latin1.GetBytes(typed))
        {
            Assert.Null(complete);
            complete = prompt.Type(key);
        }

        Assert.Equal(line, complete);
        Assert.True(prompt.IsOpen);
    }

    [Fact]
    public void End_of_input_on_an_empty_line_goes_back_to_the_guest()
    {
        var prompt = new MonitorPrompt(_ => { });
        prompt.Toggle();
        Assert.Null(prompt.Type(4));
        Assert.False(prompt.IsOpen);
    }

    [Fact]
    public void What_is_typed_is_shown_and_what_is_erased_disappears()
    {
        var shown = new StringBuilder();
        var prompt = new MonitorPrompt(text => shown.Append(text));
        prompt.Toggle();
        shown.Clear();
        foreach (byte key in "ab\x7f\r"u8.ToArray())
        {
            prompt.Type(key);
        }

        Assert.Equal("ab\b \b\n", shown.ToString());
    }

    [Fact]
    public void A_line_has_a_limit()
    {
        var prompt = new MonitorPrompt(_ => { });
        prompt.Toggle();
        for (int i = 0; i < 10_000; i++)
        {
            Assert.Null(prompt.Type((byte)'a'));
        }

        Assert.Equal(256, prompt.Type((byte)'\r')!.Length);
    }
}
