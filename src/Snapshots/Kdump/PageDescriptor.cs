using System.Buffers.Binary;
using System.IO.Hashing;

namespace Snapshots.Kdump;

/// <summary>Where and how a page is stored: struct page_desc, 24 bytes, one for each bit set in the second bitmap, in order.</summary>
/// <param name="Offset">File offset of the stored bytes.</param>
/// <param name="Size">How many.</param>
/// <param name="Flags"><see cref="Raw"/>, <see cref="Zlib"/> or <see cref="Zstd"/>.</param>
/// <param name="Checksum">See <see cref="Seal"/>. Stands where others keep the kernel's flags of the page, which no reader asks for.</param>
internal readonly record struct PageDescriptor(long Offset, int Size, int Flags, ulong Checksum = 0)
{
    /// <summary>Bytes of a descriptor.</summary>
    public const int Bytes = 24;

    /// <summary>Stored as it is.</summary>
    public const int Raw = 0;

    /// <summary>One zlib stream (DUMP_DH_COMPRESSED_ZLIB).</summary>
    public const int Zlib = 1;

    /// <summary>One zstd frame (DUMP_DH_COMPRESSED_ZSTD).</summary>
    public const int Zstd = 0x20;

    /// <summary>
    /// The same with its page's checksum: over the frame number, the descriptor and the checksum of the stored bytes, so that
    /// a page moved, exchanged or changed is found without reading anything else.
    /// </summary>
    public PageDescriptor Seal(long frame, ulong blockChecksum)
    {
        Span<byte> record = stackalloc byte[32];
        BinaryPrimitives.WriteInt64LittleEndian(record, frame);
        BinaryPrimitives.WriteInt64LittleEndian(record[8..], Offset);
        BinaryPrimitives.WriteInt32LittleEndian(record[16..], Size);
        BinaryPrimitives.WriteInt32LittleEndian(record[20..], Flags);
        BinaryPrimitives.WriteUInt64LittleEndian(record[24..], blockChecksum);
        return this with { Checksum = XxHash3.HashToUInt64(record) };
    }

    /// <summary>Writes it.</summary>
    public void Write(Span<byte> destination)
    {
        BinaryPrimitives.WriteInt64LittleEndian(destination, Offset);
        BinaryPrimitives.WriteInt32LittleEndian(destination[8..], Size);
        BinaryPrimitives.WriteInt32LittleEndian(destination[12..], Flags);
        BinaryPrimitives.WriteUInt64LittleEndian(destination[16..], Checksum);
    }

    /// <summary>Reads one, unchecked.</summary>
    public static PageDescriptor Read(ReadOnlySpan<byte> source) => new(
        BinaryPrimitives.ReadInt64LittleEndian(source),
        BinaryPrimitives.ReadInt32LittleEndian(source[8..]),
        BinaryPrimitives.ReadInt32LittleEndian(source[12..]),
        BinaryPrimitives.ReadUInt64LittleEndian(source[16..]));
}
