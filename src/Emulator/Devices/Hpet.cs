using Emulator.Time;

namespace Emulator.Devices;

/// <summary>
/// The high-precision event timer: a 64-bit counter of 10 ns ticks and three timers, each one-shot or periodic.
/// Source: IA-PC HPET Specification 1.0a (October 2004).
/// </summary>
internal sealed class Hpet : IMmioDevice
{
    /// <summary>Nanoseconds of one tick.</summary>
    public const ulong TickNanoseconds = 10;

    /// <summary>Low half of the capabilities: Intel, legacy replacement, 64 bits, three timers, revision 1.</summary>
    public const uint CapabilitiesLow = 0x8086_A201;

    /// <summary>The first I/O APIC input the timers can be routed to.</summary>
    public const int FirstPin = 20;

    /// <summary>How many there are.</summary>
    public const int PinCount = 4;

    private const ulong Capabilities = (TickNanoseconds * 1_000_000 << 32) | CapabilitiesLow;
    private const ulong Enable = 1, LegacyRouting = 2;
    private const int TimerCount = 3;

    private readonly VirtualClock clock;
    private readonly HpetComparator[] timers = new HpetComparator[TimerCount];
    private readonly IrqLine[] pins;
    private readonly IrqLine legacyTimer;
    private readonly IrqLine legacyClock;
    private readonly Action<bool> legacyRoutingChanged;
    private ulong configuration;
    private ulong status;

    // The counter stood at counterBase at the instant counterStart; while it is off it stands there.
    private ulong counterBase;
    private ulong counterStart;

    /// <param name="clock">The machine's time.</param>
    /// <param name="events">For the timers.</param>
    /// <param name="pins">The I/O APIC inputs from <see cref="FirstPin"/>.</param>
    /// <param name="legacyTimer">IRQ 0's wire, while legacy replacement is on.</param>
    /// <param name="legacyClock">IRQ 8's wire, while legacy replacement is on.</param>
    /// <param name="legacyRoutingChanged">Told when the PIT and the RTC lose or regain IRQ 0 and IRQ 8.</param>
    public Hpet(
        VirtualClock clock, EventQueue events, IrqLine[] pins, IrqLine legacyTimer, IrqLine legacyClock, Action<bool> legacyRoutingChanged)
    {
        this.clock = clock;
        this.pins = pins;
        this.legacyTimer = legacyTimer;
        this.legacyClock = legacyClock;
        this.legacyRoutingChanged = legacyRoutingChanged;
        for (int i = 0; i < TimerCount; i++)
        {
            int index = i;
            timers[i] = new HpetComparator(events.CreateTimer($"HPET timer {i}", () => Expired(index)));
            timers[i].Reset();
        }
    }

    /// <summary>Timers 0 and 1 have taken the places of PIT and RTC.</summary>
    public bool LegacyReplacement => (configuration & LegacyRouting) != 0;

    private bool Enabled => (configuration & Enable) != 0;

    private ulong Counter => Enabled ? counterBase + ((clock.Now - counterStart) / TickNanoseconds) : counterBase;

    public ulong ReadMmio(ulong offset, int size)
    {
        ulong value = ReadRegister(offset & ~7UL) >> (8 * (int)(offset & 7));
        return size >= 8 ? value : value & ((1UL << (8 * size)) - 1);
    }

    public void WriteMmio(ulong offset, int size, ulong value)
    {
        // 32 and 64 bits, aligned (specification §2.3.2); anything else is undefined and has no effect here.
        if (size == 8 && (offset & 7) == 0)
        {
            WriteRegister(offset, value, ulong.MaxValue);
        }
        else if (size == 4 && (offset & 3) == 0)
        {
            int shift = 8 * (int)(offset & 4);
            WriteRegister(offset & ~7UL, value << shift, 0xFFFF_FFFFUL << shift);
        }
    }

    public void Reset()
    {
        WriteConfiguration(0);
        status = 0;
        counterBase = 0;
        foreach (HpetComparator timer in timers)
        {
            timer.Reset();
        }

        UpdatePins();
    }

    public HpetState Save()
    {
        bool[] levels = new bool[PinCount];
        for (int i = 0; i < PinCount; i++)
        {
            levels[i] = pins[i].Level;
        }

        return new HpetState(
            Configuration: configuration,
            Status: status,
            CounterBase: counterBase,
            CounterStart: counterStart,
            Timers: [timers[0].Save(), timers[1].Save(), timers[2].Save()],
            Pins: levels,
            LegacyTimerIrq: legacyTimer.Level,
            LegacyClockIrq: legacyClock.Level);
    }

    public void Load(HpetState state)
    {
        configuration = state.Configuration & (Enable | LegacyRouting);
        status = state.Status;
        counterBase = state.CounterBase;
        counterStart = state.CounterStart;
        for (int i = 0; i < TimerCount; i++)
        {
            timers[i].Load(state.Timers[i]);
        }

        for (int i = 0; i < PinCount; i++)
        {
            pins[i].Restore(state.Pins[i]);
        }

        legacyTimer.Restore(state.LegacyTimerIrq);
        legacyClock.Restore(state.LegacyClockIrq);
    }

