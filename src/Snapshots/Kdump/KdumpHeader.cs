using System.Buffers.Binary;
using System.Text;

namespace Snapshots.Kdump;

/// <summary>
/// The first block of a kdump-compressed file: struct disk_dump_header as 64-bit x86 lays it out.
/// Source: makedumpfile's IMPLEMENTATION document and diskdump_mod.h; the offsets are in docs/archive-format.md.
/// </summary>
internal sealed record KdumpHeader
{
    /// <summary>The unit of everything before the page data, and the page size.</summary>
    public const int BlockSize = 4096;

    /// <summary>The version written and read: 6 has 64-bit page frame numbers.</summary>
    public const int Version = 6;

    private const string Unknown = "(unknown)";
    private const int UtsnameField = 65;
    private const int UtsnameOffset = 12;
    private const int TimestampOffset = 408;

    private static readonly byte[] Signature = "KDUMP   "u8.ToArray();
    private static readonly byte[] FlattenedSignature = "makedumpfile"u8.ToArray();

    /// <summary>uname -r of the guest.</summary>
    public required string Release { get; init; }

    /// <summary>When it was taken.</summary>
    public required DateTimeOffset Time { get; init; }

    /// <summary>Blocks of the sub-header and the notes.</summary>
    public required int SubHeaderBlocks { get; init; }

    /// <summary>Blocks of both bitmaps together.</summary>
    public required int BitmapBlocks { get; init; }

    /// <summary>Highest page frame number plus one, cut to 32 bits; the sub-header has the whole.</summary>
    public required uint MaximumFrame { get; init; }

    /// <summary>Pages of RAM.</summary>
    public required uint RamPages { get; init; }

    /// <summary>Pages of them in the file.</summary>
    public required uint StoredPages { get; init; }

    /// <summary>How pages are compressed: <see cref="PageDescriptor.Zstd"/> or <see cref="PageDescriptor.Zlib"/>.</summary>
    public required int Compression { get; init; }

    /// <summary>The CPU that caused the dump.</summary>
    public required int CurrentCpu { get; init; }

    /// <summary>CPUs.</summary>
    public required int Cpus { get; init; }

    /// <summary>Fills a block of zeros.</summary>
    public void Write(Span<byte> block)
    {
        Signature.CopyTo(block);
        Int32(block, 8, Version);

        // struct new_utsname. libkdumpfile takes the architecture from here, but only when no field is empty (the last may be).
        string[] names = ["Linux", "(none)", Release.Length == 0 ? Unknown : Release, Unknown, "x86_64", ""];
        for (int i = 0; i < names.Length; i++)
        {
            // Each is a C string of at most 64 characters.
            Span<byte> field = block.Slice(UtsnameOffset + (i * UtsnameField), UtsnameField - 1);
            Encoding.Latin1.GetBytes(names[i].AsSpan(0, Math.Min(names[i].Length, field.Length)), field);
        }

        BinaryPrimitives.WriteInt64LittleEndian(block[TimestampOffset..], Time.ToUnixTimeSeconds());
        BinaryPrimitives.WriteInt64LittleEndian(block[(TimestampOffset + 8)..], Time.Ticks % TimeSpan.TicksPerSecond / 10);
        Int32(block, 424, Compression);
        Int32(block, 428, BlockSize);
        Int32(block, 432, SubHeaderBlocks);
        Int32(block, 436, BitmapBlocks);
        Int32(block, 440, (int)MaximumFrame);
        Int32(block, 444, (int)RamPages);
        Int32(block, 452, (int)StoredPages);
        Int32(block, 456, CurrentCpu);
        Int32(block, 460, Cpus);
    }

    /// <summary>Reads and checks the block at offset 0.</summary>
    public static KdumpHeader Read(ArchiveFile file, ReadOnlySpan<byte> block)
    {
        if (block.StartsWith(FlattenedSignature))
        {
            throw file.Bad(0, "signature", "the file is flattened; `makedumpfile -R` makes it a file that can be read");
        }

        if (!block.StartsWith(Signature))
        {
            throw file.Bad(0, "signature", "this is not a kdump-compressed file");
        }

        _ = file.Number(block, 8, "header_version", Version, Version);
        _ = file.Number(block, 428, "block_size", BlockSize, BlockSize);
        return new KdumpHeader
        {
            Release = Encoding.Latin1.GetString(block.Slice(UtsnameOffset + (2 * UtsnameField), UtsnameField)).Split('\0')[0],
            Time = default,
            SubHeaderBlocks = file.Number(block, 432, "sub_hdr_size", 1, ArchiveLimits.SubHeaderBlocks),
            BitmapBlocks = file.Number(block, 436, "bitmap_blocks", 2, 2 * (int)PageBitmap.Blocks(ArchiveLimits.PageFrames)),
            MaximumFrame = BinaryPrimitives.ReadUInt32LittleEndian(block[440..]),
            RamPages = BinaryPrimitives.ReadUInt32LittleEndian(block[444..]),
            StoredPages = BinaryPrimitives.ReadUInt32LittleEndian(block[452..]),
            Compression = BinaryPrimitives.ReadInt32LittleEndian(block[424..]) is var compression and (PageDescriptor.Zstd or PageDescriptor.Zlib)
                ? compression
                : throw file.Bad(424, "status", $"0x{BinaryPrimitives.ReadInt32LittleEndian(block[424..]):x}, must be 1 (zlib) or 20h (zstd)"),
            Cpus = file.Number(block, 460, "nr_cpus", 1, ArchiveLimits.Vcpus),
            CurrentCpu = file.Number(block, 456, "current_cpu", 0, ArchiveLimits.Vcpus - 1),
        };
    }

    private static void Int32(Span<byte> block, int offset, int value) =>
        BinaryPrimitives.WriteInt32LittleEndian(block[offset..], value);
}
