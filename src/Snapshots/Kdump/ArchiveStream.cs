using System.Text;
using System.Text.Json;
using Emulator;
using Microsoft.Win32.SafeHandles;

namespace Snapshots.Kdump;

/// <summary>
/// One archive on its way into a file. The pages go out first, in one stream from the place where they belong; what comes
/// before them in the file is known only afterwards and is written last, the signature at the very end.
/// </summary>
internal sealed class ArchiveStream : IDisposable
{
    private readonly SafeFileHandle handle;
    private readonly IMachineView view;
    private readonly MachineState? state;
    private readonly ArchiveInfo info;
    private readonly PageEncoder encoder;
    private readonly StoredPages pages;
    private readonly int dumpLevel;
    private readonly int compression;
    private readonly byte[] infoJson;
    private readonly byte[] stateJson;
    private readonly byte[] journal;
    private readonly byte[] vmcoreinfo;

    public ArchiveStream(SafeFileHandle handle, IMachineView view, MachineState? state, ArchiveInfo info, ArchiveWriterOptions options)
    {
        this.handle = handle;
        this.view = view;
        this.state = state;
        this.info = info;
        pages = new StoredPages(view);
        dumpLevel = pages.Count == pages.Ram ? 0 : info.Capture.DumpLevel is > 0 and <= KdumpSubHeader.MaximumDumpLevel and var level ? level : KdumpSubHeader.MaximumDumpLevel;
        compression = options.Compression == PageCompression.Zlib ? PageDescriptor.Zlib : PageDescriptor.Zstd;
        if (pages.Count == 0 || view.Vcpus.Count is 0 or > ArchiveLimits.Vcpus)
        {
            throw new ArchiveException($"A machine of {pages.Count} pages and {view.Vcpus.Count} CPUs cannot be archived.");
        }

        infoJson = JsonSerializer.SerializeToUtf8Bytes(info, ArchiveJson.Default.ArchiveInfo);
        stateJson = state is null
            ? JsonSerializer.SerializeToUtf8Bytes([.. view.Vcpus], ArchiveJson.Default.VcpuStateArray)
            : JsonSerializer.SerializeToUtf8Bytes(state, ArchiveJson.Default.MachineState);
        journal = JournalNote.Write(view.Journal);
        vmcoreinfo = Encoding.Latin1.GetBytes(info.Capture.Vmcoreinfo ?? "");
        if (infoJson.Length > ArchiveLimits.InfoBytes || stateJson.Length > ArchiveLimits.StateBytes)
        {
            throw new ArchiveException(
                $"The description takes {infoJson.Length} bytes and the state {stateJson.Length}; the limits are {ArchiveLimits.InfoBytes} and {ArchiveLimits.StateBytes}.");
        }

        encoder = new PageEncoder(handle, view, pages, DataOffset, options);
    }

    private int NotesSize =>
        (view.Vcpus.Count * ElfNote.Size("CORE", PrStatus.Size))
        + (vmcoreinfo.Length == 0
            ? view.Vcpus.Count * ElfNote.Size("QEMU", QemuNote.Size)
            : ElfNote.Size("VMCOREINFO", vmcoreinfo.Length))
        + ElfNote.Size(OwnNotes.Owner, OwnNotes.HeaderSize + infoJson.Length)
        + ElfNote.Size(OwnNotes.Owner, OwnNotes.HeaderSize + stateJson.Length)
        + (journal.Length == 0 ? 0 : ElfNote.Size(OwnNotes.Owner, OwnNotes.HeaderSize + journal.Length))
        + ElfNote.Size(OwnNotes.Owner, OwnNotes.HeaderSize + LayoutNote.PayloadSize);

    private int SubHeaderBlocks => (KdumpSubHeader.Size + NotesSize + KdumpHeader.BlockSize - 1) / KdumpHeader.BlockSize;

    private int BitmapOffset => (1 + SubHeaderBlocks) * KdumpHeader.BlockSize;

    private int BitmapBytes => (int)PageBitmap.Blocks(pages.MaximumFrame) * KdumpHeader.BlockSize;

    private int HeadSize => BitmapOffset + (2 * BitmapBytes);

    private long DataOffset => HeadSize + (pages.Count * PageDescriptor.Bytes);

