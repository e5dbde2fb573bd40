using Emulator.Boot;

namespace Emulator.Tests.Boot;

public sealed class LinuxLoaderTests
{
    private const ulong Ram = 64 << 20;

    [Fact]
    public void The_kernel_goes_to_its_preferred_address_and_is_entered_512_bytes_in()
    {
        var memory = new FakeBootMemory();
        byte[] kernel = SyntheticKernels.BzImage();
        BootedGuest guest = Load(memory, kernel);

        Assert.Equal(KernelFormat.LinuxBzImage, guest.Format);
        Assert.Equal(0x100_0200UL, guest.Vcpu.Rip);
        Assert.Equal(kernel[1024..], memory.Read(0x100_0000, 0x400));
        Assert.Equal(new byte[16], memory.Read(0x100_0000 + 0x400, 16));
        Assert.Equal(new byte[16], memory.Read(0x140_0000 - 16, 16));
        Assert.Equal(0x100_0000U, memory.Read32(guest.Vcpu.Gpr[6] + 0x214));
    }

    [Theory]
    [InlineData(1UL << 20, 8UL << 20, 0x10_0000UL)] // preferred at 1 MiB
    [InlineData(0x100_0000UL, 17UL << 20, 0x20_0000UL)] // 16 MiB + 4 MiB does not fit 17 MiB
    [InlineData(0UL, 8UL << 20, 0x20_0000UL)] // below 1 MiB is no place
    [InlineData(0x1_0000_0000UL, 8UL << 20, 0x20_0000UL)]
    [InlineData(ulong.MaxValue, 8UL << 20, 0x20_0000UL)]
    [InlineData(0x123_4000UL, 64UL << 20, 0x123_4000UL)] // the preferred address need not be aligned
    public void Where_the_preferred_address_does_not_fit_an_aligned_one_is_taken(ulong preferred, ulong ram, ulong expected)
    {
        byte[] kernel = SyntheticKernels.BzImage();
        SyntheticKernels.Put(kernel, 0x258, 8, preferred);
        Assert.Equal(expected + 0x200, Load(new FakeBootMemory(), kernel, ram: ram).Vcpu.Rip);
    }

    [Fact]
    public void The_cpu_is_in_64_bit_mode_as_the_protocol_demands()
    {
        var memory = new FakeBootMemory();
        VcpuState vcpu = Load(memory, SyntheticKernels.BzImage()).Vcpu;

        Assert.Equal(0x8000_0001UL, vcpu.Cr0 & 0x8000_0001); // PG, PE
        Assert.Equal(0x20UL, vcpu.Cr4 & 0x20); // PAE
        Assert.Equal(0x500UL, vcpu.Efer & 0x500); // LME, LMA
        Assert.Equal(0UL, vcpu.Rflags & 0x200); // IF
        Assert.Equal(2UL, vcpu.Rflags & 2);
        Assert.Equal(0x10, vcpu.Segments[1].Selector);
        Assert.Equal(0xA09B, vcpu.Segments[1].Attributes);
        foreach (int data in (int[])[0, 2, 3])
        {
            Assert.Equal(0x18, vcpu.Segments[data].Selector);
            Assert.Equal(0xC093, vcpu.Segments[data].Attributes);
        }

        // The descriptors the selectors name, as the ISA encodes execute/read and read/write flat segments.
        Assert.Equal(0x00AF_9B00_0000_FFFFUL, memory.Read64(vcpu.Gdtr.Base + 0x10));
        Assert.Equal(0x00CF_9300_0000_FFFFUL, memory.Read64(vcpu.Gdtr.Base + 0x18));
        Assert.True(vcpu.Gdtr.Limit >= 0x1F);
    }

    [Theory]
    [InlineData(0UL)]
    [InlineData(0x100_0200UL)]
    [InlineData(0x7FFF_FFFFUL)]
    [InlineData(0xFEE0_0030UL)]
    [InlineData(0xFFFF_FFFFUL)]
    public void The_first_4_gib_are_mapped_to_themselves(ulong address)
    {
        var memory = new FakeBootMemory();
        ulong table = Load(memory, SyntheticKernels.BzImage()).Vcpu.Cr3;
        for (int shift = 39; shift >= 30; shift -= 9)
        {
            ulong entry = memory.Read64(table + ((address >> shift & 511) * 8));
            Assert.Equal(3UL, entry & 0xFFF & ~0x60UL);
            table = entry & ~0xFFFUL;
        }

        ulong leaf = memory.Read64(table + ((address >> 21 & 511) * 8));
        Assert.Equal((address & ~0x1F_FFFFUL) | 0x83, leaf & ~0x60UL);
    }

