namespace Emulator.Tests.Devices;

public sealed class CmosRtcTests
{
    // The calendar of TestChipset starts at 2024-02-28 23:59:50, a Wednesday before a leap day.
    private const ulong Second = 1_000_000_000, Millisecond = 1_000_000;

    [Fact]
    public void Calendar_starts_at_the_instant_given_in_bcd_and_24_hours()
    {
        var t = new TestChipset();
        Assert.Equal([0x50, 0x59, 0x23, 0x04, 0x28, 0x02, 0x24, 0x20], Time(t));
        Assert.Equal((0x26, 0x02, 0x80), (Read(t, 0x0A), Read(t, 0x0B), Read(t, 0x0D)));
    }

    [Theory]
    [InlineData(9_999_999_999UL, new byte[] { 0x59, 0x59, 0x23, 0x04, 0x28, 0x02, 0x24, 0x20 })]
    [InlineData(10 * Second, new byte[] { 0x00, 0x00, 0x00, 0x05, 0x29, 0x02, 0x24, 0x20 })]
    [InlineData(86_410 * Second, new byte[] { 0x00, 0x00, 0x00, 0x06, 0x01, 0x03, 0x24, 0x20 })]
    [InlineData(26_524_810 * Second, new byte[] { 0x00, 0x00, 0x00, 0x04, 0x01, 0x01, 0x25, 0x20 })]
    public void Calendar_follows_guest_time(ulong instant, byte[] expected)
    {
        var t = new TestChipset();

        // The PIT stands still: a year of its interrupts is not the matter here.
        t.Out(0x43, 0x30);
        t.AdvanceTo(instant);
        Assert.Equal(expected, Time(t));
    }

    [Fact]
    public void Update_in_progress_shows_for_2228_microseconds_before_the_second()
    {
        var t = new TestChipset();
        t.AdvanceTo(Second - 2_228_001);
        Assert.Equal(0x26, Read(t, 0x0A));
        t.AdvanceTo(Second - 2_228_000);
        Assert.Equal(0xA6, Read(t, 0x0A));
        t.AdvanceTo(Second - 1);
        Assert.Equal(0xA6, Read(t, 0x0A));
        t.AdvanceTo(Second);
        Assert.Equal(0x26, Read(t, 0x0A));
    }

    [Fact]
    public void Linux_sets_the_time_and_the_next_update_comes_half_a_second_later()
    {
        // drivers/rtc/rtc-mc146818-lib.c, mc146818_set_time(): SET, divider reset, fields, both back.
        var t = new TestChipset();
        t.AdvanceTo(1_234_567_890);
        Write(t, 0x0B, 0x82);
        Write(t, 0x0A, 0x76);
        foreach ((int register, int value) in new[] { (0, 0x30), (2, 0x14), (4, 0x09), (7, 0x31), (8, 0x12), (9, 0x99), (0x32, 0x19), (6, 0x06) })
        {
            Write(t, register, value);
        }

        t.Advance(5 * Second);
        Write(t, 0x0B, 0x02);
        Write(t, 0x0A, 0x26);
        ulong released = t.Clock.Now;
        Assert.Equal([0x30, 0x14, 0x09, 0x06, 0x31, 0x12, 0x99, 0x19], Time(t));
        t.AdvanceTo(released + (500 * Millisecond) - 1);
        Assert.Equal(0x30, Read(t, 0));
        t.AdvanceTo(released + (500 * Millisecond));
        Assert.Equal(0x31, Read(t, 0));
        t.AdvanceTo(released + (1500 * Millisecond));
        Assert.Equal(0x32, Read(t, 0));
    }

    [Fact]
    public void A_field_written_while_running_takes_effect_and_keeps_the_second_s_phase()
    {
        var t = new TestChipset();
        t.AdvanceTo(700 * Millisecond);
        Write(t, 0, 0x05);
        t.AdvanceTo(Second);
        Assert.Equal([0x06, 0x59, 0x23, 0x04, 0x28, 0x02, 0x24, 0x20], Time(t));
    }

    [Theory]
    [InlineData(0x02, 0x00, 0x00)]
    [InlineData(0x00, 0x12, 0x12)] // 12 AM
    [InlineData(0x06, 0x00, 0x00)]
    public void Hours_at_midnight_in_each_format(int control, int hour, int read)
    {
        var t = new TestChipset();
        Write(t, 0x0B, 0x80 | control);
        foreach ((int register, int value) in new[] { (0, 0), (2, 0), (4, hour) })
        {
            Write(t, register, value);
        }

        Write(t, 0x0B, control);
        Assert.Equal(read, Read(t, 4));
    }