    private ulong ReadRegister(ulong offset)
    {
        switch (offset)
        {
            case 0x00:
                return Capabilities;
            case 0x10:
                return configuration;
            case 0x20:
                return status;
            case 0xF0:
                return Counter;
        }

        return TryFindTimer(offset, out HpetComparator timer, out ulong register)
            ? register switch { 0 => timer.Configuration, 8 => timer.Comparator, _ => 0 }
            : 0;
    }

    private void WriteRegister(ulong offset, ulong value, ulong mask)
    {
        switch (offset)
        {
            case 0x10:
                WriteConfiguration(Merge(configuration, value, mask));
                return;
            case 0x20:
                status &= ~(value & mask);
                UpdatePins();
                return;
            case 0xF0:
                counterBase = Merge(Counter, value, mask);
                counterStart = clock.Now;
                ArmAll();
                return;
        }

        if (!TryFindTimer(offset, out HpetComparator timer, out ulong register))
        {
            return;
        }

        if (register == 0)
        {
            timer.WriteConfiguration(Merge(timer.Configuration, value, mask));
        }
        else if (register == 8)
        {
            timer.WriteComparator(Merge(timer.Written, value, mask));
        }

        Arm(timer, over: false);
        UpdatePins();
    }

    private void WriteConfiguration(ulong value)
    {
        bool legacyBefore = LegacyReplacement;
        counterBase = Counter;
        counterStart = clock.Now;
        configuration = value & (Enable | LegacyRouting);
        if (legacyBefore != LegacyReplacement)
        {
            legacyTimer.Set(false);
            legacyClock.Set(false);
            legacyRoutingChanged(LegacyReplacement);
        }

        ArmAll();
        UpdatePins();
    }

    private bool TryFindTimer(ulong offset, out HpetComparator timer, out ulong register)
    {
        ulong index = (offset - 0x100) / 0x20;
        register = offset & 0x1F;
        timer = index < TimerCount ? timers[index] : null!;
        return index < TimerCount;
    }

    private void ArmAll()
    {
        foreach (HpetComparator timer in timers)
        {
            Arm(timer, over: false);
        }
    }

    private void Arm(HpetComparator timer, bool over)
    {
        ulong counter = Counter;
        ulong ticks = timer.TicksToMatch(counter, over);
        ulong total = counter - counterBase + ticks;
        bool never = !Enabled || (over && ticks == 0) || total < ticks || total > (EventQueue.Never - counterStart) / TickNanoseconds;

        // A match at this very tick is due now, not at the tick's start, which may have passed.
        timer.Timer.Arm(never ? EventQueue.Never : Math.Max(counterStart + (total * TickNanoseconds), clock.Now));
    }

    private void Expired(int index)
    {
        HpetComparator timer = timers[index];
        timer.Advance(Counter);
        Arm(timer, over: true);
        if (!timer.Interrupts)
        {
            return;
        }

        if (timer.IsLevel)
        {
            status |= 1UL << index;
            UpdatePins();
        }
        else if (LegacyReplacement && index < 2)
        {
            (index == 0 ? legacyTimer : legacyClock).Pulse();
        }
        else if (timer.Route is >= FirstPin and < FirstPin + PinCount)
        {
            pins[timer.Route - FirstPin].Pulse();
            UpdatePins();
        }
    }

    /// <summary>Level-triggered timers hold their wires as long as their status bit is set.</summary>
    private void UpdatePins()
    {
        uint high = 0;
        bool timerHigh = false, clockHigh = false;
        for (int i = 0; i < TimerCount; i++)
        {
            HpetComparator timer = timers[i];
            if (!Enabled || !timer.Interrupts || !timer.IsLevel || (status & (1UL << i)) == 0)
            {
                continue;
            }

            if (LegacyReplacement && i < 2)
            {
                timerHigh |= i == 0;
                clockHigh |= i == 1;
            }
            else
            {
                high |= 1U << timer.Route;
            }
        }

        for (int i = 0; i < PinCount; i++)
        {
            pins[i].Set((high & (1U << (FirstPin + i))) != 0);
        }

        if (LegacyReplacement)
        {
            legacyTimer.Set(timerHigh);
            legacyClock.Set(clockHigh);
        }
    }

    private static ulong Merge(ulong old, ulong value, ulong mask) => (old & ~mask) | (value & mask);
}

/// <summary>Saved state of the HPET.</summary>
public sealed record HpetState(
    ulong Configuration,
    ulong Status,
    ulong CounterBase,
    ulong CounterStart,
    HpetTimerState[] Timers,
    bool[] Pins,
    bool LegacyTimerIrq,
    bool LegacyClockIrq);
