using System.Buffers.Binary;
using System.Text;
using Microsoft.Win32.SafeHandles;

namespace Debugging.Kernels;

/// <summary>What an ELF file on this host says of itself: whose debug information it is. Source: gABI chapter 4; the GNU build id note.</summary>
/// <param name="BuildId">Its build id in lower-case hexadecimal digits; null when it has none.</param>
/// <param name="HasDebugInformation">It has DWARF.</param>
/// <param name="FrameAt">Where .debug_frame lies in the file; 0 when it has none.</param>
/// <param name="FrameLength">Its bytes.</param>
internal sealed record ElfHeader(string? BuildId, bool HasDebugInformation, long FrameAt, long FrameLength)
{
    /// <summary>Sections looked at; vmlinux has about a hundred.</summary>
    public const int MaxSections = 1 << 16;

    /// <summary>Bytes of a section that holds notes.</summary>
    public const int MaxNotesBytes = 1 << 16;

    /// <summary>Bytes of the sections' names.</summary>
    public const int MaxNamesBytes = 1 << 20;

    private const int HeaderBytes = 64, SectionBytes = 64, AddressAt = 16;
    private const uint Note = 7, NoBits = 8, GnuBuildId = 3;
    private const ulong Alloc = 2, Compressed = 0x800;

    /// <summary>Reads it; null when the file is no 64-bit little-endian ELF file, or cannot be read.</summary>
    public static ElfHeader? TryRead(string path)
    {
        try
        {
            using SafeFileHandle file = File.OpenHandle(path);
            return Read(file);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or ArgumentException or NotSupportedException)
        {
            return null;
        }
    }

    /// <summary>
    /// Writes into a file, which is a copy of ours, where its sections lie. Debuggers then find everything in a module's file
    /// there: left to lay it out by themselves, gdb takes one section's addresses for another's.
    /// </summary>
    /// <param name="path">The copy.</param>
    /// <param name="placeOf">Where a section of this name lies; null when it lies nowhere any more.</param>
    /// <returns>False when it is no ELF file.</returns>
    public static bool TryPlace(string path, Func<string, ulong?> placeOf)
    {
        using SafeFileHandle file = File.OpenHandle(path, FileMode.Open, FileAccess.ReadWrite);
        if (ReadSections(file) is not (long sectionsAt, byte[] sections, byte[] names))
        {
            return false;
        }

        for (int i = 0; i * SectionBytes < sections.Length; i++)
        {
            (_, uint nameAt, _, _, ulong flags) = Section(sections, i);
            if ((flags & Alloc) != 0)
            {
                BinaryPrimitives.WriteUInt64LittleEndian(sections.AsSpan((i * SectionBytes) + AddressAt), placeOf(Name(names, nameAt)) ?? 0);
            }
        }

        RandomAccess.Write(file, sections, sectionsAt);
        return true;
    }

    private static (long At, byte[] Sections, byte[] Names)? ReadSections(SafeFileHandle file)
    {
        byte[] header = Bytes(file, 0, HeaderBytes, HeaderBytes);
        if (header.Length < HeaderBytes || !header.AsSpan().StartsWith("\u007fELF\u0002\u0001"u8))
        {
            return null;
        }

        long sectionsAt = (long)BinaryPrimitives.ReadUInt64LittleEndian(header.AsSpan(40));
        int count = BinaryPrimitives.ReadUInt16LittleEndian(header.AsSpan(60)), namesIndex = BinaryPrimitives.ReadUInt16LittleEndian(header.AsSpan(62));
        byte[] sections = Bytes(file, sectionsAt, (long)count * SectionBytes, MaxSections * SectionBytes);
        if (namesIndex >= sections.Length / SectionBytes)
        {
            return null;
        }

        (_, _, long namesAt, long namesLength, _) = Section(sections, namesIndex);
        return (sectionsAt, sections, Bytes(file, namesAt, namesLength, MaxNamesBytes));
    }

    private static ElfHeader? Read(SafeFileHandle file)
    {
        if (ReadSections(file) is not (_, byte[] sections, byte[] names))
        {
            return null;
        }

        string? buildId = null;
        bool debug = false;
        long frameAt = 0, frameLength = 0;
        for (int i = 0; i * SectionBytes < sections.Length; i++)
        {
            (uint type, uint nameAt, long at, long length, ulong flags) = Section(sections, i);
            string name = Name(names, nameAt);
            if (type == Note)
            {
                buildId ??= FindBuildId(Bytes(file, at, length, MaxNotesBytes));
            }
            else if (type != NoBits)
            {
                debug |= name is ".debug_info" or ".zdebug_info";
                if (name == ".debug_frame" && (flags & Compressed) == 0)
                {
                    (frameAt, frameLength) = (at, length);
                }
            }
        }

        return new ElfHeader(buildId, debug, frameAt, frameLength);
    }

    private static (uint Type, uint Name, long At, long Length, ulong Flags) Section(byte[] sections, int index)
    {
        ReadOnlySpan<byte> section = sections.AsSpan(index * SectionBytes, SectionBytes);
        return (
            BinaryPrimitives.ReadUInt32LittleEndian(section[4..]), BinaryPrimitives.ReadUInt32LittleEndian(section),
            (long)BinaryPrimitives.ReadUInt64LittleEndian(section[24..]), (long)BinaryPrimitives.ReadUInt64LittleEndian(section[32..]),
            BinaryPrimitives.ReadUInt64LittleEndian(section[8..]));
    }

    private static string Name(byte[] names, uint at)
    {
        ReadOnlySpan<byte> rest = at < (uint)names.Length ? names.AsSpan((int)at) : [];
        int end = rest.IndexOf((byte)0);
        return end < 0 ? "" : Encoding.ASCII.GetString(rest[..end]);
    }

    private static string? FindBuildId(byte[] notes)
    {
        for (long at = 0; at + 12 <= notes.Length;)
        {
            ReadOnlySpan<byte> note = notes.AsSpan((int)at);
            uint name = BinaryPrimitives.ReadUInt32LittleEndian(note), length = BinaryPrimitives.ReadUInt32LittleEndian(note[4..]);
            long contents = at + 12 + ((name + 3L) & ~3L), next = contents + ((length + 3L) & ~3L);
            if (next > notes.Length)
            {
                break;
            }

            if (BinaryPrimitives.ReadUInt32LittleEndian(note[8..]) == GnuBuildId && name == 4 && note[12..16].SequenceEqual("GNU\0"u8))
            {
                return Convert.ToHexStringLower(notes, (int)contents, (int)length);
            }

            at = next;
        }

        return null;
    }

    // What a file claims beyond its end or the limit is not read, and then it is not the file it says it is.
    private static byte[] Bytes(SafeFileHandle file, long at, long length, long limit)
    {
        if (at < 0 || length <= 0 || length > limit || at > RandomAccess.GetLength(file) - length)
        {
            return [];
        }

        byte[] bytes = new byte[length];
        return RandomAccess.Read(file, bytes, at) == bytes.Length ? bytes : [];
    }
}
