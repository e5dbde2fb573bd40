using Emulator.Devices;

namespace Emulator.Tests.Devices;

public sealed class PicTests
{
    [Fact]
    public void Firmware_leaves_vectors_8_and_70_the_timer_and_keyboard_open_and_the_sci_a_level()
    {
        var t = new TestChipset();
        Assert.Equal((0xF8, 0xFF), (t.In(0x21), t.In(0xA1)));
        Assert.Equal((0x00, 0x02), (t.In(0x4D0), t.In(0x4D1)));
        t.Chipset.Pic.SetLine(1, true);
        Assert.Equal(0x09, t.Chipset.Pic.Acknowledge());
    }

    [Theory]
    [InlineData(0, 0x20)]
    [InlineData(7, 0x27)]
    [InlineData(8, 0x28)]
    [InlineData(15, 0x2F)]
    public void Vectors_come_from_icw2(int irq, int vector)
    {
        TestChipset t = Linux();
        t.Chipset.Pic.SetLine(irq, true);
        Assert.True(t.Chipset.Pic.Output);
        Assert.Equal(vector, t.Chipset.Pic.Acknowledge());
    }

    [Fact]
    public void Lower_inputs_go_first_and_wait_for_the_end_of_what_is_served()
    {
        TestChipset t = Linux();
        PicPair pic = t.Chipset.Pic;
        pic.SetLine(4, true);
        pic.SetLine(1, true);
        Assert.Equal(0x21, pic.Acknowledge());
        Assert.False(pic.Output);
        pic.SetLine(0, true);
        Assert.Equal(0x20, pic.Acknowledge());
        t.Out(0x20, 0x20);
        Assert.False(pic.Output);
        t.Out(0x20, 0x61);
        Assert.Equal(0x24, pic.Acknowledge());
    }

    [Fact]
    public void Request_and_service_registers_read_through_ocw3()
    {
        TestChipset t = Linux();
        t.Chipset.Pic.SetLine(4, true);
        t.Chipset.Pic.SetLine(3, true);
        t.Chipset.Pic.Acknowledge();
        t.Out(0x20, 0x0A);
        Assert.Equal(0x10, t.In(0x20));
        t.Out(0x20, 0x0B);
        Assert.Equal(0x08, t.In(0x20));
    }

    [Fact]
    public void An_edge_is_served_once_however_long_the_wire_stays_high()
    {
        TestChipset t = Linux();
        PicPair pic = t.Chipset.Pic;
        pic.SetLine(5, true);
        pic.Acknowledge();
        t.Out(0x20, 0x20);
        Assert.False(pic.Output);
        pic.SetLine(5, false);
        pic.SetLine(5, true);
        Assert.True(pic.Output);
    }

    [Fact]
    public void A_level_asks_again_until_the_wire_falls()
    {
        TestChipset t = Linux();
        PicPair pic = t.Chipset.Pic;
        t.Out(0x4D0, 0x20);
        pic.SetLine(5, true);
        Assert.Equal(0x25, pic.Acknowledge());
        t.Out(0x20, 0x20);
        Assert.True(pic.Output);
        Assert.Equal(0x25, pic.Acknowledge());
        pic.SetLine(5, false);
        t.Out(0x20, 0x20);
        Assert.False(pic.Output);
    }

    [Theory]
    [InlineData(5, 0x4D0)]
    [InlineData(11, 0x4D1)]
    public void A_level_gone_before_the_acknowledge_is_spurious_7_and_leaves_no_service_bit(int irq, int edgeLevel)
    {
        TestChipset t = Linux();
        PicPair pic = t.Chipset.Pic;
        t.Out(edgeLevel, 1 << (irq & 7));
        pic.SetLine(irq, true);
        Assert.True(pic.Output);
        pic.SetLine(irq, false);
        Assert.False(pic.Output);
        Assert.Equal(0x27, pic.Acknowledge());
        t.Out(0x20, 0x0B);
        t.Out(0xA0, 0x0B);
        Assert.Equal((0, 0), (t.In(0x20), t.In(0xA0)));
    }

    [Fact]
    public void The_registers_for_edge_and_level_keep_irq_0_1_2_8_and_13_as_edges()
    {
        TestChipset t = Linux();
        t.Out16(0x4D0, 0xFFFF);
        Assert.Equal(0xDEF8, t.In16(0x4D0));
    }

    [Fact]
    public void Automatic_end_leaves_nothing_in_service_and_can_rotate()
    {
        TestChipset t = Linux(icw4: 0x03);
        PicPair pic = t.Chipset.Pic;
        t.Out(0x20, 0x80);
        pic.SetLine(3, true);
        Assert.Equal(0x23, pic.Acknowledge());
        t.Out(0x20, 0x0B);
        Assert.Equal(0, t.In(0x20));

        // 3 is now the lowest priority, 4 the highest.
        pic.SetLine(3, false);
        pic.SetLine(3, true);
        pic.SetLine(4, true);
        Assert.Equal(0x24, pic.Acknowledge());
    }

