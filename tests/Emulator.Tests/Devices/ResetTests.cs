namespace Emulator.Tests.Devices;

public sealed class ResetTests
{
    [Theory]
    [InlineData("64=FE", "reset KeyboardController")]
    [InlineData("64=F0", "reset KeyboardController")]
    [InlineData("64=D1 60=FE", "reset KeyboardController")]
    [InlineData("64=FF", "")]
    [InlineData("64=D1 60=DF", "")]
    [InlineData("92=03", "reset Port92")]
    [InlineData("92=01 92=01", "reset Port92")]
    [InlineData("92=02 92=00", "")]
    [InlineData("CF9=02 CF9=06", "reset PortCf9")]         // Linux's reboot=p
    [InlineData("CF9=0A CF9=0E", "reset PortCf9")]
    [InlineData("CF9=06", "reset PortCf9")]
    [InlineData("CF9=02", "")]
    [InlineData("60C=01", "reset AcpiResetRegister")]
    [InlineData("60C=00 60C=02", "")]
    [InlineData("F4=00", "exit 1")]
    [InlineData("F4=10", "exit 33")]
    [InlineData("505=01", "pvpanic 1")]
    [InlineData("505=02", "pvpanic 2")]
    [InlineData("505=00 505=80", "")]
    [InlineData("605=34", "power off")]                     // SLP_TYP 5, SLP_EN
    [InlineData("605=14", "")]                              // without SLP_EN
    [InlineData("605=20", "")]                              // S0
    public void Each_way_out_is_named_for_what_it_is(string writes, string asked)
    {
        var t = new TestChipset();
        foreach (string write in writes.Split(' '))
        {
            string[] parts = write.Split('=');
            t.Out(Convert.ToInt32(parts[0], 16), Convert.ToInt32(parts[1], 16));
        }

        Assert.Equal(asked.Length == 0 ? [] : [asked], t.Asked);
    }

    [Fact]
    public void Reset_control_reads_back_without_what_is_reserved()
    {
        var t = new TestChipset();
        t.Out(0xCF9, 0xFB);
        Assert.Equal(0x0A, t.In(0xCF9));
    }

    [Fact]
    public void The_exit_port_is_absent_unless_asked_for()
    {
        var t = new TestChipset(exitPort: false);
        t.Out32(0xF4, 0x10);
        Assert.Equal(0xFFFF_FFFFU, t.In32(0xF4));
        Assert.Empty(t.Asked);
    }

    [Fact]
    public void A_double_word_to_the_exit_port_is_one_exit()
    {
        var t = new TestChipset();
        t.Out32(0xF4, 0x0000_0003);
        Assert.Equal(["exit 7"], t.Asked);
    }
}
