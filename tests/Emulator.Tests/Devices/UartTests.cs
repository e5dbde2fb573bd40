using System.Text;
using Emulator.Devices;

namespace Emulator.Tests.Devices;

public sealed class UartTests
{
    private const int Base = 0x3F8, Data = Base, Ier = Base + 1, Iir = Base + 2, Fcr = Base + 2, Lcr = Base + 3, Mcr = Base + 4, Lsr = Base + 5, Msr = Base + 6, Scr = Base + 7;

    [Fact]
    public void Registers_after_reset_are_the_data_sheet_s()
    {
        var t = new TestChipset();
        Assert.Equal(
            [0x00, 0x01, 0x00, 0x00, 0x60, 0xB0, 0x00],
            new byte[] { t.In(Ier), t.In(Iir), t.In(Lcr), t.In(Mcr), t.In(Lsr), t.In(Msr), t.In(Scr) });
    }

    [Fact]
    public void Com2_is_there_and_com3_is_not()
    {
        var t = new TestChipset();
        t.Out(0x2FF, 0x5A);
        Assert.Equal(0x5A, t.In(0x2FF));
        Assert.Equal(0xFF, t.In(0x3EF));
    }

    [Fact]
    public void Each_byte_sent_reaches_the_sink_at_once_and_the_transmitter_stays_empty()
    {
        var t = new TestChipset();
        foreach (byte value in "panic\n"u8)
        {
            Assert.Equal(0x60, t.In(Lsr) & 0x60);
            t.Out(Data, value);
        }

        Assert.Equal("panic\n", Encoding.ASCII.GetString(t.Com1.ToArray()));
    }

    [Fact]
    public void Divisor_latch_hides_the_data_and_interrupt_enable_registers()
    {
        var t = new TestChipset();
        t.Out(Lcr, 0x83);
        t.Out(Data, 0x01);
        t.Out(Ier, 0x02);
        Assert.Equal((0x01, 0x02), (t.In(Data), t.In(Ier)));
        t.Out(Lcr, 0x03);
        Assert.Equal((0x00, 0x00), (t.In(Data), t.In(Ier)));
        Assert.Empty(t.Com1);
    }

    [Theory]
    [InlineData(0x00, 0x01)] // FIFOs off
    [InlineData(0x01, 0xC1)]
    [InlineData(0xC7, 0xC1)]
    [InlineData(0xC6, 0x01)] // without bit 0 nothing else is programmed
    public void Fifo_control_shows_in_the_identification(int control, int identification)
    {
        var t = new TestChipset();
        t.Out(Fcr, control);
        Assert.Equal(identification, t.In(Iir));
    }

    [Fact]
    public void Linux_s_autoconfiguration_finds_a_16550A()
    {
        // drivers/tty/serial/8250/8250_port.c, autoconfig(): interrupt enable keeps four bits, loopback of RTS and OUT2
        // shows as CTS and DCD, both FIFO bits are set, and there is no register at 2 that a 16650 or 16950 would have.
        var t = new TestChipset();
        t.Out(Ier, 0xFF);
        Assert.Equal(0x0F, t.In(Ier));
        t.Out(Ier, 0);
        t.Out(Mcr, 0x1A);
        Assert.Equal(0x90, t.In(Msr) & 0xF0);
        t.Out(Mcr, 0x08);
        t.Out(Fcr, 0x01);
        Assert.Equal(3, t.In(Iir) >> 6);
        t.Out(Lcr, 0xBF);
        Assert.Equal(0xC1, t.In(Base + 2));
    }

    [Theory]
    [InlineData(0x01, 1)]
    [InlineData(0x41, 4)]
    [InlineData(0x81, 8)]
    [InlineData(0xC1, 14)]
    public void Receive_interrupt_is_data_at_the_trigger_level_and_time_out_below(int control, int trigger)
    {
        var t = new TestChipset();
        t.Out(Fcr, control);
        t.Out(Ier, 0x01);
        t.Chipset.Com1.Receive(new byte[trigger]);
        Assert.Equal(0xC4, t.In(Iir));
        t.In(Data);
        Assert.Equal(trigger == 1 ? 0xC1 : 0xCC, t.In(Iir));
    }

    [Fact]
    public void Input_beyond_the_fifo_waits_and_none_is_lost()
    {
        var t = new TestChipset();
        t.Out(Fcr, 0xC7);
        byte[] sent = new byte[1000];
        for (int i = 0; i < sent.Length; i++)
        {
            sent[i] = (byte)(i * 7);
        }

        Assert.Equal(1000, t.Chipset.Com1.Receive(sent));
        var read = new List<byte>();
        while ((t.In(Lsr) & 1) != 0)
        {
            Assert.Equal(0, t.In(Lsr) & 0x1E);
            read.Add(t.In(Data));
        }

        Assert.Equal(sent, read);
    }

