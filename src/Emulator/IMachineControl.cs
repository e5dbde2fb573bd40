using Emulator.Time;

namespace Emulator;

/// <summary>A stretch of linear memory a debugger watches.</summary>
/// <param name="Address">First linear address.</param>
/// <param name="Length">Bytes, at least 1.</param>
/// <param name="Kind">Which accesses count.</param>
public readonly record struct Watchpoint(ulong Address, ulong Length, WatchKind Kind);

/// <summary>
/// A machine that can run. Not thread-safe except for <see cref="RequestPause"/>: everything else belongs to the thread
/// that calls <see cref="Run"/>, and is only called while the machine stands still. Nothing a debugger does here is
/// visible to the guest or moves its time.
/// </summary>
public interface IMachineControl : IMutableMachineView
{
    /// <summary>
    /// Runs until there is a reason to stop, or until <paramref name="instructions"/> more have retired
    /// (<see cref="MachineExitKind.Stepped"/>). A breakpoint at the very first instruction does not stop it again.
    /// </summary>
    MachineExit Run(ulong instructions = ulong.MaxValue);

    /// <summary>Makes <see cref="Run"/> return <see cref="MachineExitKind.Paused"/> soon (within about a millisecond). Any thread may call it.</summary>
    void RequestPause();

    /// <summary>Where outside input enters; null where there is none. Posting is for any thread.</summary>
    InputLog? Input => null;

    /// <summary>Replaces the set of linear addresses execution stops at, before the instruction there.</summary>
    void SetBreakpoints(IReadOnlyCollection<ulong> addresses);

    /// <summary>Replaces the set of watched ranges; execution stops after the instruction that touched one.</summary>
    void SetWatchpoints(IReadOnlyCollection<Watchpoint> watchpoints);
}
