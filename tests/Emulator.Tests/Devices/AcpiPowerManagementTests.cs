namespace Emulator.Tests.Devices;

public sealed class AcpiPowerManagementTests
{
    private const int Status = 0x600, Enable = 0x602, Control = 0x604, Timer = 0x608;

    // floor(ns · 3579545 / 10⁹), worked out by hand.
    [Theory]
    [InlineData(0UL, 0U)]
    [InlineData(279UL, 0U)]
    [InlineData(280UL, 1U)]
    [InlineData(1_000_000_000UL, 3_579_545U)]
    [InlineData(10_000_000_000_000UL, 1_435_711_632U)] // 35795450000 modulo 2³²
    public void Timer_counts_at_3_579545_megahertz(ulong now, uint ticks)
    {
        var t = new TestChipset();
        t.Clock.Now = now;
        Assert.Equal(ticks, t.In32(Timer));
    }

    [Fact]
    public void Linux_s_check_of_the_timer_passes()
    {
        // drivers/clocksource/acpi_pm.c, verify_pmtmr_rate(): over counter 2's 10 ms about 35795 ticks.
        var t = new TestChipset();
        t.Out(0x61, 1);
        t.Out(0x43, 0xB0);
        t.Out(0x42, 11931 & 0xFF);
        t.Out(0x42, 11931 >> 8);
        uint first = t.In32(Timer);
        while ((t.In(0x61) & 0x20) == 0)
        {
            t.Advance(1000);
        }

        Assert.InRange(t.In32(Timer) - first, 35_790U, 35_805U);
    }

    [Fact]
    public void Acpi_mode_is_entered_and_left_through_the_command_port()
    {
        var t = new TestChipset();
        Assert.Equal(0, t.In16(Control));
        t.Out16(Control, 1);
        Assert.Equal(0, t.In16(Control));
        t.Out(0xB2, 0xF1);
        Assert.Equal(1, t.In16(Control));
        t.Out16(Control, 0);
        Assert.Equal(1, t.In16(Control));
        t.Out(0xB2, 0xF0);
        Assert.Equal(0, t.In16(Control));
    }

    [Fact]
    public void The_power_button_raises_the_sci_as_a_level_until_it_is_acknowledged()
    {
        var t = new TestChipset();
        t.Out(0x21, 0xFB);
        t.Out(0xA1, 0xFD);
        t.Out16(Enable, 0x0100);
        t.Chipset.PowerManagement.PressPowerButton();
        Assert.False(t.Apic.HasInterrupt);
        t.Out(0xB2, 0xF1);
        Assert.Equal(0x71, t.Apic.Acknowledge());
        Assert.Equal(0x0100, t.In16(Status));
        t.Out(0xA0, 0x20);
        t.Out(0x20, 0x20);
        Assert.True(t.Apic.HasInterrupt);
        t.Out16(Status, 0x0100);
        Assert.Equal(0, t.In16(Status));
        Assert.False(t.Apic.HasInterrupt);
    }

    [Fact]
    public void The_timer_s_top_bit_sets_its_status_and_interrupts_when_enabled()
    {
        var t = new TestChipset();
        t.Out(0x43, 0x30);
        t.Out(0x21, 0xFB);
        t.Out(0xA1, 0xFD);
        t.Out(0xB2, 0xF1);
        t.Out16(Enable, 0x0001);

        // 2³¹ ticks: 599932015940.1 ns
        const ulong HalfTurn = 599_932_015_941;
        t.AdvanceTo(HalfTurn - 1);
        Assert.False(t.Apic.HasInterrupt);
        Assert.Equal(0x7FFF_FFFFU, t.In32(Timer));
        t.AdvanceTo(HalfTurn);
        Assert.Equal(0x8000_0000U, t.In32(Timer));
        Assert.True(t.Apic.HasInterrupt);
        Assert.Equal(0x0001, t.In16(Status));
        t.Out16(Status, 0x0001);
        Assert.Equal(0x0000, t.In16(Status));
    }

    [Fact]
    public void Enable_keeps_what_this_hardware_has()
    {
        var t = new TestChipset();
        t.Out16(Enable, 0xFFFF);
        Assert.Equal(0x0521, t.In16(Enable));
        t.Out(Enable + 1, 0x00);
        Assert.Equal(0x0021, t.In16(Enable));
    }

    [Fact]
    public void Soft_off_is_what_linux_writes()
    {
        // ACPICA, acpi_hw_legacy_sleep(): the type first, then the type with SLP_EN.
        var t = new TestChipset();
        t.Out(0xB2, 0xF1);
        t.Out16(Control, 0x1401);
        Assert.Empty(t.Asked);
        t.Out16(Control, 0x3401);
        Assert.Equal(["power off"], t.Asked);
        Assert.Equal(0x1401, t.In16(Control));
    }

    [Fact]
    public void Saved_with_an_event_pending_and_loaded_both_go_on_alike()
    {
        var t = new TestChipset();
        t.Out(0x43, 0x30);
        t.Out(0xB2, 0xF1);
        t.Out(0xB3, 0x5A);
        t.Out16(Enable, 0x0101);
        t.Chipset.PowerManagement.PressPowerButton();
        t.AdvanceTo(500_000_000_000);
        TestChipset other = t.Fork();
        Assert.Equal(t.Json(), other.Json());
        foreach (TestChipset each in new[] { t, other })
        {
            each.Out16(Status, 0x0100);
            each.Advance(200_000_000_000);
            Assert.Equal(0x0001, each.In16(Status));
            Assert.Equal(0x5A, each.In(0xB3));
        }

        Assert.Equal(t.Json(), other.Json());
    }
}
