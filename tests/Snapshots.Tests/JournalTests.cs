using System.IO.Hashing;
using Emulator;

namespace Snapshots.Tests;

/// <summary>The events before a capture: kept with it, and checked like everything that comes out of a file.</summary>
public sealed class JournalTests : IDisposable
{
    private const int JournalType = 5, EventBytes = 312;

    private readonly TemporaryDirectory directory = new();

    public void Dispose() => directory.Dispose();

    [Fact]
    public void The_last_events_come_back_as_they_were()
    {
        ExceptionJournal journal = Journal(200);
        using ArchiveReader reader = ArchiveReader.Open(Archive(journal));
        Assert.Equal(journal.Last(ArchiveLimits.JournalEvents).Select(Words), reader.Journal!.Last(int.MaxValue).Select(Words));
        Assert.Equal((200UL, 0UL), (reader.Journal.Count, reader.Journal.Interrupts));

        // In an overlay too, and what is noted behind them goes on counting.
        Assert.Same(reader.Journal, ((IMachineView)new OverlayView(reader)).Journal);
        reader.Journal.Record(1, 0, JournalKind.Interrupt, 0x20, 0, default);
        Assert.Equal(201UL, Assert.Single(reader.Journal.Last(1)).Number);
        Assert.Equal(1UL, reader.Journal.Interrupts);
    }

    [Fact]
    public void A_machine_that_kept_none_has_none()
    {
        using ArchiveReader without = ArchiveReader.Open(Archive(null));
        Assert.Null(without.Journal);
        using ArchiveReader empty = ArchiveReader.Open(Archive(new ExceptionJournal()));
        Assert.Null(empty.Journal);
    }

    [Theory]
    [InlineData(0, 0, "journal note.number")]
    [InlineData(EventBytes, 1, "journal note.number")]
    [InlineData(16, 0xFF, "journal note")]
    [InlineData(18, 5, "journal note")]
    [InlineData(306, 4, "journal note")]
    [InlineData(307, 2, "journal note")]
    [InlineData(311, 1, "journal note")]
    public void An_event_that_cannot_be_is_named(int offset, byte value, string field)
    {
        string path = Archive(Journal(3));
        var archive = new SealedArchive(File.ReadAllBytes(path));
        int note = archive.Note(JournalType);
        archive.Bytes[note + 16 + offset] = value;
        archive.PutLong(note + 8, (long)XxHash3.HashToUInt64(archive.Bytes.AsSpan(note + 16, archive.Int(note - 16) - 16)));
        archive.Reseal();
        File.WriteAllBytes(path, archive.Bytes);
        Assert.Equal(field, Assert.Throws<ArchiveException>(() => ArchiveReader.Open(path)).Field);
    }

    private static ExceptionJournal Journal(int count)
    {
        var journal = new ExceptionJournal();
        for (int i = 1; i <= count; i++)
        {
            journal.Record((ulong)i * 1000, 0, (JournalKind)(i % 3), (byte)i, (uint)(i * 7), VcpuGlance.Of(Samples.Vcpu((ulong)i), 0xFEE0_0900));
        }

        return journal;
    }

    /// <summary>All of an event, for comparison: arrays in a structure compare by themselves nowhere else.</summary>
    private static string Words(JournalEntry entry)
    {
        VcpuGlance registers = entry.Registers;
        List<ulong> words =
        [
            entry.Number, entry.InstructionCount, (ulong)entry.Vcpu, (ulong)entry.Kind, entry.Vector, entry.Error, registers.Rip, registers.Rflags, registers.Cr0, registers.Cr2, registers.Cr3,
            registers.Cr4, registers.Cr8, registers.Efer, registers.ApicBase, registers.CsAttributes, registers.Cpl, registers.Halted ? 1UL : 0,
        ];
        for (int i = 0; i < 16; i++)
        {
            words.Add(registers.Gpr[i]);
        }

        for (int i = 0; i < 8; i++)
        {
            words.Add(registers.Bases[i]);
            words.Add(registers.Selectors[i]);
        }

        return string.Join(' ', words);
    }

    private string Archive(ExceptionJournal? journal)
    {
        using Emulator.Memory.GuestMemory memory = Samples.Memory(1 << 20);
        using Snapshot snapshot = new(memory.Freeze(), Samples.State(), Samples.Info()) { Journal = journal };
        string path = directory.File($"{Guid.NewGuid():N}.kdump");
        ArchiveWriter.Write(path, "0123456789", snapshot, cancellation: TestContext.Current.CancellationToken);
        return path;
    }
}
