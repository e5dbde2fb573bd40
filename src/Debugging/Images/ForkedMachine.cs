using Debugging.Live;
using Emulator;
using GdbStub.Targets;

namespace Debugging.Images;

/// <summary>
/// A private copy of an image that runs, on a thread of its own, for the debugger that made it. What the guest prints on its
/// serial port is shown to that debugger. A reset, or whatever else ends an ordinary run, stops it and resets nothing: told to continue, it goes on
/// behind the instruction that asked.
/// </summary>
internal sealed class ForkedMachine : IMachineSupervisor, IDisposable
{
    /// <summary>As the machine's thread of a live run has.</summary>
    private const int StackBytes = 16 << 20;

    private const int LongestLine = 256;

    private readonly Machine machine;
    private readonly MachineRunner runner;
    private readonly ITargetEvents events;
    private readonly Thread thread;
    private readonly byte[] line = new byte[LongestLine];
    private int lineLength;

    /// <summary>
    /// Copies <paramref name="view"/>. Throws <see cref="ArgumentException"/> when it is no whole machine, and what the view throws at
    /// damaged pages.
    /// </summary>
    public ForkedMachine(IMachineView view, ITargetEvents events, BreakpointSet breakpoints)
    {
        this.events = events;
        machine = Machine.From(view, new MachineOptions { Com1Output = Print });
        runner = new MachineRunner(machine, this, waitForDebugger: true) { FirstCause = view.StopCause };
        Control = runner.TryAttach(events, breakpoints) ?? throw new InvalidOperationException("a new machine has no debugger");
        thread = new Thread(() => runner.Run(), StackBytes) { IsBackground = true, Name = "forked machine" };
        thread.Start();
    }

    /// <summary>The copy.</summary>
    public IMachineAccess Access => runner;

    /// <summary>Its debugger.</summary>
    public DebuggerControl Control { get; }

    public TrapDecision OnExit(IMachineControl stopped, MachineExit exit)
    {
        Flush();
        return TrapDecision.StopThenRunOn(() => stopped);
    }

    public IMachineControl Restart(IMachineControl stopped) => stopped;

    public void Dispose()
    {
        runner.End();
        thread.Join();
        machine.Dispose();
    }

    private void Print(byte sent)
    {
        line[lineLength++] = sent;
        if (sent == '\n' || lineLength == LongestLine)
        {
            Flush();
        }
    }

    private void Flush()
    {
        if (lineLength > 0)
        {
            events.Output(line.AsSpan(0, lineLength));
            lineLength = 0;
        }
    }
}
