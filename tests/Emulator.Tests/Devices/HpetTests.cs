namespace Emulator.Tests.Devices;

public sealed class HpetTests
{
    private const ulong Base = 0xFED0_0000, Config = Base + 0x10, Status = Base + 0x20, Counter = Base + 0xF0;

    [Fact]
    public void Capabilities_are_three_64_bit_timers_of_10_ns_with_legacy_replacement()
    {
        var t = new TestChipset();
        Assert.Equal(0x0098_9680_8086_A201UL, t.ReadMemory(Base, 8));
        Assert.Equal((0x8086_A201UL, 10_000_000UL), (t.ReadMemory(Base, 4), t.ReadMemory(Base + 4, 4)));
        for (ulong timer = 0; timer < 3; timer++)
        {
            // Periodic and 64-bit capable, inputs 20–23.
            Assert.Equal(0x00F0_0000_0000_0030UL, t.ReadMemory(Timer(timer), 8));
            Assert.Equal(ulong.MaxValue, t.ReadMemory(Timer(timer) + 8, 8));
        }
    }

    [Fact]
    public void Counter_stands_until_enabled_and_then_counts_tens_of_nanoseconds()
    {
        var t = new TestChipset();
        t.AdvanceTo(1234);
        Assert.Equal(0UL, t.ReadMemory(Counter, 8));
        t.WriteMemory(Counter, 8, 0xFFFF_FFF0);
        t.WriteMemory(Config, 8, 1);
        t.AdvanceTo(1234 + 159);
        Assert.Equal(0xFFFF_FFFFUL, t.ReadMemory(Counter, 8));
        t.AdvanceTo(1234 + 160);
        Assert.Equal(0x1_0000_0000UL, t.ReadMemory(Counter, 8));
        Assert.Equal((0UL, 1UL), (t.ReadMemory(Counter, 4), t.ReadMemory(Counter + 4, 4)));
        t.WriteMemory(Config, 8, 0);
        t.Advance(1000);
        Assert.Equal(0x1_0000_0000UL, t.ReadMemory(Counter, 8));
    }

    [Fact]
    public void One_shot_interrupts_at_its_tick_through_the_io_apic()
    {
        TestChipset t = WithPin20(0x40);
        t.WriteMemory(Timer(2), 8, 0x2804); // enabled, input 20
        t.WriteMemory(Timer(2) + 8, 8, 1000);
        t.WriteMemory(Config, 8, 1);
        t.AdvanceTo(9_999);
        Assert.False(t.Apic.HasInterrupt);
        t.AdvanceTo(10_000);
        Assert.Equal(0x40, t.Apic.Acknowledge());
        t.WriteApic(0xB0, 0);
        t.Advance(100_000_000);
        Assert.False(t.Apic.HasInterrupt);
    }

    [Fact]
    public void A_32_bit_one_shot_matches_again_when_the_counter_wraps()
    {
        TestChipset t = WithPin20(0x40);
        t.WriteMemory(Timer(2), 8, 0x2904);
        t.WriteMemory(Timer(2) + 8, 8, 5);
        t.WriteMemory(Config, 8, 1);
        t.AdvanceTo(50);
        Assert.Equal(0x40, t.Apic.Acknowledge());
        t.WriteApic(0xB0, 0);
        t.Out(0x43, 0x30);
        t.AdvanceTo(50 + (0x1_0000_0000UL * 10) - 1);
        Assert.False(t.Apic.HasInterrupt);
        t.Advance(1);
        Assert.True(t.Apic.HasInterrupt);
    }

    [Fact]
    public void Linux_s_periodic_set_up_runs_through_irq_0_in_legacy_replacement()
    {
        // arch/x86/kernel/hpet.c, hpet_clkevt_set_state_periodic(): accumulator first, then the period; 1000 Hz.
        var t = new TestChipset();
        t.WriteMemory(Config, 4, 3);
        t.WriteMemory(Timer(0), 4, 0x14C); // enable, periodic, set accumulator, 32 bits
        t.WriteMemory(Timer(0) + 8, 4, 50_000);
        t.Advance(1000);
        t.WriteMemory(Timer(0) + 8, 4, 100_000);
        List<(ulong Instant, int Vector)> taken = t.TakePicInterrupts(100_000_000 - 1000);
        Assert.Equal(100, taken.Count);
        for (int i = 0; i < taken.Count; i++)
        {
            Assert.Equal((500_000UL + ((ulong)i * 1_000_000), 8), taken[i]);
        }

        Assert.Equal(100_00_000UL + 50_000, t.ReadMemory(Timer(0) + 8, 4));
    }

