using System.Text;

namespace Cli.Consoles;

/// <summary>The line a person types at the monitor prompt, with no more editing than a raw terminal needs.</summary>
internal sealed class MonitorPrompt(Action<string> print)
{
    private const int MaximumLine = 256;
    private const byte Interrupt = 3, EndOfInput = 4, Backspace = 8, EraseLine = 21, Delete = 127;

    private readonly StringBuilder line = new();

    /// <summary>Typed keys belong to the prompt.</summary>
    public bool IsOpen { get; private set; }

    /// <summary>Opens or closes it.</summary>
    public void Toggle()
    {
        IsOpen = !IsOpen;
        line.Clear();
        print(IsOpen ? "\nmonitor: 'help' lists the commands, Ctrl-A c goes back to the guest\n" : "\n");
        Show();
    }

    /// <summary>Prints the prompt when it is open.</summary>
    public void Show()
    {
        if (IsOpen)
        {
            print("(gdbstub) ");
        }
    }

    /// <summary>Takes a key; returns the line when it is complete.</summary>
    public string? Type(byte key)
    {
        switch (key)
        {
            case (byte)'\r' or (byte)'\n':
                string complete = line.ToString().Trim();
                line.Clear();
                print("\n");
                if (complete.Length > 0)
                {
                    return complete;
                }

                Show();
                break;
            case Interrupt or EraseLine:
                line.Clear();
                print("\n");
                Show();
                break;
            case EndOfInput when line.Length == 0:
                Toggle();
                break;
            case Backspace or Delete when line.Length > 0:
                line.Length--;
                print("\b \b");
                break;
            case >= 0x20 and < Delete when line.Length < MaximumLine:
                line.Append((char)key);
                print(((char)key).ToString());
                break;
        }

        return null;
    }
}
