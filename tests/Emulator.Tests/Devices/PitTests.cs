namespace Emulator.Tests.Devices;

public sealed class PitTests
{
    // One tick is 838.09… ns; tick n begins at ceil(n · 10⁹ / 1193182).
    private const ulong Second = 1_000_000_000;

    [Fact]
    public void Interrupts_of_a_thousand_seconds_fall_exactly_where_the_crystal_puts_them()
    {
        // Divisor 11932 gives 99.998491 Hz: in 1000 s there are floor(1193182000 / 11932) = 99998 periods and a bit.
        var t = new TestChipset();
        t.AdvanceTo(1000);
        t.Out(0x43, 0x34);
        t.Out(0x40, 0x9C);
        t.Out(0x40, 0x2E);

        // Loaded at tick 2 (tick 1 began at 839 ns), the output falls at count 1 and rises as count 0 reloads.
        List<(ulong Instant, int Vector)> taken = t.TakePicInterrupts(1000 * Second);
        Assert.Equal(99_998, taken.Count);
        Assert.Equal((ulong)10_001_828, taken[0].Instant);
        Assert.All(taken, x => Assert.Equal(8, x.Vector));
        for (int i = 0; i < taken.Count; i += 997)
        {
            UInt128 tick = 2 + (UInt128)((i + 1) * 11932L);
            Assert.Equal((ulong)(((tick * Second) + 1_193_181) / 1_193_182), taken[i].Instant);
        }
    }

    [Fact]
    public void Firmware_s_square_wave_has_a_period_of_65536_ticks()
    {
        var t = new TestChipset();
        List<(ulong Instant, int Vector)> taken = t.TakePicInterrupts(Second);
        Assert.Equal(18, taken.Count);

        // Loaded at tick 1; 65537 · 10⁹ / 1193182 = 54926239.2
        Assert.Equal(54_926_240UL, taken[0].Instant);
    }

    [Fact]
    public void Linux_s_calibration_over_port_61_takes_fifty_milliseconds()
    {
        // arch/x86/kernel/tsc.c, pit_calibrate_tsc(): counter 2, mode 0, 50 ms, poll OUT2.
        var t = new TestChipset();
        t.Out(0x61, (t.In(0x61) & ~0x02) | 0x01);
        t.Out(0x43, 0xB0);
        t.Out(0x42, 59659 & 0xFF);
        t.Out(0x42, 59659 >> 8);
        ulong start = t.Clock.Now;
        while ((t.In(0x61) & 0x20) == 0)
        {
            t.Advance(100);
        }

        // 59659 + 1 ticks: 50000754.2 ns
        Assert.InRange(t.Clock.Now - start, 50_000_755UL, 50_000_855UL);
    }

    [Fact]
    public void Linux_s_quick_calibration_sees_the_high_byte_fall_every_256_ticks()
    {
        // quick_pit_calibrate(): mode 0, FFFFh, the high byte read again and again.
        var t = new TestChipset();
        t.Out(0x61, 0x01);
        t.Out(0x43, 0xB0);
        t.Out(0x42, 0xFF);
        t.Out(0x42, 0xFF);
        t.Advance(2000);
        byte before = High(t);
        Assert.Equal(0xFF, before);
        ulong last = 0;
        for (int changes = 0; changes < 10;)
        {
            t.Advance(10);
            byte now = High(t);
            if (now != before)
            {
                Assert.Equal(before - 1, now);
                if (changes > 0)
                {
                    Assert.InRange(t.Clock.Now - last, 214_540UL, 214_570UL);
                }

                last = t.Clock.Now;
                before = now;
                changes++;
            }
        }

        static byte High(TestChipset t)
        {
            t.In(0x42);
            return t.In(0x42);
        }
    }

    [Fact]
    public void Refresh_bit_toggles_every_18_ticks()
    {
        var t = new TestChipset();
        int changes = 0;
        int before = t.In(0x61) & 0x10;
        for (int i = 0; i < 10_000; i++)
        {
            t.Advance(100);
            int now = t.In(0x61) & 0x10;
            changes += now != before ? 1 : 0;
            before = now;
        }

        // 1 ms is 1193 ticks: 66 toggles.
        Assert.Equal(66, changes);
    }

    // OUT of counter 2 at ticks 0 … after the load, gate high, count 4 (modes 0–5) or 5.
    [Theory]
    [InlineData(0, 4, "____--------")]
    [InlineData(2, 4, "---_---_---_")]
    [InlineData(3, 4, "--__--__--__")]
    [InlineData(3, 5, "---__---__--")]
    [InlineData(4, 4, "----_-------")]
    [InlineData(6, 4, "---_---_---_")]
    [InlineData(7, 4, "--__--__--__")]
    public void Output_follows_the_waveforms_of_the_data_sheet(int mode, int count, string waveform)
    {
        TestChipset t = WithCounter2(mode, count, gate: 1);
        Assert.Equal(waveform, Waveform(t, waveform.Length));
    }

