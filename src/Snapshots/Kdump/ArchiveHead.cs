using System.IO.Hashing;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Emulator;

namespace Snapshots.Kdump;

/// <summary>Everything before the page descriptors, read and checked: what an open archive keeps in memory.</summary>
internal sealed record ArchiveHead
{
    /// <summary>Where things are.</summary>
    public required LayoutNote Layout { get; init; }

    /// <summary>How the page of zeros is compressed, and most others: <see cref="PageDescriptor.Zstd"/> or <see cref="PageDescriptor.Zlib"/>.</summary>
    public required int Compression { get; init; }

    /// <summary>What the archive says about itself.</summary>
    public required ArchiveInfo Info { get; init; }

    /// <summary>The machine's state; null in an archive of a foreign dump.</summary>
    public required MachineState? State { get; init; }

    /// <summary>The vCPUs.</summary>
    public required VcpuState[] Vcpus { get; init; }

    /// <summary>The last events before the capture; null when none were kept.</summary>
    public ExceptionJournal? Journal { get; private set; }

    /// <summary>Which page frames are RAM.</summary>
    public required PageBitmap Frames { get; init; }

    /// <summary>Which of them are in the file.</summary>
    public required PageBitmap Stored { get; init; }

    /// <summary>What is RAM, as ranges.</summary>
    public required IReadOnlyList<PhysicalRange> Ram { get; init; }

    /// <summary>Reads it all; anything wrong is an <see cref="ArchiveException"/>.</summary>
    public static ArchiveHead Read(ArchiveFile file)
    {
        ArchiveHead head = Read(file, out byte[] bytes, out List<ElfNote> notes);
        head.Journal = Own(file, notes, OwnNotes.Journal) is { } note ? JournalNote.Read(file, bytes, note, head.Vcpus.Length) : null;
        return head;
    }

    private static ArchiveHead Read(ArchiveFile file, out byte[] head, out List<ElfNote> notes)
    {
        byte[] start = new byte[KdumpHeader.BlockSize + KdumpSubHeader.Size];
        file.Read(0, start, "header");
        KdumpHeader header = KdumpHeader.Read(file, start);
        KdumpSubHeader subHeader = KdumpSubHeader.Read(file, start, header.SubHeaderBlocks);
        long bitmapBlocks = PageBitmap.Blocks(subHeader.MaximumFrame);
        if (header.BitmapBlocks != 2 * bitmapBlocks)
        {
            throw file.Bad(436, "bitmap_blocks", $"{header.BitmapBlocks}; two bitmaps of {subHeader.MaximumFrame} frames take {2 * bitmapBlocks}");
        }

        int notesBlocks = 1 + header.SubHeaderBlocks;
        int size = (notesBlocks + header.BitmapBlocks) * KdumpHeader.BlockSize;
        if (size > file.Length)
        {
            throw file.Bad(file.Length, "bitmaps", $"the file ends here; headers and bitmaps alone take {size} bytes");
        }

        head = new byte[size];
        file.Read(0, head, "header");
        notes = ElfNote.ReadAll(
            file, head, (int)subHeader.NotesOffset, (int)(subHeader.NotesOffset + subHeader.NotesSize));
        LayoutNote layout = ReadLayout(file, head, notes);
        (PageBitmap frames, PageBitmap stored, IReadOnlyList<PhysicalRange> ram) = ReadBitmaps(file, head, subHeader, notesBlocks, bitmapBlocks, layout);
        ArchiveInfo info = Json(file, head, Required(file, notes, OwnNotes.Info), ArchiveLimits.InfoBytes, ArchiveJson.Default.ArchiveInfo);
        MachineState? state = Own(file, notes, OwnNotes.State) is { } stateNote ? ReadState(file, head, stateNote) : null;
        VcpuState[] vcpus = state?.Vcpus ?? ReadVcpus(file, head, Required(file, notes, OwnNotes.Vcpus));
        int current = info.Capture.CurrentVcpu;
        if (current < 0 || current >= vcpus.Length)
        {
            throw file.Bad(0, "info note", $"the current CPU is {current} of {vcpus.Length}");
        }

        if (subHeader.VmcoreinfoSize != 0)
        {
            string text = Encoding.Latin1.GetString(head, (int)subHeader.VmcoreinfoOffset, (int)subHeader.VmcoreinfoSize);
            info = info with { Capture = info.Capture with { Vmcoreinfo = text } };
        }

        info = info with { Capture = info.Capture with { DumpLevel = subHeader.DumpLevel } };
        return new ArchiveHead { Layout = layout, Compression = header.Compression, Info = info, State = state, Vcpus = vcpus, Frames = frames, Stored = stored, Ram = ram };
    }

    private static LayoutNote ReadLayout(ArchiveFile file, byte[] head, List<ElfNote> notes)
    {
        ElfNote note = notes.Count == 0 ? default : notes[^1];
        if (note.Name != OwnNotes.Owner || note.Type != OwnNotes.Layout)
        {
            throw file.Bad(KdumpSubHeader.Offset + 48, "layout note", "the notes do not end with it; this dump was not written by us, or was changed");
        }

        if (OwnNotes.Read(file, head, note, LayoutNote.PayloadSize).Length != LayoutNote.PayloadSize)
        {
            throw file.Bad(note.Start, "layout note", $"it must have {LayoutNote.PayloadSize} bytes of payload");
        }

        LayoutNote layout = LayoutNote.Read(file, head, note.DescriptorOffset + OwnNotes.HeaderSize, head.Length);
        return HeadChecksum(head, note) == layout.HeadChecksum
            ? layout
            : throw file.Bad(0, "head", "headers, notes and bitmaps do not match their checksum");
    }

