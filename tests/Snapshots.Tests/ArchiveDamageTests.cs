using Emulator;

namespace Snapshots.Tests;

/// <summary>Files that were cut, flipped or made with ill intent: an error that names the place, never a crash, never wrong bytes.</summary>
public class ArchiveDamageTests : IDisposable
{
    private readonly TemporaryDirectory directory = new();
    private readonly string path;
    private readonly byte[] whole;

    public ArchiveDamageTests()
    {
        path = directory.File("a.kdump");
        using Snapshot snapshot = Samples.Snapshot(16 * 4096);
        ArchiveWriter.Write(path, "0123456789", snapshot, cancellation: TestContext.Current.CancellationToken);
        whole = File.ReadAllBytes(path);
    }

    public void Dispose() => directory.Dispose();

    [Fact]
    public void A_whole_archive_verifies()
    {
        VerifyReport report = Verify();

        Assert.True(report.IsWhole);
        // Pages 0 … 15: zeros; 2, 7 and 12 with contents of their own; 3, 8, 13; 4, 9, 14.
        Assert.Equal((16, 1 + 3 + 3 + 3), (report.Pages, report.Blocks));
    }

    [Fact]
    public void A_file_cut_anywhere_is_refused()
    {
        for (int length = 0; length < whole.Length; length += length % 4096 < 16 ? 1 : 331)
        {
            File.WriteAllBytes(path, whole[..length]);
            ArchiveException error = Assert.Throws<ArchiveException>(() => ArchiveReader.Open(path));
            Assert.StartsWith(path + ": offset 0x", error.Message, StringComparison.Ordinal);
        }

        File.WriteAllBytes(path, [.. whole, 0]);
        Assert.Equal("layout.file_length", Assert.Throws<ArchiveException>(() => ArchiveReader.Open(path)).Field);
    }

    [Fact]
    public void A_bit_flipped_anywhere_is_found_by_verify_and_never_gives_wrong_bytes()
    {
        using FileStream file = File.Open(path, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite);
        for (int offset = 0; offset < whole.Length; offset++)
        {
            byte flipped = (byte)(whole[offset] ^ (1 << (offset * 7 % 8)));
            Write(file, offset, flipped);
            VerifyReport report = Verify();
            Assert.True(!report.IsWhole, $"a bit of byte 0x{offset:x} was flipped and not found");
            ReadEverything();
            Write(file, offset, whole[offset]);
        }

        Assert.True(Verify().IsWhole);
    }

    [Fact]
    public void A_damaged_page_is_named_and_the_others_stay_readable()
    {
        var archive = new SealedArchive([.. whole]);
        long stored = archive.Long(archive.Descriptors + (9 * 24)); // page 9 is stored as it is
        archive.Bytes[stored + 100] ^= 4;
        File.WriteAllBytes(path, archive.Bytes);
        using ArchiveReader reader = ArchiveReader.Open(path);
        byte[] page = new byte[4096];

        ArchiveException error = Assert.Throws<ArchiveException>(() => reader.ReadPhysical(9 * 4096, page));
        Assert.Equal((stored, "page at physical 0x9000"), (error.FileOffset, error.Field));
        Assert.Equal(4096, reader.ReadPhysical(8 * 4096, page));
        Assert.Equal(Samples.Page(8), page);
        Assert.Equal("page at physical 0x9000", Assert.Single(Verify().Problems).Field);
    }

    [Fact]
    public void Pages_that_were_exchanged_are_both_named()
    {
        var archive = new SealedArchive([.. whole]);
        Span<byte> three = archive.Bytes.AsSpan(archive.Descriptors + (3 * 24), 24);
        Span<byte> four = archive.Bytes.AsSpan(archive.Descriptors + (4 * 24), 24);
        byte[] kept = three.ToArray();
        four.CopyTo(three);
        kept.CopyTo(four);
        File.WriteAllBytes(path, archive.Bytes);

        Assert.Equal(["page at physical 0x3000", "page at physical 0x4000"], Verify().Problems.Select(p => p.Field));
    }

    [Theory]
    [InlineData(8, 5, "header_version")]
    [InlineData(424, 2, "status")]
    [InlineData(428, 8192, "block_size")]
    [InlineData(432, 0, "sub_hdr_size")]
    [InlineData(432, ArchiveLimits.SubHeaderBlocks + 1, "sub_hdr_size")]
    [InlineData(432, -1, "sub_hdr_size")]
    [InlineData(436, 0, "bitmap_blocks")]
    [InlineData(436, 4, "bitmap_blocks")]
    [InlineData(436, int.MaxValue, "bitmap_blocks")]
    [InlineData(456, ArchiveLimits.Vcpus, "current_cpu")]
    [InlineData(460, 0, "nr_cpus")]
    [InlineData(460, ArchiveLimits.Vcpus + 1, "nr_cpus")]
    [InlineData(4096 + 8, 32, "dump_level")]
    [InlineData(4096 + 12, 1, "split")]
    [InlineData(4096 + 104, 0, "note.namesz")]
    [InlineData(4096 + 104, 65, "note.namesz")]
    [InlineData(4096 + 104, -1, "note.namesz")]
    [InlineData(4096 + 108, 1 << 20, "note.descsz")]
    [InlineData(4096 + 108, -4, "note.descsz")]
    public void A_number_in_the_headers_that_cannot_be_is_named(int offset, int value, string field)
    {
        var archive = new SealedArchive([.. whole]);
        archive.Put(offset, value);
        Refused(archive, field);
    }