    [Fact]
    public void The_zero_page_carries_the_header_the_loader_and_the_map()
    {
        var memory = new FakeBootMemory();
        byte[] kernel = SyntheticKernels.BzImage();
        SyntheticKernels.Put(kernel, 0x250, 8, 0xDEAD_BEEF); // a setup_data pointer in a file means nothing
        ulong page = Load(memory, kernel, commandLine: "console=ttyS0 panic=1").Vcpu.Gpr[6];

        byte[] zero = memory.Read(page, 4096);
        Assert.Equal(0UL, page % 4096);
        Assert.Equal("HdrS"u8.ToArray(), zero[0x202..0x206]);
        Assert.Equal(kernel[0x230..0x250], zero[0x230..0x250]);
        Assert.Equal(0xFF, zero[0x210]);
        Assert.Equal(0x81, zero[0x211]);
        Assert.Equal("console=ttyS0 panic=1", memory.ReadString(memory.Read32(page + 0x228)));
        Assert.Equal(0U, memory.Read32(page + 0xC8)); // ext_cmd_line_ptr
        Assert.Equal(0xE1234UL, memory.Read64(page + 0x70)); // acpi_rsdp_addr
        Assert.Equal(0UL, memory.Read64(page + 0x250)); // setup_data
        Assert.Equal(new byte[0x40], zero[..0x40]); // screen_info: no display
        Assert.Equal(0, zero[0x1EF]); // sentinel
        Assert.Equal(4, zero[0x1E8]);
        Assert.Equal(
            (0UL, 0x9_FC00UL, 1U, 0x10_0000UL, Ram - 0x10_0000, 1U),
            (memory.Read64(page + 0x2D0), memory.Read64(page + 0x2D8), memory.Read32(page + 0x2E0),
             memory.Read64(page + 0x2D0 + 60), memory.Read64(page + 0x2D0 + 68), memory.Read32(page + 0x2D0 + 76)));
        Assert.All(zero[(0x2D0 + 80)..0xCD0], b => Assert.Equal(0, b));
    }

    [Theory]
    [InlineData(64UL << 20, 5000, 0x7FFF_FFFFUL, 0x3FF_E000UL)] // highest, page-aligned
    [InlineData(64UL << 20, 4096, 0x2FF_FFFFUL, 0x2FF_F000UL)] // the last byte may be at initrd_addr_max
    [InlineData(64UL << 20, 4096, 0x2FF_FFFEUL, 0x2FF_E000UL)]
    [InlineData(64UL << 20, 4096, 0x13F_FFFFUL, 0xFF_F000UL)] // the kernel is in the way: below it
    public void The_initrd_goes_as_high_as_the_kernel_allows(ulong ram, int length, ulong addressMax, ulong expected)
    {
        var memory = new FakeBootMemory();
        byte[] kernel = SyntheticKernels.BzImage();
        SyntheticKernels.Put(kernel, 0x22C, 4, addressMax);
        var initrd = new byte[length];
        initrd.AsSpan().Fill(0x5A);
        ulong page = Load(memory, kernel, initrd: initrd, ram: ram).Vcpu.Gpr[6];

        Assert.Equal(expected, memory.Read32(page + 0x218) | ((ulong)memory.Read32(page + 0xC0) << 32));
        Assert.Equal((uint)length, memory.Read32(page + 0x21C));
        Assert.Equal(0U, memory.Read32(page + 0xC4));
        Assert.Equal(initrd, memory.Read(expected, length));
    }

