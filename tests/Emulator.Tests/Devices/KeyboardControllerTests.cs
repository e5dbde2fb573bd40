namespace Emulator.Tests.Devices;

public sealed class KeyboardControllerTests
{
    [Fact]
    public void Linux_s_probe_finds_a_controller_a_keyboard_and_an_empty_auxiliary_port()
    {
        // drivers/input/serio/i8042.c: flush, self-test, command byte, keyboard and auxiliary port tests, AUX loop.
        var t = new TestChipset();
        Assert.Equal(0, t.In(0x64) & 0x01);
        Assert.Equal(0x55, Command(t, 0xAA));
        Assert.Equal(0x75, Command(t, 0x20));
        t.Out(0x64, 0x60);
        t.Out(0x60, 0x74);
        Assert.Equal(0x00, Command(t, 0xAB));
        t.Out(0x64, 0xD3);
        t.Out(0x60, 0x5A);
        Assert.Equal(0x21, t.In(0x64) & 0x21);
        Assert.Equal(0x5A, t.In(0x60));
        Assert.Equal(0x00, Command(t, 0xA9));
        t.Out(0x64, 0xA7);
        Assert.Equal(0x20, Command(t, 0x20) & 0x20);
        t.Out(0x64, 0xA8);
        Assert.Equal(0x00, Command(t, 0x20) & 0x20);

        // A mouse is asked and there is none: FEh with the time-out bit.
        t.Out(0x64, 0xD4);
        t.Out(0x60, 0xF2);
        Assert.Equal(0x61, t.In(0x64) & 0x61);
        Assert.Equal(0xFE, t.In(0x60));
        Assert.Equal(0x00, t.In(0x64) & 0x61);
    }

    [Theory]
    [InlineData(new byte[] { 0xFF }, new byte[] { 0xFA, 0xAA })]
    [InlineData(new byte[] { 0xF2 }, new byte[] { 0xFA, 0xAB, 0x83 })]
    [InlineData(new byte[] { 0xEE }, new byte[] { 0xEE })]
    [InlineData(new byte[] { 0xED, 0x02 }, new byte[] { 0xFA, 0xFA })]
    [InlineData(new byte[] { 0xF3, 0x20 }, new byte[] { 0xFA, 0xFA })]
    [InlineData(new byte[] { 0xF0, 0x00 }, new byte[] { 0xFA, 0xFA, 0x02 })]
    [InlineData(new byte[] { 0xF0, 0x01, 0xF0, 0x00 }, new byte[] { 0xFA, 0xFA, 0xFA, 0xFA, 0x01 })]
    [InlineData(new byte[] { 0xF4, 0xF5, 0xF6 }, new byte[] { 0xFA, 0xFA, 0xFA })]
    [InlineData(new byte[] { 0x42 }, new byte[] { 0xFE })]
    [InlineData(new byte[] { 0xEE, 0xFE }, new byte[] { 0xEE, 0xEE })]
    public void Keyboard_answers(byte[] sent, byte[] answer)
    {
        var t = new TestChipset();
        t.Out(0x64, 0x60);
        t.Out(0x60, 0x05);
        var read = new List<byte>();
        foreach (byte value in sent)
        {
            t.Out(0x60, value);
            while ((t.In(0x64) & 1) != 0)
            {
                read.Add(t.In(0x60));
            }
        }

        Assert.Equal(answer, read);
    }

    [Fact]
    public void Translation_turns_set_2_into_set_1_and_the_identification_with_it()
    {
        var t = new TestChipset();
        t.Out(0x60, 0xF2);
        Assert.Equal([0xFA, 0xAB, 0x41], ReadAll(t));

        // A pressed and released, Enter, right arrow.
        t.Chipset.Key([0x1C, 0xF0, 0x1C, 0x5A, 0xE0, 0x74, 0xE0, 0xF0, 0x74]);
        Assert.Equal([0x1E, 0x9E, 0x1C, 0xE0, 0x4D, 0xE0, 0xCD], ReadAll(t));
    }

