using System.Diagnostics.CodeAnalysis;

namespace GdbStub.Targets;

/// <summary>What a target tells the session that debugs it. May be called from any thread.</summary>
public interface ITargetEvents
{
    /// <summary>The target was running and stands still.</summary>
    void Stopped(StopReport report);

    /// <summary>
    /// Text for the debugger's user while the target runs: what a breakpoint's command printed. Copied before this returns;
    /// what comes faster than the client takes it is dropped, and said so.
    /// </summary>
    void Output(ReadOnlySpan<byte> text)
    {
    }
}

/// <summary>
/// Gives each connection something to debug. Asked when a connection sends its first packet, so that a connection that
/// says nothing disturbs nothing.
/// </summary>
public interface ITargetProvider
{
    /// <summary>
    /// Opens a target for a new connection, stopping it if it runs; false with a line that says why when the connection
    /// cannot have one. <paramref name="target"/> is disposed when the connection ends, or when it lets this process go.
    /// </summary>
    bool TryOpen(ITargetEvents events, [NotNullWhen(true)] out IDebugTarget? target, [NotNullWhen(false)] out string? refusal);

    /// <summary>
    /// All that can be debugged here. Null where there is but the one target; else a connection that <see cref="TryOpen"/>
    /// refuses lives on without a process and can attach to one.
    /// </summary>
    IProcesses? Processes => null;
}