    [Theory]
    [InlineData(0xC3, 0x24)] // set priority: 3 lowest
    [InlineData(0xC7, 0x20)]
    public void Priorities_can_be_set(int command, int first)
    {
        TestChipset t = Linux();
        t.Out(0x20, command);
        foreach (int irq in new[] { 0, 3, 4 })
        {
            t.Chipset.Pic.SetLine(irq, true);
        }

        Assert.Equal(first, t.Chipset.Pic.Acknowledge());
    }

    [Theory]
    [InlineData(0xA0)]
    [InlineData(0xE3)]
    public void Rotating_ends_put_the_served_input_last(int command)
    {
        TestChipset t = Linux();
        PicPair pic = t.Chipset.Pic;
        pic.SetLine(3, true);
        pic.Acknowledge();
        t.Out(0x20, command);
        pic.SetLine(2 + 2, true);
        pic.SetLine(1, true);
        Assert.Equal(0x24, pic.Acknowledge());
    }

    [Fact]
    public void Special_mask_mode_lets_lower_priorities_through_a_masked_service()
    {
        TestChipset t = Linux();
        PicPair pic = t.Chipset.Pic;
        pic.SetLine(1, true);
        pic.Acknowledge();
        pic.SetLine(6, true);
        Assert.False(pic.Output);
        t.Out(0x21, 0x02);
        Assert.False(pic.Output);
        t.Out(0x20, 0x68);
        Assert.Equal(0x26, pic.Acknowledge());

        // The non-specific end does not touch the masked one.
        t.Out(0x20, 0x20);
        t.Out(0x20, 0x0B);
        Assert.Equal(0x02, t.In(0x20));
    }

    [Theory]
    [InlineData(0x01, false)]
    [InlineData(0x11, true)]
    public void Special_fully_nested_mode_lets_the_slave_interrupt_itself(int icw4, bool interrupts)
    {
        TestChipset t = Linux(icw4);
        PicPair pic = t.Chipset.Pic;
        pic.SetLine(12, true);
        Assert.Equal(0x2C, pic.Acknowledge());
        pic.SetLine(9, true);
        Assert.Equal(interrupts, pic.Output);
    }

    [Fact]
    public void Poll_acknowledges_by_a_read()
    {
        TestChipset t = Linux();
        t.Chipset.Pic.SetLine(6, true);
        t.Out(0x20, 0x0C);
        Assert.Equal(0x86, t.In(0x20));
        t.Out(0x20, 0x0C);
        Assert.Equal(0x00, t.In(0x20));
        t.Out(0x20, 0x0B);
        Assert.Equal(0x40, t.In(0x20));
    }

    [Fact]
    public void Masking_holds_a_request_back_and_does_not_lose_it()
    {
        TestChipset t = Linux();
        t.Out(0x21, 0xFF);
        t.Chipset.Pic.SetLine(4, true);
        t.Chipset.Pic.SetLine(4, false);
        Assert.False(t.Apic.HasInterrupt);
        t.Vcpus[0].Changes = 0;
        t.Out(0x21, 0xEF);
        Assert.True(t.Apic.HasInterrupt);
        Assert.Equal(1, t.Vcpus[0].Changes);
        Assert.Equal(0x24, t.Apic.Acknowledge());
    }

    [Fact]
    public void Saved_while_serving_and_loaded_both_go_on_alike()
    {
        TestChipset t = Linux();
        PicPair pic = t.Chipset.Pic;
        pic.SetLine(4, true);
        pic.SetLine(12, true);
        pic.Acknowledge();
        t.Out(0x20, 0x11);
        t.Out(0x21, 0x40);
        TestChipset other = t.Fork();
        Assert.Equal(t.Json(), other.Json());
        foreach (TestChipset each in new[] { t, other })
        {
            each.Out(0x21, 0x04);
            each.Out(0x21, 0x01);
            each.Chipset.Pic.SetLine(4, true);   // still high: no edge
            Assert.False(each.Chipset.Pic.Output);
            each.Chipset.Pic.SetLine(4, false);
            each.Chipset.Pic.SetLine(4, true);
            Assert.Equal(0x44, each.Chipset.Pic.Acknowledge());
        }

        Assert.Equal(t.Json(), other.Json());
    }

    /// <summary>Initialised as arch/x86/kernel/i8259.c does: vectors 20h and 28h, everything open.</summary>
    private static TestChipset Linux(int icw4 = 0x01)
    {
        var t = new TestChipset();
        foreach ((int port, int value) in new[]
        {
            (0x20, 0x11), (0x21, 0x20), (0x21, 0x04), (0x21, icw4),
            (0xA0, 0x11), (0xA1, 0x28), (0xA1, 0x02), (0xA1, 0x01),
            (0x21, 0x00), (0xA1, 0x00), (0x4D0, 0), (0x4D1, 0),
        })
        {
            t.Out(port, value);
        }

        // The PIT's wire is high from the start.
        t.Chipset.Pic.SetLine(0, false);
        return t;
    }
}
