namespace Cli;

/// <summary>The command line cannot be meant. The message is one line; the process ends with <see cref="ExitCode.Usage"/>.</summary>
internal sealed class UsageError(string message) : Exception(message);
