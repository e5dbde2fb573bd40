namespace Bench.Stub;

/// <summary>What must be reached.</summary>
/// <param name="Words">As the table has it.</param>
/// <param name="IsReached">Whether it is, by our figure and QEMU's; null when that cannot be told without QEMU.</param>
internal sealed record Target(string Words, Func<double, double?, bool?> IsReached)
{
    /// <summary>A time, no longer than QEMU's.</summary>
    public static readonly Target NotSlower = new("not slower", (ours, qemu) => qemu is null ? null : ours <= qemu);

    /// <summary>A rate of at least so much.</summary>
    public static Target AtLeast(double rate) => new($"{rate:F0}", (ours, _) => ours >= rate);

    /// <summary>A time, at most the nth part of QEMU's.</summary>
    public static Target Fraction(int part) => new($"1/{part} of QEMU's", (ours, qemu) => qemu is null ? null : ours * part <= qemu);

    /// <summary>A rate, so many times QEMU's.</summary>
    public static Target Times(int factor) => new($"{factor} times QEMU's", (ours, qemu) => qemu is null ? null : ours >= factor * qemu);
}
