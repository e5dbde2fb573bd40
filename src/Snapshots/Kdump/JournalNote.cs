using System.Buffers.Binary;
using Emulator;

namespace Snapshots.Kdump;

/// <summary>
/// The last events of a machine's <see cref="ExceptionJournal"/>, 312 bytes each, oldest first. Fields: docs/archive-format.md.
/// </summary>
internal static class JournalNote
{
    private const int EventBytes = 312;
    private const int Time = 8, Vcpu = 16, Kind = 18, Vector = 19, Error = 20, Gpr = 24, Words = 152, Bases = 224, Selectors = 288, CsAttributes = 304, Cpl = 306, Halted = 307, Zero = 308;
    private const int GprCount = 16, SegmentCount = 8, HighestCpl = 3;

    /// <summary>The payload; empty when there is nothing to keep.</summary>
    public static byte[] Write(ExceptionJournal? journal)
    {
        IReadOnlyList<JournalEntry> events = journal?.Last(ArchiveLimits.JournalEvents) ?? [];
        byte[] payload = new byte[events.Count * EventBytes];
        for (int i = 0; i < events.Count; i++)
        {
            Write(payload.AsSpan(i * EventBytes, EventBytes), events[i]);
        }

        return payload;
    }

    /// <summary>Reads and checks it.</summary>
    public static ExceptionJournal Read(ArchiveFile file, byte[] head, ElfNote note, int vcpus)
    {
        ReadOnlySpan<byte> payload = OwnNotes.Read(file, head, note, ArchiveLimits.JournalEvents * EventBytes);
        int start = note.DescriptorOffset + OwnNotes.HeaderSize;
        string name = OwnNotes.NameOf(OwnNotes.Journal);
        if (payload.Length % EventBytes != 0)
        {
            throw file.Bad(start, name, $"{payload.Length} bytes of payload; an event takes {EventBytes}");
        }

        var events = new JournalEntry[payload.Length / EventBytes];
        for (int i = 0; i < events.Length; i++)
        {
            int at = start + (i * EventBytes);
            ReadOnlySpan<byte> bytes = payload.Slice(i * EventBytes, EventBytes);
            events[i] = Read(bytes);
            ulong expected = i == 0 ? events[0].Number : events[i - 1].Number + 1;
            if (events[i].Number != expected || events[i].Number == 0)
            {
                throw file.Bad(at, name + ".number", $"event {events[i].Number} where {Math.Max(expected, 1)} comes");
            }

            if (events[i].Vcpu >= vcpus || bytes[Kind] > (byte)JournalKind.Mode || bytes[Cpl] > HighestCpl || bytes[Halted] > 1 || bytes[Zero..].ContainsAnyExcept((byte)0))
            {
                throw file.Bad(at, name, $"event {events[i].Number} has a vCPU, kind, privilege level or flag that there is none of");
            }
        }

        return ExceptionJournal.Of(events);
    }

    private static void Write(Span<byte> bytes, in JournalEntry entry)
    {
        VcpuGlance registers = entry.Registers;
        BinaryPrimitives.WriteUInt64LittleEndian(bytes, entry.Number);
        BinaryPrimitives.WriteUInt64LittleEndian(bytes[Time..], entry.InstructionCount);
        BinaryPrimitives.WriteUInt16LittleEndian(bytes[Vcpu..], (ushort)entry.Vcpu);
        bytes[Kind] = (byte)entry.Kind;
        bytes[Vector] = entry.Vector;
        BinaryPrimitives.WriteUInt32LittleEndian(bytes[Error..], entry.Error);
        for (int i = 0; i < GprCount; i++)
        {
            BinaryPrimitives.WriteUInt64LittleEndian(bytes[(Gpr + (8 * i))..], registers.Gpr[i]);
        }

        ReadOnlySpan<ulong> words =
            [registers.Rip, registers.Rflags, registers.Cr0, registers.Cr2, registers.Cr3, registers.Cr4, registers.Cr8, registers.Efer, registers.ApicBase];
        for (int i = 0; i < words.Length; i++)
        {
            BinaryPrimitives.WriteUInt64LittleEndian(bytes[(Words + (8 * i))..], words[i]);
        }

        for (int i = 0; i < SegmentCount; i++)
        {
            BinaryPrimitives.WriteUInt64LittleEndian(bytes[(Bases + (8 * i))..], registers.Bases[i]);
            BinaryPrimitives.WriteUInt16LittleEndian(bytes[(Selectors + (2 * i))..], registers.Selectors[i]);
        }

        BinaryPrimitives.WriteUInt16LittleEndian(bytes[CsAttributes..], registers.CsAttributes);
        bytes[Cpl] = registers.Cpl;
        bytes[Halted] = registers.Halted ? (byte)1 : (byte)0;
    }

    private static JournalEntry Read(ReadOnlySpan<byte> bytes)
    {
        var registers = new VcpuGlance
        {
            Rip = Word(bytes, 0),
            Rflags = Word(bytes, 1),
            Cr0 = Word(bytes, 2),
            Cr2 = Word(bytes, 3),
            Cr3 = Word(bytes, 4),
            Cr4 = Word(bytes, 5),
            Cr8 = Word(bytes, 6),
            Efer = Word(bytes, 7),
            ApicBase = Word(bytes, 8),
            CsAttributes = BinaryPrimitives.ReadUInt16LittleEndian(bytes[CsAttributes..]),
            Cpl = bytes[Cpl],
            Halted = bytes[Halted] != 0,
        };
        for (int i = 0; i < GprCount; i++)
        {
            registers.Gpr[i] = BinaryPrimitives.ReadUInt64LittleEndian(bytes[(Gpr + (8 * i))..]);
        }

        for (int i = 0; i < SegmentCount; i++)
        {
            registers.Bases[i] = BinaryPrimitives.ReadUInt64LittleEndian(bytes[(Bases + (8 * i))..]);
            registers.Selectors[i] = BinaryPrimitives.ReadUInt16LittleEndian(bytes[(Selectors + (2 * i))..]);
        }

        return new JournalEntry(
            BinaryPrimitives.ReadUInt64LittleEndian(bytes), BinaryPrimitives.ReadUInt64LittleEndian(bytes[Time..]), BinaryPrimitives.ReadUInt16LittleEndian(bytes[Vcpu..]),
            (JournalKind)bytes[Kind], bytes[Vector], BinaryPrimitives.ReadUInt32LittleEndian(bytes[Error..]), registers);
    }

    private static ulong Word(ReadOnlySpan<byte> bytes, int index) => BinaryPrimitives.ReadUInt64LittleEndian(bytes[(Words + (8 * index))..]);
}
