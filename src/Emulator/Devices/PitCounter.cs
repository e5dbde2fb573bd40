namespace Emulator.Devices;

/// <summary>
/// One counter of an 8254, as a function of the tick number: nothing is counted, everything is computed from the tick
/// the count was loaded at. Source: Intel 82C54 data sheet (order number 231244), "Mode Definitions".
/// </summary>
internal sealed class PitCounter
{
    /// <summary>No further change of the output without a new command.</summary>
    public const long Never = long.MaxValue;

    // Ticks beyond are no machine's: a bound for saved state.
    private const long LastTick = 1L << 60;

    private byte mode;
    private byte access = 3;
    private bool bcd;
    private bool gate;

    // The count in use and the tick at which the counting element holds it.
    private uint count;
    private long loadTick;
    private bool started;

    // A count written while modes 2 and 3 run waits for the end of the (half) period.
    private uint nextCount;
    private long nextTick = Never;

    private bool paused;
    private long pausedElapsed;

    private bool expectHighWrite;
    private byte lowWritten;
    private bool expectHighRead;
    private bool countLatched;
    private ushort latchedCount;
    private bool statusLatched;
    private byte latchedStatus;

    /// <summary>The GATE pin.</summary>
    public bool Gate => gate;

    private bool Periodic => mode is 2 or 3;

    private bool TriggeredByGate => mode is 1 or 5;

    private uint HighHalf => (count + 1) / 2;

    /// <summary>Power-on: undefined by the data sheet; idle with the output low.</summary>
    public void Reset(bool gateLevel)
    {
        mode = 0;
        access = 3;
        bcd = false;
        gate = gateLevel;
        count = nextCount = 0;
        loadTick = 0;
        nextTick = Never;
        started = paused = false;
        pausedElapsed = 0;
        expectHighWrite = expectHighRead = countLatched = statusLatched = false;
        lowWritten = latchedStatus = 0;
        latchedCount = 0;
    }

    /// <summary>A control word for this counter that is not a latch command.</summary>
    public void WriteControl(byte value)
    {
        access = (byte)((value >> 4) & 3);
        int selected = (value >> 1) & 7;
        mode = (byte)(selected >= 6 ? selected - 4 : selected);
        bcd = (value & 1) != 0;
        started = paused = false;
        count = 0;
        nextTick = Never;
        expectHighWrite = expectHighRead = countLatched = statusLatched = false;
    }

    /// <summary>A byte of a new count, at the tick <paramref name="now"/>.</summary>
    public void WriteCount(byte value, long now)
    {
        Settle(now);
        switch (access)
        {
            case 1:
                SetCount(value, now);
                break;
            case 2:
                SetCount((uint)value << 8, now);
                break;
            case 3 when !expectHighWrite:
                lowWritten = value;
                expectHighWrite = true;
                if (mode == 0)
                {
                    // Writing the first byte disables counting and sets OUT low at once.
                    started = false;
                }

                break;
            case 3:
                expectHighWrite = false;
                SetCount(((uint)value << 8) | lowWritten, now);
                break;
        }
    }

    /// <summary>A read of the counter's port.</summary>
    public byte Read(long now)
    {
        if (statusLatched)
        {
            statusLatched = false;
            return latchedStatus;
        }

        ushort value = countLatched ? latchedCount : Value(now);
        if (access == 1)
        {
            countLatched = false;
            return (byte)value;
        }

        if (access == 2 || expectHighRead)
        {
            countLatched = expectHighRead = false;
            return (byte)(value >> 8);
        }

        expectHighRead = true;
        return (byte)value;
    }

    /// <summary>Counter latch command: the first one holds until it is read.</summary>
    public void LatchCount(long now)
    {
        if (!countLatched)
        {
            latchedCount = Value(now);
            countLatched = true;
        }
    }

