using Cli.Running;
using Cli.Supervision;

namespace Cli.Status;

/// <summary>Hears what happens in a run, passes it on, and knows how the machine is. Any thread.</summary>
internal sealed class StatusRecorder : IRunEvents
{
    private readonly IRunEvents next;
    private readonly Lock gate = new();
    private MachineStatus status;

    /// <summary>Of a machine that is about to start; <paramref name="next"/> hears everything too.</summary>
    public StatusRecorder(RunOptions options, IRunEvents next)
    {
        this.next = next;
        DateTimeOffset now = DateTimeOffset.UtcNow;
        status = new MachineStatus
        {
            Pid = Environment.ProcessId,
            Machine = options.Name,
            State = "starting",
            Since = now,
            Started = now,
            Store = options.Store,
            Kernel = options.Kernel,
            MemoryBytes = options.Memory,
            OnPanic = options.OnPanic.ToString().ToLowerInvariant(),
        };
    }

    /// <summary>Says whether a debugger has the machine.</summary>
    public Func<bool>? HasDebugger { get; set; }

    /// <summary>How the machine is.</summary>
    public MachineStatus Status
    {
        get
        {
            bool debugger = HasDebugger?.Invoke() ?? false;
            lock (gate)
            {
                return status with { Debugger = debugger };
            }
        }
    }

    /// <inheritdoc/>
    public void Report(RunEvent happened)
    {
        lock (gate)
        {
            status = After(happened);
        }

        next.Report(happened);
    }

    /// <inheritdoc/>
    public void ShowProgress(string title, Action<Action<double>> work) => next.ShowProgress(title, work);

    /// <summary>The machine could not be built, or ended by an error of ours.</summary>
    public void Fail(string problem)
    {
        lock (gate)
        {
            status = Now("failed") with { Problem = problem };
        }
    }

    private MachineStatus Now(string state) => status with { State = state, Since = DateTimeOffset.UtcNow };

    private MachineStatus After(RunEvent happened) => happened switch
    {
        StartedEvent => Now("running"),
        ListeningEvent listening => status with { Gdb = listening.Remote },
        TrappedEvent { Crash: true } crash => status with { Crashes = status.Crashes + 1, LastCrash = crash.Title },
        ArchivedEvent archived => status with { LastArchive = archived.Id, LastCrash = archived.Title, Problem = null },
        ArchiveFailedEvent failed => status with { Problem = failed.Message },
        PruneFailedEvent failed => status with { Problem = failed.Message },
        BackoffEvent => Now("waiting"),
        StayingEvent => Now("frozen"),
        RestartedEvent restarted => Now("running") with { Reboots = restarted.Count },
        EndedEvent => Now("ended"),
        _ => status,
    };
}
