using System.Buffers.Binary;

namespace Snapshots.Kdump;

/// <summary>
/// The start of the second block: struct kdump_sub_header of version 6. VMCOREINFO and the notes stand in the blocks
/// after it that <see cref="KdumpHeader.SubHeaderBlocks"/> counts.
/// </summary>
internal sealed record KdumpSubHeader
{
    /// <summary>Where it stands in the file.</summary>
    public const int Offset = KdumpHeader.BlockSize;

    /// <summary>Bytes.</summary>
    public const int Size = 104;

    /// <summary>Everything makedumpfile knows to leave out.</summary>
    public const int MaximumDumpLevel = 31;

    /// <summary>The guest kernel's phys_base, 0 when not known.</summary>
    public required ulong PhysBase { get; init; }

    /// <summary>What was left out, by makedumpfile's bits: 1 zeros, 2 cache, 4 cache with buffers, 8 processes' pages, 16 free ones.</summary>
    public required int DumpLevel { get; init; }

    /// <summary>File offset of VMCOREINFO's text, inside its note; 0 when there is none.</summary>
    public required long VmcoreinfoOffset { get; init; }

    /// <summary>Bytes of VMCOREINFO's text.</summary>
    public required long VmcoreinfoSize { get; init; }

    /// <summary>File offset of the notes.</summary>
    public required long NotesOffset { get; init; }

    /// <summary>Bytes of the notes.</summary>
    public required long NotesSize { get; init; }

    /// <summary>Highest page frame number plus one.</summary>
    public required long MaximumFrame { get; init; }

    /// <summary>Fills the sub-header; <paramref name="block"/> is zeros.</summary>
    public void Write(Span<byte> block)
    {
        BinaryPrimitives.WriteUInt64LittleEndian(block, PhysBase);
        Span<long> values = [VmcoreinfoOffset, VmcoreinfoSize, NotesOffset, NotesSize];
        for (int i = 0; i < values.Length; i++)
        {
            BinaryPrimitives.WriteInt64LittleEndian(block[(32 + (8 * i))..], values[i]);
        }

        // start_pfn and end_pfn stay 0 as in any file that is not split.
        BinaryPrimitives.WriteInt32LittleEndian(block[8..], DumpLevel);
        BinaryPrimitives.WriteInt64LittleEndian(block[96..], MaximumFrame);
    }

    /// <summary>Reads and checks the sub-header out of the file's head.</summary>
    public static KdumpSubHeader Read(ArchiveFile file, ReadOnlySpan<byte> head, int subHeaderBlocks)
    {
        long end = Offset + ((long)subHeaderBlocks * KdumpHeader.BlockSize);
        _ = file.Number(head, Offset + 12, "split", 0, 0);
        long notes = file.LongNumber(head, Offset + 48, "offset_note", Offset + Size, end);
        long size = file.LongNumber(head, Offset + 56, "size_note", 0, end - notes);
        long vmcoreinfo = file.LongNumber(head, Offset + 32, "offset_vmcoreinfo", 0, end);
        long vmcoreinfoSize = file.LongNumber(head, Offset + 40, "size_vmcoreinfo", 0, Math.Min(end - vmcoreinfo, ArchiveLimits.VmcoreinfoBytes));
        return new KdumpSubHeader
        {
            PhysBase = BinaryPrimitives.ReadUInt64LittleEndian(head[Offset..]),
            DumpLevel = file.Number(head, Offset + 8, "dump_level", 0, MaximumDumpLevel),
            VmcoreinfoOffset = vmcoreinfo,
            VmcoreinfoSize = vmcoreinfoSize,
            NotesOffset = notes,
            NotesSize = size,
            MaximumFrame = file.LongNumber(head, Offset + 96, "max_mapnr_64", 1, ArchiveLimits.PageFrames),
        };
    }
}
