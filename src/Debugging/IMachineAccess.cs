using Emulator;

namespace Debugging;

/// <summary>
/// A machine, to be looked at while it stands still. Between <see cref="Enter"/> and <see cref="Leave"/>, called by the
/// same thread, it does; a running machine is stopped for that long and the guest does not notice.
/// </summary>
internal interface IMachineAccess
{
    /// <summary>Changes whenever registers or memory may have.</summary>
    long Version { get; }

    /// <summary>Why it stands still, or last did.</summary>
    MachineExit? Cause { get; }

    /// <summary>Makes it stand still.</summary>
    IMachineView Enter();

    /// <summary>Lets it go.</summary>
    void Leave();

    /// <summary>Registers or memory were changed by the caller.</summary>
    void Changed();
}

/// <summary>A machine that never runs: frozen in a file, or with an overlay over one.</summary>
internal sealed class ImageAccess(IMachineView view) : IMachineAccess
{
    public long Version { get; private set; }

    public MachineExit? Cause => view.StopCause;

    public IMachineView Enter() => view;

    public void Leave()
    {
    }

    public void Changed() => Version++;
}
