using System.Text;
using Cli.Host;

namespace Cli.Consoles;

/// <summary>
/// The guest's serial port on our standard input and output. On a terminal, in raw mode, every key but the escape key is
/// the guest's; a pipe is passed on as it is, and its end is the end of the typing.
/// </summary>
internal sealed class StdioConsole : IGuestConsole
{
    private readonly RawTerminal? terminal;
    private readonly OutputBuffer output;
    private readonly EscapeKey escape = new();
    private readonly MonitorPrompt prompt;
    private IConsoleListener? listener;

    /// <summary>Takes the terminal, when there is one.</summary>
    /// <param name="output">Standard output, shared with whoever else prints there.</param>
    public StdioConsole(OutputBuffer output)
    {
        this.output = output;
        prompt = new MonitorPrompt(Print);
        terminal = Terminal.IsTerminal(Terminal.StandardInput) ? new RawTerminal(Terminal.StandardInput) : null;
    }

    /// <inheritdoc/>
    public void Write(ReadOnlySpan<byte> bytes) => output.Write(bytes);

    /// <inheritdoc/>
    public void Flush() => output.Flush();

    /// <inheritdoc/>
    public void Listen(IConsoleListener listener)
    {
        this.listener = listener;
        new Thread(ReadKeys) { Name = "console input", IsBackground = true }.Start();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        output.Flush();
        terminal?.Dispose();
    }

    private void ReadKeys()
    {
        byte[] buffer = new byte[256];
        int count;
        while ((count = Terminal.Read(Terminal.StandardInput, buffer)) > 0)
        {
            if (terminal is null)
            {
                listener!.Typed(buffer.AsSpan(0, count));
                continue;
            }

            foreach (byte key in buffer.AsSpan(0, count))
            {
                Handle(key);
            }
        }
    }

    private void Handle(byte key)
    {
        switch (escape.Feed(key))
        {
            case KeyMeaning.Data when prompt.IsOpen:
                if (prompt.Type(key) is { } line)
                {
                    Print(listener!.Monitor(line));
                    prompt.Show();
                }

                break;
            case KeyMeaning.Data:
                listener!.Typed([key]);
                break;
            case KeyMeaning.Quit:
                listener!.Quit();
                break;
            case KeyMeaning.Monitor:
                prompt.Toggle();
                break;
            case KeyMeaning.Break:
                listener!.SendBreak();
                break;
            case KeyMeaning.Help:
                Print(EscapeKey.Help);
                break;
        }
    }

    private void Print(string text)
    {
        output.Write(Encoding.UTF8.GetBytes(text));
        output.Flush();
    }
}
