using System.Runtime.InteropServices;
using Cli.Host;

namespace Cli.Consoles;

/// <summary>
/// A terminal in raw mode that becomes itself again however the process ends: by disposing, by an unhandled exception,
/// by the runtime's exit, and while it is stopped (SIGTSTP until SIGCONT).
/// </summary>
internal sealed class RawTerminal : IDisposable
{
    private readonly Lock gate = new();
    private readonly int descriptor;
    private readonly List<IDisposable> signals = [];
    private Terminal.Settings original;
    private bool raw;
    private bool disposed;

    /// <summary>Puts the terminal into raw mode.</summary>
    public RawTerminal(int descriptor)
    {
        this.descriptor = descriptor;
        original = Terminal.EnterRawMode(descriptor);
        raw = true;
        AppDomain.CurrentDomain.ProcessExit += OnExit;
        AppDomain.CurrentDomain.UnhandledException += OnExit;
        if (!OperatingSystem.IsWindows())
        {
            signals.Add(PosixSignalRegistration.Create(PosixSignal.SIGTSTP, _ => Leave()));
            signals.Add(PosixSignalRegistration.Create(PosixSignal.SIGCONT, _ => Enter()));
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (IDisposable signal in signals)
        {
            signal.Dispose();
        }

        signals.Clear();
        AppDomain.CurrentDomain.ProcessExit -= OnExit;
        AppDomain.CurrentDomain.UnhandledException -= OnExit;
        lock (gate)
        {
            disposed = true;
        }

        Leave();
    }

    private void Enter()
    {
        lock (gate)
        {
            if (!raw && !disposed)
            {
                original = Terminal.EnterRawMode(descriptor);
                raw = true;
            }
        }
    }

    private void Leave()
    {
        lock (gate)
        {
            if (raw)
            {
                Terminal.Restore(descriptor, original);
                raw = false;
            }
        }
    }

    private void OnExit(object? sender, EventArgs arguments) => Leave();
}
