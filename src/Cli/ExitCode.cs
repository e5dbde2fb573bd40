namespace Cli;

/// <summary>What the process ends with. Scripts rely on these numbers.</summary>
internal static class ExitCode
{
    /// <summary>Done; for a run: the guest powered off, halted, or was ended by its owner.</summary>
    public const int Success = 0;

    /// <summary>An error, named by one line on standard error.</summary>
    public const int Error = 1;

    /// <summary>The command line is wrong.</summary>
    public const int Usage = 2;

    /// <summary>A panic, or another crash of the guest, was archived.</summary>
    public const int CrashArchived = 3;

    /// <summary>Ended by a signal before anything else happened; the number of the signal is added, as shells do.</summary>
    public const int Signal = 128;
}