    /// <summary>Writes the whole file; the caller flushes it.</summary>
    public void Write(IProgress<ArchiveProgress>? progress, CancellationToken cancellation)
    {
        encoder.WritePages(progress, cancellation);
        encoder.WriteDescriptors(HeadSize);
        cancellation.ThrowIfCancellationRequested();
        byte[] head = new byte[HeadSize];
        FillHead(head);
        RandomAccess.Write(handle, head.AsSpan(KdumpHeader.BlockSize), KdumpHeader.BlockSize);
        RandomAccess.Write(handle, head.AsSpan(0, KdumpHeader.BlockSize), 0);
    }

    /// <inheritdoc/>
    public void Dispose() => encoder.Dispose();

    private void FillHead(byte[] head)
    {
        int notes = KdumpSubHeader.Offset + KdumpSubHeader.Size;
        int at = notes;
        int[] processes = info.Capture.RunningProcesses ?? [];
        for (int i = 0; i < view.Vcpus.Count; i++)
        {
            ElfNote note = ElfNote.Write(head, at, "CORE", ElfNote.PrStatus, PrStatus.Size);
            PrStatus.Write(head.AsSpan(note.DescriptorOffset, PrStatus.Size), view.Vcpus[i], processes.ElementAtOrDefault(i));
            at = note.End;
        }

        int vmcoreinfoOffset = 0;
        if (vmcoreinfo.Length != 0)
        {
            ElfNote note = ElfNote.Write(head, at, "VMCOREINFO", 0, vmcoreinfo.Length);
            vmcoreinfo.CopyTo(head, note.DescriptorOffset);
            vmcoreinfoOffset = note.DescriptorOffset;
            at = note.End;
        }
        else
        {
            foreach (VcpuState cpu in view.Vcpus)
            {
                ElfNote note = ElfNote.Write(head, at, "QEMU", 0, QemuNote.Size);
                QemuNote.Write(head.AsSpan(note.DescriptorOffset, QemuNote.Size), cpu);
                at = note.End;
            }
        }

        at = OwnNotes.Write(head, at, OwnNotes.Info, infoJson).End;
        at = OwnNotes.Write(head, at, state is null ? OwnNotes.Vcpus : OwnNotes.State, stateJson).End;
        at = journal.Length == 0 ? at : OwnNotes.Write(head, at, OwnNotes.Journal, journal).End;
        int end = at + ElfNote.Size(OwnNotes.Owner, OwnNotes.HeaderSize + LayoutNote.PayloadSize);
        new KdumpSubHeader
        {
            PhysBase = VmcoreinfoText.PhysBase(info.Capture.Vmcoreinfo),
            VmcoreinfoOffset = vmcoreinfoOffset,
            VmcoreinfoSize = vmcoreinfo.Length,
            NotesOffset = notes,
            NotesSize = end - notes,
            MaximumFrame = pages.MaximumFrame,
            DumpLevel = dumpLevel,
        }.Write(head.AsSpan(KdumpSubHeader.Offset));
        new KdumpHeader
        {
            Release = info.Capture.GuestRelease ?? "",
            Time = info.Capture.HostTime,
            SubHeaderBlocks = SubHeaderBlocks,
            BitmapBlocks = 2 * BitmapBytes / KdumpHeader.BlockSize,
            MaximumFrame = (uint)pages.MaximumFrame,
            RamPages = (uint)pages.Ram,
            StoredPages = (uint)pages.Count,
            Compression = compression,
            CurrentCpu = info.Capture.CurrentVcpu,
            Cpus = view.Vcpus.Count,
        }.Write(head);
        pages.Fill(head.AsSpan(BitmapOffset, BitmapBytes), head.AsSpan(BitmapOffset + BitmapBytes, BitmapBytes));

        // The layout note holds the checksum of everything around it, so it is written twice: once for its place.
        byte[] payload = new byte[LayoutNote.PayloadSize];
        ElfNote layout = OwnNotes.Write(head, at, OwnNotes.Layout, payload);
        encoder.Layout(HeadSize, ArchiveHead.HeadChecksum(head, layout)).Write(payload);
        OwnNotes.Write(head, at, OwnNotes.Layout, payload);
    }
}
