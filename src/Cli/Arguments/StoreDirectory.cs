namespace Cli.Arguments;

/// <summary>Which directory holds the archives: --store, else $GDBSTUB_STORE, else the XDG state directory.</summary>
internal static class StoreDirectory
{
    /// <summary>The directory, absolute. A relative $XDG_STATE_HOME is ignored, as the XDG specification says.</summary>
    /// <param name="option">What --store says, or null.</param>
    /// <param name="environment">Looks up an environment variable.</param>
    public static string Resolve(string? option, Func<string, string?> environment)
    {
        if (!string.IsNullOrEmpty(option))
        {
            return Path.GetFullPath(option);
        }

        if (environment("GDBSTUB_STORE") is { Length: > 0 } store)
        {
            return Path.GetFullPath(store);
        }

        if (environment("XDG_STATE_HOME") is { Length: > 0 } state && Path.IsPathRooted(state))
        {
            return Path.Combine(state, "gdbstub");
        }

        return environment("HOME") is { Length: > 0 } home && Path.IsPathRooted(home)
            ? Path.Combine(home, ".local", "state", "gdbstub")
            : throw new UserError("there is no home directory to keep archives in: give --store DIR or set GDBSTUB_STORE");
    }
}
