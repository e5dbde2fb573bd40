using Debugging.Live;
using Emulator;
using GdbStub.Agents;
using GdbStub.Targets;

namespace Debugging.Images;

/// <summary>
/// A debugger on an image. The image stands still until the debugger forks it, by a command or, where it was opened to be
/// run, by running it; from then on the connection is with the copy, and the image is as it was.
/// </summary>
internal sealed class ImageConnection : IMachineConnection, IRunControl, IProgrammableBreakpoints
{
    private const string NotWhole =
        "this image has memory and registers but not the state of a machine's devices and timers (it was not captured here), so there is nothing that could run: examine it, then detach";

    private const string Still =
        "this is an archived machine, which does not run: 'monitor fork' makes a private copy that does, from this instant on; or examine its registers and memory, then detach";

    private readonly IMachineView view;
    private readonly ImageAccess access;
    private readonly ITargetEvents events;
    private readonly bool runnable;
    private readonly bool whole;
    private BreakpointSet breakpoints = new();
    private ForkedMachine? fork;

    /// <param name="view">The image; disposed with the connection if it can be.</param>
    /// <param name="events">The session.</param>
    /// <param name="runnable">Continuing or stepping forks.</param>
    public ImageConnection(IMachineView view, ITargetEvents events, bool runnable)
    {
        this.view = view;
        this.events = events;
        this.runnable = runnable;
        access = new ImageAccess(view);
        whole = view.WholeState is not null;
    }

    public IMachineAccess Access => fork is { } forked ? forked.Access : access;

    public bool Writable => view is IMutableMachineView;

    public IRunControl? RunControl => fork is { } forked ? forked.Control : runnable && whole ? this : null;

    /// <summary>Taken in any case: they wait for a fork, and a debugger that was once refused does not ask again.</summary>
    public IProgrammableBreakpoints? Breakpoints => this;

    public ISteppingPolicy? Stepping => fork?.Control;

    public string CannotRun => whole ? Still : NotWhole;

    public Func<string>? Fork => whole ? ForkAgain : null;

    public bool StepsRanges => true;

    /// <summary>The first order of a connection that was opened to run.</summary>
    public TargetError? Resume(IReadOnlyList<ThreadAction> actions)
    {
        try
        {
            MakeFork();
        }
        catch (Exception exception) when (exception is IOException or InvalidDataException or ArgumentException)
        {
            return new TargetError(TargetError.Failed, $"the image cannot be run: {exception.Message}");
        }

        return fork!.Control.Resume(actions);
    }

    public void RequestStop() => fork?.Control.RequestStop();

    public TargetError? Insert(TargetBreakpoint breakpoint) => breakpoints.Insert(breakpoint);

    public TargetError? Insert(TargetBreakpoint breakpoint, BreakpointProgram program) => breakpoints.Insert(breakpoint, program);

    public TargetError? Remove(TargetBreakpoint breakpoint) => breakpoints.Remove(breakpoint);

    public void Dispose()
    {
        fork?.Dispose();
        (view as IDisposable)?.Dispose();
    }

    private string ForkAgain()
    {
        bool first = fork is null;
        try
        {
            MakeFork();
        }
        catch (Exception exception) when (exception is IOException or InvalidDataException or ArgumentException)
        {
            return $"the image cannot be run: {exception.Message}\n";
        }

        return (first
            ? "a private copy of the machine stands where the image does and runs when you continue; the image stays as it is, and the copy ends with this connection"
            : "a new private copy stands where the image does, and the former is gone") + "; 'maintenance flush register-cache' makes gdb look again\n";
    }

    private void MakeFork()
    {
        var next = new ForkedMachine(view, events, breakpoints = breakpoints.Copy());
        fork?.Dispose();
        fork = next;
    }
}