    // Modes 1 and 5 wait for the gate's rising edge.
    [Theory]
    [InlineData(1, 4, "____--------")]
    [InlineData(5, 4, "----_-------")]
    public void Hardware_triggered_modes_start_with_the_gate(int mode, int count, string waveform)
    {
        TestChipset t = WithCounter2(mode, count, gate: 0);
        Assert.Equal("--------", Waveform(t, 8));
        t.Out(0x61, 1);
        t.AdvanceTo(Tick(t.Chipset.Pit.Tick + 1));
        Assert.Equal(waveform, Waveform(t, waveform.Length));

        // Again, and retriggered in the middle.
        t.Out(0x61, 0);
        t.Out(0x61, 1);
        t.AdvanceTo(Tick(t.Chipset.Pit.Tick + 3));
        t.Out(0x61, 0);
        t.Out(0x61, 1);
        t.AdvanceTo(Tick(t.Chipset.Pit.Tick + 1));
        Assert.Equal(waveform, Waveform(t, waveform.Length));
    }

    [Fact]
    public void A_low_gate_holds_the_count_of_mode_0_and_lets_it_go_on()
    {
        TestChipset t = WithCounter2(0, 100, gate: 1);
        t.AdvanceTo(Tick(t.Chipset.Pit.Tick + 10));
        t.Out(0x61, 0);
        t.Advance(Second);
        Assert.Equal(90, Count(t));
        t.Out(0x61, 1);
        t.AdvanceTo(Tick(t.Chipset.Pit.Tick + 89));
        Assert.Equal(0, t.In(0x61) & 0x20);
        t.AdvanceTo(Tick(t.Chipset.Pit.Tick + 1));
        Assert.Equal(0x20, t.In(0x61) & 0x20);
    }

    [Fact]
    public void A_low_gate_stops_the_periodic_modes_with_the_output_high_and_starts_them_anew()
    {
        TestChipset t = WithCounter2(3, 10, gate: 1);
        t.AdvanceTo(Tick(t.Chipset.Pit.Tick + 7));
        Assert.Equal(0, t.In(0x61) & 0x20);
        t.Out(0x61, 0);
        Assert.Equal("----------------", Waveform(t, 16));
        t.Out(0x61, 1);
        t.AdvanceTo(Tick(t.Chipset.Pit.Tick + 1));
        Assert.Equal("-----_____-----_____", Waveform(t, 20));
    }

    [Fact]
    public void A_new_count_in_mode_2_waits_for_the_end_of_the_period()
    {
        TestChipset t = WithCounter2(2, 6, gate: 1);
        t.AdvanceTo(Tick(t.Chipset.Pit.Tick + 2));
        t.Out(0x42, 3);
        t.Out(0x42, 0);
        Assert.Equal("---_--_--_--_", Waveform(t, 13));
    }

    [Fact]
    public void A_new_count_in_mode_3_waits_for_the_end_of_the_half_period()
    {
        TestChipset t = WithCounter2(3, 8, gate: 1);
        t.AdvanceTo(Tick(t.Chipset.Pit.Tick + 1));
        t.Out(0x42, 4);
        t.Out(0x42, 0);
        Assert.Equal("---__--__--__", Waveform(t, 13));
    }

    [Theory]
    [InlineData(2, 5, new[] { 5, 4, 3, 2, 1, 5, 4 })]
    [InlineData(3, 6, new[] { 6, 4, 2, 6, 4, 2, 6 })]
    [InlineData(3, 5, new[] { 4, 2, 0, 4, 2, 4, 2 })]
    [InlineData(0, 2, new[] { 2, 1, 0, 0xFFFF, 0xFFFE, 0xFFFD, 0xFFFC })]
    public void The_counting_element_shows_the_data_sheet_s_values(int mode, int count, int[] values)
    {
        TestChipset t = WithCounter2(mode, count, gate: 1);
        foreach (int value in values)
        {
            Assert.Equal(value, Count(t));
            t.AdvanceTo(Tick(t.Chipset.Pit.Tick + 1));
        }
    }

    [Fact]
    public void Bcd_counts_in_decimal()
    {
        var t = new TestChipset();
        t.Out(0x61, 1);
        t.Out(0x43, 0xB1);
        t.Out(0x42, 0x00);
        t.Out(0x42, 0x10);
        t.AdvanceTo(Tick(t.Chipset.Pit.Tick + 2));
        Assert.Equal(0x0999, Count(t));
    }

    [Fact]
    public void A_latched_count_stands_still_until_it_is_read()
    {
        TestChipset t = WithCounter2(0, 1000, gate: 1);
        t.Out(0x43, 0x80);
        t.Advance(100_000);
        t.Out(0x43, 0x80);
        Assert.Equal(1000, t.In(0x42) | (t.In(0x42) << 8));
        Assert.NotEqual(1000, t.In(0x42) | (t.In(0x42) << 8));
    }

