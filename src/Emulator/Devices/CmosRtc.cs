using Emulator.Time;

namespace Emulator.Devices;

/// <summary>
/// The clock and its 128 bytes of battery-backed memory at ports 70h/71h; bit 7 of port 70h masks NMIs.
/// Source: Motorola MC146818A data sheet (1988); the meaning of memory bytes beyond 0Eh: IBM PC AT Technical Reference and
/// the customary extensions (century at 32h, memory sizes at 34h and 5Bh).
/// </summary>
internal sealed class CmosRtc : BytePortDevice
{
    private const int Seconds = 0, SecondsAlarm = 1, Minutes = 2, MinutesAlarm = 3, Hours = 4, HoursAlarm = 5;
    private const int Weekday = 6, Day = 7, Month = 8, Year = 9, A = 10, B = 11, C = 12, D = 13, Century = 0x32;
    private const byte SetBit = 0x80, PeriodicFlag = 0x40, AlarmFlag = 0x20, UpdateFlag = 0x10, BinaryBit = 4, Hours24Bit = 2;
    private const byte AnyInterrupt = PeriodicFlag | AlarmFlag | UpdateFlag;

    // With a 32.768 kHz crystal an update takes 1984 µs, and UIP comes 244 µs before it (data sheet, table 6).
    private const long UpdateInProgress = 244_000 + 1_984_000;
    private const long NanosecondsPerSecond = 1_000_000_000;
    private const long SecondsPerDay = 86_400;

    private readonly VirtualClock clock;
    private readonly IrqLine irq;
    private readonly DeviceTimer timer;
    private readonly Oscillator crystal = new(32_768);
    private readonly byte[] memory = new byte[128];
    private byte index;

    // The calendar showed `anchorSeconds` from the instant `anchor` on; that instant may lie ahead by half a second.
    private long anchor;
    private long anchorSeconds;
    private int weekdayShift;

    // Everything up to this instant has been accounted for in the flags of register C.
    private long settled;

    /// <param name="clock">The machine's time.</param>
    /// <param name="events">For its interrupts.</param>
    /// <param name="irq">IRQ 8.</param>
    /// <param name="startSeconds">What the calendar shows at power-on, in seconds since 1970-01-01 00:00.</param>
    /// <param name="ramBytes">RAM, for the memory sizes a BIOS leaves here.</param>
    public CmosRtc(VirtualClock clock, EventQueue events, IrqLine irq, long startSeconds, ulong ramBytes)
    {
        this.clock = clock;
        this.irq = irq;
        timer = events.CreateTimer("RTC", Expired);
        anchorSeconds = startSeconds;
        memory[A] = 0x26;
        memory[B] = Hours24Bit;
        memory[D] = 0x80;
        WriteMemorySizes(ramBytes);
    }

    /// <summary>Port 70h bit 7.</summary>
    public bool NmiMasked { get; private set; }

    private bool DividerHeld => (memory[A] & 0x60) == 0x60;

    private bool Running => (memory[B] & SetBit) == 0 && !DividerHeld;

    private long Now => (long)clock.Now;

    /// <summary>The RESET pin: the calendar and the memory go on, the interrupts are off.</summary>
    public void Reset()
    {
        Settle();
        index = 0;
        NmiMasked = false;
        memory[B] &= unchecked((byte)~(AnyInterrupt | 8));
        memory[C] = 0;
        Update();
    }

    public CmosRtcState Save()
    {
        Settle();
        return new CmosRtcState(
            Memory: (byte[])memory.Clone(),
            Index: index,
            NmiMasked: NmiMasked,
            Anchor: anchor,
            AnchorSeconds: anchorSeconds,
            WeekdayShift: weekdayShift,
            Settled: settled,
            Irq: irq.Level,
            Deadline: timer.Deadline);
    }

    public void Load(CmosRtcState state)
    {
        state.Memory.AsSpan(0, Math.Min(state.Memory.Length, memory.Length)).CopyTo(memory);
        index = (byte)(state.Index & 0x7F);
        NmiMasked = state.NmiMasked;
        anchor = state.Anchor;
        anchorSeconds = state.AnchorSeconds;
        weekdayShift = state.WeekdayShift;
        settled = state.Settled;
        irq.Restore(state.Irq);
        timer.Arm(state.Deadline);
    }

    private protected override byte ReadRegister(int offset)
    {
        // Port 70h cannot be read.
        if (offset == 0)
        {
            return 0xFF;
        }

        switch (index)
        {
            case Seconds or Minutes or Hours or Weekday or Day or Month or Year or Century:
                ShowTime();
                return memory[index];
            case A:
                long phase = (Now - anchor) % NanosecondsPerSecond;
                bool updating = Running && (phase < 0 ? -phase <= UpdateInProgress : phase >= NanosecondsPerSecond - UpdateInProgress);
                return (byte)((memory[A] & 0x7F) | (updating ? 0x80 : 0));
            case C:
                Settle();
                byte flags = memory[C];
                memory[C] = 0;
                Update();
                return flags;
            default:
                return memory[index];
        }
    }

