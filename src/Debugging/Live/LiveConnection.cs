using GdbStub.Targets;

namespace Debugging.Live;

/// <summary>The debugger that controls a live machine.</summary>
internal sealed class LiveConnection(MachineRunner runner, DebuggerControl control) : IMachineConnection
{
    public IMachineAccess Access => runner;

    public bool Writable => true;

    public IRunControl? RunControl => control;

    public IProgrammableBreakpoints? Breakpoints => control;

    public ISteppingPolicy? Stepping => control;

    public string CannotRun => "";

    public Func<string>? Reset => () =>
    {
        runner.Restart();
        return "the guest was started again and stands at its first instruction; 'maintenance flush register-cache' makes gdb look again\n";
    };

    public void Dispose() => runner.Detach(control);
}

/// <summary>A debugger that came while another controlled the machine: it reads.</summary>
internal sealed class ObserverConnection(MachineRunner runner) : IMachineConnection
{
    /// <summary>What it is told when it wants more.</summary>
    public const string Observing =
        "another debugger controls this machine and this one only observes: read registers and memory, or connect again when the other has left";

    public IMachineAccess Access => runner;

    public bool Writable => false;

    public IRunControl? RunControl => null;

    public IProgrammableBreakpoints? Breakpoints => null;

    public ISteppingPolicy? Stepping => null;

    public string CannotRun => Observing;

    public bool Controls => false;

    public void Dispose()
    {
    }
}
