namespace Emulator.Devices;

/// <summary>
/// A crystal on the machine's clock: its tick count is an exact function of nanoseconds since power-on, so it never
/// drifts, however often it is asked. Frequencies up to 1 GHz.
/// </summary>
internal readonly struct Oscillator(ulong hertz)
{
    /// <summary>Nanoseconds in a second.</summary>
    public const ulong Second = 1_000_000_000;

    /// <summary>Ticks completed at the instant <paramref name="now"/>: floor(now · f / 10⁹) without overflow.</summary>
    public ulong Ticks(ulong now) => (now / Second * hertz) + (now % Second * hertz / Second);

    /// <summary>The first instant at which <see cref="Ticks"/> gives <paramref name="ticks"/>.</summary>
    public ulong Instant(ulong ticks) => (ticks / hertz * Second) + (((ticks % hertz * Second) + hertz - 1) / hertz);
}
