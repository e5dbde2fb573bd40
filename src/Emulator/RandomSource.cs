namespace Emulator;

/// <summary>
/// What RDRAND gives: a SplitMix64 stream (Steele, Lea, Flood 2014) of the machine's seed. Deterministic on purpose;
/// the draws so far are part of the machine's state.
/// </summary>
public sealed class RandomSource(ulong seed)
{
    /// <summary>The seed.</summary>
    public ulong Seed { get; } = seed;

    /// <summary>Numbers drawn.</summary>
    public ulong Draws { get; set; }

    /// <summary>The next number.</summary>
    public ulong Next()
    {
        ulong z = Seed + (++Draws * 0x9E37_79B9_7F4A_7C15);
        z = (z ^ (z >> 30)) * 0xBF58_476D_1CE4_E5B9;
        z = (z ^ (z >> 27)) * 0x94D0_49BB_1331_11EB;
        return z ^ (z >> 31);
    }
}
