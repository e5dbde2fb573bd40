using Debugging;
using Debugging.Live;
using GdbStub.Targets;

namespace Cli.Tests.Supervision;

/// <summary>A debugger that is attached to a run.</summary>
internal sealed class FakeDebugger : ITargetEvents, IDisposable
{
    private readonly object gate = new();
    private readonly Queue<StopReport> stops = new();
    private readonly IDebugTarget target;

    /// <summary>Attaches, which stops the machine.</summary>
    public FakeDebugger(MachineRunner runner)
    {
        Assert.True(new LiveTargetProvider(runner, new DebugOptions()).TryOpen(this, out IDebugTarget? opened, out string? refusal), refusal);
        target = opened;
    }

    /// <summary>Says "continue"; returns the error, null when it runs.</summary>
    public TargetError? Continue() => target.RunControl!.Resume([new ThreadAction(1, ResumeKind.Continue, 0)]);

    /// <summary>Types a monitor command.</summary>
    public string Monitor(string command) => target.Monitor!.Execute(1, command);

    /// <summary>Waits for the stop that ends a continue.</summary>
    public StopReport WaitForStop()
    {
        lock (gate)
        {
            while (stops.Count == 0)
            {
                Assert.True(System.Threading.Monitor.Wait(gate, TimeSpan.FromSeconds(30)), "no stop");
            }

            return stops.Dequeue();
        }
    }

    public void Stopped(StopReport report)
    {
        lock (gate)
        {
            stops.Enqueue(report);
            System.Threading.Monitor.PulseAll(gate);
        }
    }

    public void Dispose() => target.Dispose();
}
