using System.Text;
using GuestOs.Linux;

namespace GuestOs.Tests;

public sealed class VmCoreInfoTests
{
    [Fact]
    public void A_kernel_says_what_and_where_it_is()
    {
        // Lines as Debian's 6.1.192 cloud kernel wrote them.
        VmCoreInfo info = Parse("""
            OSRELEASE=6.1.0-56-cloud-amd64
            BUILD-ID=3b43fad5034874490492495d552c0af6a5fab235
            PAGESIZE=4096
            SYMBOL(swapper_pg_dir)=ffffffff98810000
            OFFSET(page._refcount)=52
            SIZE(pglist_data)=174208
            LENGTH(mem_section)=131072
            NUMBER(PAGE_BUDDY_MAPCOUNT_VALUE)=-129
            NUMBER(MODULES_VADDR)=0xffffffffc0000000
            NUMBER(phys_base)=-270532608
            KERNELOFFSET=15e00000

            """);
        Assert.Equal("6.1.0-56-cloud-amd64", info.Release);
        Assert.Equal("3b43fad5034874490492495d552c0af6a5fab235", info.BuildId);
        Assert.Equal(0x15E0_0000UL, info.KernelOffset);
        Assert.Equal(-270532608, info.PhysicalBase);
        Assert.True(info.TryGetSymbol("swapper_pg_dir", out ulong address) && address == 0xFFFF_FFFF_9881_0000);
        Assert.True(info.TryGetOffset("page._refcount", out int offset) && offset == 52);
        Assert.True(info.TryGetSize("pglist_data", out int size) && size == 174208);
        Assert.True(info.TryGetLength("mem_section", out int length) && length == 131072);
        Assert.True(info.TryGetNumber("PAGE_BUDDY_MAPCOUNT_VALUE", out long number) && number == -129);
        Assert.True(info.TryGetNumber("MODULES_VADDR", out number) && (ulong)number == 0xFFFF_FFFF_C000_0000);
        Assert.False(info.TryGetSymbol("prb", out _));
        Assert.False(info.TryGetOffset("pglist_data", out _));
    }

    [Theory]
    [InlineData("OSRELEASE=%s\n\0BUILD-ID=%20phN\n\0PAGESIZE=%ld\n\0SYMBOL(%s)=%lx\n\0", "the format string in the kernel's data")]
    [InlineData("OSRELEASE=6.1\nPAGESIZE=4096\nSYMBOL(_stext)=0\n", "short")]
    public void What_only_begins_alike_is_refused(string text, string why) =>
        Assert.False(VmCoreInfo.TryParse(Encoding.ASCII.GetBytes(text.PadRight(3000, '\0')), 0, out _), why);

    [Theory]
    [InlineData("PAGESIZE=", "PAGE_SIZE=")]
    [InlineData("SYMBOL(", "SYMBAL(")]
    [InlineData("BUILD-ID=", "BUILD\u0007ID=")]
    [InlineData("BUILD-ID=", "BUILD-ID")]
    [InlineData("OSRELEASE=6.1.0-56-cloud-amd64", "OSRELEASE=")]
    public void A_damaged_text_is_refused(string whole, string damaged)
    {
        string text = new SyntheticKernel(new GuestImage()).VmCoreInfoText();
        Assert.True(VmCoreInfo.TryParse(Encoding.ASCII.GetBytes(text), 0, out _));
        Assert.False(VmCoreInfo.TryParse(Encoding.ASCII.GetBytes(text.Replace(whole, damaged, StringComparison.Ordinal)), 0, out _));
    }

    [Theory]
    [InlineData(0x0200_0000UL, "a page of its own")]
    [InlineData(0x0200_0018UL, "behind a note's header")]
    [InlineData(0x0200_0123UL, "anywhere")]
    [InlineData(0x0203_FFFBUL, "across the seam of two chunks of the search")]
    [InlineData(0x0FFF_F000UL, "the last page of RAM")]
    public void It_is_found_wherever_it_stands(ulong address, string where)
    {
        var image = new GuestImage();
        var kernel = new SyntheticKernel(image) { VmCoreInfoAt = address };
        // Neighbouring pages in use, so that the search goes through the seam in one piece.
        image.Write(0x0200_0000, new byte[0x8_0000]);
        kernel.WithVmCoreInfo();
        VmCoreInfo info = Assert.Single(VmCoreInfo.FindAll(image));
        Assert.True(address == info.PhysicalAddress, where);
        Assert.Equal(SyntheticKernel.Release, info.Release);
    }

    [Fact]
    public void Copies_appear_once()
    {
        var image = new GuestImage();
        var kernel = new SyntheticKernel(image);
        kernel.WithVmCoreInfo();
        kernel.VmCoreInfoAt = 0x0300_0018;
        kernel.WithVmCoreInfo();
        kernel.VmCoreInfoAt = 0x0300_5555;
        kernel.WithVmCoreInfo();
        Assert.Single(VmCoreInfo.FindAll(image));
    }

    [Fact]
    public void Pages_never_written_are_not_read()
    {
        var image = new GuestImage(4UL << 30);
        new SyntheticKernel(image).WithVmCoreInfo();
        Assert.Single(VmCoreInfo.FindAll(image));
        Assert.Equal(0, image.UntouchedReads);
    }

    [Fact]
    public void A_text_that_ends_with_RAM_does_not_lead_out_of_it()
    {
        var image = new GuestImage();
        image.Write(0x0FFF_FFF6, VmCoreInfo.Signature);
        Assert.Empty(VmCoreInfo.FindAll(image));
    }

    private static VmCoreInfo Parse(string text)
    {
        string filled = text + string.Concat(Enumerable.Range(0, 40).Select(i => $"OFFSET(filler.member{i})={i}\n"));
        Assert.True(VmCoreInfo.TryParse(Encoding.ASCII.GetBytes(filled), 0, out VmCoreInfo? info));
        return info;
    }
}