    [Fact]
    public void Input_beyond_the_cap_is_refused()
    {
        var t = new TestChipset();
        Assert.Equal(Uart.MaximumQueuedInput, t.Chipset.Com1.Receive(new byte[Uart.MaximumQueuedInput + 5]));

        // One byte has gone into the receiver itself, so there is room for one.
        Assert.Equal(1, t.Chipset.Com1.Receive(new byte[5]));
    }

    [Fact]
    public void Clearing_the_fifo_drops_what_the_chip_holds_and_not_what_is_still_on_the_line()
    {
        var t = new TestChipset();
        t.Out(Fcr, 0x01);
        byte[] sent = new byte[18];
        sent[16] = 0xAA;
        sent[17] = 0xBB;
        t.Chipset.Com1.Receive(sent);
        t.Out(Fcr, 0x03);
        Assert.Equal(0xAA, t.In(Data));
        Assert.Equal(0xBB, t.In(Data));
        Assert.Equal(0x60, t.In(Lsr));
    }

    [Fact]
    public void Transmitter_interrupt_comes_with_enabling_it_and_with_each_byte_and_reading_it_clears_it()
    {
        var t = new TestChipset();
        t.Out(Ier, 0x02);
        Assert.Equal(0x02, t.In(Iir));
        Assert.Equal(0x01, t.In(Iir));
        t.Out(Data, 'x');
        Assert.Equal(0x02, t.In(Iir));
        Assert.Equal(0x01, t.In(Iir));
    }

    [Fact]
    public void Interrupts_are_identified_in_the_order_of_the_data_sheet()
    {
        var t = new TestChipset();
        t.Out(Mcr, 0x10);       // loopback: a modem line changes (DSR, CTS and DCD fall)
        t.Out(Data, 1);
        t.Out(Data, 2);         // overrun: no FIFO
        t.Out(Ier, 0x0F);
        Assert.Equal(0x06, t.In(Iir));
        Assert.Equal(0x63, t.In(Lsr));
        Assert.Equal(0x04, t.In(Iir));
        Assert.Equal(2, t.In(Data));
        Assert.Equal(0x02, t.In(Iir));
        Assert.Equal(0x00, t.In(Iir));
        Assert.Equal(0x0B, t.In(Msr));
        Assert.Equal(0x01, t.In(Iir));
    }

    [Theory]
    [InlineData(0x11, 0x20)] // DTR -> DSR
    [InlineData(0x12, 0x10)] // RTS -> CTS
    [InlineData(0x14, 0x40)] // OUT1 -> RI
    [InlineData(0x18, 0x80)] // OUT2 -> DCD
    public void Loopback_connects_modem_outputs_to_inputs(int control, int status)
    {
        var t = new TestChipset();
        t.Out(Mcr, control);
        Assert.Equal(status, t.In(Msr) & 0xF0);
    }

    [Fact]
    public void Ring_indicator_reports_its_trailing_edge_only()
    {
        var t = new TestChipset();
        t.Out(Mcr, 0x10);
        t.In(Msr);
        t.Out(Mcr, 0x14);
        Assert.Equal(0x40, t.In(Msr));
        t.Out(Mcr, 0x10);
        Assert.Equal(0x04, t.In(Msr));
    }

    [Fact]
    public void Irq4_is_driven_only_with_out2_and_not_in_loopback()
    {
        var t = new TestChipset();
        t.Out(Ier, 0x02);
        Assert.Equal(0, Requests(t) & 0x10);
        t.Out(Mcr, 0x18);
        Assert.Equal(0, Requests(t) & 0x10);
        t.Out(Mcr, 0x08);
        Assert.Equal(0x10, Requests(t) & 0x10);
    }

    [Fact]
    public void A_word_written_to_the_data_port_is_two_byte_cycles()
    {
        var t = new TestChipset();
        t.Out16(Data, 0x0F41);
        Assert.Equal([0x41], t.Com1);
        Assert.Equal(0x0F, t.In(Ier));
    }

    [Fact]
    public void Saved_in_the_middle_of_input_and_loaded_both_go_on_alike()
    {
        var t = new TestChipset();
        t.Out(Fcr, 0x81);
        t.Out(Ier, 0x0F);
        t.Out(Mcr, 0x0B);
        t.Out(Scr, 0x77);
        t.Chipset.Com1.Receive(Encoding.ASCII.GetBytes("the quick brown fox jumps over the lazy dog"));
        t.In(Data);
        TestChipset other = t.Fork();
        Assert.Equal(t.Json(), other.Json());
        for (int i = 0; i < 60; i++)
        {
            Assert.Equal(t.In(Iir), other.In(Iir));
            Assert.Equal(t.In(Data), other.In(Data));
            Assert.Equal(t.In(Lsr), other.In(Lsr));
        }

        Assert.Equal(t.Json(), other.Json());
    }

    private static int Requests(TestChipset t)
    {
        t.Out(0x20, 0x0A);
        return t.In(0x20);
    }
}
