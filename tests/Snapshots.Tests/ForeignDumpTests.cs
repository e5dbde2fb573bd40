using Emulator;
using Snapshots.Dumps;

namespace Snapshots.Tests;

/// <summary>Dumps of others, from files written by <see cref="DumpWriter"/>; RealTools has those that real tools wrote.</summary>
public sealed class ForeignDumpTests : IDisposable
{
    private const string Vmcoreinfo =
        "OSRELEASE=6.1.0-test\nBUILD-ID=3b43fad0\nPAGESIZE=4096\nSYMBOL(swapper_pg_dir)=ffffffff82610000\nNUMBER(phys_base)=-4096\nKERNELOFFSET=31600000\n";

    private readonly TemporaryDirectory directory = new();

    public static TheoryData<int, string> Kdumps => new()
    {
        { 3, "raw" }, { 3, "zlib" }, { 4, "zlib" }, { 5, "snappy" }, { 6, "raw" }, { 6, "zlib" }, { 6, "snappy" }, { 6, "zstd" },
    };

    public void Dispose() => directory.Dispose();

    [Theory]
    [MemberData(nameof(Kdumps))]
    public void Pages_of_kdump_compressed_files_come_back_and_filtered_ones_are_not_made_up(int version, string packing)
    {
        byte[]?[] pages = Pages();
        byte[] file = DumpWriter.Kdump(pages, version, Packer(packing), Vmcoreinfo, DumpWriter.PrStatus(77, 0x1000));
        foreach (byte[] form in (byte[][])[file, DumpWriter.Flatten(file)])
        {
            using IMachineImage image = Open(form);
            CheckPages(image, pages);
            Assert.Equal([new PhysicalRange(0, (ulong)pages.Length * 4096)], image.Ram);
            Assert.Equal(("6.1.0-test", "3b43fad0", 0x3160_0000UL), (image.Capture.GuestRelease, image.Capture.BuildId, image.Capture.KernelOffset!.Value));
            Assert.Equal(DateTimeOffset.FromUnixTimeSeconds(1_700_000_000), image.Capture.HostTime);
            Assert.Equal(version >= 4, image.HasRegisters);

            // swapper_pg_dir less FFFFFFFF80000000h plus phys_base.
            Assert.Equal(0x0260_F000UL, image.Vcpus[0].Cr3);
        }
    }

    [Fact]
    public void Registers_of_NT_PRSTATUS_stand_where_the_kernel_puts_them()
    {
        using IMachineImage image = Open(DumpWriter.Elf(
            [.. DumpWriter.PrStatus(1, 0x1000), .. DumpWriter.PrStatus(42, 0x2000), .. DumpWriter.Note("VMCOREINFO", 0, System.Text.Encoding.ASCII.GetBytes(Vmcoreinfo))],
            (0, 0, new byte[8192], 8192), (0, 0x10_0000, new byte[4096], 4096)));

        // r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi orig_rax rip cs eflags rsp ss fs_base gs_base ds es fs gs
        VcpuState cpu = image.Vcpus[1];
        Assert.Equal(
            [0x200AUL, 0x200B, 0x200C, 0x2005, 0x2013, 0x2004, 0x200D, 0x200E, 0x2009, 0x2008, 0x2007, 0x2006, 0x2003, 0x2002, 0x2001, 0x2000], cpu.Gpr);
        Assert.Equal((0x2010UL, 0x2012UL, 0x2015UL, 0x2016UL), (cpu.Rip, cpu.Rflags, cpu.Segments[4].Base, cpu.Segments[5].Base));
        Assert.Equal([1, 42], image.Capture.RunningProcesses!);
        Assert.Equal((0x8005_0033UL, 0xD01UL), (cpu.Cr0, cpu.Efer));
    }

    [Fact]
    public void ELF_segments_may_overlap_end_in_zeros_and_begin_inside_a_page()
    {
        byte[] low = Bytes(0x1800, 1), high = Bytes(0x1000, 2);
        using IMachineImage image = Open(DumpWriter.Elf(
            [], (0, 0x1000, low, 0x1800), (0, 0x2800, high, 0x2000), (0xFFFF_FFFF_8100_0000, 0x1000, low, 0x1000)));

        Assert.Equal([new PhysicalRange(0x1000, 0x4000)], image.Ram);
        byte[] all = new byte[0x4000];
        Assert.Equal(0x4000, image.ReadPhysical(0x1000, all));
        Assert.Equal([.. low, .. high, .. new byte[0x1800]], all);
        Assert.True(image.IsUntouched(0x4000));
        Assert.False(image.IsUntouched(0x3000));
        Assert.Equal(0, image.ReadPhysical(0, all));
        Assert.Equal(0x100, image.ReadPhysical(0x4F00, all));
    }

