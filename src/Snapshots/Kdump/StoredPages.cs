using Emulator;

namespace Snapshots.Kdump;

/// <summary>The pages of a machine that go into a file: all of RAM but what a partial view leaves out.</summary>
internal sealed class StoredPages
{
    private const ulong PageSize = KdumpHeader.BlockSize;

    private readonly IMachineView view;
    private readonly IPartialView? partial;

    /// <summary>Looks at every page once. Ranges that are no RAM of an archive's are an <see cref="ArchiveException"/>.</summary>
    public StoredPages(IMachineView view)
    {
        this.view = view;
        partial = view as IPartialView;
        ulong previousEnd = 0;
        foreach (PhysicalRange range in view.Ram)
        {
            ulong end = range.Start + range.Length;
            if (range.Start % PageSize != 0 || range.Length % PageSize != 0 || range.Start < previousEnd
                || end > (ulong)ArchiveLimits.PageFrames * PageSize)
            {
                throw new ArchiveException($"RAM at 0x{range.Start:x}, 0x{range.Length:x} bytes: ranges are whole pages, ascending, below page {ArchiveLimits.PageFrames}.");
            }

            previousEnd = end;
            Ram += (long)(range.Length / PageSize);
        }

        MaximumFrame = (long)(previousEnd / PageSize);
        Count = partial is null ? Ram : Addresses().LongCount();
    }

    /// <summary>Pages of RAM.</summary>
    public long Ram { get; }

    /// <summary>Pages of them that are stored.</summary>
    public long Count { get; }

    /// <summary>Highest page frame number plus one.</summary>
    public long MaximumFrame { get; }

    /// <summary>Their guest-physical addresses, ascending.</summary>
    public IEnumerable<ulong> Addresses()
    {
        foreach (PhysicalRange range in view.Ram)
        {
            for (ulong at = 0; at < range.Length; at += PageSize)
            {
                if (partial is null || !partial.IsLeftOut(range.Start + at))
                {
                    yield return range.Start + at;
                }
            }
        }
    }

    /// <summary>Fills the bitmaps, which are zeros: what is RAM, and what of it is stored.</summary>
    public void Fill(Span<byte> ram, Span<byte> stored)
    {
        foreach (PhysicalRange range in view.Ram)
        {
            PageBitmap.Set(ram, (long)(range.Start / PageSize), (long)(range.Length / PageSize));
        }

        if (Count == Ram)
        {
            ram.CopyTo(stored);
            return;
        }

        foreach (ulong address in Addresses())
        {
            PageBitmap.Set(stored, (long)(address / PageSize), 1);
        }
    }
}