    [Theory]
    [InlineData(0x00, 0x81, 0x92, 11)] // 1 PM, and 11 hours later it is 12 AM
    [InlineData(0x00, 0x11, 0x92, 1)]  // 11 AM, 12 PM
    [InlineData(0x04, 0x8B, 0x0C, 1)]  // binary: 11 PM, 12 AM
    [InlineData(0x06, 22, 23, 1)]
    public void Twelve_hours_and_binary_formats_count_on(int control, int hour, int read, int hours)
    {
        var t = new TestChipset();
        Write(t, 0x0B, 0x80 | control);
        foreach ((int register, int value) in new[] { (0, 0), (2, 0), (4, hour), (7, 1), (8, 1), (9, 24), (0x32, 20) })
        {
            Write(t, register, value);
        }

        Write(t, 0x0B, control);
        t.Advance((ulong)hours * 3600 * Second);
        Assert.Equal(hours == 11 ? 0x12 : read, Read(t, 4));
    }

    // Register A's rate bits with a 32.768 kHz crystal (data sheet, table 5): interrupts in one second.
    [Theory]
    [InlineData(0x0, 0)]
    [InlineData(0x1, 256)]
    [InlineData(0x2, 128)]
    [InlineData(0x3, 8192)]
    [InlineData(0x6, 1024)]
    [InlineData(0xD, 8)]
    [InlineData(0xF, 2)]
    public void Periodic_interrupt_runs_at_the_rate_chosen(int rate, int interrupts)
    {
        TestChipset t = WithIrq8();
        Write(t, 0x0A, 0x20 | rate);
        Write(t, 0x0B, 0x42);
        Assert.Equal(interrupts, Serve(t, Second, 0xC0));
    }

    [Fact]
    public void Update_interrupt_comes_each_second()
    {
        TestChipset t = WithIrq8();
        Write(t, 0x0B, 0x12);
        Assert.Equal(5, Serve(t, 5 * Second, 0x90));
    }

    [Theory]
    [InlineData(0x55, 0x59, 0x23, 100, 1)]
    [InlineData(0x05, 0x00, 0x00, 100, 1)]
    [InlineData(0x55, 0xC0, 0xFF, 600, 10)] // don't care: each minute at :55
    [InlineData(0xC0, 0xC0, 0xC0, 10, 10)]
    [InlineData(0x55, 0x58, 0x23, 100, 0)]
    public void Alarm_interrupts_when_the_time_matches(int second, int minute, int hour, int seconds, int interrupts)
    {
        TestChipset t = WithIrq8();
        Write(t, 1, second);
        Write(t, 3, minute);
        Write(t, 5, hour);
        Write(t, 0x0B, 0x22);
        Assert.Equal(interrupts, Serve(t, (ulong)seconds * Second, 0xA0));
    }

    [Fact]
    public void Flags_are_set_without_their_interrupts_and_a_read_clears_them()
    {
        var t = new TestChipset();
        t.Advance(3 * Second);
        Assert.Equal(0x50, Read(t, 0x0C));
        Assert.Equal(0x00, Read(t, 0x0C));
        t.Advance(Millisecond);
        Assert.Equal(0x40, Read(t, 0x0C));
    }

    [Fact]
    public void The_line_stays_up_until_register_c_is_read()
    {
        TestChipset t = WithIrq8();
        Write(t, 0x0B, 0x42);
        t.Advance(Second);
        Assert.True(t.Apic.HasInterrupt);
        t.Apic.Acknowledge();
        t.Out(0xA0, 0x20);
        t.Out(0x20, 0x20);
        t.Advance(Second);
        Assert.False(t.Apic.HasInterrupt);
        Assert.Equal(0xD0, Read(t, 0x0C));
        t.Advance(Millisecond);
        Assert.True(t.Apic.HasInterrupt);
    }

