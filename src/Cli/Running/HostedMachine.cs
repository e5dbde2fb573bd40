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

/// <summary>
/// One machine with everything around it: its guest, its supervisor and its thread, its part of the store, its console and its
/// debugger's port. Shares nothing with another but the process.
/// </summary>
internal sealed class HostedMachine : IAsyncDisposable
{
    /// <summary>How long after a failure a crash is tried to be archived again.</summary>
    private static readonly TimeSpan RetryArchiveAfter = TimeSpan.FromSeconds(10);

    /// <summary>The machine's thread decodes and walks; nothing there recurses deeply, but a debugger build may.</summary>
    private const int MachineStackBytes = 16 << 20;

    private readonly RunOptions options;
    private readonly IRunEvents events;
    private readonly Func<ConsoleDestination, IGuestConsole> openConsole;
    private readonly Store store;
    private readonly FileConsole? debugPort;
    private readonly GuestMachine guest;
    private readonly Supervisor supervisor;
    private readonly GdbListener? listener;
    private IGuestConsole? console;

    private HostedMachine(RunOptions options, IRunEvents events, Func<ConsoleDestination, IGuestConsole> openConsole, ILoggerFactory loggers)
    {
        this.options = options;
        this.events = events;
        this.openConsole = openConsole;
        BootFiles files = BootFiles.Read(options);
        store = OpenStore(options.Store);
        debugPort = options.DebugPort is null or "console" ? null : new FileConsole(options.DebugPort);
        try
        {
            guest = new GuestMachine(options, files, events, loggers);

            // A guest that runs on needs its CPU; one that stands leaves all of them to the writer.
            bool runsOn = options.OnPanic == PanicAction.Reboot;
            var archiver = new StoreArchiver(store, options.Keep, runsOn ? 1 : Environment.ProcessorCount, loggers.CreateLogger("archive"));
            var archives = new ArchiveQueue(archiver, events, RetryArchiveAfter, giveWay: runsOn);
            supervisor = new Supervisor(
                guest, new TrapPolicy(options.OnPanic, options.MaximumReboots), archives, events, options.Wait, new RestartBackoff(options.LongestBackoff));
            listener = Listen(loggers);
        }
        catch
        {
            guest?.Dispose();
            debugPort?.Dispose();
            throw;
        }
    }

    /// <summary>A debugger has the machine now.</summary>
    public bool HasDebugger => supervisor.Runner.HasDebugger;

    /// <summary>
    /// Builds the machine, loads its guest and opens its debugger's port; nothing runs. What stands in the way is a
    /// <see cref="UserError"/> or an <see cref="IOException"/>.
    /// </summary>
    /// <param name="options">What it was told.</param>
    /// <param name="events">Hears what happens.</param>
    /// <param name="openConsole">Opens its console.</param>
    /// <param name="loggers">Diagnostics.</param>
    public static HostedMachine Create(RunOptions options, IRunEvents events, Func<ConsoleDestination, IGuestConsole> openConsole, ILoggerFactory loggers) =>
        new(options, events, openConsole, loggers);

    /// <summary>Ends the run in good order; asked again, without waiting for what is still being written. Any thread.</summary>
    public void RequestEnd(EndRequest request) => supervisor.RequestEnd(request);

    /// <summary>Runs the guest on a thread of its own to the end of the run; returns the exit code.</summary>
    public async Task<int> RunAsync()
    {
        console = openConsole(options.Console);
        guest.Connect(console, debugPort ?? (options.DebugPort is null ? null : console));
        console.Listen(new ConsoleControl(supervisor, guest));
        events.Report(new StartedEvent(options.Name, options.Kernel, options.Memory, options.Seed, CommonOptions.Word(options.Engine)));
        if (listener is { Endpoint: not GdbEndpoint.Stdio })
        {
            events.Report(new ListeningEvent(listener.Endpoint.TargetRemote));
        }

        int code = await OnMachineThread(() =>
        {
            RunStatistics? statistics = options.Statistics ? RunStatistics.Begin() : null;
            int code = supervisor.Run();
            if (statistics is not null)
            {
                events.Report(statistics.End(guest.Statistics));
            }

            return code;
        });
        console.Flush();
        return code;
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        console?.Dispose();
        if (listener is not null)
        {
            await listener.DisposeAsync();
        }

        guest.Dispose();
        debugPort?.Dispose();
    }

    private GdbListener? Listen(ILoggerFactory loggers)
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
        GdbListener opened = GdbListener.Start(
            options.Gdb, new ProcessTargetProvider(supervisor.Runner, new StoreImages(store), null, presentation), loggers.CreateLogger("gdb"), options.GdbExpose);
        if (options.Gdb is GdbEndpoint.Stdio)
        {
            // gdb started us, and nobody else can reach us when it is gone.
            _ = opened.Completion.ContinueWith(_ => supervisor.RequestEnd(EndRequest.Debugger), TaskScheduler.Default);
        }

        return opened;
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
            string probe = Path.Combine(directory, $".probe-{Environment.ProcessId}-{Guid.NewGuid():n}");
            new FileStream(probe, FileMode.Create, FileAccess.Write, FileShare.None, 1, FileOptions.DeleteOnClose).Dispose();
            return Store.Open(directory);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            throw new UserError($"crashes cannot be archived in {directory} ({failure.Message}): give --store DIR or set GDBSTUB_STORE", failure);
        }
    }

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
