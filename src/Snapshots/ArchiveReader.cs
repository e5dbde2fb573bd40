using Emulator;
using Emulator.Memory;
using Snapshots.Kdump;

namespace Snapshots;

/// <summary>
/// An archive as a machine that stands still. Opening reads the headers only; pages are read and checked when they are
/// asked for. Whatever is wrong with the file is an <see cref="ArchiveException"/> that names the place. Any thread may
/// call; one at a time is served.
/// </summary>
public sealed class ArchiveReader : IMachineImage
{
    private readonly ArchiveFile file;
    private readonly ArchiveHead head;
    private readonly PageStore pages;
    private readonly Lock gate = new();
    private bool disposed;

    private ArchiveReader(ArchiveFile file)
    {
        this.file = file;
        head = ArchiveHead.Read(file);
        pages = new PageStore(file, head);
    }

    /// <summary>The file, as given.</summary>
    public string Path => file.Path;

    /// <summary>Bytes of the file.</summary>
    public long Length => file.Length;

    /// <inheritdoc/>
    public string Format => "gdbstub archive";

    /// <inheritdoc/>
    public CaptureInfo Capture => head.Info.Capture;

    /// <inheritdoc/>
    public bool HasRegisters => !head.Info.Capture.RegistersUnknown;

    /// <summary>What the archive says about itself.</summary>
    public ArchiveInfo Info => head.Info;

    /// <summary>Everything apart from RAM.</summary>
    public MachineState State => head.State
        ?? throw new ArchiveException($"{Path}: the archive is of a foreign dump: it has memory, but no machine's state");

    /// <summary>The same; null in an archive of a foreign dump.</summary>
    public MachineState? SavedState => head.State;

    /// <summary>Pages stored, equal ones counted once.</summary>
    public long StoredPages => head.Layout.Blocks;

    /// <inheritdoc/>
    public IReadOnlyList<PhysicalRange> Ram => head.Ram;

    /// <inheritdoc/>
    public IReadOnlyList<VcpuState> Vcpus => head.Vcpus;

    /// <inheritdoc/>
    public int CurrentVcpu => head.Info.Capture.CurrentVcpu;

    /// <inheritdoc/>
    public ulong InstructionCount => head.State?.InstructionCount ?? head.Info.Capture.GuestNanoseconds;

    /// <inheritdoc/>
    public MachineExit? StopCause => head.Info.Capture.StopCause;

    /// <summary>All of RAM is in it.</summary>
    public bool IsComplete => head.Frames.Count == head.Stored.Count;

    // What lacks pages cannot run on.
    MachineState? IMachineView.WholeState => IsComplete ? head.State : null;

    /// <inheritdoc/>
    public ExceptionJournal? Journal => head.Journal;

    internal ArchiveHead Head => head;

    internal ArchiveFile File => file;

    internal PageStore Pages => pages;

    /// <summary>Opens an archive, for reading only.</summary>
    public static ArchiveReader Open(string path)
    {
        var file = new ArchiveFile(path);
        try
        {
            return new ArchiveReader(file);
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    /// <exception cref="ArchiveException">A page is damaged.</exception>
    public int ReadPhysical(ulong address, Span<byte> destination)
    {
        lock (gate)
        {
            ObjectDisposedException.ThrowIf(disposed, this);
            int done = 0;
            while (done < destination.Length)
            {
                ulong at = address + (ulong)done;
                ReadOnlySpan<byte> page = pages.Read((long)(at / GuestMemory.PageSize));
                if (page.IsEmpty)
                {
                    break;
                }

                ReadOnlySpan<byte> part = page[(int)(at % GuestMemory.PageSize)..];
                part = part[..Math.Min(part.Length, destination.Length - done)];
                part.CopyTo(destination[done..]);
                done += part.Length;
            }

            return done;
        }
    }

    /// <summary>True when the page was stored as zeros; an archive does not tell written zeros from memory never written.</summary>
    /// <exception cref="ArchiveException">The page's descriptor is damaged.</exception>
    public bool IsUntouched(ulong address)
    {
        lock (gate)
        {
            ObjectDisposedException.ThrowIf(disposed, this);
            return pages.IsZero((long)(address / GuestMemory.PageSize));
        }
    }

    /// <inheritdoc/>
    public bool IsLeftOut(ulong address)
    {
        long frame = (long)(address / GuestMemory.PageSize);
        return head.Frames.Rank(frame) >= 0 && head.Stored.Rank(frame) < 0;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        lock (gate)
        {
            if (!disposed)
            {
                disposed = true;
                pages.Dispose();
                file.Dispose();
            }
        }
    }
}