    /// <summary>XXH3 of the head around the layout note.</summary>
    public static ulong HeadChecksum(ReadOnlySpan<byte> head, ElfNote layout)
    {
        var hash = new XxHash3();
        hash.Append(head[..layout.Start]);
        hash.Append(head[layout.End..]);
        return hash.GetCurrentHashAsUInt64();
    }

    private static (PageBitmap Frames, PageBitmap Stored, IReadOnlyList<PhysicalRange> Ram) ReadBitmaps(
        ArchiveFile file, byte[] head, KdumpSubHeader subHeader, int firstBlock, long blocks, LayoutNote layout)
    {
        int offset = firstBlock * KdumpHeader.BlockSize;
        int bytes = (int)blocks * KdumpHeader.BlockSize;
        ReadOnlySpan<byte> ramBits = head.AsSpan(offset, bytes), storedBits = head.AsSpan(offset + bytes, bytes);
        if (subHeader.DumpLevel == 0 && !ramBits.SequenceEqual(storedBits))
        {
            throw file.Bad(offset + bytes, "second bitmap", "it differs from the first: pages are missing, and dump_level says that none is");
        }

        for (int i = 0; i < bytes; i++)
        {
            if ((storedBits[i] & ~ramBits[i]) != 0)
            {
                throw file.Bad(offset + bytes + i, "second bitmap", "it has a page that the first does not have");
            }
        }

        var frames = new PageBitmap(ramBits, subHeader.MaximumFrame);
        var stored = new PageBitmap(storedBits, subHeader.MaximumFrame);
        if (stored.Count != layout.Pages)
        {
            throw file.Bad(offset + bytes, "second bitmap", $"{stored.Count} pages are stored, but there are {layout.Pages} descriptors");
        }

        return frames.Ranges(ArchiveLimits.RamRanges) is { } ram
            ? (frames, stored, ram)
            : throw file.Bad(offset, "first bitmap", $"more than {ArchiveLimits.RamRanges} ranges of RAM");
    }

    private static ElfNote Required(ArchiveFile file, List<ElfNote> notes, int type) =>
        Own(file, notes, type) ?? throw file.Bad(KdumpSubHeader.Offset + 48, "notes", $"the {OwnNotes.NameOf(type)} is missing");

    private static ElfNote? Own(ArchiveFile file, List<ElfNote> notes, int type)
    {
        List<ElfNote> found = notes.FindAll(n => n.Name == OwnNotes.Owner && n.Type == type);
        return found.Count switch
        {
            0 => null,
            1 => found[0],
            _ => throw file.Bad(found[1].Start, "notes", $"the {OwnNotes.NameOf(type)} stands there twice"),
        };
    }

    private static MachineState ReadState(ArchiveFile file, byte[] head, ElfNote note)
    {
        MachineState state = Json(file, head, note, ArchiveLimits.StateBytes, ArchiveJson.Default.MachineState);
        if (state.Version != MachineState.CurrentVersion)
        {
            throw file.Bad(note.DescriptorOffset, "state note", $"version {state.Version}; this program reads {MachineState.CurrentVersion}");
        }

        CheckVcpus(file, note, state.Vcpus);
        return state;
    }

    private static VcpuState[] ReadVcpus(ArchiveFile file, byte[] head, ElfNote note)
    {
        VcpuState[] vcpus = Json(file, head, note, ArchiveLimits.StateBytes, ArchiveJson.Default.VcpuStateArray);
        CheckVcpus(file, note, vcpus);
        return vcpus;
    }

    private static void CheckVcpus(ArchiveFile file, ElfNote note, VcpuState[] vcpus)
    {
        string field = OwnNotes.NameOf(note.Type);
        if (vcpus.Length is 0 or > ArchiveLimits.Vcpus)
        {
            throw file.Bad(note.DescriptorOffset, field, $"{vcpus.Length} CPUs, must be 1 … {ArchiveLimits.Vcpus}");
        }

        for (int i = 0; i < vcpus.Length; i++)
        {
            if ((vcpus[i] is { } cpu ? VcpuStateCheck.Problem(cpu) : "it is null") is { } problem)
            {
                throw file.Bad(note.DescriptorOffset, field, $"CPU {i}: {problem}");
            }
        }
    }

    private static T Json<T>(ArchiveFile file, byte[] head, ElfNote note, int limit, JsonTypeInfo<T> type)
        where T : class
    {
        ReadOnlySpan<byte> payload = OwnNotes.Read(file, head, note, limit);
        string field = OwnNotes.NameOf(note.Type);
        try
        {
            return JsonSerializer.Deserialize(payload, type) ?? throw file.Bad(note.DescriptorOffset, field, "it is null");
        }
        catch (Exception e) when (e is JsonException or NotSupportedException or ArgumentException or FormatException or InvalidOperationException)
        {
            throw file.Bad(note.DescriptorOffset, field, e.Message, e);
        }
    }
}
