namespace Emulator.Memory;

/// <summary>
/// RAM as it was at a freeze. Readable from any thread while the guest runs on, and after its RAM is gone; release it to
/// give its pages back. Nothing else releases it: there is no finalizer, because host addresses handed out do not keep it alive.
/// </summary>
public sealed unsafe class MemorySnapshot : IDisposable
{
    private readonly ulong pages;
    private nint root;

    internal MemorySnapshot(FramePool pool, PageTable.Node* root, ulong size)
    {
        pool.AddHolder();
        Pool = pool;
        Size = size;
        this.root = (nint)root;
        pages = size / GuestMemory.PageSize;
    }

    /// <summary>Bytes of RAM.</summary>
    public ulong Size { get; }

    internal FramePool Pool { get; }

    internal PageTable.Node* Root
    {
        get
        {
            nint value = Volatile.Read(ref root);
            ObjectDisposedException.ThrowIf(value == 0, this);
            return (PageTable.Node*)value;
        }
    }

    /// <summary>Host address of a page; valid until <see cref="Dispose"/>.</summary>
    public byte* ReadPage(ulong page)
    {
        byte* frame = Find(page);
        return frame != null ? frame : ZeroPage.Address;
    }

    /// <summary>True when the page was never written before the freeze.</summary>
    public bool IsUntouched(ulong page) => Find(page) == null;

    /// <inheritdoc/>
    public void Dispose()
    {
        nint value = Interlocked.Exchange(ref root, 0);
        if (value != 0)
        {
            PageTable.ReleaseRoot((PageTable.Node*)value, Pool);
            Pool.ReleaseHolder();
        }
    }

    private byte* Find(ulong page)
    {
        if (page >= pages)
        {
            throw new ArgumentOutOfRangeException(nameof(page), page, $"RAM has {pages} pages.");
        }

        return PageTable.Find(Root, page);
    }
}