    [Fact]
    public void LiME_ranges_and_raw_images_are_where_they_say()
    {
        byte[] first = Bytes(0x1000, 3), second = Bytes(0x2000, 4), page = new byte[0x1000];
        using (IMachineImage image = Open(DumpWriter.Lime((0x1000, first), (0x10_0000, second))))
        {
            Assert.Equal([new PhysicalRange(0x1000, 0x1000), new PhysicalRange(0x10_0000, 0x2000)], image.Ram);
            Assert.Equal(0x1000, image.ReadPhysical(0x10_1000, page));
            Assert.Equal(second[0x1000..], page);
            Assert.False(image.HasRegisters);
        }

        using (IMachineImage image = Open(second, new ImageOptions { RawBase = 0x4000, FindVmcoreinfo = _ => Vmcoreinfo }))
        {
            Assert.Equal([new PhysicalRange(0x4000, 0x2000)], image.Ram);
            Assert.Equal(0x1000, image.ReadPhysical(0x4000, page));
            Assert.Equal(second[..0x1000], page);
            Assert.Equal((0x0260_F000UL, "6.1.0-test"), (image.Vcpus[0].Cr3, image.Capture.GuestRelease));
        }

        Assert.Contains("--raw-base", Assert.Throws<ArchiveException>(() => Open(second)).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("state")]
    [InlineData("beside")]
    [InlineData("vmem")]
    public void VMware_memory_is_found_inside_the_state_file_and_beside_it(string form)
    {
        byte[] memory = Bytes(0x5000, 5);
        string state = directory.File("m.vmss"), vmem = directory.File("m.vmem");
        File.WriteAllBytes(state, DumpWriter.VmwareState(form == "state" ? memory : null, 3, 0x10_0000, 2));
        if (form != "state")
        {
            File.WriteAllBytes(vmem, memory);
        }

        using IMachineImage image = ImageFile.Open(form == "vmem" ? vmem : state);
        Assert.Equal([new PhysicalRange(0, 0x3000), new PhysicalRange(0x1_0000_0000, 0x2000)], image.Ram);
        byte[] bytes = new byte[0x2000];
        Assert.Equal(0x2000, image.ReadPhysical(0x1_0000_0000, bytes));
        Assert.Equal(memory[0x3000..], bytes);
        VcpuState cpu = image.Vcpus[0];
        Assert.Equal((0xFFFF_FFFF_8100_0042UL, 0xFFFF_C900_0000_1000UL, 0x1234_5000UL, 0xD01UL), (cpu.Rip, cpu.Gpr[4], cpu.Cr3, cpu.Efer));
    }

    [Fact]
    public void An_archive_of_ours_is_opened_as_one()
    {
        string path = directory.File("own.kdump");
        using Snapshot snapshot = Samples.Snapshot();
        ArchiveWriter.Write(path, "0123456789", snapshot, cancellation: TestContext.Current.CancellationToken);
        using IMachineImage image = ImageFile.Open(path);
        Assert.IsType<ArchiveReader>(image);
        Assert.Equal(snapshot.Info.Title, image.Capture.Title);
    }

    [Theory]
    [InlineData(new byte[] { 0x1F, 0x8B, 8, 0 }, "gzip")]
    [InlineData(new byte[] { 0x51, 0x45, 0x56, 0x4D }, "dump-guest-memory")]
    [InlineData(new byte[] { 0x7F, 0x45, 0x4C, 0x46 }, "ELF header")]
    [InlineData(new byte[0], "no dump")]
    public void What_cannot_be_read_says_what_it_is(byte[] start, string said) =>
        Assert.Contains(said, Assert.Throws<ArchiveException>(() => Open(start)).Message, StringComparison.Ordinal);

    // lzo.rst: 17+n first byte is n literals; 20h-3Fh a match of length+2 at distance+1 with 2 bytes; 11h 0 0 ends.
    [Theory]
    [InlineData(new byte[] { 22, 1, 2, 3, 4, 5, 0x11, 0, 0 }, new byte[] { 1, 2, 3, 4, 5 })]
    [InlineData(new byte[] { 18, 9, 0x24, 0, 0, 0x11, 0, 0 }, new byte[] { 9, 9, 9, 9, 9, 9, 9 })]
    [InlineData(new byte[] { 1, 1, 2, 3, 4, 0x11, 0, 0 }, new byte[] { 1, 2, 3, 4 })]
    [InlineData(new byte[] { 21, 1, 2, 3, 4, 0x6C, 0, 0x11, 0, 0 }, new byte[] { 1, 2, 3, 4, 1, 2, 3, 4 })]
    [InlineData(new byte[] { 21, 1, 2, 3, 4, 0x6D, 0, 7, 0x11, 0, 0 }, new byte[] { 1, 2, 3, 4, 1, 2, 3, 4, 7 })]
    [InlineData(new byte[] { 18, 9, 0x00, 0x00, 0x11, 0, 0 }, new byte[] { 9, 9, 9 })]
    public void LZO1X_streams_expand_as_the_format_says(byte[] packed, byte[] expected)
    {
        byte[] output = new byte[expected.Length];
        Assert.Equal(expected.Length, Lzo1x.Expand(packed, output));
        Assert.Equal(expected, output);
    }

    [Theory]
    [InlineData(new byte[] { 0x24, 0, 0, 0x11, 0, 0 })]
    [InlineData(new byte[] { 255, 1 })]
    [InlineData(new byte[] { 18, 9, 0x20, 0, 0, 0, 0 })]
    [InlineData(new byte[] { 22, 1, 2, 3, 4, 5 })]
    [InlineData(new byte[] { })]
    public void Damaged_LZO1X_streams_are_refused(byte[] packed) => Assert.Equal(-1, Lzo1x.Expand(packed, new byte[64]));

    [Fact]
    public void Mutated_files_never_do_worse_than_an_error_that_names_the_file()
    {
        byte[]?[] pages = Pages();
        byte[] notes = [.. DumpWriter.PrStatus(1, 5), .. DumpWriter.Note("VMCOREINFO", 0, System.Text.Encoding.ASCII.GetBytes(Vmcoreinfo))];
        byte[] kdump = DumpWriter.Kdump(pages, 6, DumpWriter.Zlib, Vmcoreinfo, notes);
        byte[][] seeds =
        [
            kdump, DumpWriter.Kdump(pages, 5, DumpWriter.Snappy, Vmcoreinfo, notes), DumpWriter.Kdump(pages, 6, DumpWriter.Zstd, Vmcoreinfo),
            DumpWriter.Flatten(kdump), DumpWriter.Elf(notes, (0, 0, Bytes(8192, 1), 16384), (0xFFFF_FFFF_8100_0000, 0x10_0000, Bytes(4096, 2), 4096)),
            DumpWriter.Lime((0x1000, Bytes(4096, 3)), (0x10_0000, Bytes(4096, 4))), DumpWriter.VmwareState(Bytes(0x5000, 5), 3, 0x10_0000, 2),
        ];
        var random = new Random(5);
        ulong[] values = [0, 1, 0x7F, 0xFF, 0xFFFF, 0x7FFF_FFFF, 0xFFFF_FFFF, 0x7FFF_FFFF_FFFF_FFFF, ulong.MaxValue, 0x8000_0000_0000_0000, 4096, 4097];
        int refused = 0;
        for (int round = 0; round < 3000; round++)
        {
            byte[] file = [.. seeds[round % seeds.Length]];
            for (int change = random.Next(1, 4); change > 0; change--)
            {
                // The beginnings hold the numbers; every third change is anywhere.
                int at = random.Next(change % 3 == 0 ? file.Length : Math.Min(file.Length, 700)) + (random.Next(4) == 0 && file.Length > 9000 ? 4096 : 0);
                at = Math.Min(at, file.Length - 1);
                byte[] value = BitConverter.GetBytes(values[random.Next(values.Length)]);
                value.AsSpan(0, Math.Min(file.Length - at, 1 << random.Next(4))).CopyTo(file.AsSpan(at));
            }

            if (random.Next(10) == 0)
            {
                file = file[..random.Next(file.Length)];
            }

            try
            {
                using IMachineImage image = Open(file);
                byte[] page = new byte[4096];
                foreach (PhysicalRange range in image.Ram.Take(8))
                {
                    for (ulong at = 0; at < Math.Min(range.Length, 16 * 4096); at += 4096)
                    {
                        try
                        {
                            _ = image.ReadPhysical(range.Start + at, page);
                        }
                        catch (ArchiveException e)
                        {
                            Assert.Contains("offset 0x", e.Message, StringComparison.Ordinal);
                        }
                    }
                }
            }
            catch (ArchiveException e)
            {
                refused++;
                Assert.Contains("dump: offset 0x", e.Message, StringComparison.Ordinal);
            }
        }

        Assert.InRange(refused, 300, 2990);
    }

    private static byte[]?[] Pages() =>
    [
        .. Enumerable.Range(0, 40).Select(i => i % 7 == 6 ? null : Samples.Page((ulong)i) ?? new byte[4096]),
    ];

    private static Func<byte[], (byte[] Bytes, int Flags)> Packer(string name) => name switch
    {
        "zlib" => DumpWriter.Zlib,
        "snappy" => DumpWriter.Snappy,
        "zstd" => DumpWriter.Zstd,
        _ => DumpWriter.Raw,
    };

    private static void CheckPages(IMachineImage image, byte[]?[] pages)
    {
        byte[] page = new byte[4096];
        for (int i = 0; i < pages.Length; i++)
        {
            Assert.Equal(pages[i] is null ? 0 : 4096, image.ReadPhysical((ulong)i * 4096, page));
            Assert.Equal(pages[i] is null, image.IsLeftOut((ulong)i * 4096));
            Assert.Equal(pages[i] ?? page, page);
        }
    }

    private static byte[] Bytes(int count, int seed)
    {
        byte[] bytes = new byte[count];
        new Random(seed).NextBytes(bytes);
        return bytes;
    }

    private IMachineImage Open(byte[] bytes, ImageOptions? options = null)
    {
        string path = directory.File("dump");
        File.WriteAllBytes(path, bytes);
        return ImageFile.Open(path, options);
    }
}
