namespace Cli.Consoles;

/// <summary>What a person at the console can do.</summary>
internal interface IConsoleListener
{
    /// <summary>Bytes for the guest.</summary>
    void Typed(ReadOnlySpan<byte> bytes);

    /// <summary>A break condition for the guest.</summary>
    void SendBreak();

    /// <summary>End the run.</summary>
    void Quit();

    /// <summary>Executes a line typed at the monitor prompt and returns its output.</summary>
    string Monitor(string line);
}
