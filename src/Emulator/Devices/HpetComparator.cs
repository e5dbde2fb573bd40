using Emulator.Time;

namespace Emulator.Devices;

/// <summary>One timer of the HPET: its registers and its deadline.</summary>
internal sealed class HpetComparator(DeviceTimer timer)
{
    /// <summary>Bit 1: level-triggered.</summary>
    public const ulong Level = 0x02;

    /// <summary>Bit 2: interrupts.</summary>
    public const ulong InterruptEnable = 0x04;

    private const ulong Periodic = 0x08, SetAccumulator = 0x40, Mode32 = 0x100;
    private const ulong Writable = Level | InterruptEnable | Periodic | SetAccumulator | Mode32 | 0x3E00;

    // Periodic capable, 64 bits wide, and routable to the I/O APIC's inputs 20–23.
    private const ulong Capabilities = 0x00F0_0000_0000_0030;

    private ulong configuration;
    private ulong comparator;
    private ulong period;

    /// <summary>The deadline in the event queue.</summary>
    public DeviceTimer Timer { get; } = timer;

    /// <summary>The configuration and capability register.</summary>
    public ulong Configuration => configuration | Capabilities;

    /// <summary>The comparator register; in periodic mode the next match.</summary>
    public ulong Comparator => comparator;

    /// <summary>The I/O APIC input chosen.</summary>
    public int Route => (int)(configuration >> 9) & 31;

    /// <summary>True when a match raises an interrupt.</summary>
    public bool Interrupts => (configuration & InterruptEnable) != 0;

    /// <summary>True when the interrupt is level-triggered.</summary>
    public bool IsLevel => (configuration & Level) != 0;

    private bool IsPeriodic => (configuration & Periodic) != 0;

    private ulong Mask => (configuration & Mode32) != 0 ? 0xFFFF_FFFF : ulong.MaxValue;

    public void WriteConfiguration(ulong value)
    {
        configuration = value & Writable;
        if ((configuration & Mode32) != 0)
        {
            comparator &= 0xFFFF_FFFF;
            period &= 0xFFFF_FFFF;
        }
    }

    /// <summary>
    /// The comparator: in periodic mode it is the period, and with the accumulator bit set the next match as well
    /// (specification §2.3.9.2.2; drivers write both in turn, simple ones only the first).
    /// </summary>
    public void WriteComparator(ulong value)
    {
        value &= Mask;
        if (!IsPeriodic || (configuration & SetAccumulator) != 0)
        {
            comparator = value;
        }

        if (IsPeriodic)
        {
            period = value;
        }

        configuration &= ~SetAccumulator;
    }

    /// <summary>For a write of half the register: what the other half holds.</summary>
    public ulong Written => IsPeriodic && (configuration & SetAccumulator) == 0 ? period : comparator;

    /// <summary>Ticks from <paramref name="counter"/> to the next match; a match at this very tick counts unless it is <paramref name="over"/>. 0 means none.</summary>
    public ulong TicksToMatch(ulong counter, bool over)
    {
        ulong ticks = (comparator - counter) & Mask;
        return ticks == 0 && over ? Mask == ulong.MaxValue ? 0 : Mask + 1 : ticks;
    }

    /// <summary>True when a match is due at <paramref name="counter"/> exactly.</summary>
    public bool Matches(ulong counter) => ((comparator - counter) & Mask) == 0;

    /// <summary>After a match: in periodic mode the first multiple of the period after <paramref name="counter"/>.</summary>
    public void Advance(ulong counter)
    {
        if (IsPeriodic && period != 0)
        {
            ulong behind = (counter - comparator) & Mask;
            comparator = (comparator + (((behind / period) + 1) * period)) & Mask;
        }
    }

    public void Reset()
    {
        configuration = 0;
        comparator = ulong.MaxValue;
        period = 0;
        Timer.Disarm();
    }

    public HpetTimerState Save() => new(
        Configuration: configuration, Comparator: comparator, Period: period, Deadline: Timer.Deadline);

    public void Load(HpetTimerState state)
    {
        configuration = state.Configuration & Writable;
        comparator = state.Comparator;
        period = state.Period;
        Timer.Arm(state.Deadline);
    }
}

/// <summary>Saved state of one HPET timer.</summary>
public sealed record HpetTimerState(ulong Configuration, ulong Comparator, ulong Period, ulong Deadline);