    [Theory]
    [InlineData(1, 0x10, 0x7B)]
    [InlineData(2, 0x20, 0x04)]
    public void Access_modes_read_one_byte(int _, int access, int value)
    {
        // 047Bh + 1, one tick after the load
        var t = new TestChipset();
        t.Out(0x61, 1);
        t.Out(0x43, 0x80 | 0x30);
        t.Out(0x42, 0x7C);
        t.Out(0x42, 0x04);
        t.AdvanceTo(Tick(t.Chipset.Pit.Tick + 2));
        Assert.Equal(0x047B, Count(t));
        t.Out(0x43, 0x80 | access);
        t.Out(0x42, access == 0x10 ? 0x7C : 0x05);
        t.AdvanceTo(Tick(t.Chipset.Pit.Tick + 2));
        Assert.Equal(value, t.In(0x42));
    }

    [Fact]
    public void Read_back_latches_status_before_count()
    {
        TestChipset t = WithCounter2(2, 0x1234, gate: 1);
        t.Out(0x43, 0xC8);
        Assert.Equal(0xB4, t.In(0x42));
        Assert.Equal((0x34, 0x12), (t.In(0x42), t.In(0x42)));
    }

    [Fact]
    public void Status_says_that_a_written_count_is_not_yet_in_use()
    {
        var t = new TestChipset();
        t.Out(0x61, 1);
        t.Out(0x43, 0xB4);
        t.Out(0x42, 0x34);
        t.Out(0x42, 0x12);
        t.Out(0x43, 0xE8);
        Assert.Equal(0xF4, t.In(0x42));
        t.Advance(2000);
        t.Out(0x43, 0xE8);
        Assert.Equal(0xB4, t.In(0x42));
    }

    [Fact]
    public void Mode_0_on_counter_0_interrupts_once()
    {
        var t = new TestChipset();
        t.Out(0x43, 0x30);
        t.Out(0x40, 0xA9);
        t.Out(0x40, 0x04);
        List<(ulong Instant, int Vector)> taken = t.TakePicInterrupts(Second);
        (ulong instant, int vector) = Assert.Single(taken);

        // 1193 + 1 ticks.
        Assert.Equal((1_000_686UL, 8), (instant, vector));
    }

    [Fact]
    public void Port_61_keeps_its_enables_and_does_not_store_what_is_read_only()
    {
        var t = new TestChipset();
        t.Out(0x61, 0xFF);
        Assert.Equal(0x0F, t.In(0x61) & 0xCF);
        t.Out(0x61, 0x00);
        Assert.Equal(0x00, t.In(0x61) & 0xCF);
    }

    [Fact]
    public void Saved_in_the_middle_of_a_period_and_loaded_both_go_on_alike()
    {
        TestChipset t = WithCounter2(3, 1000, gate: 1);
        t.Out(0x43, 0x34);
        t.Out(0x40, 0x9C);
        t.Out(0x40, 0x2E);
        t.Advance(12_345_678);
        t.Out(0x43, 0x80);
        t.In(0x42);
        t.Out(0x40, 0x33);
        TestChipset other = t.Fork();
        Assert.Equal(t.Json(), other.Json());
        Assert.Equal(t.In(0x42), other.In(0x42));
        Assert.Equal(t.TakePicInterrupts(Second), other.TakePicInterrupts(Second));
        t.Out(0x40, 0x33);
        other.Out(0x40, 0x33);
        Assert.Equal(t.TakePicInterrupts(Second), other.TakePicInterrupts(Second));
        Assert.Equal(t.Json(), other.Json());
    }

    private static ulong Tick(long tick) => (ulong)((((UInt128)tick * Second) + 1_193_181) / 1_193_182);

    private static TestChipset WithCounter2(int mode, int count, int gate)
    {
        var t = new TestChipset();
        t.Out(0x61, gate);
        t.Out(0x43, 0xB0 | (mode << 1));
        t.Out(0x42, count & 0xFF);
        t.Out(0x42, count >> 8);
        t.AdvanceTo(Tick(t.Chipset.Pit.Tick + 1));
        return t;
    }

    private static string Waveform(TestChipset t, int ticks)
    {
        char[] levels = new char[ticks];
        for (int i = 0; i < ticks; i++)
        {
            levels[i] = (t.In(0x61) & 0x20) != 0 ? '-' : '_';
            t.AdvanceTo(Tick(t.Chipset.Pit.Tick + 1));
        }

        return new string(levels);
    }

    private static int Count(TestChipset t)
    {
        t.Out(0x43, 0x80);
        return t.In(0x42) | (t.In(0x42) << 8);
    }
}
