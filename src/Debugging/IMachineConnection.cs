using GdbStub.Targets;

namespace Debugging;

/// <summary>
/// What one debugger may do with a machine: look, always; run it, stop it at places and start it again, where that is its
/// right. What is null may appear later. Disposing lets the machine go.
/// </summary>
internal interface IMachineConnection : IDisposable
{
    /// <summary>The machine. Another one once an image was forked.</summary>
    IMachineAccess Access { get; }

    /// <summary>Whether registers and memory may be changed; the view is then mutable.</summary>
    bool Writable { get; }

    /// <summary>Running.</summary>
    IRunControl? RunControl { get; }

    /// <summary>Stopping at places.</summary>
    IProgrammableBreakpoints? Breakpoints { get; }

    /// <summary>What a step does about interrupts.</summary>
    ISteppingPolicy? Stepping { get; }

    /// <summary>Why it does not run, where it does not.</summary>
    string CannotRun { get; }

    /// <summary>False for one who only looks on while somebody else controls the machine.</summary>
    bool Controls => true;

    /// <summary>Starts the guest again and says what became of it; null where there is no guest to start.</summary>
    Func<string>? Reset => null;

    /// <summary>Makes a private copy that runs and says what became of it; null where there is nothing to copy.</summary>
    Func<string>? Fork => null;
}
