using System.Buffers.Binary;
using System.Text;

namespace Snapshots.Kdump;

/// <summary>
/// One note of the notes area: three 32-bit numbers (name size, descriptor size, type), the owner's name with its NUL,
/// the descriptor, each padded to four bytes. Source: System V ABI, "Note Section".
/// </summary>
/// <param name="Name">The owner.</param>
/// <param name="Type">What it is, by the owner's numbering.</param>
/// <param name="Start">File offset of the note.</param>
/// <param name="DescriptorOffset">File offset of the descriptor.</param>
/// <param name="DescriptorSize">Its bytes.</param>
internal readonly record struct ElfNote(string Name, int Type, int Start, int DescriptorOffset, int DescriptorSize)
{
    /// <summary>NT_PRSTATUS of owner CORE.</summary>
    public const int PrStatus = 1;

    private const int HeaderSize = 12;

    /// <summary>File offset behind the note.</summary>
    public int End => DescriptorOffset + Padded(DescriptorSize);

    /// <summary>Bytes a note takes.</summary>
    public static int Size(string name, int descriptorSize) => HeaderSize + Padded(name.Length + 1) + Padded(descriptorSize);

    /// <summary>Writes everything but the descriptor into zeros at <paramref name="start"/>.</summary>
    public static ElfNote Write(Span<byte> file, int start, string name, int type, int descriptorSize)
    {
        BinaryPrimitives.WriteInt32LittleEndian(file[start..], name.Length + 1);
        BinaryPrimitives.WriteInt32LittleEndian(file[(start + 4)..], descriptorSize);
        BinaryPrimitives.WriteInt32LittleEndian(file[(start + 8)..], type);
        Encoding.Latin1.GetBytes(name, file[(start + HeaderSize)..]);
        return new ElfNote(name, type, start, start + HeaderSize + Padded(name.Length + 1), descriptorSize);
    }

    /// <summary>Walks the notes from <paramref name="start"/> to <paramref name="end"/> of the file's head.</summary>
    public static List<ElfNote> ReadAll(ArchiveFile file, ReadOnlySpan<byte> head, int start, int end)
    {
        List<ElfNote> notes = [];
        int at = start;
        while (at < end)
        {
            if (end - at < HeaderSize)
            {
                throw file.Bad(at, "note", $"{end - at} bytes are left, too few for a note");
            }

            if (notes.Count == ArchiveLimits.Notes)
            {
                throw file.Bad(at, "note", $"more than {ArchiveLimits.Notes} notes");
            }

            int room = end - at - HeaderSize;
            int nameSize = file.Number(head, at, "note.namesz", 1, Math.Min(room, 64));
            int descriptorSize = file.Number(head, at + 4, "note.descsz", 0, Math.Max(0, room - Padded(nameSize)));
            int type = BinaryPrimitives.ReadInt32LittleEndian(head[(at + 8)..]);
            if (head[at + HeaderSize + nameSize - 1] != 0)
            {
                throw file.Bad(at + HeaderSize, "note.name", "it does not end with a NUL");
            }

            string name = Encoding.Latin1.GetString(head.Slice(at + HeaderSize, nameSize - 1));
            var note = new ElfNote(name, type, at, at + HeaderSize + Padded(nameSize), descriptorSize);
            if (note.End > end)
            {
                throw file.Bad(at, "note", "the note goes beyond the notes area");
            }

            notes.Add(note);
            at = note.End;
        }

        return notes;
    }

    /// <summary>The descriptor's bytes.</summary>
    public ReadOnlySpan<byte> Descriptor(ReadOnlySpan<byte> head) => head.Slice(DescriptorOffset, DescriptorSize);

    private static int Padded(int size) => (size + 3) & ~3;
}
