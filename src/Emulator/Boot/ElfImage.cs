using System.Buffers.Binary;

namespace Emulator.Boot;

/// <summary>A program header, of either class.</summary>
internal readonly record struct ElfSegment(
    uint Type, ulong Offset, ulong VirtualAddress, ulong PhysicalAddress, ulong FileSize, ulong MemorySize, ulong Alignment);

/// <summary>
/// The parts of an x86 ELF executable a loader needs; System V gABI chapters 4 and 5. Every field is checked against the
/// file's length before it is used.
/// </summary>
internal sealed class ElfImage
{
    public const uint LoadType = 1;
    public const uint NoteType = 4;

    private readonly ReadOnlyMemory<byte> file;

    private ElfImage(ReadOnlyMemory<byte> file, ulong entry, IReadOnlyList<ElfSegment> segments)
    {
        this.file = file;
        Entry = entry;
        Segments = segments;
    }

    /// <summary>e_entry.</summary>
    public ulong Entry { get; }

    /// <summary>The program headers.</summary>
    public IReadOnlyList<ElfSegment> Segments { get; }

    public static bool IsElf(ReadOnlySpan<byte> file) => file.StartsWith("\u007FELF"u8);

    /// <summary>Reads the headers; throws <see cref="BootException"/> when they are not those of an x86 executable, or do not fit the file.</summary>
    public static ElfImage Parse(ReadOnlyMemory<byte> file)
    {
        ReadOnlySpan<byte> bytes = file.Span;
        if (!IsElf(bytes) || bytes.Length < 52)
        {
            throw new BootException($"the ELF header needs 52 bytes at least; the file has {bytes.Length}");
        }

        bool wide = bytes[4] switch
        {
            1 => false,
            2 when bytes.Length >= 64 => true,
            2 => throw new BootException($"the ELF header needs 64 bytes; the file has {bytes.Length}"),
            byte other => throw new BootException($"ELF class (EI_CLASS) is {other}; 1 (32-bit) or 2 (64-bit) is needed"),
        };
        if (bytes[5] != 1)
        {
            throw new BootException($"ELF byte order (EI_DATA) is {bytes[5]}; 1 (little-endian) is needed");
        }

        ushort machine = BinaryPrimitives.ReadUInt16LittleEndian(bytes[18..]);
        if (machine is not (3 or 62))
        {
            throw new BootException($"ELF machine (e_machine) is {machine}; 3 (386) or 62 (x86-64) is needed");
        }

        ulong tableOffset = wide ? U64(bytes, 32) : U32(bytes, 28);
        int entrySize = BinaryPrimitives.ReadUInt16LittleEndian(bytes[(wide ? 54 : 42)..]);
        int count = BinaryPrimitives.ReadUInt16LittleEndian(bytes[(wide ? 56 : 44)..]);
        if (count is 0 or > BootLimits.ProgramHeaders)
        {
            throw new BootException($"ELF has {count} program headers (e_phnum); 1 to {BootLimits.ProgramHeaders} are allowed");
        }

        int needed = wide ? 56 : 32;
        if (entrySize < needed)
        {
            throw new BootException($"ELF program headers (e_phentsize) are {entrySize} bytes; {needed} are needed");
        }

        ulong tableLength = (ulong)(entrySize * count);
        if (tableOffset > (ulong)bytes.Length || tableLength > (ulong)bytes.Length - tableOffset)
        {
            throw new BootException($"ELF program headers (e_phoff {tableOffset:x}h, {tableLength:x}h bytes) go beyond the file's {bytes.Length:x}h bytes");
        }

        var segments = new ElfSegment[count];
        for (int i = 0; i < count; i++)
        {
            ReadOnlySpan<byte> header = bytes[((int)tableOffset + (i * entrySize))..];
            segments[i] = wide
                ? new(U32(header, 0), U64(header, 8), U64(header, 16), U64(header, 24), U64(header, 32), U64(header, 40), U64(header, 48))
                : new(U32(header, 0), U32(header, 4), U32(header, 8), U32(header, 12), U32(header, 16), U32(header, 20), U32(header, 28));
            CheckSegment(i, segments[i], (ulong)bytes.Length);
        }

        return new ElfImage(file, wide ? U64(bytes, 24) : U32(bytes, 24), segments);
    }

