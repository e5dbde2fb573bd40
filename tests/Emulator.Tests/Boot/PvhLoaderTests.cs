using Emulator.Boot;

namespace Emulator.Tests.Boot;

public sealed class PvhLoaderTests
{
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void The_kernel_is_entered_at_the_notes_address_in_flat_protected_mode(bool wide)
    {
        var memory = new FakeBootMemory();
        BootedGuest guest = Load(memory, SyntheticKernels.PvhElf(wide));
        VcpuState vcpu = guest.Vcpu;

        Assert.Equal(KernelFormat.Pvh, guest.Format);
        Assert.Equal(0x10_0010UL, vcpu.Rip);
        Assert.Equal(0x11UL, vcpu.Cr0); // PE, and ET which is fixed
        Assert.Equal(0UL, vcpu.Cr4);
        Assert.Equal(0UL, vcpu.Efer);
        Assert.Equal(0UL, vcpu.Rflags & 0x2_0300); // VM, IF, TF
        Assert.Equal((0xC09B, 0xFFFF_FFFFU, 0UL), (vcpu.Segments[1].Attributes, vcpu.Segments[1].Limit, vcpu.Segments[1].Base));
        Assert.Equal((0xC093, 0xFFFF_FFFFU, 0UL), (vcpu.Segments[2].Attributes, vcpu.Segments[2].Limit, vcpu.Segments[2].Base));
        Assert.Equal((0x8B, 0x67U, 0UL), (vcpu.Segments[7].Attributes, vcpu.Segments[7].Limit, vcpu.Segments[7].Base));
        Assert.Equal(0x90, memory.Read(0x10_00FF, 1)[0]);
        Assert.Equal(new byte[0x2F00], memory.Read(0x10_0100, 0x2F00)); // memsz beyond filesz
    }

    [Fact]
    public void The_start_info_describes_command_line_modules_and_memory()
    {
        var memory = new FakeBootMemory();
        ulong info = Load(memory, SyntheticKernels.PvhElf(true)).Vcpu.Gpr[3];

        Assert.Equal(0x336E_C578U, memory.Read32(info));
        Assert.Equal(1U, memory.Read32(info + 4));
        Assert.Equal(0U, memory.Read32(info + 8));
        Assert.Equal(2U, memory.Read32(info + 12));
        Assert.Equal("quiet", memory.ReadString(memory.Read64(info + 24)));
        Assert.Equal(0xE0000UL, memory.Read64(info + 32));
        Assert.Equal(4U, memory.Read32(info + 48));

        ulong modules = memory.Read64(info + 16);
        Assert.Equal([1, 2, 3], memory.Read(memory.Read64(modules), 3));
        Assert.Equal(3UL, memory.Read64(modules + 8));
        Assert.Equal("initrd", memory.ReadString(memory.Read64(modules + 16)));
        Assert.Equal([7], memory.Read(memory.Read64(modules + 32), 1));
        Assert.Equal("one arg", memory.ReadString(memory.Read64(modules + 48)));

        ulong map = memory.Read64(info + 40);
        Assert.Equal((0x10_0000UL, 0x70_0000UL, 1U), (memory.Read64(map + 72), memory.Read64(map + 80), memory.Read32(map + 88)));
    }

    [Theory]
    [InlineData(true, 5, 1, 2UL, "EI_DATA")]
    [InlineData(true, 4, 1, 3UL, "EI_CLASS")]
    [InlineData(true, 18, 2, 183UL, "e_machine")]
    [InlineData(true, 56, 2, 0UL, "e_phnum")]
    [InlineData(true, 56, 2, 257UL, "e_phnum")]
    [InlineData(true, 56, 2, 200UL, "e_phoff")]
    [InlineData(true, 54, 2, 55UL, "e_phentsize")]
    [InlineData(true, 32, 8, ulong.MaxValue, "e_phoff")]
    [InlineData(true, 64 + 8, 8, 0x201UL, "p_filesz")]
    [InlineData(true, 64 + 8, 8, ulong.MaxValue, "p_offset")]
    [InlineData(true, 64 + 32, 8, ulong.MaxValue, "p_filesz")]
    [InlineData(true, 64 + 40, 8, 0xFFUL, "p_memsz")]
    [InlineData(true, 64 + 40, 8, ulong.MaxValue, "p_paddr")]
    [InlineData(true, 64 + 24, 8, 0x9_F000UL, "not within usable RAM")]
    [InlineData(true, 64 + 24, 8, 0x7F_F000UL, "not within usable RAM")]
    [InlineData(true, 64, 4, 6UL, "no loadable segment")]
    [InlineData(true, 0x190, 8, 0x1_0010_0000UL, "not below 4 GiB")]
    [InlineData(true, 0x190, 8, 0x20_0000UL, "no loaded segment")]
    [InlineData(true, 0x184, 4, 7UL, "4 or 8 are needed")]
    [InlineData(true, 0x184, 4, 0xFFFF_FFFFUL, "no PVH entry note")]
    [InlineData(true, 0x180, 4, 0xFFFF_FFFFUL, "no PVH entry note")]
    [InlineData(true, 0x188, 4, 17UL, "no PVH entry note")]
    [InlineData(false, 44, 2, 257UL, "e_phnum")]
    [InlineData(false, 28, 4, 0xFFFF_FFF0UL, "e_phoff")]
    [InlineData(false, 52 + 16, 4, 0xFFFF_FFFFUL, "p_filesz")]
    [InlineData(false, 52 + 12, 4, 0xFFFF_FFFFUL, "not within usable RAM")]
    public void A_header_field_out_of_range_is_named(bool wide, int offset, int size, ulong value, string named)
    {
        byte[] kernel = SyntheticKernels.PvhElf(wide);
        SyntheticKernels.Put(kernel, offset, size, value);
        Assert.Contains(named, Assert.Throws<BootException>(() => Load(new FakeBootMemory(), kernel, KernelFormat.Pvh)).Message, StringComparison.Ordinal);
    }

    private static BootedGuest Load(FakeBootMemory memory, byte[] kernel, KernelFormat? format = null) => BootLoader.Load(memory, new BootRequest
    {
        Kernel = kernel,
        Format = format,
        CommandLine = "quiet",
        Initrd = new byte[] { 1, 2, 3 },
        Modules = [new BootModule("one arg", new byte[] { 7 })],
        RsdpAddress = 0xE0000,
        MemoryMap = E820.Build(8 << 20),
    });
}
