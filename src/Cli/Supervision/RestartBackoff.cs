namespace Cli.Supervision;

/// <summary>
/// How long a guest that crashed waits before it is started again. One that crashes soon after each start would do nothing
/// but fill the store: from its second such crash in a row on it waits a second, then two, four … One that lived for a while
/// starts at once.
/// </summary>
/// <param name="longest">The longest wait; zero for none ever.</param>
internal sealed class RestartBackoff(TimeSpan longest)
{
    /// <summary>A guest that lived as long, by the host's clock, did not crash soon.</summary>
    public static readonly TimeSpan Healthy = TimeSpan.FromSeconds(60);

    /// <summary>The longest wait when nothing else is said.</summary>
    public static readonly TimeSpan DefaultLongest = TimeSpan.FromSeconds(60);

    private static readonly TimeSpan First = TimeSpan.FromSeconds(1);

    /// <summary>Crashes in a row, each soon after a start.</summary>
    public int SoonCrashes { get; private set; }

    /// <summary>The wait after a crash of a guest that lived for <paramref name="lived"/>.</summary>
    public TimeSpan Next(TimeSpan lived)
    {
        SoonCrashes = lived < Healthy ? SoonCrashes + 1 : 0;
        if (SoonCrashes < 2)
        {
            return TimeSpan.Zero;
        }

        double seconds = First.TotalSeconds * Math.Pow(2, Math.Min(SoonCrashes - 2, 30));
        return seconds < longest.TotalSeconds ? TimeSpan.FromSeconds(seconds) : longest;
    }
}
