using Microsoft.Extensions.Logging;

namespace Cli.Running;

/// <summary>One run of `gdbstub run`, put together and seen through.</summary>
internal static class GuestRun
{
    /// <summary>Boots the guest and stays with it to the end of the run; returns the exit code.</summary>
    public static Task<int> RunAsync(RunOptions options, LogLevel level) => throw new UserError("not put together yet");
}
