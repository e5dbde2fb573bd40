using Emulator;

namespace Cli.Supervision;

/// <summary>An order to run the machine for a while, given by somebody who holds it.</summary>
internal sealed class Errand(ulong instructions)
{
    /// <summary>At most this many.</summary>
    public ulong Instructions => instructions;

    /// <summary>The giver wants it back.</summary>
    public bool PauseAsked { get; set; }

    /// <summary><see cref="Exit"/> is known.</summary>
    public bool Done { get; set; }

    /// <summary>How it ended.</summary>
    public MachineExit Exit { get; set; }
}

/// <summary>The right to see the machine standing still. Disposing it lets the machine go its way.</summary>
internal sealed class MachineHold : IDisposable
{
    private readonly Lock gate = new();
    private readonly Supervisor supervisor;
    private Errand? current;
    private bool disposed;

    internal MachineHold(Supervisor supervisor, MachineExit stop)
    {
        this.supervisor = supervisor;
        Stop = stop;
    }

    /// <summary>Why the machine stands.</summary>
    public MachineExit Stop { get; private set; }

    /// <summary>Has the machine run for at most so many instructions; returns when it stands again.</summary>
    public MachineExit Run(ulong instructions)
    {
        var order = new Errand(instructions);
        lock (gate)
        {
            ObjectDisposedException.ThrowIf(disposed, this);
            current = order;
        }

        Stop = supervisor.RunFor(order);
        return Stop;
    }

    /// <summary>Makes <see cref="Run"/> return soon. Any thread.</summary>
    public void RequestPause()
    {
        lock (gate)
        {
            if (current is not null)
            {
                supervisor.Pause(current);
            }
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        lock (gate)
        {
            if (disposed)
            {
                return;
            }

            disposed = true;
            if (current is { Done: false })
            {
                // A debugger that vanished while the machine ran for it.
                supervisor.Pause(current);
            }
        }

        supervisor.Release();
    }
}
