namespace GdbStub.Sessions;

/// <summary>What a session is doing.</summary>
public enum SessionState
{
    /// <summary>The target stands still; packets are answered as they come.</summary>
    Idle,

    /// <summary>The target runs; the next thing said is a stop reply.</summary>
    Running,

    /// <summary>As <see cref="Running"/>, and the target was asked to stop.</summary>
    Interrupting,

    /// <summary>Nothing more is taken; what is still to be sent is sent.</summary>
    Closed,
}
