namespace Cli.Arguments;

/// <summary>Where the guest's serial console goes: stdio, none or a file.</summary>
internal abstract record ConsoleDestination
{
    private ConsoleDestination()
    {
    }

    /// <summary>The destination a word names; anything but <c>stdio</c> and <c>none</c> is a file.</summary>
    public static ConsoleDestination Parse(string text) => text switch
    {
        "stdio" => new Stdio(),
        "none" => new None(),
        _ => new File(text),
    };

    /// <summary>Our own terminal, or the pipes we were given.</summary>
    public sealed record Stdio : ConsoleDestination;

    /// <summary>Nowhere.</summary>
    public sealed record None : ConsoleDestination;

    /// <summary>A file, emptied at the start.</summary>
    public sealed record File(string Path) : ConsoleDestination;
}
