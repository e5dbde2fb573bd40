using GdbStub.Sessions;

namespace Cli.Arguments;

/// <summary>Where debuggers connect, as --gdb has it: what the stub can listen on, or none.</summary>
internal static class GdbAddress
{
    /// <summary>A loopback port the system picks.</summary>
    public const string Default = "tcp:127.0.0.1:0";

    /// <summary>The endpoint, null for none; false with a line that says what is wrong.</summary>
    public static bool TryParse(string text, out GdbEndpoint? endpoint, out string error)
    {
        endpoint = null;
        error = "";
        if (text == "none" || GdbEndpoint.TryParse(text, out endpoint, out string? problem))
        {
            return true;
        }

        error = $"{problem}, or none";
        return false;
    }

    /// <summary>What to say when an endpoint that others can reach was not asked to be one; null when all is well.</summary>
    public static string? Refuse(GdbEndpoint? endpoint, bool expose) => endpoint is null || endpoint.IsPrivate || expose
        ? null
        : $"{endpoint.TargetRemote} can be reached from other machines, and whoever connects owns the guest: give tcp:127.0.0.1:PORT and forward the port (ssh -L), or add --gdb-expose if that is what you want";

    /// <summary>The warning that goes with an exposed endpoint; null for a private one.</summary>
    public static string? Warn(GdbEndpoint? endpoint) => endpoint is null || endpoint.IsPrivate
        ? null
        : $"warning: anybody who can reach {endpoint.TargetRemote} can read and change the guest's memory; there is no password";
}
