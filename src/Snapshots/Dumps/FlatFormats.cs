using System.Buffers.Binary;
using Emulator.Memory;
using Snapshots.Kdump;

namespace Snapshots.Dumps;

/// <summary>
/// Memory with little or nothing around it: LiME's ranges and raw images. Source: LiME's documentation, "LiME memory range
/// header": magic 4C694D45h, version 1, first and last address, 8 bytes reserved.
/// </summary>
internal static class FlatFormats
{
    private const int LimeHeaderSize = 32;
    private const ulong End = (ulong)ArchiveLimits.PageFrames * GuestMemory.PageSize;

    /// <summary>The first bytes of a LiME file.</summary>
    public static ReadOnlySpan<byte> LimeSignature => "EMiL"u8;

    /// <summary>LiME's ranges.</summary>
    public static DumpContents ReadLime(ArchiveFile file)
    {
        List<DumpSegment> segments = [];
        byte[] header = new byte[LimeHeaderSize];
        for (long at = 0; at < file.Length;)
        {
            if (segments.Count == ArchiveLimits.LimeRanges)
            {
                throw file.Bad(at, "LiME header", $"more than {ArchiveLimits.LimeRanges} ranges");
            }

            file.Read(at, header, "LiME header");
            if (!header.AsSpan().StartsWith(LimeSignature))
            {
                throw file.Bad(at, "LiME magic", "a range should begin here");
            }

            int version = BinaryPrimitives.ReadInt32LittleEndian(header.AsSpan(4));
            if (version != 1)
            {
                throw file.Bad(at + 4, "LiME version", $"{version}, must be 1");
            }

            ulong first = BinaryPrimitives.ReadUInt64LittleEndian(header.AsSpan(8)), last = BinaryPrimitives.ReadUInt64LittleEndian(header.AsSpan(16));
            if (last < first || last >= End || last - first >= (ulong)(file.Length - at - LimeHeaderSize))
            {
                throw file.Bad(at + 8, "LiME range", $"0x{first:x} … 0x{last:x}; the file has 0x{file.Length - at - LimeHeaderSize:x} more bytes, and addresses end at 0x{End:x}");
            }

            ulong length = last - first + 1;
            segments.Add(new DumpSegment(first, length, length, at + LimeHeaderSize));
            at += LimeHeaderSize + (long)length;
        }

        return new DumpContents { Format = "LiME", Pages = new SegmentPages(file, segments), Notes = new DumpNotes() };
    }

    /// <summary>RAM as it is, from <paramref name="start"/> on.</summary>
    public static DumpContents ReadRaw(ArchiveFile file, ulong start)
    {
        if (file.Length == 0 || start >= End || (ulong)file.Length > End - start)
        {
            throw file.Bad(0, "raw image", $"{file.Length} bytes from 0x{start:x} on; memory ends at 0x{End:x}");
        }

        var whole = new DumpSegment(start, (ulong)file.Length, (ulong)file.Length, 0);
        return new DumpContents { Format = $"raw RAM from 0x{start:x} on", Pages = new SegmentPages(file, [whole]), Notes = new DumpNotes() };
    }
}
