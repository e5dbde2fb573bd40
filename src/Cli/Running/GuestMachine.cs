using System.Diagnostics;
using Cli.Consoles;
using Cli.Supervision;
using Emulator;
using Emulator.Boot;
using Emulator.Devices;
using Emulator.Time;
using GuestOs;
using GuestOs.Linux.Symbols;
using Microsoft.Extensions.Logging;
using Snapshots;

namespace Cli.Running;

/// <summary>The machine of a run: built from the options, booted, and booted again when it is restarted.</summary>
internal sealed partial class GuestMachine : IGuestMachine, IDisposable
{
    private readonly RunOptions options;
    private readonly BootFiles files;
    private readonly IRunEvents events;
    private readonly ILogger logger;
    private readonly RealPace? pace;
    private readonly Machine machine;
    private IGuestConsole? console;
    private IGuestConsole? debugPort;
    private volatile CaptureInfo? lastCrash;

    /// <summary>Builds the machine and loads the guest; nothing runs. A guest that cannot be booted is a <see cref="UserError"/>.</summary>
    public GuestMachine(RunOptions options, BootFiles files, IRunEvents events, ILoggerFactory loggers)
    {
        this.options = options;
        this.files = files;
        this.events = events;
        logger = loggers.CreateLogger("machine");
        pace = options.Pace == Pace.Real ? new RealPace() : null;
        machine = new Machine(new MachineOptions
        {
            Memory = options.Memory,
            Engine = options.Engine,
            Seed = options.Seed,
            ErstStore = new ErstStore(),
            Com1Output = value => console?.Write([value]),
            DebugOutput = options.DebugPort is null ? null : value => debugPort?.Write([value]),
            ExitPort = options.ExitPort,
            Idle = pace is null ? null : pace.Wait,
        });
        try
        {
            Boot();
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public IMachineControl Control => machine;

    /// <summary>What the machine did so far.</summary>
    public IReadOnlyList<(string Name, long Value)> Statistics => machine.Statistics;

    /// <summary>The last crash; null when the guest was started again since.</summary>
    public CaptureInfo? LastCrash => lastCrash;

    /// <summary>From now on the guest's serial port and its debug port (null: nowhere) go there.</summary>
    public void Connect(IGuestConsole console, IGuestConsole? debugPort)
    {
        this.console = console;
        this.debugPort = debugPort;
    }

    /// <summary>Bytes typed at the console. Any thread.</summary>
    public void Type(ReadOnlySpan<byte> bytes) => Post(InputKind.Console, bytes);

    /// <summary>A break condition on the serial line. Any thread.</summary>
    public void SendBreak() => Post(InputKind.Break);

    /// <summary>A non-maskable interrupt. Any thread.</summary>
    public void InjectNmi() => Post(InputKind.Nmi);

    /// <summary>The ACPI power button. Any thread.</summary>
    public void PressPowerButton() => Post(InputKind.PowerButton);

    /// <inheritdoc/>
    public TrapVerdict Judge(MachineExit exit) => TrapAnalyzer.Analyze(machine, exit, new TrapEvidence
    {
        ErrorRecords = machine.NewErrorRecords,
        PvPanicEvents = machine.PvPanicEvents,
        ReportInstant = machine.ReportInstant,
    });

    /// <inheritdoc/>
    public ICapture Capture(MachineExit exit, TrapVerdict verdict)
    {
        CaptureInfo info = MachineCapture.Describe(options, exit, verdict, DateTimeOffset.UtcNow);
        long start = Stopwatch.GetTimestamp();
        var snapshot = new Snapshot(machine.Memory.Freeze(), machine.Save(), info);
        double pause = Stopwatch.GetElapsedTime(start).TotalMilliseconds;
        lastCrash = info;
        events.Report(new FrozenEvent(pause));
        PrepareSymbols(snapshot);
        return new MachineCapture(snapshot);
    }

    /// <summary>
    /// Makes the file with the kernel's symbols while the person who wants to see the crash still starts a debugger, and the
    /// machine, which stands, needs no processor. One that runs on does; then the file is made when it is asked for.
    /// </summary>
    private void PrepareSymbols(Snapshot snapshot)
    {
        if (options.Gdb is null || options.OnPanic != PanicAction.Freeze)
        {
            return;
        }

        Snapshot own = snapshot.Share();
        ThreadPool.UnsafeQueueUserWorkItem(
            _ =>
            {
                using (own)
                {
                    try
                    {
                        KernelImage? kernel = options.Kernels.Prepare(own);
                        if (kernel is not null && options.Kernels.DebugFiles?.Complaint(kernel.BuildId) is { } complaint)
                        {
                            LogDebugFile(logger, complaint);
                        }
                    }
                    catch (Exception failure)
                    {
                        LogNoSymbols(logger, failure);
                    }
                }
            },
            null);
    }

    /// <inheritdoc/>
    public void Restart()
    {
        lastCrash = null;
        machine.Restart();
        Boot();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        machine.Dispose();
        pace?.Dispose();
    }

    private void Post(InputKind kind, ReadOnlySpan<byte> bytes = default)
    {
        machine.Input.Post(kind, bytes);
        pace?.Wake();
    }

    private void Boot()
    {
        try
        {
            BootedGuest guest = machine.Boot(new BootRequest
            {
                Kernel = files.Kernel,
                MemoryMap = [],
                Initrd = files.Initrd,
                Modules = files.Modules,
                CommandLine = options.Append,
                Format = options.Flat is null ? null : KernelFormat.Flat,
                FlatAddress = options.Flat?.Address,
                FlatEntryMode = options.Flat?.Mode ?? default,
            });
            foreach (BootPlacement placement in guest.Placements)
            {
                LogPlacement(logger, placement.What, placement.Start, placement.Length);
            }
        }
        catch (BootException failure)
        {
            throw new UserError($"cannot boot {options.Kernel}: {failure.Message}", failure);
        }
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "--vmlinux is not used: {Complaint}")]
    private static partial void LogDebugFile(ILogger logger, string complaint);

    [LoggerMessage(Level = LogLevel.Error, Message = "the kernel's symbols could not be made ready for debuggers")]
    private static partial void LogNoSymbols(ILogger logger, Exception failure);

    [LoggerMessage(Level = LogLevel.Debug, Message = "{What} at {Start:x}h, {Length} bytes")]
    private static partial void LogPlacement(ILogger logger, string what, ulong start, ulong length);
}