    private protected override void WriteRegister(int offset, byte value)
    {
        if (offset == 0)
        {
            index = (byte)(value & 0x7F);
            NmiMasked = (value & 0x80) != 0;
            return;
        }

        switch (index)
        {
            case Seconds or Minutes or Hours or Weekday or Day or Month or Year or Century:
                WriteTime(value);
                break;
            case A:
                WriteDivider(value);
                break;
            case B:
                WriteControl(value);
                break;
            case C or D:
                break;
            case SecondsAlarm or MinutesAlarm or HoursAlarm:
                Settle();
                memory[index] = value;
                Update();
                break;
            default:
                memory[index] = value;
                break;
        }
    }

    private void WriteTime(byte value)
    {
        Settle();
        ShowTime();
        memory[index] = value;
        if (Running)
        {
            TakeTime();
        }
    }

    private void WriteDivider(byte value)
    {
        Settle();
        ShowTime();
        bool wasHeld = DividerHeld;
        memory[A] = (byte)(value & 0x7F);
        if (wasHeld && !DividerHeld)
        {
            // The first update follows half a second after the divider is released (data sheet, "Divider Bits").
            anchor = Now + (NanosecondsPerSecond / 2);
            SetAnchorSeconds(ReadShownTime() + 1);
        }

        Update();
    }

    private void WriteControl(byte value)
    {
        Settle();
        ShowTime();
        bool wasRunning = Running;

        // SET clears the update-ended interrupt's enable. The data mode says how the bytes are read, it converts nothing.
        memory[B] = (byte)((value & SetBit) != 0 ? value & ~UpdateFlag : value);
        if (Running && !wasRunning)
        {
            TakeTime();
        }

        Update();
    }

    /// <summary>The calendar goes on from the bytes as they stand; the divider chain's phase is kept.</summary>
    private void TakeTime()
    {
        long shown = ReadShownTime();
        if (Now < anchor)
        {
            SetAnchorSeconds(shown + 1);
            return;
        }

        anchor = Now - ((Now - anchor) % NanosecondsPerSecond);
        SetAnchorSeconds(shown);
    }

    private void SetAnchorSeconds(long seconds)
    {
        anchorSeconds = seconds;
        int shownWeekday = Decode(memory[Weekday]);
        long current = Now < anchor ? seconds - 1 : seconds;
        weekdayShift = ((shownWeekday - CalendarTime.Weekday(current)) % 7 + 7) % 7;
    }

    private long SecondsAt(long instant) =>
        instant < anchor ? anchorSeconds - 1 : anchorSeconds + ((instant - anchor) / NanosecondsPerSecond);

    /// <summary>Writes the running calendar into its bytes; they stay as they are while it is held.</summary>
    private void ShowTime()
    {
        if (!Running)
        {
            return;
        }

        long seconds = SecondsAt(Now);
        CalendarTime time = CalendarTime.FromSeconds(seconds);
        memory[Seconds] = Encode(time.Second);
        memory[Minutes] = Encode(time.Minute);
        memory[Hours] = EncodeHour(time.Hour);
        memory[Weekday] = Encode(((CalendarTime.Weekday(seconds) - 1 + weekdayShift) % 7) + 1);
        memory[Day] = Encode(time.Day);
        memory[Month] = Encode(time.Month);
        memory[Year] = Encode(time.Year % 100);
        memory[Century] = Encode(time.Year / 100);
    }

    private long ReadShownTime() => new CalendarTime(
        (Decode(memory[Century]) * 100) + Decode(memory[Year]),
        Decode(memory[Month]),
        Decode(memory[Day]),
        DecodeHour(memory[Hours]),
        Decode(memory[Minutes]),
        Decode(memory[Seconds])).ToSeconds();

    private byte Encode(int value) =>
        (memory[B] & BinaryBit) != 0 ? (byte)value : (byte)((value / 10 << 4) | (value % 10));

    private int Decode(byte value) =>
        (memory[B] & BinaryBit) != 0 ? value : ((value >> 4) * 10) + (value & 15);

    private byte EncodeHour(int hour)
    {
        if ((memory[B] & Hours24Bit) != 0)
        {
            return Encode(hour);
        }

        return (byte)(Encode(hour % 12 == 0 ? 12 : hour % 12) | (hour >= 12 ? 0x80 : 0));
    }

    private int DecodeHour(byte value)
    {
        if ((memory[B] & Hours24Bit) != 0)
        {
            return Decode(value);
        }

        return (Decode((byte)(value & 0x7F)) % 12) + ((value & 0x80) != 0 ? 12 : 0);
    }

    /// <summary>Ticks of the crystal between two periodic interrupts; 0 when they are off.</summary>
    private ulong PeriodicTicks()
    {
        int rate = memory[A] & 15;
        return rate == 0 || DividerHeld ? 0 : 1UL << (rate <= 2 ? rate + 6 : rate - 1);
    }