    /// <summary>Read-back command's status latch.</summary>
    public void LatchStatus(long now)
    {
        if (!statusLatched)
        {
            Settle(now);
            bool nullCount = !started || nextTick != Never || (!paused && now < loadTick);
            latchedStatus = (byte)((Output(now) ? 0x80 : 0) | (nullCount ? 0x40 : 0) | (access << 4) | (mode << 1) | (bcd ? 1 : 0));
            statusLatched = true;
        }
    }

    /// <summary>Drives GATE: pauses modes 0, 2, 3 and 4, and its rising edge starts modes 1, 2, 3 and 5.</summary>
    public void SetGate(bool high, long now)
    {
        if (gate == high)
        {
            return;
        }

        Settle(now);
        gate = high;
        if (TriggeredByGate)
        {
            if (high && count != 0)
            {
                TakeNextCount();
                started = true;
                loadTick = now + 1;
            }
        }
        else if (!high)
        {
            pausedElapsed = Elapsed(now);
            paused = true;
        }
        else if (Periodic)
        {
            paused = false;
            loadTick = now + 1;
            TakeNextCount();
        }
        else
        {
            loadTick = now - pausedElapsed;
            paused = false;
        }
    }

    /// <summary>The OUT pin at the tick <paramref name="now"/>.</summary>
    public bool Output(long now)
    {
        Settle(now);
        if (!started)
        {
            return mode != 0;
        }

        long elapsed = Elapsed(now);
        switch (mode)
        {
            case 0:
                return elapsed >= count;
            case 1:
                return now < loadTick || elapsed >= count;
            case 2:
                return paused || count < 2 || now < loadTick || elapsed % count != count - 1;
            case 3:
                return paused || count < 2 || now < loadTick || elapsed % count < HighHalf;
            default:
                return now < loadTick || elapsed != count;
        }
    }

    /// <summary>The next tick after <paramref name="now"/> at which OUT changes, or <see cref="Never"/>.</summary>
    public long NextChange(long now)
    {
        Settle(now);
        if (!started || paused)
        {
            return Never;
        }

        if (TriggeredByGate && mode == 1 && now < loadTick)
        {
            return loadTick;
        }

        long elapsed = Elapsed(now);
        switch (mode)
        {
            case 0:
            case 1:
                return elapsed < count ? loadTick + count : Never;
            case 2 or 3 when count < 2:
                return Never;
            case 2 or 3:
                long turn = mode == 2 ? count - 1 : HighHalf;
                long phase = elapsed % count;
                long change = Math.Max(now, loadTick) + (phase < turn ? turn - phase : count - phase);

                // A waiting count starts a new (half) period at nextTick, which is such a change itself.
                return Math.Min(change, nextTick);
            default:
                return elapsed < count ? loadTick + count : elapsed == count ? loadTick + count + 1 : Never;
        }
    }

    public PitCounterState Save() => new(
        Mode: mode,
        Access: access,
        Bcd: bcd,
        Gate: gate,
        Count: count,
        LoadTick: loadTick,
        Started: started,
        NextCount: nextCount,
        NextTick: nextTick,
        Paused: paused,
        PausedElapsed: pausedElapsed,
        ExpectHighWrite: expectHighWrite,
        LowWritten: lowWritten,
        ExpectHighRead: expectHighRead,
        CountLatched: countLatched,
        LatchedCount: latchedCount,
        StatusLatched: statusLatched,
        LatchedStatus: latchedStatus);

    public void Load(PitCounterState state)
    {
        mode = (byte)Math.Min(state.Mode, (byte)5);
        access = (byte)(state.Access & 3);
        bcd = state.Bcd;
        gate = state.Gate;
        count = Math.Min(state.Count, 0x10000);
        loadTick = Math.Clamp(state.LoadTick, -0x10000, LastTick);
        started = state.Started && count != 0;
        nextCount = Math.Min(state.NextCount, 0x10000U);
        nextTick = nextCount == 0 ? Never : state.NextTick;
        paused = state.Paused;
        pausedElapsed = Math.Clamp(state.PausedElapsed, 0, LastTick);
        expectHighWrite = state.ExpectHighWrite;
        lowWritten = state.LowWritten;
        expectHighRead = state.ExpectHighRead;
        countLatched = state.CountLatched;
        latchedCount = state.LatchedCount;
        statusLatched = state.StatusLatched;
        latchedStatus = state.LatchedStatus;
    }

