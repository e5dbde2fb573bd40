namespace Cli;

/// <summary>Something the person at the command line can put right. The message is one line: what is wrong and what to do.</summary>
internal sealed class UserError(string message, Exception? cause = null) : Exception(message, cause);
