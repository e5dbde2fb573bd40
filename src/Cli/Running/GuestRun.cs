using Cli.Arguments;
using Cli.Consoles;
using Cli.Status;
using Cli.Supervision;
using Microsoft.Extensions.Logging;

namespace Cli.Running;

/// <summary>One run of `gdbstub run`, put together and seen through.</summary>
internal static class GuestRun
{
    /// <summary>Boots the guest and stays with it to the end of the run; returns the exit code.</summary>
    public static async Task<int> RunAsync(RunOptions options, LogLevel level)
    {
        using ILoggerFactory loggers = Logging.Create(level);
        using var output = new OutputBuffer(Console.OpenStandardOutput());
        var status = new StatusRecorder(options, new RunReporter(output, Console.Error, options.Json, DrawsProgress(options)));
        await using var machine = HostedMachine.Create(options, status, destination => OpenConsole(destination, output), loggers);
        status.HasDebugger = () => machine.HasDebugger;
        using var signals = new SignalWatch(machine.RequestEnd);
        using StatusServer? server = StatusServer.TryStart(() => [status.Status], loggers.CreateLogger("status"));
        return await machine.RunAsync();
    }

    private static IGuestConsole OpenConsole(ConsoleDestination destination, OutputBuffer output) => destination switch
    {
        ConsoleDestination.Stdio => new StdioConsole(output),
        ConsoleDestination.File file => new FileConsole(file.Path),
        _ => new NoConsole(),
    };

    /// <summary>A bar needs a terminal that the guest does not print on meanwhile.</summary>
    private static bool DrawsProgress(RunOptions options) =>
        ProgressBar.IsPossible && (options.Console is not ConsoleDestination.Stdio || options.OnPanic != PanicAction.Reboot);
}
