using Emulator.Boot;

namespace Emulator.Tests.Boot;

public sealed class BootLoaderTests
{
    private static readonly IReadOnlyList<E820Entry> Map = E820.Build(8 << 20);

    [Theory]
    [InlineData(0x7C00UL, 0, 0x7C00UL, 0UL)]
    [InlineData(0x9000UL, 0, 0x9000UL, 0UL)]
    [InlineData(0x1_0000UL, 0x1000, 0UL, 0x1_0000UL)]
    [InlineData(0x9_0008UL, 0x9000, 8UL, 0x9_0000UL)]
    public void A_flat_binary_in_real_mode_is_entered_like_a_boot_sector(ulong address, int selector, ulong ip, ulong codeBase)
    {
        var memory = new FakeBootMemory();
        VcpuState vcpu = Load(memory, [0xF4, 0x90], address).Vcpu;

        Assert.Equal((selector, ip, codeBase), (vcpu.Segments[1].Selector, vcpu.Rip, vcpu.Segments[1].Base));
        Assert.Equal((0x9B, 0xFFFFU), (vcpu.Segments[1].Attributes, vcpu.Segments[1].Limit));
        Assert.Equal((0x80UL, 0x7C00UL), (vcpu.Gpr[2], vcpu.Gpr[4]));
        Assert.Equal(0UL, vcpu.Cr0 & 0xE000_0001); // PE, PG off, caches on
        Assert.Equal(new TableState(0, 0x3FF), vcpu.Idtr);
        Assert.Equal([0xF4, 0x90], memory.Read(address, 2));
    }

    [Fact]
    public void A_flat_binary_can_be_entered_in_protected_and_in_long_mode()
    {
        VcpuState vcpu = Load(new FakeBootMemory(), [0xF4], 0x20_0000, FlatEntryMode.Protected).Vcpu;
        Assert.Equal((0x20_0000UL, 0x11UL, 0xC09B), (vcpu.Rip, vcpu.Cr0, vcpu.Segments[1].Attributes));
        vcpu = Load(new FakeBootMemory(), [0xF4], 0x20_0000, FlatEntryMode.Long).Vcpu;
        Assert.Equal((0x20_0000UL, 0x8000_0011UL, 0x500UL, 0xA09B), (vcpu.Rip, vcpu.Cr0, vcpu.Efer, vcpu.Segments[1].Attributes));
    }

    [Theory]
    [InlineData(0x10_0000UL, FlatEntryMode.Real, "out of reach")]
    [InlineData(0x1_0000_0000UL, FlatEntryMode.Long, "out of reach")]
    [InlineData(0x9_FBFFUL, FlatEntryMode.Real, "not within usable RAM")]
    [InlineData(0x7F_FFFFUL, FlatEntryMode.Protected, "not within usable RAM")]
    public void A_flat_binary_must_fit_where_it_is_wanted(ulong address, FlatEntryMode mode, string message) =>
        Assert.Contains(message, Assert.Throws<BootException>(() => Load(new FakeBootMemory(), [0xF4, 0xF4], address, mode)).Message, StringComparison.Ordinal);

    [Theory]
    [InlineData(new byte[0], "empty")]
    [InlineData(new byte[] { 0x1F, 0x8B, 8, 0 }, "gzip")]
    [InlineData(new byte[] { 0x7F, 0x45, 0x4C, 0x46 }, "neither a PVH entry note nor a Multiboot header")]
    [InlineData(new byte[] { 1, 2, 3 }, "not a bzImage")]
    public void An_unknown_file_without_an_address_is_refused_with_the_reason(byte[] file, string message) =>
        Assert.Contains(message, Assert.Throws<BootException>(() => Load(new FakeBootMemory(), file)).Message, StringComparison.Ordinal);

    [Fact]
    public void A_format_can_be_forced() => Assert.Equal(KernelFormat.Flat, BootLoader.Load(new FakeBootMemory(), new BootRequest
    {
        Kernel = SyntheticKernels.BzImage(),
        MemoryMap = Map,
        Format = KernelFormat.Flat,
        FlatAddress = 0x7C00,
    }).Format);

    [Fact]
    public void A_nul_in_the_command_line_is_refused() => Assert.Throws<BootException>(() => BootLoader.Load(new FakeBootMemory(), new BootRequest
    {
        Kernel = SyntheticKernels.PvhElf(true),
        MemoryMap = Map,
        CommandLine = "a\0b",
    }));

    [Theory]
    [InlineData(0x1000UL, 0x1000UL, 0x1FFFUL, 0x1000UL)]
    [InlineData(0x1000UL, 0UL, 0x3000UL, 0x1000UL)]
    [InlineData(0x5000UL, 0x1000UL, 0x1000UL, 0x1000UL)]
    [InlineData(0x1000UL, 0xFFFF_FFFF_FFFF_F001UL, 0x3000UL, 0x1000UL)]
    public void A_memory_map_out_of_order_is_refused(ulong start1, ulong length1, ulong start2, ulong length2) =>
        Assert.Throws<BootException>(() => BootLoader.Load(new FakeBootMemory(), new BootRequest
        {
            Kernel = SyntheticKernels.PvhElf(true),
            MemoryMap = [new(start1, length1, E820Type.Usable), new(start2, length2, E820Type.Usable)],
        }));