    [Theory]
    [InlineData(4096 + 32, 1L << 40, "offset_vmcoreinfo")]
    [InlineData(4096 + 32, -1L, "offset_vmcoreinfo")]
    [InlineData(4096 + 40, ArchiveLimits.VmcoreinfoBytes + 1L, "size_vmcoreinfo")]
    [InlineData(4096 + 48, 4096L, "offset_note")]
    [InlineData(4096 + 48, long.MaxValue, "offset_note")]
    [InlineData(4096 + 56, 1L << 40, "size_note")]
    [InlineData(4096 + 56, -1L, "size_note")]
    [InlineData(4096 + 96, 0L, "max_mapnr_64")]
    [InlineData(4096 + 96, ArchiveLimits.PageFrames + 1, "max_mapnr_64")]
    public void A_number_in_the_sub_header_that_cannot_be_is_named(int offset, long value, string field)
    {
        var archive = new SealedArchive([.. whole]);
        archive.PutLong(offset, value);
        Refused(archive, field);
    }

    [Theory]
    [InlineData(0, 1L, "layout.file_length")]
    [InlineData(8, 4096L, "layout.descriptors_offset")]
    [InlineData(16, -1L, "layout.pages")]
    [InlineData(16, ArchiveLimits.PageFrames + 1, "layout.pages")]
    [InlineData(24, 0L, "layout.data_offset")]
    [InlineData(32, 0L, "layout.zero_block_size")]
    [InlineData(32, 4097L, "layout.zero_block_size")]
    [InlineData(40, 0L, "layout.blocks")]
    [InlineData(40, 18L, "layout.blocks")]
    public void A_number_in_the_layout_note_that_cannot_be_is_named_even_when_its_checksum_is_right(int offset, long value, string field)
    {
        var archive = new SealedArchive([.. whole]);
        archive.PutLong(archive.Note(3) + 16 + offset, value);
        archive.Reseal();
        Refused(archive, field);
    }

    [Theory]
    [InlineData(0, 0L, 8)]
    [InlineData(0, long.MaxValue, 8)]
    [InlineData(0, -4096L, 8)]
    [InlineData(8, 0L, 4)]
    [InlineData(8, 4097L, 4)]
    [InlineData(8, -1L, 4)]
    [InlineData(12, 2L, 4)]
    public void A_page_descriptor_that_cannot_be_is_named_by_its_page(int offset, long value, int width)
    {
        var archive = new SealedArchive([.. whole]);
        int descriptor = archive.Descriptors + (9 * 24);
        if (width == 8)
        {
            archive.PutLong(descriptor + offset, value);
        }
        else
        {
            archive.Put(descriptor + offset, (int)value);
        }

        File.WriteAllBytes(path, archive.Bytes);
        using ArchiveReader reader = ArchiveReader.Open(path);
        ArchiveException error = Assert.Throws<ArchiveException>(() => reader.ReadPhysical(9 * 4096, new byte[1]));
        Assert.Equal("page at physical 0x9000", error.Field);
        Assert.Equal(descriptor + offset, error.FileOffset);
    }

    [Fact]
    public void A_block_that_does_not_unpack_to_one_page_is_an_error_even_when_its_checksum_is_right()
    {
        var archive = new SealedArchive([.. whole]);
        int descriptor = archive.Descriptors + (8 * 24);
        archive.Bytes.AsSpan((int)archive.Long(descriptor) + 4, 8).Fill(0xFF);
        archive.ResealPage(8, 8);
        File.WriteAllBytes(path, archive.Bytes);
        using ArchiveReader reader = ArchiveReader.Open(path);

        Assert.Equal("page at physical 0x8000", Assert.Throws<ArchiveException>(() => reader.ReadPhysical(0x8000, new byte[1])).Field);
        Assert.Equal("page at physical 0x8000", Assert.Single(Verify().Problems).Field);
    }