    [Fact]
    public void Legacy_replacement_silences_the_pit_and_the_clock_and_gives_them_back()
    {
        var t = new TestChipset();
        t.WriteMemory(Config, 4, 3);
        Assert.Empty(t.TakePicInterrupts(1_000_000_000));
        t.WriteMemory(Config, 4, 1);
        Assert.Equal(18, t.TakePicInterrupts(1_000_000_000).Count, 1.0);
    }

    [Fact]
    public void Timer_1_is_irq_8_in_legacy_replacement()
    {
        var t = new TestChipset();
        t.Out(0xA1, 0xFE);
        t.WriteMemory(Timer(1), 4, 0x04);
        t.WriteMemory(Timer(1) + 8, 8, 100);
        t.WriteMemory(Config, 4, 3);
        Assert.Equal([(1000UL, 0x70)], t.TakePicInterrupts(1_000_000));
    }

    [Fact]
    public void A_level_timer_holds_its_input_until_its_status_bit_is_cleared()
    {
        TestChipset t = WithPin20(0x8040);
        t.WriteMemory(Timer(1), 8, 0x2806);
        t.WriteMemory(Timer(1) + 8, 8, 100);
        t.WriteMemory(Config, 8, 1);
        t.AdvanceTo(1000);
        Assert.Equal(2UL, t.ReadMemory(Status, 4));
        Assert.Equal(0x40, t.Apic.Acknowledge());
        t.WriteApic(0xB0, 0);
        Assert.Equal(0x40, t.Apic.Acknowledge());
        t.WriteMemory(Status, 4, 2);
        t.WriteApic(0xB0, 0);
        Assert.False(t.Apic.HasInterrupt);
        Assert.Equal(0UL, t.ReadMemory(Status, 4));
    }

    [Fact]
    public void A_comparator_set_to_the_present_tick_matches_now_and_one_in_the_past_does_not()
    {
        TestChipset t = WithPin20(0x40);
        t.WriteMemory(Config, 8, 1);
        t.AdvanceTo(1003);
        t.WriteMemory(Timer(2), 8, 0x2804);
        t.WriteMemory(Timer(2) + 8, 8, 99);
        t.Advance(1);
        Assert.False(t.Apic.HasInterrupt);
        t.WriteMemory(Timer(2) + 8, 8, 100);
        t.AdvanceTo(1004);
        Assert.True(t.Apic.HasInterrupt);
    }

    [Fact]
    public void A_period_of_nothing_never_repeats()
    {
        TestChipset t = WithPin20(0x40);
        t.WriteMemory(Timer(2), 8, 0x284C);
        t.WriteMemory(Timer(2) + 8, 8, 0);
        t.WriteMemory(Config, 8, 1);
        t.Advance(1_000_000);
        Assert.Equal(1, t.Vcpus[0].Changes);
    }

    [Theory]
    [InlineData(1, 0)]
    [InlineData(2, 4)]
    [InlineData(8, 4)]
    public void Odd_accesses_change_nothing(int size, int offset)
    {
        var t = new TestChipset();
        t.WriteMemory(Config + (ulong)offset, size, 1);
        Assert.Equal(0UL, t.ReadMemory(Config, 8));
    }

    [Fact]
    public void Saved_in_the_middle_of_a_period_and_loaded_both_go_on_alike()
    {
        TestChipset t = WithPin20(0x8040);
        t.AdvanceTo(77);
        t.WriteMemory(Config, 4, 3);
        t.WriteMemory(Timer(0), 4, 0x14C);
        t.WriteMemory(Timer(0) + 8, 4, 5_000);
        t.WriteMemory(Timer(0) + 8, 4, 7_777);
        t.WriteMemory(Timer(1), 8, 0x2806);
        t.WriteMemory(Timer(2), 8, 0x2806);
        t.WriteMemory(Timer(2) + 8, 8, 4_000);
        t.Out(0x21, 0xFE);
        t.Advance(123_456);
        TestChipset other = t.Fork();
        Assert.Equal(t.Json(), other.Json());
        t.WriteMemory(Status, 4, 4);
        other.WriteMemory(Status, 4, 4);
        Assert.Equal(t.TakePicInterrupts(1_000_000), other.TakePicInterrupts(1_000_000));
        Assert.Equal(t.ReadMemory(Counter, 8), other.ReadMemory(Counter, 8));
        Assert.Equal(t.Json(), other.Json());
    }

    private static ulong Timer(ulong number) => Base + 0x100 + (0x20 * number);

    private static TestChipset WithPin20(uint entry)
    {
        var t = new TestChipset();
        t.Out(0x21, 0xFF);
        t.WriteApic(0xF0, 0x1FF);
        t.WriteIoApic(0x10 + 40, entry);
        return t;
    }
}
