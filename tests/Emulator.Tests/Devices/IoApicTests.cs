using Emulator.Devices;

namespace Emulator.Tests.Devices;

public sealed class IoApicTests
{
    [Fact]
    public void Registers_after_reset_are_the_data_sheet_s()
    {
        var t = new TestChipset();
        Assert.Equal(0x0017_0020U, t.ReadIoApic(1));
        for (int pin = 0; pin < 24; pin++)
        {
            Assert.Equal((0x0001_0000U, 0U), (t.ReadIoApic(0x10 + (2 * pin)), t.ReadIoApic(0x11 + (2 * pin))));
        }

        t.WriteIoApic(0, 0xFFFF_FFFF);
        Assert.Equal(0x0F00_0000U, t.ReadIoApic(0));
        Assert.Equal(0U, t.ReadIoApic(0x40));
    }

    [Fact]
    public void Delivery_status_and_remote_irr_cannot_be_written()
    {
        var t = new TestChipset();
        t.WriteIoApic(0x10, 0xFFFF_FFFF);
        t.WriteIoApic(0x11, 0xFFFF_FFFF);
        Assert.Equal((0x0001_AFFFU, 0xFF00_0000U), (t.ReadIoApic(0x10), t.ReadIoApic(0x11)));
    }

    [Theory]
    [InlineData(0, 2)]
    [InlineData(1, 1)]
    [InlineData(4, 4)]
    [InlineData(12, 12)]
    public void Isa_interrupts_arrive_at_their_pins_and_irq_0_at_2(int irq, int pin)
    {
        var t = WithPin(pin, 0x0000_0040);
        switch (irq)
        {
            case 0:
                t.Out(0x43, 0x30);
                t.Out(0x40, 1);
                t.Out(0x40, 0);
                t.Advance(10_000);
                break;
            case 1:
                t.Out(0x60, 0xEE);
                break;
            case 4:
                t.Out(0x3FC, 8);
                t.Out(0x3F9, 2);
                break;
            default:
                t.Out(0x64, 0x60);
                t.Out(0x60, 0x47);
                t.Out(0x64, 0xD3);
                t.Out(0x60, 0);
                break;
        }

        Assert.True(t.Apic.HasInterrupt);
        Assert.Equal(0x40, t.Apic.Acknowledge());
    }

    [Fact]
    public void An_edge_is_one_interrupt_and_one_that_is_masked_is_lost()
    {
        TestChipset t = WithPin(5, 0x0001_0040);
        IoApic io = t.Chipset.IoApic;
        io.SetPin(5, true);
        t.WriteIoApic(0x1A, 0x0000_0040);
        Assert.False(t.Apic.HasInterrupt);
        io.SetPin(5, false);
        io.SetPin(5, true);
        Assert.Equal(0x40, t.Apic.Acknowledge());
        t.WriteApic(0xB0, 0);
        Assert.False(t.Apic.HasInterrupt);
    }

    [Fact]
    public void A_level_waits_in_remote_irr_for_the_end_and_asks_again_while_it_lasts()
    {
        TestChipset t = WithPin(9, 0x0000_8040);
        IoApic io = t.Chipset.IoApic;
        io.SetPin(9, true);
        Assert.Equal(0x0000_C040U, t.ReadIoApic(0x22));
        Assert.Equal(0x40, t.Apic.Acknowledge());
        Assert.Equal(1U, t.ReadApic(0x180 + 0x20));
        t.WriteApic(0xB0, 0);
        Assert.True(t.Apic.HasInterrupt);
        Assert.Equal(0x40, t.Apic.Acknowledge());
        io.SetPin(9, false);
        t.WriteApic(0xB0, 0);
        Assert.False(t.Apic.HasInterrupt);
        Assert.Equal(0x0000_8040U, t.ReadIoApic(0x22));
    }

    [Fact]
    public void A_level_that_came_while_masked_is_served_when_unmasked()
    {
        TestChipset t = WithPin(9, 0x0001_8040);
        t.Chipset.IoApic.SetPin(9, true);
        Assert.False(t.Apic.HasInterrupt);
        t.WriteIoApic(0x22, 0x0000_8040);
        Assert.Equal(0x40, t.Apic.Acknowledge());
    }

