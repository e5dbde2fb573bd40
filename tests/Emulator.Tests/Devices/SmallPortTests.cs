namespace Emulator.Tests.Devices;

public sealed class SmallPortTests
{
    [Fact]
    public void Debug_console_names_itself_and_passes_bytes_on()
    {
        var t = new TestChipset();
        Assert.Equal(0xE9, t.In(0xE9));
        t.Out(0xE9, 'h');
        t.Out(0xE9, 'i');
        Assert.Equal("hi"u8.ToArray(), t.DebugOutput);
    }

    [Fact]
    public void Post_port_keeps_the_last_code()
    {
        var t = new TestChipset();
        t.Out(0x80, 0x31);
        Assert.Equal(0x31, t.In(0x80));
        Assert.Equal(0x31, t.Chipset.PostCode);
    }

    [Fact]
    public void Pvpanic_tells_which_events_it_takes() => Assert.Equal(0x03, new TestChipset().In(0x505));

    [Fact]
    public void Pci_mechanism_1_is_found_as_Linux_looks_for_it()
    {
        // arch/x86/pci/direct.c: pci_check_type1() and pci_sanity_check().
        var t = new TestChipset();
        t.Out(0xCFB, 0x01);
        uint before = t.In32(0xCF8);
        t.Out32(0xCF8, 0x8000_0000);
        Assert.Equal(0x8000_0000U, t.In32(0xCF8));
        t.Out32(0xCF8, before);
        Assert.Equal(0U, before);

        t.Out32(0xCF8, 0x8000_0008);
        Assert.Equal(0x0600, t.In16(0xCFE));
    }

    [Theory]
    [InlineData(0x8000_0000U, 0x1237_8086U)]
    [InlineData(0x8000_0008U, 0x0600_0002U)]
    [InlineData(0x8000_000CU, 0x0000_0000U)]
    [InlineData(0x0000_0000U, 0xFFFF_FFFFU)] // not enabled
    [InlineData(0x8000_0100U, 0xFFFF_FFFFU)] // no function 1
    [InlineData(0x8000_0800U, 0xFFFF_FFFFU)] // no device 1
    [InlineData(0x8001_0000U, 0xFFFF_FFFFU)] // no bus 1
    [InlineData(0x80FF_FFFCU, 0xFFFF_FFFFU)]
    public void Configuration_space_holds_a_host_bridge_and_nothing_else(uint address, uint value)
    {
        var t = new TestChipset();
        t.Out32(0xCF8, address);
        Assert.Equal(value, t.In32(0xCFC));
    }

    [Fact]
    public void The_bridge_s_identity_cannot_be_written_and_its_attribute_maps_can()
    {
        var t = new TestChipset();
        t.Out32(0xCF8, 0x8000_0000);
        t.Out32(0xCFC, 0);
        Assert.Equal(0x1237_8086U, t.In32(0xCFC));
        t.Out32(0xCF8, 0x8000_0058);
        t.Out32(0xCFC, 0xFFFF_FFFF);
        Assert.Equal(0x3333_3300U, t.In32(0xCFC));
        TestChipset other = t.Fork();
        Assert.Equal(0x3333_3300U, other.In32(0xCFC));
        t.Chipset.Reset();
        t.Out32(0xCF8, 0x8000_0058);
        Assert.Equal(0U, t.In32(0xCFC));
    }

    [Fact]
    public void Nothing_reads_as_ones()
    {
        var t = new TestChipset();
        Assert.Equal(0xFF, t.In(0x3E8));
        Assert.Equal(0xFFFF_FFFFU, t.In32(0x1234));
    }
}