    [Theory]
    [InlineData(0x7FU, 0x1_0FFF_F000UL)]
    [InlineData(0x01U, 0UL)]
    public void Above_4_gib_it_goes_only_when_xloadflags_allow(uint extendedFlags, ulong expected)
    {
        var memory = new FakeBootMemory();
        byte[] kernel = SyntheticKernels.BzImage();
        SyntheticKernels.Put(kernel, 0x22C, 4, 0xF_FFFF); // nothing fits below 1 MiB
        SyntheticKernels.Put(kernel, 0x236, 2, extendedFlags);
        if (expected == 0)
        {
            Assert.Contains("initrd_addr_max fffff", Assert.Throws<BootException>(() => Load(memory, kernel, initrd: new byte[9], ram: 0xD000_0000)).Message, StringComparison.Ordinal);
            return;
        }

        ulong page = Load(memory, kernel, initrd: new byte[9], ram: 0xD000_0000).Vcpu.Gpr[6];
        Assert.Equal(expected, memory.Read32(page + 0x218) | ((ulong)memory.Read32(page + 0xC0) << 32));
    }

    [Theory]
    [InlineData(2047, true)]
    [InlineData(2048, false)]
    public void The_command_line_is_as_long_as_the_kernel_allows(int length, bool fits)
    {
        var memory = new FakeBootMemory();
        string line = new('x', length);
        if (fits)
        {
            ulong page = Load(memory, SyntheticKernels.BzImage(), commandLine: line).Vcpu.Gpr[6];
            Assert.Equal(line, memory.ReadString(memory.Read32(page + 0x228)));
        }
        else
        {
            Assert.Contains("2048 bytes long", Assert.Throws<BootException>(() => Load(memory, SyntheticKernels.BzImage(), commandLine: line)).Message, StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData(0x1FE, 2, 0x55AAUL, "boot_flag")]
    [InlineData(0x206, 2, 0x020BUL, "boot protocol 2.11")]
    [InlineData(0x201, 1, 0x61UL, "setup header ends at 263h")]
    [InlineData(0x201, 1, 0x8FUL, "setup header ends at 291h")]
    [InlineData(0x211, 1, 0UL, "LOADED_HIGH")]
    [InlineData(0x236, 2, 0x7EUL, "XLF_KERNEL_64")]
    [InlineData(0x230, 4, 0UL, "kernel_alignment")]
    [InlineData(0x230, 4, 0x30_0000UL, "kernel_alignment")]
    [InlineData(0x230, 4, 0x8000_0000UL, "kernel_alignment")]
    [InlineData(0x1F1, 1, 0xFFUL, "setup_sects 255")]
    [InlineData(0x1F1, 1, 0UL, "setup_sects 4")]
    [InlineData(0x1F4, 4, 0x41UL, "syssize 410h")]
    [InlineData(0x1F4, 4, 0xFFFF_FFFFUL, "syssize")]
    [InlineData(0x1F4, 4, 0x20UL, "64-bit entry is at 200h")]
    [InlineData(0x260, 4, 0xFFFF_FFFFUL, "init_size")]
    [InlineData(0x260, 4, 0x400_0000UL, "init_size")]
    public void A_header_field_out_of_range_is_named(int offset, int size, ulong value, string named)
    {
        byte[] kernel = SyntheticKernels.BzImage();
        SyntheticKernels.Put(kernel, offset, size, value);
        Assert.Contains(named, Assert.Throws<BootException>(() => Load(new FakeBootMemory(), kernel)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_kernel_that_cannot_move_is_refused_when_its_place_is_not_ram()
    {
        byte[] kernel = SyntheticKernels.BzImage();
        kernel[0x234] = 0;
        SyntheticKernels.Put(kernel, 0x258, 8, 0x1000_0000);
        Assert.Contains("pref_address 10000000h", Assert.Throws<BootException>(() => Load(new FakeBootMemory(), kernel)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Modules_are_refused() => Assert.Throws<BootException>(() => BootLoader.Load(new FakeBootMemory(), new BootRequest
    {
        Kernel = SyntheticKernels.BzImage(),
        MemoryMap = E820.Build(Ram),
        Modules = [new BootModule("m", new byte[1])],
    }));

    private static BootedGuest Load(FakeBootMemory memory, byte[] kernel, string commandLine = "", byte[]? initrd = null, ulong ram = Ram) =>
        BootLoader.Load(memory, new BootRequest
        {
            Kernel = kernel,
            Initrd = initrd,
            CommandLine = commandLine,
            MemoryMap = E820.Build(ram),
            RsdpAddress = 0xE1234,
        });
}