    [Fact]
    public void Linux_s_end_of_a_moved_level_interrupt_goes_through_the_eoi_register()
    {
        TestChipset t = WithPin(9, 0x0000_8040);
        t.Chipset.IoApic.SetPin(9, true);
        t.Chipset.IoApic.SetPin(9, false);
        t.WriteMemory(0xFEC0_0040, 4, 0x41);
        Assert.Equal(0x0000_C040U, t.ReadIoApic(0x22));
        t.WriteMemory(0xFEC0_0040, 4, 0x40);
        Assert.Equal(0x0000_8040U, t.ReadIoApic(0x22));
    }

    [Fact]
    public void Switching_to_edge_and_back_clears_remote_irr()
    {
        TestChipset t = WithPin(9, 0x0000_8040);
        t.Chipset.IoApic.SetPin(9, true);
        t.Chipset.IoApic.SetPin(9, false);
        t.WriteIoApic(0x22, 0x0001_0040);
        t.WriteIoApic(0x22, 0x0001_8040);
        Assert.Equal(0x0001_8040U, t.ReadIoApic(0x22));
    }

    [Theory]
    [InlineData(0x0000_0040U, 0x0100_0000U, ".1..")]
    [InlineData(0x0000_0840U, 0x0600_0000U, ".12.")]
    [InlineData(0x0000_0940U, 0x0600_0000U, ".1..")]
    [InlineData(0x0000_0040U, 0xFF00_0000U, "0123")]
    public void Destinations_are_those_of_the_entry(uint low, uint high, string heard)
    {
        TestChipset t = WithPin(6, low, high, processors: 4);
        t.Chipset.IoApic.SetPin(6, true);
        string got = "";
        for (int i = 0; i < 4; i++)
        {
            got += t.Chipset.LocalApics[i].HasInterrupt ? i.ToString() : ".";
        }

        Assert.Equal(heard, got);
    }

    [Theory]
    [InlineData(0x0000_0400U, 1, 0)]
    [InlineData(0x0000_0500U, 0, 1)]
    [InlineData(0x0000_0200U, 0, 0)]
    public void Entries_can_send_nmi_and_init(uint low, int nmis, int inits)
    {
        TestChipset t = WithPin(6, low);
        t.Chipset.IoApic.SetPin(6, true);
        Assert.Equal((nmis, inits), (t.Vcpus[0].Nmis, t.Vcpus[0].Inits));
    }

    [Fact]
    public void Saved_with_a_level_in_service_and_loaded_both_go_on_alike()
    {
        TestChipset t = WithPin(9, 0x0000_8040);
        t.Chipset.IoApic.SetPin(9, true);
        t.Apic.Acknowledge();
        t.WriteMemory(0xFEC0_0000, 4, 0x22);
        TestChipset other = t.Fork();
        Assert.Equal(t.Json(), other.Json());
        foreach (TestChipset each in new[] { t, other })
        {
            Assert.Equal(0x0000_C040UL, each.ReadMemory(0xFEC0_0010, 4));
            each.WriteApic(0xB0, 0);
            Assert.Equal(0x40, each.Apic.Acknowledge());
            each.Chipset.IoApic.SetPin(9, false);
            each.WriteApic(0xB0, 0);
            Assert.False(each.Apic.HasInterrupt);
        }

        Assert.Equal(t.Json(), other.Json());
    }

    private static TestChipset WithPin(int pin, uint low, uint high = 0, int processors = 1)
    {
        var t = new TestChipset(processors);
        t.Out(0x21, 0xFF);
        for (int i = 0; i < processors; i++)
        {
            t.Chipset.LocalApics[i].WriteMmio(0xF0, 4, 0x1FF);
            t.Chipset.LocalApics[i].WriteMmio(0xD0, 4, (ulong)(0x0100_0000u << i));
        }

        t.WriteIoApic(0x11 + (2 * pin), high);
        t.WriteIoApic(0x10 + (2 * pin), low);
        return t;
    }
}
