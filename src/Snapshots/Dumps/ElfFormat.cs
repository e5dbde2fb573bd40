using System.Buffers.Binary;
using Emulator.Memory;
using Snapshots.Kdump;

namespace Snapshots.Dumps;

/// <summary>
/// ELF cores of machines: /proc/vmcore, QEMU's dump-guest-memory, libvirt's --memory-only, makedumpfile -E. Memory is where
/// PT_LOAD's p_paddr says. Source: System V ABI, "Program Header".
/// </summary>
internal static class ElfFormat
{
    private const int HeaderSize = 64;
    private const int ProgramHeaderSize = 56;
    private const int TypeLoad = 1;
    private const int TypeNote = 4;
    private const int Core = 4;
    private const int Amd64 = 62;
    private const int CountElsewhere = 0xFFFF;
    private const ulong KernelMap = 0xFFFF_FFFF_8000_0000;
    private const ulong End = (ulong)ArchiveLimits.PageFrames * GuestMemory.PageSize;

    /// <summary>The first bytes.</summary>
    public static ReadOnlySpan<byte> Signature => "\u007FELF"u8;

    /// <summary>Reads everything but pages.</summary>
    public static DumpContents Read(ArchiveFile file)
    {
        byte[] header = new byte[HeaderSize];
        file.Read(0, header, "ELF header");
        if (header[4] != 2 || header[5] != 1)
        {
            throw file.Bad(4, "e_ident", "it is not a 64-bit little-endian ELF file: dumps of 64-bit x86 machines are what can be read");
        }

        ushort type = BinaryPrimitives.ReadUInt16LittleEndian(header.AsSpan(16));
        if (type != Core)
        {
            throw file.Bad(16, "e_type", $"{type}, must be {Core}: this is a program or a library, not a dump of memory");
        }

        ushort machine = BinaryPrimitives.ReadUInt16LittleEndian(header.AsSpan(18));
        if (machine != Amd64)
        {
            throw file.Bad(18, "e_machine", $"{machine}, must be {Amd64}: dumps of 64-bit x86 machines are what can be read");
        }

        byte[] headers = ReadProgramHeaders(file, header, out long offset);
        var notes = new DumpNotes();
        List<DumpSegment> segments = [];
        ulong? physicalBase = null;
        long noteBytes = 0;
        for (int at = 0; at < headers.Length; at += ProgramHeaderSize)
        {
            ReadOnlySpan<byte> entry = headers.AsSpan(at, ProgramHeaderSize);
            switch (BinaryPrimitives.ReadInt32LittleEndian(entry))
            {
                case TypeNote:
                    long start = BinaryPrimitives.ReadInt64LittleEndian(entry[8..]), size = BinaryPrimitives.ReadInt64LittleEndian(entry[32..]);
                    noteBytes = Math.Max(0, noteBytes) + Math.Clamp(size, 0, file.Length);
                    if (noteBytes > ArchiveLimits.NotesBytes)
                    {
                        throw file.Bad(offset + at + 32, "p_filesz", $"the notes have more than {ArchiveLimits.NotesBytes} bytes");
                    }

                    notes.Read(file, start, size);
                    break;

                case TypeLoad when ReadSegment(file, entry, offset + at) is { } segment:
                    segments.Add(segment);
                    ulong address = BinaryPrimitives.ReadUInt64LittleEndian(entry[16..]);
                    if (address >= KernelMap)
                    {
                        physicalBase ??= segment.Start - (address - KernelMap);
                    }

                    break;
            }
        }

        // The core of a process has no physical addresses: zeros stand in their place.
        if (segments.Count == 0 || (segments.Count > 1 && segments.TrueForAll(s => s.Start == 0)))
        {
            throw file.Bad(offset, "program headers", segments.Count == 0 ? "no memory is in it" : "there are no physical addresses: this is the core of a process, not of a machine");
        }

        return new DumpContents
        {
            Format = $"ELF vmcore{(notes.HaveControlRegisters ? " by QEMU" : "")}{(file is FlattenedFile ? ", flattened" : "")}",
            Pages = new SegmentPages(file, segments),
            Notes = notes,
            PhysicalBase = physicalBase,
        };
    }

    private static byte[] ReadProgramHeaders(ArchiveFile file, byte[] header, out long offset)
    {
        offset = file.LongNumber(header, 32, "e_phoff", HeaderSize, Math.Max(HeaderSize, file.Length - ProgramHeaderSize));
        ushort size = BinaryPrimitives.ReadUInt16LittleEndian(header.AsSpan(54));
        if (size != ProgramHeaderSize)
        {
            throw file.Bad(54, "e_phentsize", $"{size}, must be {ProgramHeaderSize}");
        }

        int count = BinaryPrimitives.ReadUInt16LittleEndian(header.AsSpan(56));
        if (count == CountElsewhere)
        {
            // More than 65534: the count is sh_info of the first section header.
            long section = file.LongNumber(header, 40, "e_shoff", HeaderSize, Math.Max(HeaderSize, file.Length - HeaderSize));
            byte[] first = new byte[HeaderSize];
            file.Read(section, first, "first section header");
            count = BinaryPrimitives.ReadInt32LittleEndian(first.AsSpan(44));
            if (count is < 1 or > ArchiveLimits.ElfSegments)
            {
                throw file.Bad(section + 44, "sh_info", $"{count} program headers, must be 1 … {ArchiveLimits.ElfSegments}");
            }
        }

        if (count == 0 || (long)count * ProgramHeaderSize > file.Length - offset)
        {
            throw file.Bad(56, "e_phnum", $"{count} program headers from 0x{offset:x} on; the file has 0x{file.Length:x}");
        }

        byte[] headers = new byte[count * ProgramHeaderSize];
        file.Read(offset, headers, "program headers");
        return headers;
    }

    private static DumpSegment? ReadSegment(ArchiveFile file, ReadOnlySpan<byte> entry, long at)
    {
        long offset = BinaryPrimitives.ReadInt64LittleEndian(entry[8..]);
        ulong start = BinaryPrimitives.ReadUInt64LittleEndian(entry[24..]);
        ulong stored = BinaryPrimitives.ReadUInt64LittleEndian(entry[32..]);
        ulong length = Math.Max(stored, BinaryPrimitives.ReadUInt64LittleEndian(entry[40..]));
        if (length == 0 || start == ulong.MaxValue)
        {
            return null; // -1 is how the kernel says that an address has no physical one
        }

        if (start >= End || length > End - start)
        {
            throw file.Bad(at + 24, "p_paddr", $"0x{start:x} and 0x{length:x} bytes on is beyond 0x{End:x}, the limit of physical memory");
        }

        return stored == 0 || (offset >= 0 && offset <= file.Length && stored <= (ulong)(file.Length - offset))
            ? new DumpSegment(start, length, stored, offset)
            : throw file.Bad(at + 8, "p_offset", $"0x{offset:x} and 0x{stored:x} bytes on is not within the file, which has 0x{file.Length:x}");
    }
}
