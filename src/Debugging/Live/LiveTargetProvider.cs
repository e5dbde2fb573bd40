using System.Diagnostics.CodeAnalysis;
using GdbStub.Targets;

namespace Debugging.Live;

/// <summary>
/// Serves a live machine. The first debugger stops and controls it; while it is there, others may connect and read, and are
/// told why they can do no more. Observers do not stop the machine: each of their reads sees it between two instructions.
/// </summary>
public sealed class LiveTargetProvider : ITargetProvider
{
    private const string Observing =
        "another debugger controls this machine and this one only observes: read registers and memory, or connect again when the other has left";

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
        DebuggerControl? control = runner.TryAttach(events);
        target = control is null
            ? new MachineTarget(runner, options with { CannotWrite = Observing }, writable: false, null, null, Observing, null, () => { })
            : new MachineTarget(runner, options, writable: true, control, control, "", Restart, () => runner.Detach(control));
        refusal = null;
        return true;
    }

    private string Restart()
    {
        runner.Restart();
        return "the guest was started again and stands at its first instruction; 'maintenance flush register-cache' makes gdb look again\n";
    }
}