    [Theory]
    [InlineData("\"version\":1", "\"version\":2", "version 2")]
    [InlineData("\"vcpus\":[", "\"vcpuz\":[", "vcpus")]
    [InlineData("\"gpr\":[18446612682070032384,", "\"gpr\":[                     ", "gpr has 15 elements")]
    [InlineData("\"cr0\":2147811379", "\"cr0\":2147811378", "PG without PE")]
    [InlineData("\"cr8\":3", "\"cr8\":x", "")]
    [InlineData("\"fx\":\"AAEC", "\"fx\":\"!!!!", "")]
    public void A_state_no_machine_has_is_refused_even_when_its_checksum_is_right(string old, string replacement, string problem)
    {
        var archive = new SealedArchive([.. whole]);
        archive.Replace(2, old, replacement);
        archive.Reseal();
        File.WriteAllBytes(path, archive.Bytes);

        ArchiveException error = Assert.Throws<ArchiveException>(() => ArchiveReader.Open(path));
        Assert.Equal("state note", error.Field);
        Assert.Contains(problem, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_current_CPU_the_machine_does_not_have_is_refused()
    {
        var archive = new SealedArchive([.. whole]);
        archive.Replace(1, "\"currentVcpu\":0", "\"currentVcpu\":1");
        archive.Reseal();
        Refused(archive, "info note");
    }

    [Theory]
    [InlineData(0, "second bitmap")]
    [InlineData(4096, "second bitmap")]
    public void A_bitmap_that_says_something_else_is_refused_even_when_its_checksum_is_right(int offset, string field)
    {
        var archive = new SealedArchive([.. whole]);
        archive.Bytes[archive.Bitmaps + offset] ^= 1;
        if (offset == 0)
        {
            archive.Bytes[archive.Bitmaps + 4096] ^= 1;
        }

        archive.Reseal();
        Refused(archive, field);
    }

    [Fact]
    public void A_file_of_another_kind_is_refused_by_name()
    {
        (byte[] Bytes, string Message)[] files =
        [
            ([], "the file ends here"),
            ([.. "makedumpfile\0\0\0\0"u8, .. new byte[8192]], "flattened"),
            ([.. "\u007fELF"u8, .. new byte[8192]], "not a kdump-compressed file"),
        ];
        foreach ((byte[] bytes, string message) in files)
        {
            File.WriteAllBytes(path, bytes);
            Assert.Contains(message, Assert.Throws<ArchiveException>(() => ArchiveReader.Open(path)).Message, StringComparison.Ordinal);
        }

        Assert.Contains("gone", Assert.Throws<ArchiveException>(() => ArchiveReader.Open(directory.File("gone"))).Message, StringComparison.Ordinal);
        Assert.Contains(directory.Path, Assert.Throws<ArchiveException>(() => ArchiveReader.Open(directory.Path)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_machine_beyond_the_limits_is_not_written()
    {
        using Snapshot many = Samples.Snapshot(16 * 4096, ArchiveLimits.Vcpus + 1);
        using Snapshot talkative = Samples.Snapshot(16 * 4096, info: Samples.Info(new string('x', ArchiveLimits.InfoBytes)));

        foreach (Snapshot snapshot in (Snapshot[])[many, talkative])
        {
            Assert.Throws<ArchiveException>(() => ArchiveWriter.Write(
                directory.File("b"), "0123456789", snapshot, cancellation: TestContext.Current.CancellationToken));
            Assert.False(File.Exists(directory.File("b")));
        }
    }

    [Fact]
    public void What_a_guest_could_make_endless_is_cut_or_left_out()
    {
        CaptureInfo info = Samples.Info() with
        {
            PanicText = new string('p', ArchiveLimits.PanicTextLength + 1),
            Vmcoreinfo = new string('v', ArchiveLimits.VmcoreinfoBytes + 1),
        };
        using Snapshot snapshot = Samples.Snapshot(16 * 4096, info: info);
        ArchiveWriter.Write(directory.File("b"), "0123456789", snapshot, cancellation: TestContext.Current.CancellationToken);
        using ArchiveReader reader = ArchiveReader.Open(directory.File("b"));

        Assert.Equal(ArchiveLimits.PanicTextLength, reader.Info.Capture.PanicText!.Length);
        Assert.Null(reader.Info.Capture.Vmcoreinfo);
    }

    private VerifyReport Verify() => ArchiveVerifier.Verify(path, cancellation: TestContext.Current.CancellationToken);

    private void Refused(SealedArchive archive, string field)
    {
        File.WriteAllBytes(path, archive.Bytes);
        ArchiveException error = Assert.Throws<ArchiveException>(() => ArchiveReader.Open(path));
        Assert.Equal(field, error.Field);
        Assert.Contains(path, error.Message, StringComparison.Ordinal);
        Assert.NotNull(error.FileOffset);
        Assert.False(Verify().IsWhole);
    }

    private void ReadEverything()
    {
        try
        {
            using ArchiveReader reader = ArchiveReader.Open(path);
            byte[] page = new byte[4096];
            foreach (PhysicalRange range in reader.Ram)
            {
                for (ulong address = range.Start; address < range.Start + range.Length; address += 4096)
                {
                    try
                    {
                        Assert.Equal(4096, reader.ReadPhysical(address, page));
                        Assert.Equal(Samples.Page(address / 4096) ?? new byte[4096], page);
                    }
                    catch (ArchiveException)
                    {
                        // Named; the next page may be well.
                    }
                }
            }
        }
        catch (ArchiveException)
        {
            // Refused as a whole.
        }
    }

    private static void Write(FileStream file, int offset, byte value)
    {
        file.Position = offset;
        file.WriteByte(value);
        file.Flush();
    }
}