    /// <summary>Instants of the divider chain, counted so that a second's edge falls on a multiple of 32768 ticks.</summary>
    private ulong ChainTime(long instant) => (ulong)(instant - (anchor % NanosecondsPerSecond) + NanosecondsPerSecond);

    /// <summary>Brings the flags of register C up to date: what happened since the last time is a matter of arithmetic.</summary>
    private void Settle()
    {
        long now = Now;
        if (now <= settled)
        {
            // A machine that started its clock again: nothing has happened yet in the new time.
            settled = Math.Min(settled, now);
            return;
        }

        byte flags = memory[C];
        ulong ticks = PeriodicTicks();
        if (ticks != 0 && crystal.Ticks(ChainTime(now)) / ticks != crystal.Ticks(ChainTime(settled)) / ticks)
        {
            flags |= PeriodicFlag;
        }

        if (Running)
        {
            long before = SecondsAt(settled), after = SecondsAt(now);
            if (before != after)
            {
                flags |= UpdateFlag;
                flags |= AlarmBetween(before + 1, after) ? AlarmFlag : (byte)0;
            }
        }

        settled = now;
        memory[C] = flags;
    }

    private bool AlarmBetween(long first, long last)
    {
        last = Math.Min(last, first + SecondsPerDay - 1);
        for (long second = first; second <= last; second++)
        {
            CalendarTime time = CalendarTime.FromSeconds(second);
            if (Matches(memory[SecondsAlarm], Encode(time.Second))
                && Matches(memory[MinutesAlarm], Encode(time.Minute))
                && Matches(memory[HoursAlarm], EncodeHour(time.Hour)))
            {
                return true;
            }
        }

        return false;

        // C0h–FFh in an alarm byte is "don't care".
        static bool Matches(byte alarm, byte value) => alarm >= 0xC0 || alarm == value;
    }

    private void Expired()
    {
        Settle();
        Update();
    }

    /// <summary>Drives the interrupt and arms the timer for the next moment an enabled one can occur.</summary>
    private void Update()
    {
        byte enabled = (byte)(memory[B] & AnyInterrupt);
        bool requested = (memory[C] & enabled) != 0;
        memory[C] = (byte)((memory[C] & AnyInterrupt) | (requested ? 0x80 : 0));
        irq.Set(requested);

        long next = long.MaxValue;
        ulong ticks = PeriodicTicks();
        if ((enabled & PeriodicFlag) != 0 && ticks != 0)
        {
            ulong chain = ChainTime(Now);
            next = Now + (long)(crystal.Instant(((crystal.Ticks(chain) / ticks) + 1) * ticks) - chain);
        }

        if ((enabled & (UpdateFlag | AlarmFlag)) != 0 && Running)
        {
            long edge = Now < anchor ? anchor : Now + NanosecondsPerSecond - ((Now - anchor) % NanosecondsPerSecond);
            next = Math.Min(next, edge);
        }

        // While the line is up nothing further is visible before register C is read.
        timer.Arm(requested || next == long.MaxValue ? EventQueue.Never : (ulong)next);
    }

    private void WriteMemorySizes(ulong ramBytes)
    {
        const ulong Megabyte = 0x10_0000;
        ulong low = Math.Min(ramBytes, Memory.PhysicalLayout.LowRamLimit);
        ulong high = ramBytes - low;

        // Equipment: coprocessor present, no display adapter.
        memory[0x14] = 0x02;
        WriteWord(0x15, 640);
        WriteWord(0x17, low > Megabyte ? Math.Min((low - Megabyte) / 1024, 0xFFFF) : 0);
        WriteWord(0x30, low > Megabyte ? Math.Min((low - Megabyte) / 1024, 0xFFFF) : 0);
        WriteWord(0x34, low > 16 * Megabyte ? Math.Min((low - (16 * Megabyte)) / 0x1_0000, 0xFFFF) : 0);
        WriteWord(0x5B, (high / 0x1_0000) & 0xFFFF);
        memory[0x5D] = (byte)(high / 0x1_0000 >> 16);

        int sum = 0;
        for (int i = 0x10; i <= 0x2D; i++)
        {
            sum += memory[i];
        }

        memory[0x2E] = (byte)(sum >> 8);
        memory[0x2F] = (byte)sum;
    }

    private void WriteWord(int at, ulong value)
    {
        memory[at] = (byte)value;
        memory[at + 1] = (byte)(value >> 8);
    }
}

/// <summary>Saved state of the clock chip; instants in guest nanoseconds.</summary>
public sealed record CmosRtcState(
    byte[] Memory,
    byte Index,
    bool NmiMasked,
    long Anchor,
    long AnchorSeconds,
    int WeekdayShift,
    long Settled,
    bool Irq,
    ulong Deadline);
