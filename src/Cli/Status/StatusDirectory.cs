namespace Cli.Status;

/// <summary>Where processes that run machines can be asked how they are: a directory of sockets, one a process, that is the user's own.</summary>
internal static class StatusDirectory
{
    /// <summary>$GDBSTUB_RUNTIME, else gdbstub in $XDG_RUNTIME_DIR, else a directory beside the store of old; null when there is no home either.</summary>
    /// <param name="environment">Looks up an environment variable.</param>
    public static string? Resolve(Func<string, string?> environment)
    {
        if (environment("GDBSTUB_RUNTIME") is { Length: > 0 } chosen)
        {
            return Path.GetFullPath(chosen);
        }

        if (environment("XDG_RUNTIME_DIR") is { Length: > 0 } runtime && Path.IsPathRooted(runtime))
        {
            return Path.Combine(runtime, "gdbstub");
        }

        return environment("HOME") is { Length: > 0 } home && Path.IsPathRooted(home) ? Path.Combine(home, ".local", "state", "gdbstub", "run") : null;
    }
}
