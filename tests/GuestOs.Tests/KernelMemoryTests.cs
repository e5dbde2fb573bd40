using GuestOs.Linux;

namespace GuestOs.Tests;

public sealed class KernelMemoryTests
{
    [Theory]
    [InlineData(0xFFFF_FFFF_96E0_0000UL, 0x0600_0000UL, true, "text, by the linear rule")]
    [InlineData(0xFFFF_FFFF_96E0_1234UL, 0x0600_1234UL, true, "text")]
    [InlineData(0xFFFF_8880_0123_4567UL, 0x0123_4567UL, true, "the direct map, by the page tables")]
    [InlineData(0xFFFF_8880_4000_0000UL, 0UL, false, "beyond what is mapped")]
    [InlineData(0xFFFF_FFFF_C000_0000UL, 0UL, false, "past the image: modules")]
    [InlineData(0xFFFF_8900_0000_0000UL, 0UL, false, "not mapped")]
    [InlineData(0x0000_7FFF_0000_0000UL, 0UL, false, "a user address")]
    [InlineData(0x1234_0000_0000_0000UL, 0UL, false, "not canonical")]
    public void Addresses_are_translated(ulong address, ulong expected, bool mapped, string what)
    {
        foreach (bool la57 in new[] { false, true })
        {
            var image = new GuestImage();
            var kernel = new SyntheticKernel(image, la57: la57);
            var memory = new KernelMemory(image, Info(kernel));
            Assert.True(mapped == memory.TryTranslate(address, out ulong physical), what);
            Assert.Equal(expected, physical);
        }
    }

    [Fact]
    public void Five_levels_are_walked_when_the_kernel_says_so()
    {
        var image = new GuestImage();
        var kernel = new SyntheticKernel(image, la57: true);
        var memory = new KernelMemory(image, Info(kernel));

        // The five-level form of the four-level entry 273: the extra level's last entry, then the same way down.
        Assert.True(memory.TryTranslate(0xFFFF_8880_0000_1000, out ulong physical) && physical == 0x1000);
        Assert.True(memory.Tables is { } tables && (tables.Cr4 & 0x1000) != 0 && tables.Cr3 == kernel.Cr3);
    }

    [Fact]
    public void Another_address_space_is_walked_from_its_own_table()
    {
        var image = new GuestImage();
        var kernel = new SyntheticKernel(image);
        var memory = new KernelMemory(image, Info(kernel));
        ulong user = kernel.WriteUserTables(0x0100_0000);
        Assert.True(memory.TryTranslate(kernel.SystemCallEntry, user, out ulong physical) && physical == 0x06A0_0040);
        Assert.False(memory.TryTranslate(kernel.Text, user, out _));
    }

    [Fact]
    public void A_read_stops_where_the_mapping_does()
    {
        var image = new GuestImage();
        var kernel = new SyntheticKernel(image);
        var memory = new KernelMemory(image, Info(kernel));
        Assert.Equal(0x10, memory.Read(0xFFFF_8880_0FFF_FFF0, new byte[0x100]));
        Assert.Equal(0, memory.Read(0xFFFF_FFFF_FFFF_FFF8, new byte[64]));
        Assert.True(memory.TryRead(kernel.Text, out ulong value) && value == 0x55);
        Assert.False(memory.TryRead(0x10, out value));
    }

    [Fact]
    public void Without_phys_base_a_vcpus_tables_serve()
    {
        var image = new GuestImage();
        var kernel = new SyntheticKernel(image);
        image.Cpus.Add(GuestImage.LongMode(kernel.Cr3, kernel.Text));
        string text = kernel.VmCoreInfoText().Replace("NUMBER(phys_base)", "NUMBER(unrelated)", StringComparison.Ordinal);
        Assert.True(VmCoreInfo.TryParse(System.Text.Encoding.ASCII.GetBytes(text), 0, out VmCoreInfo? info));
        var memory = new KernelMemory(image, info);
        Assert.True(memory.TryTranslate(kernel.Text + 8, out ulong physical) && physical == 0x0600_0008);
    }

    private static VmCoreInfo Info(SyntheticKernel kernel)
    {
        Assert.True(VmCoreInfo.TryParse(System.Text.Encoding.ASCII.GetBytes(kernel.VmCoreInfoText()), 0, out VmCoreInfo? info));
        return info;
    }
}
