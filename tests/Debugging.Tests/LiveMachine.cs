using Debugging.Live;
using Emulator;

namespace Debugging.Tests;

/// <summary>A fake machine on a thread of its own, with a supervisor whose answers the test chooses.</summary>
internal sealed class LiveMachine : IMachineSupervisor, IAsyncDisposable
{
    private readonly Task<MachineExit?> run;

    public LiveMachine(bool waitForDebugger = false, DebugOptions? options = null)
    {
        Runner = new MachineRunner(Machine, this, waitForDebugger);
        Provider = new LiveTargetProvider(Runner, options ?? new DebugOptions());
        run = Task.Factory.StartNew(Runner.Run, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
    }

    public FakeMachine Machine { get; private set; } = new();

    public MachineRunner Runner { get; }

    public LiveTargetProvider Provider { get; }

    public Task<MachineExit?> Ended => run;

    public List<MachineExitKind> Exits { get; } = [];

    public int Restarts { get; private set; }

    /// <summary>What is decided at an exit; freezing unless the test says otherwise.</summary>
    public Func<LiveMachine, TrapDecision> Decide { get; set; } = _ => TrapDecision.Freeze("the machine is frozen at its panic; 'monitor reset' starts it again");

    public TrapDecision OnExit(IMachineControl machine, MachineExit exit)
    {
        Exits.Add(exit.Kind);
        return Decide(this);
    }

    public IMachineControl Restart(IMachineControl machine)
    {
        Restarts++;
        Machine = new FakeMachine();
        return Machine;
    }

    public async ValueTask DisposeAsync()
    {
        Runner.End();
        await run;
    }
}
