namespace Emulator.Time;

/// <summary>
/// Deadlines of device timers, in nanoseconds of the <see cref="VirtualClock"/>. Events due at the same instant run in
/// the order their timers were created, so that a machine is the same machine each time.
/// </summary>
public sealed class EventQueue
{
    /// <summary>The deadline of a timer that is not armed.</summary>
    public const ulong Never = ulong.MaxValue;

    private readonly List<DeviceTimer> timers = [];

    /// <summary>The earliest deadline, or <see cref="Never"/>.</summary>
    public ulong NextDeadline { get; private set; } = Never;

    /// <summary>Raised when <see cref="NextDeadline"/> moved to an earlier instant: a running vCPU must shorten its budget.</summary>
    public Action? Shortened { get; set; }

    /// <summary>Creates a timer. Creation order is the tie-break, so create timers in constructors, in a fixed order.</summary>
    public DeviceTimer CreateTimer(string name, Action callback)
    {
        var timer = new DeviceTimer(this, name, callback);
        timers.Add(timer);
        return timer;
    }

    /// <summary>Runs every callback whose deadline is at or before <paramref name="now"/>, earliest first. A callback may arm timers again.</summary>
    public void RunDue(ulong now)
    {
        while (NextDeadline <= now)
        {
            DeviceTimer due = timers[0];
            foreach (DeviceTimer timer in timers)
            {
                if (timer.Deadline < due.Deadline)
                {
                    due = timer;
                }
            }

            due.Fire();
        }
    }

    internal void DeadlineChanged()
    {
        ulong before = NextDeadline;
        ulong next = Never;
        foreach (DeviceTimer timer in timers)
        {
            next = Math.Min(next, timer.Deadline);
        }

        NextDeadline = next;
        if (next < before)
        {
            Shortened?.Invoke();
        }
    }
}

/// <summary>A one-shot timer of a device. Its deadline is state the device must be able to save and to arm again.</summary>
public sealed class DeviceTimer
{
    private readonly EventQueue queue;
    private readonly Action callback;

    internal DeviceTimer(EventQueue queue, string name, Action callback)
    {
        this.queue = queue;
        this.callback = callback;
        Name = name;
    }

    /// <summary>For diagnostics.</summary>
    public string Name { get; }

    /// <summary>The armed deadline in nanoseconds, or <see cref="EventQueue.Never"/>.</summary>
    public ulong Deadline { get; private set; } = EventQueue.Never;

    /// <summary>Arms, or re-arms, for the instant <paramref name="deadline"/>.</summary>
    public void Arm(ulong deadline)
    {
        Deadline = deadline;
        queue.DeadlineChanged();
    }

    /// <summary>Disarms.</summary>
    public void Disarm() => Arm(EventQueue.Never);

    internal void Fire()
    {
        Disarm();
        callback();
    }
}
