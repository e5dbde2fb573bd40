using System.Buffers.Binary;
using System.Text;
using Emulator;
using Snapshots.Kdump;

namespace Snapshots.Dumps;

/// <summary>
/// kdump-compressed files of versions 3 to 6 for x86-64, as makedumpfile and QEMU write them.
/// Source: makedumpfile's IMPLEMENTATION document, struct disk_dump_header and struct kdump_sub_header.
/// </summary>
internal static class KdumpFormat
{
    private const int OldestVersion = 3;
    private const int UtsnameField = 65;

    /// <summary>The first bytes.</summary>
    public static ReadOnlySpan<byte> Signature => "KDUMP   "u8;

    /// <summary>Reads everything but pages. Null when the file is an archive of ours, which <see cref="ArchiveReader"/> opens.</summary>
    public static DumpContents? Read(ArchiveFile file)
    {
        const int sub = KdumpSubHeader.Offset;
        byte[] head = new byte[KdumpHeader.BlockSize + KdumpSubHeader.Size];
        file.Read(0, head, "header");
        int version = file.Number(head, 8, "header_version", OldestVersion, KdumpHeader.Version);
        _ = file.Number(head, 428, "block_size", KdumpHeader.BlockSize, KdumpHeader.BlockSize);
        string architecture = Text(head, 4);
        if (architecture is not ("x86_64" or "" or "(unknown)"))
        {
            throw file.Bad(12 + (4 * UtsnameField), "utsname.machine", $"it is of a machine of the kind {architecture}; x86_64 is what can be read");
        }

        int subBlocks = file.Number(head, 432, "sub_hdr_size", 1, ArchiveLimits.SubHeaderBlocks);
        int bitmapBlocks = file.Number(head, 436, "bitmap_blocks", 2, 2 * (int)PageBitmap.Blocks(ArchiveLimits.PageFrames));
        _ = file.Number(head, sub + 12, "split", 0, 0);
        long frames = version >= 6
            ? file.LongNumber(head, sub + 96, "max_mapnr_64", 1, ArchiveLimits.PageFrames)
            : file.Number(head, 440, "max_mapnr", 1, (int)Math.Min(int.MaxValue, ArchiveLimits.PageFrames));
        long half = (long)(bitmapBlocks / 2) * KdumpHeader.BlockSize;
        if (half * 8 < frames)
        {
            throw file.Bad(436, "bitmap_blocks", $"{bitmapBlocks} blocks are two bitmaps of {half * 8} pages; there are {frames}");
        }

        var notes = new DumpNotes();
        if (version >= 4 && BinaryPrimitives.ReadInt64LittleEndian(head.AsSpan(sub + 56)) is var size && size != 0)
        {
            notes.Read(file, BinaryPrimitives.ReadInt64LittleEndian(head.AsSpan(sub + 48)), size);
        }

        int level = BinaryPrimitives.ReadInt32LittleEndian(head.AsSpan(sub + 8));
        if (notes.AreOurs && version == KdumpHeader.Version)
        {
            return null;
        }

        ReadVmcoreinfo(file, head, notes);
        long bitmaps = (1L + subBlocks) * KdumpHeader.BlockSize;
        (PageBitmap memory, PageBitmap stored, IReadOnlyList<PhysicalRange> ram) = ReadBitmaps(file, bitmaps, half, frames);
        long descriptors = bitmaps + ((long)bitmapBlocks * KdumpHeader.BlockSize);
        if (stored.Count > (file.Length - descriptors) / PageDescriptor.Bytes)
        {
            throw file.Bad(file.Length, "page descriptors", $"the file ends here; {stored.Count} descriptors begin at 0x{descriptors:x}");
        }

        string release = Text(head, 2);
        ulong physBase = BinaryPrimitives.ReadUInt64LittleEndian(head.AsSpan(sub));
        long seconds = BinaryPrimitives.ReadInt64LittleEndian(head.AsSpan(408));
        int cpu = BinaryPrimitives.ReadInt32LittleEndian(head.AsSpan(456));
        return new DumpContents
        {
            Format = $"kdump-compressed, version {version}{(file is FlattenedFile ? ", flattened" : "")}{((level & ~1) == 0 ? "" : $", filtered by level {level}")}",
            Pages = new KdumpPages(file, memory, stored, ram, descriptors),
            Notes = notes,
            Release = release is "" or "(unknown)" ? null : release,
            PhysicalBase = physBase == 0 ? null : physBase,
            Time = seconds is > 0 and < 253_402_300_800 ? DateTimeOffset.FromUnixTimeSeconds(seconds) : null,
            CurrentCpu = cpu,
            DumpLevel = level is >= 0 and <= KdumpSubHeader.MaximumDumpLevel ? level : 0,
        };
    }

    // Version 3 has it in the sub-header alone, later ones in a note as well.
    private static void ReadVmcoreinfo(ArchiveFile file, byte[] head, DumpNotes notes)
    {
        const int at = KdumpSubHeader.Offset + 32;
        long size = BinaryPrimitives.ReadInt64LittleEndian(head.AsSpan(at + 8));
        if (size == 0 || notes.Vmcoreinfo is not null)
        {
            return;
        }

        size = file.LongNumber(head, at + 8, "size_vmcoreinfo", 0, ArchiveLimits.VmcoreinfoBytes);
        byte[] text = new byte[size];
        file.Read(file.LongNumber(head, at, "offset_vmcoreinfo", KdumpHeader.BlockSize, file.Length - size), text, "vmcoreinfo");
        notes.Vmcoreinfo = Encoding.Latin1.GetString(text).TrimEnd('\0');
    }

    private static (PageBitmap Memory, PageBitmap Stored, IReadOnlyList<PhysicalRange> Ram) ReadBitmaps(
        ArchiveFile file, long offset, long half, long frames)
    {
        if (offset + (2 * half) > file.Length)
        {
            throw file.Bad(file.Length, "bitmaps", $"the file ends here; the bitmaps go on to 0x{offset + (2 * half):x}");
        }

        byte[] first = new byte[(frames + 7) / 8], second = new byte[(frames + 7) / 8];
        file.Read(offset, first, "first bitmap");
        file.Read(offset + half, second, "second bitmap");
        for (int i = 0; i < first.Length; i++)
        {
            if ((second[i] & ~first[i]) != 0)
            {
                throw file.Bad(offset + half + i, "second bitmap", "it has a page that the first does not have");
            }
        }

        var memory = new PageBitmap(first, frames);
        return memory.Ranges(ArchiveLimits.DumpRanges) is { Count: > 0 } ram
            ? (memory, new PageBitmap(second, frames), ram)
            : throw file.Bad(offset, "first bitmap", $"no RAM, or more than {ArchiveLimits.DumpRanges} ranges of it");
    }

    private static string Text(byte[] head, int field) => Encoding.Latin1.GetString(head, 12 + (field * UtsnameField), UtsnameField).Split('\0')[0];
}
