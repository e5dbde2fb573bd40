using Cli.Archives;
using Cli.Arguments;
using Cli.Commands;
using Cli.Consoles;
using Cli.Supervision;
using Debugging;
using Debugging.Processes;
using GdbStub.Sessions;
using Microsoft.Extensions.Logging;
using Snapshots;

namespace Cli.Running;

/// <summary>One run of `gdbstub run`, put together and seen through.</summary>
internal static class GuestRun
{
    /// <summary>How long after a failure a crash is tried to be archived again.</summary>
    private static readonly TimeSpan RetryArchiveAfter = TimeSpan.FromSeconds(10);

    /// <summary>The machine's thread decodes and walks; nothing there recurses deeply, but a debugger build may.</summary>
    private const int MachineStackBytes = 16 << 20;

    /// <summary>Boots the guest and stays with it to the end of the run; returns the exit code.</summary>
    public static async Task<int> RunAsync(RunOptions options, LogLevel level)
    {
        using ILoggerFactory loggers = Logging.Create(level);
        BootFiles files = BootFiles.Read(options);
        Store store = OpenStore(options.Store);

        using var output = new OutputBuffer(Console.OpenStandardOutput());
        var reporter = new RunReporter(output, Console.Error, options.Json, DrawsProgress(options));
        using var debugPort = OpenDebugPort(options);
        using var guest = new GuestMachine(options, files, reporter, loggers);
        var archives = new ArchiveQueue(new StoreArchiver(store, options.Keep, loggers.CreateLogger("archive")), reporter, RetryArchiveAfter);
        var supervisor = new Supervisor(
            guest, new TrapPolicy(options.OnPanic, options.MaximumReboots), archives, reporter, options.Wait, new RestartBackoff(options.LongestBackoff));
        using var signals = new SignalWatch(supervisor.RequestEnd);
        await using GdbListener? listener = Listen(options, store, guest, supervisor, loggers);
        using IGuestConsole console = OpenConsole(options.Console, output);
        guest.Connect(console, debugPort ?? (options.DebugPort is null ? null : console));
        console.Listen(new ConsoleControl(supervisor, guest));

        reporter.Report(new StartedEvent(options.Name, options.Kernel, options.Memory, options.Seed, CommonOptions.Word(options.Engine)));
        if (listener is { Endpoint: not GdbEndpoint.Stdio })
        {
            reporter.Report(new ListeningEvent(listener.Endpoint.TargetRemote));
        }

        int code = await OnMachineThread(() =>
        {
            RunStatistics? statistics = options.Statistics ? RunStatistics.Begin() : null;
            int code = supervisor.Run();
            if (statistics is not null)
            {
                reporter.Report(statistics.End(guest.Statistics));
            }

            return code;
        });
        console.Flush();
        return code;
    }

    private static GdbListener? Listen(RunOptions options, Store store, GuestMachine guest, Supervisor supervisor, ILoggerFactory loggers)
    {
        if (options.Gdb is null)
        {
            return null;
        }

        if (GdbAddress.Warn(options.Gdb) is { } warning)
        {
            Console.Error.WriteLine($"gdbstub: {warning}");
        }

        var presentation = new DebugOptions
        {
            Guest = new GuestInformation(() => guest.LastCrash),
            Kernels = options.Kernels,
            Quit = () =>
            {
                supervisor.RequestEnd(EndRequest.Debugger);
                return "the run ends\n";
            },
        };
        GdbListener listener = GdbListener.Start(
            options.Gdb, new ProcessTargetProvider(supervisor.Runner, new StoreImages(store), null, presentation), loggers.CreateLogger("gdb"), options.GdbExpose);
        if (options.Gdb is GdbEndpoint.Stdio)
        {
            // gdb started us, and nobody else can reach us when it is gone.
            _ = listener.Completion.ContinueWith(_ => supervisor.RequestEnd(EndRequest.Debugger), TaskScheduler.Default);
        }

        return listener;
    }

    private static Store OpenStore(string directory)
    {
        try
        {
            if (OperatingSystem.IsWindows())
            {
                Directory.CreateDirectory(directory);
            }
            else
            {
                Directory.CreateDirectory(directory, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
            }

            // Better to learn it now than when a crash has to be written.
            string probe = Path.Combine(directory, $".probe-{Environment.ProcessId}");
            new FileStream(probe, FileMode.Create, FileAccess.Write, FileShare.None, 1, FileOptions.DeleteOnClose).Dispose();
            return Store.Open(directory);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            throw new UserError($"crashes cannot be archived in {directory} ({failure.Message}): give --store DIR or set GDBSTUB_STORE", failure);
        }
    }

    private static IGuestConsole OpenConsole(ConsoleDestination destination, OutputBuffer output) => destination switch
    {
        ConsoleDestination.Stdio => new StdioConsole(output),
        ConsoleDestination.File file => new FileConsole(file.Path),
        _ => new NoConsole(),
    };

    private static FileConsole? OpenDebugPort(RunOptions options) =>
        options.DebugPort is null or "console" ? null : new FileConsole(options.DebugPort);

    /// <summary>A bar needs a terminal that the guest does not print on meanwhile.</summary>
    private static bool DrawsProgress(RunOptions options) =>
        ProgressBar.IsPossible && (options.Console is not ConsoleDestination.Stdio || options.OnPanic != PanicAction.Reboot);

    private static Task<int> OnMachineThread(Func<int> run)
    {
        var done = new TaskCompletionSource<int>(TaskCreationOptions.RunContinuationsAsynchronously);
        var thread = new Thread(
            () =>
            {
                try
                {
                    done.SetResult(run());
                }
                catch (Exception failure)
                {
                    done.SetException(failure);
                }
            },
            MachineStackBytes)
        {
            Name = "machine",
        };
        thread.Start();
        return done.Task;
    }
}