    /// <summary>The bytes of a segment in the file.</summary>
    public ReadOnlySpan<byte> Content(ElfSegment segment) => file.Span.Slice((int)segment.Offset, (int)segment.FileSize);

    /// <summary>Places and writes every loadable segment at its physical address; returns the address after the highest.</summary>
    public ulong LoadInto(BootSpace space)
    {
        ulong end = 0;
        foreach (ElfSegment segment in Segments)
        {
            if (segment.Type != LoadType || segment.MemorySize == 0)
            {
                continue;
            }

            space.Take("kernel", segment.PhysicalAddress, segment.MemorySize);
            space.Memory.Write(segment.PhysicalAddress, Content(segment));
            if (segment.MemorySize > segment.FileSize)
            {
                space.Memory.Clear(segment.PhysicalAddress + segment.FileSize, segment.MemorySize - segment.FileSize);
            }

            end = Math.Max(end, segment.PhysicalAddress + segment.MemorySize);
        }

        return end != 0 ? end : throw new BootException("ELF has no loadable segment");
    }

    /// <summary>The physical address of a virtual one that a loadable segment covers, else the address itself.</summary>
    public ulong ToPhysical(ulong address)
    {
        foreach (ElfSegment segment in Segments)
        {
            if (segment.Type == LoadType && address - segment.VirtualAddress < segment.MemorySize)
            {
                return address - segment.VirtualAddress + segment.PhysicalAddress;
            }
        }

        return address;
    }

    /// <summary>
    /// The descriptor of the first note with this owner and type; empty when there is none. A note that does not fit its
    /// segment ends the search there.
    /// </summary>
    public ReadOnlySpan<byte> FindNote(ReadOnlySpan<byte> owner, uint type)
    {
        foreach (ElfSegment segment in Segments)
        {
            if (segment.Type != NoteType || segment.FileSize > BootLimits.NoteBytes)
            {
                continue;
            }

            int alignment = segment.Alignment == 8 ? 8 : 4;
            ReadOnlySpan<byte> notes = Content(segment);
            while (notes.Length >= 12)
            {
                uint ownerSize = U32(notes, 0);
                uint descriptorSize = U32(notes, 4);
                ulong descriptorAt = Align(12 + (ulong)ownerSize, alignment);
                ulong next = Align(descriptorAt + descriptorSize, alignment);
                if (descriptorAt + descriptorSize > (ulong)notes.Length)
                {
                    break;
                }

                if (U32(notes, 8) == type && notes.Slice(12, (int)ownerSize).SequenceEqual(owner))
                {
                    return notes.Slice((int)descriptorAt, (int)descriptorSize);
                }

                notes = notes[(int)Math.Min(next, (ulong)notes.Length)..];
            }
        }

        return [];
    }

    private static void CheckSegment(int index, in ElfSegment segment, ulong fileLength)
    {
        if (segment.Type is not (LoadType or NoteType))
        {
            return;
        }

        if (segment.Offset > fileLength || segment.FileSize > fileLength - segment.Offset)
        {
            throw new BootException(
                $"ELF segment {index} (p_offset {segment.Offset:x}h, p_filesz {segment.FileSize:x}h) goes beyond the file's {fileLength:x}h bytes");
        }

        if (segment.Type == LoadType && segment.MemorySize < segment.FileSize)
        {
            throw new BootException(
                $"ELF segment {index}: p_memsz {segment.MemorySize:x}h is less than p_filesz {segment.FileSize:x}h");
        }

        if (segment.PhysicalAddress > ulong.MaxValue - segment.MemorySize)
        {
            throw new BootException($"ELF segment {index}: p_paddr {segment.PhysicalAddress:x}h + p_memsz {segment.MemorySize:x}h wraps around");
        }
    }

    private static ulong Align(ulong value, int alignment) => (value + (ulong)alignment - 1) & ~((ulong)alignment - 1);

    private static uint U32(ReadOnlySpan<byte> bytes, int offset) => BinaryPrimitives.ReadUInt32LittleEndian(bytes[offset..]);

    private static ulong U64(ReadOnlySpan<byte> bytes, int offset) => BinaryPrimitives.ReadUInt64LittleEndian(bytes[offset..]);
}
