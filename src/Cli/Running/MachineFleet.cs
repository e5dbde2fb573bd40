using Cli.Arguments;
using Cli.Consoles;
using Cli.Status;
using Cli.Supervision;
using Emulator.Boot;
using Microsoft.Extensions.Logging;

namespace Cli.Running;

/// <summary>
/// Several machines in one process, each on threads of its own. One that cannot start, or ends by an error, is named, and the
/// others go on; the fleet's run is over when the last of them has ended.
/// </summary>
internal sealed class MachineFleet
{
    private readonly ILoggerFactory loggers;
    private readonly OutputBuffer output;
    private readonly Lock gate = new();
    private readonly List<Member> members;
    private EndRequest? ended;

    private MachineFleet(IReadOnlyList<RunOptions> machines, OutputBuffer output, ILoggerFactory loggers, bool json)
    {
        this.output = output;
        this.loggers = loggers;
        members = [.. machines.Select(options => new Member(options, new FleetReporter(options.Name, output, Console.Error, json)))];
    }

    /// <summary>Runs them all to their ends; returns the exit code: an error before a crash, a crash before the signal that ended it.</summary>
    public static async Task<int> RunAsync(IReadOnlyList<RunOptions> machines, bool json, LogLevel level)
    {
        using ILoggerFactory loggers = Logging.Create(level);
        using var output = new OutputBuffer(Console.OpenStandardOutput());
        var fleet = new MachineFleet(machines, output, loggers, json);
        using var signals = new SignalWatch(fleet.RequestEnd);
        using StatusServer? server = StatusServer.TryStart(() => [.. fleet.members.Select(member => member.Recorder.Status)], loggers.CreateLogger("status"));
        int[] codes = await Task.WhenAll(fleet.members.Select(member => Task.Run(() => fleet.RunAsync(member))));
        return codes.Contains(ExitCode.Error) ? ExitCode.Error
            : codes.Contains(ExitCode.CrashArchived) ? ExitCode.CrashArchived
            : fleet.ended?.ExitCode ?? codes.Max();
    }

    private void RequestEnd(EndRequest request)
    {
        List<HostedMachine> running;
        lock (gate)
        {
            ended ??= request;
            running = [.. members.Where(member => member.Machine is not null).Select(member => member.Machine!)];
        }

        running.ForEach(machine => machine.RequestEnd(request));
    }

    private async Task<int> RunAsync(Member member)
    {
        try
        {
            await using var machine = HostedMachine.Create(member.Options, member.Recorder, destination => OpenConsole(member.Options.Name, destination), loggers);
            member.Recorder.HasDebugger = () => machine.HasDebugger;
            lock (gate)
            {
                member.Machine = machine;
                if (ended is not null)
                {
                    machine.RequestEnd(ended);
                }
            }

            try
            {
                return await machine.RunAsync();
            }
            finally
            {
                lock (gate)
                {
                    member.Machine = null;
                    member.Recorder.HasDebugger = null;
                }
            }
        }
        catch (Exception failure)
        {
            // Whatever it is, it is this machine's trouble and no other's.
            string message = failure is UserError or IOException or UnauthorizedAccessException or BootException
                ? failure.Message
                : $"{failure.Message} ({failure.GetType().Name}: this is a bug of gdbstub's; --log-level debug shows where)";
            member.Recorder.Fail(message);
            member.Reporter.Report(new MachineFailedEvent(message));
            LogFailure(failure);
            return ExitCode.Error;
        }
    }

    private void LogFailure(Exception failure)
    {
        ILogger logger = loggers.CreateLogger("fleet");
        if (logger.IsEnabled(LogLevel.Debug))
        {
            Console.Error.WriteLine(failure);
        }
    }

    private IGuestConsole OpenConsole(string name, ConsoleDestination destination) => destination switch
    {
        ConsoleDestination.Stdio => new PrefixedConsole(output, name),
        ConsoleDestination.File file => new FileConsole(file.Path),
        _ => new NoConsole(),
    };

    private sealed class Member(RunOptions options, FleetReporter reporter)
    {
        public RunOptions Options => options;

        public FleetReporter Reporter => reporter;

        public StatusRecorder Recorder { get; } = new(options, reporter);

        public HostedMachine? Machine { get; set; }
    }
}
