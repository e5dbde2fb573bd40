using System.Runtime.InteropServices;
using Cli.Supervision;

namespace Cli;

/// <summary>Turns the signals that ask a process to end into requests, so that a run ends in good order.</summary>
internal sealed class SignalWatch : IDisposable
{
    private static readonly (PosixSignal Signal, string Name, int Number)[] Watched =
    [
        (PosixSignal.SIGHUP, "SIGHUP", 1), (PosixSignal.SIGINT, "SIGINT", 2), (PosixSignal.SIGQUIT, "SIGQUIT", 3), (PosixSignal.SIGTERM, "SIGTERM", 15),
    ];

    private readonly List<PosixSignalRegistration> registrations = [];

    /// <summary>Calls <paramref name="end"/> for each such signal, until disposed.</summary>
    public SignalWatch(Action<EndRequest> end)
    {
        foreach ((PosixSignal signal, string name, int number) in Watched)
        {
            registrations.Add(PosixSignalRegistration.Create(signal, context =>
            {
                context.Cancel = true;
                end(EndRequest.Signal(name, number));
            }));
        }
    }

    /// <inheritdoc/>
    public void Dispose() => registrations.ForEach(registration => registration.Dispose());
}