    [Fact]
    public void Power_on_has_the_values_of_the_manuals_table()
    {
        VcpuState vcpu = EntryState.PowerOn(0x000306A9);
        Assert.Equal((0xFFF0UL, 2UL, 0x6000_0010UL), (vcpu.Rip, vcpu.Rflags, vcpu.Cr0));
        Assert.Equal((0UL, 0UL, 0UL, 0UL, 0UL, 1UL), (vcpu.Cr2, vcpu.Cr3, vcpu.Cr4, vcpu.Cr8, vcpu.Efer, vcpu.Xcr0));
        Assert.Equal(new SegmentState(0xF000, 0x9B, 0xFFFF, 0xFFFF_0000), vcpu.Segments[1]);
        Assert.All([0, 2, 3, 4, 5], i => Assert.Equal(new SegmentState(0, 0x93, 0xFFFF, 0), vcpu.Segments[i]));
        Assert.Equal((0x82, 0x8B), (vcpu.Segments[6].Attributes, vcpu.Segments[7].Attributes));
        Assert.Equal((new TableState(0, 0xFFFF), new TableState(0, 0xFFFF)), (vcpu.Gdtr, vcpu.Idtr));
        Assert.Equal([0UL, 0, 0, 0, 0, 0, 0xFFFF_0FF0, 0x400], vcpu.Dr);
        Assert.Equal(0x000306A9UL, vcpu.Gpr[2]);
        Assert.Equal([0x7F, 0x03, 0, 0, 0], vcpu.Fx[..5]); // FCW, FSW, abridged FTW
        Assert.Equal([0x80, 0x1F, 0, 0], vcpu.Fx[24..28]); // MXCSR
        Assert.Equal(0x0007_0406_0007_0406UL, vcpu.Msrs[0x277]);
        Assert.False(vcpu.Halted || vcpu.NmiBlocked || vcpu.NmiPending);
    }

    [Fact]
    public void Spoiled_files_are_loaded_or_refused_but_nothing_else_happens_and_placements_stay_in_ram()
    {
        var random = new Random(20240);
        byte[][] seeds =
        [
            SyntheticKernels.BzImage(), SyntheticKernels.PvhElf(false), SyntheticKernels.PvhElf(true),
            SyntheticKernels.MultibootElf(false), SyntheticKernels.MultibootElf(true), SyntheticKernels.MultibootAddresses(),
        ];
        KernelFormat[] formats = [KernelFormat.LinuxBzImage, KernelFormat.Pvh, KernelFormat.Pvh, KernelFormat.Multiboot, KernelFormat.Multiboot, KernelFormat.Multiboot];
        int loaded = 0, refused = 0;
        for (int round = 0; round < 20_000; round++)
        {
            int seed = random.Next(seeds.Length);
            byte[] file = (byte[])seeds[seed].Clone();
            for (int spoil = random.Next(1, 4); spoil > 0; spoil--)
            {
                int at = seed == 0 ? random.Next(0x1F1, 0x268) : random.Next(file.Length);
                file[at] = random.Next(3) switch { 0 => 0xFF, 1 => 0, _ => (byte)random.Next(256) };
            }

            if (random.Next(8) == 0)
            {
                file = file[..random.Next(file.Length)];
            }

            var memory = new BoundsMemory();
            try
            {
                BootedGuest guest = BootLoader.Load(memory, new BootRequest
                {
                    Kernel = file,
                    MemoryMap = Map,
                    Initrd = new byte[100],
                    CommandLine = "x",
                    Format = formats[seed],
                });
                loaded++;
                for (int i = 0; i < guest.Placements.Count; i++)
                {
                    for (int j = 0; j < i; j++)
                    {
                        BootPlacement a = guest.Placements[i], b = guest.Placements[j];
                        Assert.False(a.What != b.What && a.Start < b.Start + b.Length && b.Start < a.Start + a.Length, $"{a} overlaps {b}");
                    }
                }
            }
            catch (BootException)
            {
                refused++;
            }
        }

        Assert.True(loaded > 1000 && refused > 1000, $"{loaded} loaded, {refused} refused: the spoiling is too weak or too strong");
    }

    private static BootedGuest Load(IBootMemory memory, byte[] kernel, ulong? address = null, FlatEntryMode mode = FlatEntryMode.Real) =>
        BootLoader.Load(memory, new BootRequest { Kernel = kernel, MemoryMap = Map, FlatAddress = address, FlatEntryMode = mode });

    /// <summary>Only checks that each range is usable RAM of <see cref="Map"/>.</summary>
    private sealed class BoundsMemory : IBootMemory
    {
        public void Write(ulong address, ReadOnlySpan<byte> bytes) => Clear(address, (ulong)bytes.Length);

        public void Clear(ulong address, ulong length) => Assert.Contains(Map, e =>
            e.Type == E820Type.Usable && address >= e.Start && address + length >= address && address + length <= e.End);
    }
}
