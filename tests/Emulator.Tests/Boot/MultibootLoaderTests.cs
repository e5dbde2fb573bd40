using Emulator.Boot;

namespace Emulator.Tests.Boot;

public sealed class MultibootLoaderTests
{
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Elf_loads_at_physical_addresses_and_a_virtual_entry_is_translated(bool wide)
    {
        var memory = new FakeBootMemory();
        BootedGuest guest = Load(memory, SyntheticKernels.MultibootElf(wide));

        Assert.Equal(KernelFormat.Multiboot, guest.Format);
        Assert.Equal(0x10_0020UL, guest.Vcpu.Rip);
        Assert.Equal(0x2BAD_B002UL, guest.Vcpu.Gpr[0]);
        Assert.Equal(0x11UL, guest.Vcpu.Cr0);
        Assert.Equal(0UL, guest.Vcpu.Rflags & 0x2_0200);
        Assert.Equal(0xC09B, guest.Vcpu.Segments[1].Attributes);
        Assert.All([0, 2, 3, 4, 5], i => Assert.Equal(0xC093, guest.Vcpu.Segments[i].Attributes));
        Assert.Equal(0x90, memory.Read(0x10_00FF, 1)[0]);
        Assert.Equal(new byte[0x1F00], memory.Read(0x10_0100, 0x1F00));
    }

    [Fact]
    public void Address_fields_place_a_file_that_is_no_elf()
    {
        var memory = new FakeBootMemory();
        byte[] kernel = SyntheticKernels.MultibootAddresses();
        BootedGuest guest = Load(memory, kernel);

        Assert.Equal(0x20_0080UL, guest.Vcpu.Rip);
        Assert.Equal(kernel, memory.Read(0x20_0000, 0x100));
        Assert.Equal(new byte[0x3F00], memory.Read(0x20_0100, 0x3F00));
    }

    [Fact]
    public void Zero_ends_mean_the_whole_file_and_no_bss()
    {
        var memory = new FakeBootMemory();
        byte[] kernel = SyntheticKernels.MultibootAddresses();
        SyntheticKernels.Put(kernel, 0x54, 4, 0);
        SyntheticKernels.Put(kernel, 0x58, 4, 0);
        BootedGuest guest = Load(memory, kernel);
        Assert.Equal(new BootPlacement("kernel", 0x20_0000, 0x100), guest.Placements[0]);
        Assert.Equal(kernel, memory.Read(0x20_0000, 0x100));
    }

    [Fact]
    public void The_information_describes_memory_modules_and_command_line()
    {
        var memory = new FakeBootMemory();
        ulong info = Load(memory, SyntheticKernels.MultibootElf(false)).Vcpu.Gpr[3];

        Assert.Equal(0b10_0100_1101U, memory.Read32(info)); // memory, command line, modules, map, loader name
        Assert.Equal(639U, memory.Read32(info + 4));
        Assert.Equal(7U * 1024, memory.Read32(info + 8));
        Assert.Equal("root=/dev/null", memory.ReadString(memory.Read32(info + 16)));
        Assert.Equal("gdbstub", memory.ReadString(memory.Read32(info + 64)));

        Assert.Equal(2U, memory.Read32(info + 20));
        ulong modules = memory.Read32(info + 24);
        ulong first = memory.Read32(modules);
        Assert.Equal((0UL, first + 3), (first % 4096, memory.Read32(modules + 4)));
        Assert.True(first >= 0x10_2000); // above the kernel's bss
        Assert.Equal([1, 2, 3], memory.Read(first, 3));
        Assert.Equal("initrd", memory.ReadString(memory.Read32(modules + 8)));
        ulong second = memory.Read32(modules + 16);
        Assert.Equal([7], memory.Read(second, 1));
        Assert.Equal("one arg", memory.ReadString(memory.Read32(modules + 24)));

        Assert.Equal(4U * 24, memory.Read32(info + 44));
        ulong map = memory.Read32(info + 48);
        Assert.Equal((20U, 0UL, 0x9_FC00UL, 1U), (memory.Read32(map), memory.Read64(map + 4), memory.Read64(map + 12), memory.Read32(map + 20)));
        Assert.Equal((20U, 0xE_0000UL, 0x2_0000UL, 2U), (memory.Read32(map + 48), memory.Read64(map + 52), memory.Read64(map + 60), memory.Read32(map + 68)));
    }

    [Fact]
    public void A_header_in_the_last_place_allowed_is_found_and_one_after_it_is_not()
    {
        var file = new byte[16384];
        byte[] header = SyntheticKernels.MultibootAddresses()[0x40..0x60];
        header.CopyTo(file, 8192 - 12);
        Assert.Equal(KernelFormat.Multiboot, BootLoader.Recognise(file));
        file.AsSpan().Clear();
        header.CopyTo(file, 8192 - 8);
        Assert.Null(BootLoader.Recognise(file));
        file.AsSpan().Clear();
        header.CopyTo(file, 2);
        Assert.Null(BootLoader.Recognise(file)); // not aligned
    }

    [Theory]
    [InlineData(0x4C, 0x20_0041UL, "header_addr")] // the load address would lie before the file
    [InlineData(0x4C, 0x1F_FFFFUL, "header_addr")]
    [InlineData(0x54, 0x20_0101UL, "load_end_addr")]
    [InlineData(0x54, 0x1F_FFFFUL, "load_end_addr")]
    [InlineData(0x58, 0x20_00FFUL, "bss_end_addr")]
    [InlineData(0x58, 0xFFFF_FFFFUL, "not within usable RAM")]
    [InlineData(0x5C, 0x1F_FFFFUL, "entry_addr")]
    [InlineData(0x5C, 0x20_4000UL, "entry_addr")]
    public void An_address_field_out_of_range_is_named(int offset, ulong value, string named)
    {
        byte[] kernel = SyntheticKernels.MultibootAddresses();
        SyntheticKernels.Put(kernel, offset, 4, value);
        Assert.Contains(named, Assert.Throws<BootException>(() => Load(new FakeBootMemory(), kernel)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Flags_we_must_understand_and_do_not_are_refused()
    {
        byte[] kernel = SyntheticKernels.MultibootAddresses();
        SyntheticKernels.Put(kernel, 0x44, 4, 0x1_000B);
        SyntheticKernels.Put(kernel, 0x48, 4, 0xE451_4FF3);
        Assert.Contains("0008h", Assert.Throws<BootException>(() => Load(new FakeBootMemory(), kernel)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_header_cut_off_by_the_end_of_the_file_is_refused() => Assert.Contains("no room for its address fields",
        Assert.Throws<BootException>(() => Load(new FakeBootMemory(), SyntheticKernels.MultibootAddresses()[..0x5F])).Message, StringComparison.Ordinal);

    private static BootedGuest Load(FakeBootMemory memory, byte[] kernel) => BootLoader.Load(memory, new BootRequest
    {
        Kernel = kernel,
        CommandLine = "root=/dev/null",
        Initrd = new byte[] { 1, 2, 3 },
        Modules = [new BootModule("one arg", new byte[] { 7 })],
        MemoryMap = E820.Build(8 << 20),
    });
}
