namespace Cli.Supervision;

/// <summary>Why somebody wants the run to end, and what the process then ends with if nothing else is to be said.</summary>
/// <param name="Why">For a person.</param>
/// <param name="ExitCode">The exit code when no crash was archived.</param>
internal sealed record EndRequest(string Why, int ExitCode)
{
    /// <summary>Asked for with Ctrl-C.</summary>
    public bool IsInterrupt => ExitCode == Cli.ExitCode.Signal + 2;

    /// <summary>The person at the console.</summary>
    public static EndRequest Console { get; } = new("ended at the console", Cli.ExitCode.Success);

    /// <summary>A debugger's user.</summary>
    public static EndRequest Debugger { get; } = new("ended by the debugger", Cli.ExitCode.Success);

    /// <summary>A signal.</summary>
    public static EndRequest Signal(string name, int number) => new($"ended by {name}", Cli.ExitCode.Signal + number);
}