    [Fact]
    public void Each_byte_of_the_keyboard_interrupts_on_irq_1()
    {
        var t = new TestChipset();
        t.Out(0x21, 0xFD);
        t.Out(0x60, 0xF2);
        for (int i = 0; i < 3; i++)
        {
            Assert.True(t.Apic.HasInterrupt);
            Assert.Equal(9, t.Apic.Acknowledge());
            t.In(0x60);
            t.Out(0x20, 0x20);
        }

        Assert.False(t.Apic.HasInterrupt);
    }

    [Fact]
    public void The_auxiliary_port_interrupts_on_irq_12()
    {
        var t = new TestChipset();
        t.Out(0x21, 0xFB);
        t.Out(0xA1, 0xEF);
        t.Out(0x64, 0x60);
        t.Out(0x60, 0x47);
        t.Out(0x64, 0xD3);
        t.Out(0x60, 0xA5);
        Assert.True(t.Apic.HasInterrupt);
        Assert.Equal(0x74, t.Apic.Acknowledge());
    }

    [Fact]
    public void A_disabled_keyboard_waits()
    {
        var t = new TestChipset();
        t.Out(0x64, 0xAD);
        t.Chipset.Key([0x1C]);
        Assert.Equal(0, t.In(0x64) & 1);
        t.Out(0x64, 0xAE);
        Assert.Equal(1, t.In(0x64) & 1);
        Assert.Equal(0x1E, t.In(0x60));
    }

    [Fact]
    public void Controller_memory_is_read_and_written()
    {
        var t = new TestChipset();
        t.Out(0x64, 0x7F);
        t.Out(0x60, 0x99);
        Assert.Equal(0x99, Command(t, 0x3F));
    }

    [Fact]
    public void A20_is_seen_through_both_gates()
    {
        var t = new TestChipset();
        Assert.True(t.Chipset.A20Enabled);
        Assert.Equal(0x02, Command(t, 0xD0) & 0x02);
        t.Out(0x92, 0x00);
        Assert.True(t.Chipset.A20Enabled);
        t.Out(0x64, 0xD1);
        t.Out(0x60, 0xDD);
        Assert.False(t.Chipset.A20Enabled);
        t.Out(0x64, 0xDF);
        Assert.True(t.Chipset.A20Enabled);
        t.Out(0x64, 0xDD);
        Assert.False(t.Chipset.A20Enabled);
        t.Out(0x92, 0x02);
        Assert.True(t.Chipset.A20Enabled);
        Assert.Empty(t.Asked);
    }

    [Fact]
    public void Keys_beyond_the_buffer_are_refused()
    {
        var t = new TestChipset();
        int taken = 0;
        for (int i = 0; i < 100; i++)
        {
            taken += t.Chipset.Key([0x1C]) ? 1 : 0;
        }

        // 32 in the keyboard and one in the controller's output register.
        Assert.Equal(33, taken);
    }

    [Fact]
    public void Saved_in_the_middle_of_an_answer_and_loaded_both_go_on_alike()
    {
        var t = new TestChipset();
        t.Out(0x60, 0xF2);
        t.In(0x60);
        t.Out(0x64, 0x60);
        TestChipset other = t.Fork();
        Assert.Equal(t.Json(), other.Json());
        foreach (TestChipset each in new[] { t, other })
        {
            each.Out(0x60, 0x47);
            Assert.Equal([0xAB, 0x41], ReadAll(each));
            Assert.Equal(0x47, Command(each, 0x20));
        }

        Assert.Equal(t.Json(), other.Json());
    }

    private static byte Command(TestChipset t, int command)
    {
        t.Out(0x64, command);
        Assert.Equal(1, t.In(0x64) & 0x21);
        return t.In(0x60);
    }

    private static byte[] ReadAll(TestChipset t)
    {
        var read = new List<byte>();
        while ((t.In(0x64) & 1) != 0)
        {
            read.Add(t.In(0x60));
        }

        return read.ToArray();
    }
}
