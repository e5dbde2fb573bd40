namespace Cli.Consoles;

/// <summary>The guest talks to nobody.</summary>
internal sealed class NoConsole : IGuestConsole
{
    /// <inheritdoc/>
    public void Write(ReadOnlySpan<byte> bytes)
    {
    }

    /// <inheritdoc/>
    public void Flush()
    {
    }

    /// <inheritdoc/>
    public void Listen(IConsoleListener listener)
    {
    }

    /// <inheritdoc/>
    public void Dispose()
    {
    }
}
