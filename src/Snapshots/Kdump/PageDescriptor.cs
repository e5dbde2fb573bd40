using System.Buffers.Binary;
using System.IO.Hashing;

namespace Snapshots.Kdump;

/// <summary>Where and how a page is stored: struct page_desc, 24 bytes, one for each bit set in the second bitmap, in order.</summary>
/// <param name="Offset">File offset of the stored bytes.</param>
/// <param name="Size">How many.</param>
/// <param name="Flags"><see cref="Raw"/> or <see cref="Zstd"/>.</param>
internal readonly record struct PageDescriptor(long Offset, int Size, int Flags)
{
    /// <summary>Bytes of a descriptor.</summary>
    public const int Bytes = 24;

    /// <summary>Bytes of a page's checksum in the table at the file's end.</summary>
    public const int ChecksumBytes = 8;

    /// <summary>Stored as it is.</summary>
    public const int Raw = 0;

    /// <summary>One zstd frame (DUMP_DH_COMPRESSED_ZSTD).</summary>
    public const int Zstd = 0x20;

    /// <summary>Writes it; the kernel's page flags stay 0.</summary>
    public void Write(Span<byte> destination)
    {
        BinaryPrimitives.WriteInt64LittleEndian(destination, Offset);
        BinaryPrimitives.WriteInt32LittleEndian(destination[8..], Size);
        BinaryPrimitives.WriteInt32LittleEndian(destination[12..], Flags);
        BinaryPrimitives.WriteInt64LittleEndian(destination[16..], 0);
    }

    /// <summary>Reads one, unchecked.</summary>
    public static PageDescriptor Read(ReadOnlySpan<byte> source) => new(
        BinaryPrimitives.ReadInt64LittleEndian(source),
        BinaryPrimitives.ReadInt32LittleEndian(source[8..]),
        BinaryPrimitives.ReadInt32LittleEndian(source[12..]));

    /// <summary>
    /// A page's checksum: over its frame number, its descriptor as stored and the checksum of its stored bytes, so that a
    /// page moved, exchanged or changed is found without reading anything else.
    /// </summary>
    public static ulong Checksum(long frame, ReadOnlySpan<byte> descriptor, ulong blockChecksum)
    {
        Span<byte> record = stackalloc byte[8 + Bytes + 8];
        BinaryPrimitives.WriteInt64LittleEndian(record, frame);
        descriptor[..Bytes].CopyTo(record[8..]);
        BinaryPrimitives.WriteUInt64LittleEndian(record[(8 + Bytes)..], blockChecksum);
        return XxHash3.HashToUInt64(record);
    }
}
