namespace Emulator.Time;

/// <summary>
/// The machine's only time: instructions retired since power-on, one nanosecond each. A halted machine jumps.
/// The vCPU publishes the exact count before any device is reached; nothing reads the host's clock.
/// </summary>
public sealed class VirtualClock
{
    /// <summary>Nanoseconds since power-on.</summary>
    public ulong Now { get; set; }
}