    [Fact]
    public void Memory_sizes_are_those_of_256_megabytes()
    {
        var t = new TestChipset();
        Assert.Equal([0x80, 0x02], new byte[] { Read(t, 0x15), Read(t, 0x16) });
        Assert.Equal(0xFFFF, Read(t, 0x17) | (Read(t, 0x18) << 8));
        Assert.Equal(0xFFFF, Read(t, 0x30) | (Read(t, 0x31) << 8));
        Assert.Equal(240 * 16, Read(t, 0x34) | (Read(t, 0x35) << 8));
        Assert.Equal(0, Read(t, 0x5B) | (Read(t, 0x5C) << 8) | (Read(t, 0x5D) << 16));

        // The PC AT's checksum over 10h–2Dh: 02 + 80 + 02 + FF + FF.
        Assert.Equal(0x0282, (Read(t, 0x2E) << 8) | Read(t, 0x2F));
    }

    [Fact]
    public void Memory_keeps_what_is_written_through_a_reset_and_the_clock_goes_on()
    {
        var t = new TestChipset();
        Write(t, 0x0F, 0x0A);
        Write(t, 0x7F, 0x5A);
        Write(t, 0x0B, 0x72);
        t.AdvanceTo(3 * Second);
        t.Chipset.Reset();
        Assert.Equal((0x0A, 0x5A, 0x02, 0x53), (Read(t, 0x0F), Read(t, 0x7F), Read(t, 0x0B), Read(t, 0)));
    }

    [Fact]
    public void Bit_7_of_the_index_masks_nmis()
    {
        var t = new TestChipset();
        t.Out(0x70, 0x8F);
        t.Chipset.InjectNmi();
        Assert.Equal(0, t.Vcpus[0].Nmis);
        t.Out(0x70, 0x0F);
        t.Chipset.InjectNmi();
        Assert.Equal(1, t.Vcpus[0].Nmis);
    }

    [Theory]
    [InlineData(0x99, 0x99, 0xFF)]
    [InlineData(0xFF, 0xFF, 0xFF)]
    [InlineData(0x00, 0x00, 0x00)]
    public void Impossible_dates_carry_over_and_harm_nothing(int day, int month, int hour)
    {
        var t = new TestChipset();
        Write(t, 7, day);
        Write(t, 8, month);
        Write(t, 4, hour);
        t.Advance(100 * Second);
        Assert.InRange(Read(t, 8), 0x01, 0x12);
        Assert.InRange(Read(t, 7), 0x01, 0x31);
        Assert.InRange(Read(t, 4), 0x00, 0x23);
    }

    [Fact]
    public void Saved_between_interrupts_and_loaded_both_go_on_alike()
    {
        TestChipset t = WithIrq8();
        Write(t, 1, 0xC0);
        Write(t, 3, 0x00);
        Write(t, 5, 0x00);
        Write(t, 0x0A, 0x2D);
        Write(t, 0x0B, 0x72);
        t.Advance(3_300_000_000);
        Read(t, 0x0C);
        Write(t, 0, 0x52);
        TestChipset other = t.Fork();
        Assert.Equal(t.Json(), other.Json());
        Assert.Equal(Serve(t, 20 * Second, 0), Serve(other, 20 * Second, 0));
        Assert.Equal(Time(t), Time(other));
        Assert.Equal(t.Json(), other.Json());
    }

    private static byte Read(TestChipset t, int register)
    {
        t.Out(0x70, register);
        return t.In(0x71);
    }

    private static void Write(TestChipset t, int register, int value)
    {
        t.Out(0x70, register);
        t.Out(0x71, value);
    }

    private static byte[] Time(TestChipset t) =>
        [Read(t, 0), Read(t, 2), Read(t, 4), Read(t, 6), Read(t, 7), Read(t, 8), Read(t, 9), Read(t, 0x32)];

    private static TestChipset WithIrq8()
    {
        var t = new TestChipset();
        t.Out(0x21, 0xFB);
        t.Out(0xA1, 0xFE);
        return t;
    }

    /// <summary>Counts the interrupts of the time that passes, each served by reading register C, which must have these flags.</summary>
    private static int Serve(TestChipset t, ulong time, int flags)
    {
        int count = 0;
        ulong end = t.Clock.Now + time;
        while (true)
        {
            if (t.Apic.HasInterrupt)
            {
                Assert.Equal(0x70, t.Apic.Acknowledge());
                Assert.Equal(flags, Read(t, 0x0C) & flags);
                t.Out(0xA0, 0x20);
                t.Out(0x20, 0x20);
                count++;
            }
            else if (t.Events.NextDeadline > end)
            {
                t.Clock.Now = end;
                return count;
            }
            else
            {
                t.AdvanceTo(t.Events.NextDeadline);
            }
        }
    }
}
