namespace Cli.Consoles;

/// <summary>Where the guest's serial port goes, and what is typed there.</summary>
internal interface IGuestConsole : IDisposable
{
    /// <summary>Bytes the guest sent; called by the machine's thread.</summary>
    void Write(ReadOnlySpan<byte> bytes);

    /// <summary>Everything written so far becomes visible.</summary>
    void Flush();

    /// <summary>From now on, what is typed goes to <paramref name="listener"/>, from a thread of the console's.</summary>
    void Listen(IConsoleListener listener);
}
