using System.Buffers.Binary;
using System.IO.Hashing;

namespace Snapshots.Kdump;

/// <summary>
/// The notes that are ours, which other readers skip. Each descriptor starts with a version (u32), a zero (u32) and the
/// XXH3 of the payload that follows (u64).
/// </summary>
internal static class OwnNotes
{
    /// <summary>The owner's name.</summary>
    public const string Owner = "GdbStub";

    /// <summary>The capture's description: <see cref="ArchiveInfo"/> as JSON.</summary>
    public const int Info = 1;

    /// <summary>The machine's state apart from RAM: JSON. Absent from an archive of a foreign dump, which has <see cref="Vcpus"/>.</summary>
    public const int State = 2;

    /// <summary><see cref="LayoutNote"/>: always the last note.</summary>
    public const int Layout = 3;

    /// <summary>The vCPUs alone as JSON: in an archive without a state note.</summary>
    public const int Vcpus = 4;

    /// <summary>The last exceptions, interrupts and mode switches: <see cref="JournalNote"/>. Absent when none were kept.</summary>
    public const int Journal = 5;

    /// <summary>Version of every note. Version 1 had the pages' checksums in a table of their own.</summary>
    public const int Version = 2;

    /// <summary>Bytes before the payload.</summary>
    public const int HeaderSize = 16;

    /// <summary>Writes a note and returns it; <paramref name="file"/> is zeros there.</summary>
    public static ElfNote Write(Span<byte> file, int start, int type, ReadOnlySpan<byte> payload)
    {
        ElfNote note = ElfNote.Write(file, start, Owner, type, HeaderSize + payload.Length);
        Span<byte> descriptor = file.Slice(note.DescriptorOffset, note.DescriptorSize);
        BinaryPrimitives.WriteInt32LittleEndian(descriptor, Version);
        BinaryPrimitives.WriteUInt64LittleEndian(descriptor[8..], XxHash3.HashToUInt64(payload));
        payload.CopyTo(descriptor[HeaderSize..]);
        return note;
    }

    /// <summary>Checks a note's header and its checksum and returns the payload.</summary>
    public static ReadOnlySpan<byte> Read(ArchiveFile file, ReadOnlySpan<byte> head, ElfNote note, int limit)
    {
        string field = NameOf(note.Type);
        if (note.DescriptorSize < HeaderSize || note.DescriptorSize > HeaderSize + limit)
        {
            throw file.Bad(note.Start, field, $"{note.DescriptorSize} bytes; it has {HeaderSize} … {HeaderSize + limit}");
        }

        _ = file.Number(head, note.DescriptorOffset, field + ".version", Version, Version);
        _ = file.Number(head, note.DescriptorOffset + 4, field + ".reserved", 0, 0);
        ReadOnlySpan<byte> payload = note.Descriptor(head)[HeaderSize..];
        ulong expected = BinaryPrimitives.ReadUInt64LittleEndian(note.Descriptor(head)[8..]);
        return XxHash3.HashToUInt64(payload) == expected
            ? payload
            : throw file.Bad(note.DescriptorOffset, field, "its bytes do not match its checksum");
    }

    /// <summary>How errors name a note.</summary>
    public static string NameOf(int type) => type switch
    {
        Info => "info note",
        State => "state note",
        Layout => "layout note",
        Vcpus => "vcpus note",
        Journal => "journal note",
        _ => $"note {type}",
    };
}
