using System.Diagnostics;

namespace Cli.Running;

/// <summary>
/// Lets a halted guest wait as long as it thinks it does. Waits in short pieces, and not at all when something was typed,
/// so that input and a stop asked for by another thread are soon noticed.
/// </summary>
internal sealed class RealPace : IDisposable
{
    private static readonly TimeSpan LongestWait = TimeSpan.FromMilliseconds(10);
    private readonly AutoResetEvent woken = new(false);

    /// <summary>Waits; of <paramref name="offered"/> nanoseconds, returns how many passed. Called by the machine's thread.</summary>
    public ulong Wait(ulong offered)
    {
        long start = Stopwatch.GetTimestamp();
        TimeSpan wait = TimeSpan.FromTicks((long)Math.Min(offered / TimeSpan.NanosecondsPerTick, (ulong)LongestWait.Ticks));
        if (wait > TimeSpan.Zero)
        {
            woken.WaitOne(wait);
        }

        ulong passed = (ulong)(Stopwatch.GetElapsedTime(start).Ticks * TimeSpan.NanosecondsPerTick);
        return Math.Clamp(passed, 1, offered);
    }

    /// <summary>Ends the wait there is, or the next one. Any thread.</summary>
    public void Wake() => woken.Set();

    /// <inheritdoc/>
    public void Dispose() => woken.Dispose();
}
