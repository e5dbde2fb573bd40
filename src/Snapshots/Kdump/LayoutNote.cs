using System.Buffers.Binary;

namespace Snapshots.Kdump;

/// <summary>
/// What proves a file whole: its length, where its parts are, and a checksum over everything before the page descriptors
/// but this note itself.
/// </summary>
internal sealed record LayoutNote
{
    /// <summary>Bytes of the payload.</summary>
    public const int PayloadSize = 64;

    /// <summary>Bytes of the file.</summary>
    public required long FileLength { get; init; }

    /// <summary>File offset of the page descriptors.</summary>
    public required long DescriptorsOffset { get; init; }

    /// <summary>Descriptors: pages in the file.</summary>
    public required long Pages { get; init; }

    /// <summary>File offset of the first stored page; the last one ends with the file.</summary>
    public required long DataOffset { get; init; }

    /// <summary>Bytes of the page of zeros, which is the first one stored.</summary>
    public required int ZeroBlockSize { get; init; }

    /// <summary>Pages stored, each once, the page of zeros included.</summary>
    public required long Blocks { get; init; }

    /// <summary>XXH3 of the page of zeros as stored.</summary>
    public required ulong ZeroBlockChecksum { get; init; }

    /// <summary>XXH3 of the file from 0 to this note and from behind it to the descriptors.</summary>
    public required ulong HeadChecksum { get; init; }

    /// <summary>Fills a payload.</summary>
    public void Write(Span<byte> payload)
    {
        Span<long> values =
        [
            FileLength, DescriptorsOffset, Pages, DataOffset, ZeroBlockSize, Blocks, (long)ZeroBlockChecksum, (long)HeadChecksum,
        ];
        for (int i = 0; i < values.Length; i++)
        {
            BinaryPrimitives.WriteInt64LittleEndian(payload[(8 * i)..], values[i]);
        }
    }

    /// <summary>Reads the payload that stands at <paramref name="offset"/> and holds its numbers against each other.</summary>
    public static LayoutNote Read(ArchiveFile file, ReadOnlySpan<byte> head, int offset, int headSize)
    {
        long length = file.LongNumber(head, offset, "layout.file_length", 0, long.MaxValue);
        if (length != file.Length)
        {
            throw file.Bad(offset, "layout.file_length", $"the file has {file.Length} bytes, not {length}: it was cut or changed");
        }

        long pages = file.LongNumber(head, offset + 16, "layout.pages", 0, ArchiveLimits.PageFrames);
        long data = headSize + (pages * PageDescriptor.Bytes);
        return new LayoutNote
        {
            FileLength = length,
            DescriptorsOffset = file.LongNumber(head, offset + 8, "layout.descriptors_offset", headSize, headSize),
            Pages = pages,
            DataOffset = file.LongNumber(head, offset + 24, "layout.data_offset", data, data),
            ZeroBlockSize = (int)file.LongNumber(head, offset + 32, "layout.zero_block_size", 1, Math.Min(ArchiveLimits.BlockBytes, length - data)),
            Blocks = file.LongNumber(head, offset + 40, "layout.blocks", 1, pages + 1),
            ZeroBlockChecksum = BinaryPrimitives.ReadUInt64LittleEndian(head[(offset + 48)..]),
            HeadChecksum = BinaryPrimitives.ReadUInt64LittleEndian(head[(offset + 56)..]),
        };
    }
}
