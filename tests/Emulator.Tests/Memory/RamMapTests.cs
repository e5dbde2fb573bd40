using Emulator.Memory;

namespace Emulator.Tests.Memory;

public class RamMapTests
{
    public static TheoryData<ulong, (ulong Start, ulong Length)[]> Sizes => new()
    {
        { 0x1_0000, [(0, 0x1_0000)] },
        { 0xB_0000, [(0, 0xA_0000)] },
        { 0x1000_0000, [(0, 0xA_0000), (0xC_0000, 0xFF4_0000)] },
        { 0xC000_0000, [(0, 0xA_0000), (0xC_0000, 0xBFF4_0000)] },
        { 0x1_0000_0000, [(0, 0xA_0000), (0xC_0000, 0xBFF4_0000), (0x1_0000_0000, 0x4000_0000)] },
    };

    [Theory]
    [MemberData(nameof(Sizes))]
    public void Ranges_leave_out_the_VGA_window_and_the_device_hole(ulong size, (ulong Start, ulong Length)[] expected) =>
        Assert.Equal(expected, RamMap.Ranges(size).Select(r => (r.Start, r.Length)));

    [Theory]
    [InlineData(0x1000_0000UL, 0x0UL, true, 0x0UL, 0xA_0000UL)]
    [InlineData(0x1000_0000UL, 0x9_FFFFUL, true, 0x9_FFFFUL, 1UL)]
    [InlineData(0x1000_0000UL, 0xA_0000UL, false, 0UL, 0UL)]
    [InlineData(0x1000_0000UL, 0xB_FFFFUL, false, 0UL, 0UL)]
    [InlineData(0x1000_0000UL, 0xC_0000UL, true, 0xC_0000UL, 0xFF4_0000UL)]
    [InlineData(0x1000_0000UL, 0x0FFF_FFFFUL, true, 0x0FFF_FFFFUL, 1UL)]
    [InlineData(0x1000_0000UL, 0x1000_0000UL, false, 0UL, 0UL)]
    [InlineData(0x1000_0000UL, 0x1_0000_0000UL, false, 0UL, 0UL)]
    [InlineData(0x1_0000_0000UL, 0xBFFF_FFFFUL, true, 0xBFFF_FFFFUL, 1UL)]
    [InlineData(0x1_0000_0000UL, 0xC000_0000UL, false, 0UL, 0UL)]
    [InlineData(0x1_0000_0000UL, 0xFFFF_FFFFUL, false, 0UL, 0UL)]
    [InlineData(0x1_0000_0000UL, 0x1_0000_0000UL, true, 0xC000_0000UL, 0x4000_0000UL)]
    [InlineData(0x1_0000_0000UL, 0x1_3FFF_FFFFUL, true, 0xFFFF_FFFFUL, 1UL)]
    [InlineData(0x1_0000_0000UL, 0x1_4000_0000UL, false, 0UL, 0UL)]
    [InlineData(0x1_0000_0000UL, 0xFFFF_FFFF_FFFF_FFFFUL, false, 0UL, 0UL)]
    public void An_address_finds_its_byte_of_RAM(ulong size, ulong address, bool found, ulong offset, ulong contiguous)
    {
        Assert.Equal(found, RamMap.TryFind(size, address, out ulong actualOffset, out ulong actualContiguous));
        if (found)
        {
            Assert.Equal((offset, contiguous), (actualOffset, actualContiguous));
        }
    }
}
