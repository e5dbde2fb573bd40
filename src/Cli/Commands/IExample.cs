namespace Cli.Commands;

/// <summary>A command that shows how it is used.</summary>
internal interface IExample
{
    /// <summary>Lines for the end of its --help.</summary>
    string Example { get; }
}
