using System.Diagnostics.CodeAnalysis;
using GdbStub.Targets;

namespace Debugging.Live;

/// <summary>
/// Serves a live machine. The first debugger stops and controls it; while it is there, others may connect and read, and are
/// told why they can do no more. Observers do not stop the machine: each of their reads sees it between two instructions.
/// </summary>
public sealed class LiveTargetProvider : ITargetProvider
{
    private readonly MachineRunner runner;
    private readonly DebugOptions options;

    /// <summary>A provider for the machine of <paramref name="runner"/>.</summary>
    public LiveTargetProvider(MachineRunner runner, DebugOptions options)
    {
        this.runner = runner;
        this.options = options;
    }

    /// <inheritdoc/>
    public bool TryOpen(ITargetEvents events, [NotNullWhen(true)] out IDebugTarget? target, [NotNullWhen(false)] out string? refusal)
    {
        target = Open(events, 1);
        refusal = null;
        return true;
    }

    internal IDebugTarget Open(ITargetEvents events, int process)
    {
        DebuggerControl? control = runner.TryAttach(events);
        return control is null
            ? new MachineTarget(new ObserverConnection(runner), options with { CannotWrite = ObserverConnection.Observing }, process)
            : new MachineTarget(new LiveConnection(runner, control), options, process);
    }
}
