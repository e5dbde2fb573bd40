using System.Diagnostics.CodeAnalysis;

namespace GdbStub.Targets;

/// <summary>Something an endpoint can debug.</summary>
/// <param name="Id">Positive; what is typed behind <c>attach</c>. It never changes meaning while the server runs.</param>
/// <param name="Name">One word or a short line: the command column of <c>info os processes</c>.</param>
/// <param name="User">Whose it is; may be empty.</param>
/// <param name="Details">More columns, the same for every process, in their order.</param>
public sealed record TargetProcess(int Id, string Name, string User, IReadOnlyList<(string Column, string Value)> Details);

/// <summary>
/// An endpoint that serves several things to debug, one process each. A connection may have several open at a time.
/// Members may be called from several sessions at a time.
/// </summary>
public interface IProcesses
{
    /// <summary>What there is now.</summary>
    IReadOnlyList<TargetProcess> List { get; }

    /// <summary>
    /// Opens one for a connection, stopping it if it runs; false with why when it cannot. The target's
    /// <see cref="IDebugTarget.ProcessId"/> must be <paramref name="process"/>.
    /// </summary>
    bool TryAttach(
        int process, ITargetEvents events, [NotNullWhen(true)] out IDebugTarget? target, [NotNullWhen(false)] out TargetError? error);

    /// <summary>Tables that need no process to be open; null when there are none.</summary>
    ISystemTables? Tables => null;
}
