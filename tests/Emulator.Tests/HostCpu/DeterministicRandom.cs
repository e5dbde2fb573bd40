namespace Emulator.Tests.HostCpu;

/// <summary>SplitMix64 (Steele, Lea, Flood 2014): the same numbers for a seed on every runtime.</summary>
internal sealed class DeterministicRandom(ulong seed)
{
    private ulong state = seed;

    internal ulong Next()
    {
        ulong z = state += 0x9E3779B97F4A7C15;
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
        return z ^ (z >> 31);
    }

    /// <summary>0 to <paramref name="bound"/> − 1.</summary>
    internal int Below(int bound) => (int)(Next() % (ulong)bound);

    internal bool OneIn(int n) => Below(n) == 0;

    internal T Pick<T>(ReadOnlySpan<T> values) => values[Below(values.Length)];
}
