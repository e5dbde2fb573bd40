using System.Runtime.CompilerServices;

namespace Emulator.Memory;

/// <summary>
/// The guest's RAM as 4 KiB pages behind a two-level table, copy-on-write, so that a freeze costs the same for any
/// size. Addresses here are offsets into RAM; <see cref="PhysicalLayout"/> knows where they appear to the guest.
/// One thread at a time may use it; its snapshots may be read and disposed on any.
/// </summary>
public sealed unsafe class GuestMemory : IDisposable
{
    /// <summary>Bytes in a page.</summary>
    public const int PageSize = 4096;

    /// <summary>The most RAM a machine can have: 1 TiB.</summary>
    public const ulong MaximumSize = 1UL << 40;

    private readonly FramePool pool = new();
    private readonly ulong pages;
    private readonly byte* zeroPage = ZeroPage.Address;
    private PageTable.Node* root;

    /// <summary>
    /// Makes room for <paramref name="size"/> bytes (a multiple of 4 KiB, at most <see cref="MaximumSize"/>); nothing is
    /// allocated until it is written.
    /// </summary>
    public GuestMemory(ulong size)
    {
        if (size == 0 || size > MaximumSize || size % PageSize != 0)
        {
            throw new ArgumentOutOfRangeException(
                nameof(size), size, $"RAM is a multiple of {PageSize} bytes, more than 0 and at most {MaximumSize}.");
        }

        Size = size;
        pages = size / PageSize;
        root = CreateRoot();
    }

    /// <summary>Bytes of RAM.</summary>
    public ulong Size { get; }

    /// <summary>Pages private to the present plus pages kept for snapshots: what the guest costs the host. Any thread may ask.</summary>
    public long AllocatedPages => pool.Allocated;

    /// <summary>Host memory behind <see cref="AllocatedPages"/>, free frames kept for reuse included.</summary>
    internal long CommittedBytes => pool.CommittedBytes;

    /// <summary>
    /// Raised by <see cref="Freeze"/>, <see cref="Restore"/> and <see cref="Clear"/>: every host address handed out
    /// for writing (all three: for writing; the last two, with <c>true</c>: for reading as well) is void.
    /// </summary>
    public Action<bool>? HostAddressesRevoked { get; set; }

    /// <summary>
    /// Raised by <see cref="WritePage"/>, before it returns, when the page got another frame: the arguments are the page
    /// and the host address <see cref="ReadPage"/> used to answer for it (for a never-written page that of the shared zero
    /// page). Whoever keeps addresses handed out for reading must drop this one, under every linear address it knows it by.
    /// </summary>
    public Action<ulong, nint>? PageMoved { get; set; }

    /// <summary>Host address of a page for reading; a never-written page reads as the shared zero page.</summary>
    public byte* ReadPage(ulong page)
    {
        if (page >= pages)
        {
            ThrowNoSuchPage(page);
        }

        byte* frame = PageTable.Find(root, page);
        return frame != null ? frame : zeroPage;
    }

    /// <summary>Host address of a page for writing in place: allocated or copied first if it must be.</summary>
    public byte* WritePage(ulong page)
    {
        if (page >= pages)
        {
            ThrowNoSuchPage(page);
        }

        if (PageTable.IsExclusive(root))
        {
            var leaf = (PageTable.Node*)root->Entries[page >> PageTable.LeafShift];
            if (leaf != null && PageTable.IsExclusive(leaf))
            {
                byte* frame = (byte*)leaf->Entries[page & (PageTable.LeafPages - 1)];
                if (frame != null && FramePool.IsExclusive(frame))
                {
                    return frame;
                }
            }
        }

        return MakeWritable(page);
    }

    /// <summary>True when the page was never written.</summary>
    public bool IsUntouched(ulong page)
    {
        if (page >= pages)
        {
            ThrowNoSuchPage(page);
        }

        return PageTable.Find(root, page) == null;
    }

    /// <summary>Shares every page with the snapshot returned. Its cost does not depend on the size of RAM.</summary>
    public MemorySnapshot Freeze()
    {
        ObjectDisposedException.ThrowIf(root == null, this);
        var snapshot = new MemorySnapshot(pool, PageTable.Share(root), Size);
        HostAddressesRevoked?.Invoke(false);
        return snapshot;
    }

    /// <summary>
    /// Makes the contents those of <paramref name="snapshot"/>, again copy-on-write. It must have been frozen from this
    /// RAM, not be disposed, and nobody may dispose it meanwhile.
    /// </summary>
    public void Restore(MemorySnapshot snapshot)
    {
        ArgumentNullException.ThrowIfNull(snapshot);
        ObjectDisposedException.ThrowIf(root == null, this);
        if (snapshot.Pool != pool)
        {
            throw new ArgumentException("The snapshot is of another machine's RAM.", nameof(snapshot));
        }

        Replace(PageTable.Share(snapshot.Root));
    }

    /// <summary>Makes all of RAM untouched.</summary>
    public void Clear()
    {
        ObjectDisposedException.ThrowIf(root == null, this);
        Replace(CreateRoot());
    }

    /// <summary>Gives up the present; snapshots stay readable until they are disposed.</summary>
    public void Dispose()
    {
        if (root != null)
        {
            PageTable.ReleaseRoot(root, pool);
            root = null;
            pool.ReleaseHolder();
        }
    }

    private PageTable.Node* CreateRoot() => PageTable.Create((int)((pages + PageTable.LeafPages - 1) >> PageTable.LeafShift));

    private void Replace(PageTable.Node* next)
    {
        PageTable.Node* old = root;
        root = next;
        HostAddressesRevoked?.Invoke(true);
        PageTable.ReleaseRoot(old, pool);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private byte* MakeWritable(ulong page)
    {
        if (!PageTable.IsExclusive(root))
        {
            root = PageTable.CopyRoot(root, pool);
        }

        ref nint leafEntry = ref root->Entries[page >> PageTable.LeafShift];
        var leaf = (PageTable.Node*)leafEntry;
        if (leaf == null)
        {
            leaf = PageTable.Create(PageTable.LeafPages);
        }
        else if (!PageTable.IsExclusive(leaf))
        {
            leaf = PageTable.CopyLeaf(leaf, pool);
        }

        leafEntry = (nint)leaf;
        ref nint frameEntry = ref leaf->Entries[page & (PageTable.LeafPages - 1)];
        nint old = frameEntry;
        if (old != 0 && FramePool.IsExclusive((byte*)old))
        {
            return (byte*)old;
        }

        byte* frame = pool.Allocate(out bool zeroed);
        if (old != 0)
        {
            Buffer.MemoryCopy((byte*)old, frame, PageSize, PageSize);
        }
        else if (!zeroed)
        {
            new Span<byte>(frame, PageSize).Clear();
        }

        frameEntry = (nint)frame;
        PageMoved?.Invoke(page, old != 0 ? old : (nint)zeroPage);
        if (old != 0)
        {
            pool.Release(new ReadOnlySpan<nint>(in old));
        }

        return frame;
    }

    private void ThrowNoSuchPage(ulong page)
    {
        ObjectDisposedException.ThrowIf(root == null, this);
        throw new ArgumentOutOfRangeException(nameof(page), page, $"RAM has {pages} pages.");
    }
}
