namespace Cli.Consoles;

/// <summary>The guest's output in a file; nothing is typed.</summary>
internal sealed class FileConsole : IGuestConsole
{
    private readonly OutputBuffer output;
    private readonly FileStream file;

    /// <summary>Empties the file, or creates it.</summary>
    public FileConsole(string path)
    {
        try
        {
            file = new FileStream(path, FileMode.Create, FileAccess.Write, FileShare.ReadWrite, bufferSize: 0);
        }
        catch (Exception cause) when (cause is IOException or UnauthorizedAccessException)
        {
            throw new UserError($"cannot write to '{path}' ({cause.Message}): give a file in a directory you can write to", cause);
        }

        output = new OutputBuffer(file);
    }

    /// <inheritdoc/>
    public void Write(ReadOnlySpan<byte> bytes) => output.Write(bytes);

    /// <inheritdoc/>
    public void Flush() => output.Flush();

    /// <inheritdoc/>
    public void Listen(IConsoleListener listener)
    {
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        output.Dispose();
        file.Dispose();
    }
}
