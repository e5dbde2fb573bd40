namespace Cli.Tests.Supervision;

/// <summary>A clock that stands until it is told to go on, and tells of the timers set by it.</summary>
internal sealed class ManualClock : TimeProvider
{
    private readonly object gate = new();
    private readonly List<ManualTimer> timers = [];
    private readonly SemaphoreSlim set = new(0);
    private TimeSpan now;
    private TimeSpan last;

    public override long TimestampFrequency => TimeSpan.TicksPerSecond;

    public override long GetTimestamp() => now.Ticks;

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        var timer = new ManualTimer(this, () => callback(state));
        lock (gate)
        {
            timer.Due = now + dueTime;
            timers.Add(timer);
            last = dueTime;
        }

        set.Release();
        return timer;
    }

    /// <summary>Waits until a timer is set that was not asked for before; how long it is to run.</summary>
    public async Task<TimeSpan> NextTimerAsync()
    {
        Assert.True(await set.WaitAsync(TimeSpan.FromSeconds(30)), "no timer was set");
        lock (gate)
        {
            return last;
        }
    }

    /// <summary>Time passes.</summary>
    public void Advance(TimeSpan by)
    {
        List<ManualTimer> due;
        lock (gate)
        {
            now += by;
            due = timers.FindAll(timer => timer.Due <= now);
            timers.RemoveAll(due.Contains);
        }

        due.ForEach(timer => timer.Ring());
    }

    private sealed class ManualTimer(ManualClock clock, Action ring) : ITimer
    {
        public TimeSpan Due { get; set; }

        public void Ring() => ring();

        public bool Change(TimeSpan dueTime, TimeSpan period) => throw new NotSupportedException();

        public void Dispose()
        {
            lock (clock.gate)
            {
                clock.timers.Remove(this);
            }
        }

        public ValueTask DisposeAsync()
        {
            Dispose();
            return ValueTask.CompletedTask;
        }
    }
}