    private void SetCount(uint written, long now)
    {
        uint value = bcd ? FromBcd(written) : written;
        if (value == 0)
        {
            value = bcd ? 10000U : 0x10000U;
        }

        if (TriggeredByGate)
        {
            // The current one-shot goes on with the old count; the next trigger loads this one. The old count is only
            // still needed while it runs, and a retrigger then uses the new one, so keep it aside until it has run out.
            if (started && Elapsed(now) <= count)
            {
                nextCount = value;
                nextTick = loadTick + count + 1;
            }
            else
            {
                started = false;
                count = value;
            }

            return;
        }

        if (Periodic && started && !paused && count >= 2 && now >= loadTick)
        {
            nextCount = value;
            long phase = Elapsed(now) % count;
            long start = now - phase;
            nextTick = mode == 3 && phase < HighHalf ? start + HighHalf : start + count;
            return;
        }

        count = value;
        started = true;
        loadTick = now + 1;
        nextTick = Never;
        if (!gate)
        {
            paused = true;
            pausedElapsed = 0;
        }
    }

    /// <summary>Lets a waiting count take over if its time has come.</summary>
    private void Settle(long now)
    {
        if (now < nextTick)
        {
            return;
        }

        long boundary = nextTick;
        bool lowHalfFollows = mode == 3 && (boundary - loadTick) % count == HighHalf;
        TakeNextCount();
        if (TriggeredByGate)
        {
            started = false;
        }
        else
        {
            // A low half of the new count: as if its high half had begun before the boundary.
            loadTick = lowHalfFollows ? boundary - HighHalf : boundary;
        }
    }

    private void TakeNextCount()
    {
        if (nextTick != Never)
        {
            count = nextCount;
            nextTick = Never;
        }
    }

    private long Elapsed(long now) => paused ? pausedElapsed : now > loadTick ? now - loadTick : 0;

    private ushort Value(long now)
    {
        Settle(now);
        if (!started)
        {
            return Encode(count);
        }

        long elapsed = Elapsed(now);
        if (Periodic && count >= 2)
        {
            uint phase = (uint)(elapsed % count);
            if (mode == 2)
            {
                return Encode(count - phase);
            }

            // Mode 3 counts down by two, twice a period; an odd count is loaded less one.
            uint half = phase < HighHalf ? phase : phase - HighHalf;
            return Encode((count & ~1U) - (2 * half));
        }

        uint modulus = bcd ? 10000U : 0x10000U;
        return Encode((uint)((count + modulus - (elapsed % modulus)) % modulus));
    }

    private ushort Encode(uint value) => bcd ? ToBcd(value % 10000) : (ushort)value;

    private static uint FromBcd(uint value) =>
        ((value >> 12) * 1000) + (((value >> 8) & 15) * 100) + (((value >> 4) & 15) * 10) + (value & 15);

    private static ushort ToBcd(uint value) =>
        (ushort)(((value / 1000) << 12) | (((value / 100) % 10) << 8) | (((value / 10) % 10) << 4) | (value % 10));
}

/// <summary>Saved state of one counter of the PIT; ticks are counted from power-on.</summary>
public sealed record PitCounterState(
    byte Mode,
    byte Access,
    bool Bcd,
    bool Gate,
    uint Count,
    long LoadTick,
    bool Started,
    uint NextCount,
    long NextTick,
    bool Paused,
    long PausedElapsed,
    bool ExpectHighWrite,
    byte LowWritten,
    bool ExpectHighRead,
    bool CountLatched,
    ushort LatchedCount,
    bool StatusLatched,
    byte LatchedStatus);
