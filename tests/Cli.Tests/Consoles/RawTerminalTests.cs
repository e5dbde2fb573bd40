using System.Runtime.InteropServices;
using System.Text;
using Cli.Consoles;
using Cli.Host;

namespace Cli.Tests.Consoles;

public sealed class RawTerminalTests
{
    [Fact]
    public void A_raw_terminal_hands_over_every_key_at_once_and_prints_none()
    {
        using var pty = new PseudoTerminal();
        using var raw = new RawTerminal(pty.Slave);
        pty.Type("\x03\x04\r\n\x11\x1a\x7f");
        Assert.Equal("\x03\x04\r\n\x11\x1a\x7f", ReadKeys(pty, 7));
    }

    [Fact]
    public void A_terminal_in_its_usual_state_waits_for_the_line()
    {
        using var pty = new PseudoTerminal();
        pty.Type("ab\x7f\r");
        Assert.Equal("a\n", ReadKeys(pty, 2));
    }

    [Fact]
    public void The_terminal_is_given_back_as_it_was()
    {
        using var pty = new PseudoTerminal();
        byte[] before = SettingsOf(pty);
        using (new RawTerminal(pty.Slave))
        {
            Assert.NotEqual(before, SettingsOf(pty));
        }

        Assert.Equal(before, SettingsOf(pty));
    }

    [Fact]
    public void A_pipe_is_no_terminal()
    {
        using var pty = new PseudoTerminal();
        Assert.True(Terminal.IsTerminal(pty.Slave));
        Assert.False(Terminal.IsTerminal(-1));
        Assert.Throws<IOException>(() => new RawTerminal(-1));
    }

    private static string ReadKeys(PseudoTerminal pty, int count)
    {
        var keys = new StringBuilder();
        byte[] buffer = new byte[16];
        while (keys.Length < count)
        {
            keys.Append(Encoding.Latin1.GetString(buffer, 0, Terminal.Read(pty.Slave, buffer)));
        }

        return keys.ToString();
    }

    private static byte[] SettingsOf(PseudoTerminal pty)
    {
        Terminal.Settings settings = Terminal.EnterRawMode(pty.Slave);
        Terminal.Restore(pty.Slave, settings);
        return MemoryMarshal.AsBytes(new ReadOnlySpan<Terminal.Settings>(in settings)).ToArray();
    }
}
