using Emulator;
using Emulator.Memory;
using Snapshots.Kdump;

namespace Snapshots.Dumps;

/// <summary>A piece of physical memory in a file. What <see cref="Length"/> has beyond <see cref="Stored"/> is zeros.</summary>
/// <param name="Start">First physical address.</param>
/// <param name="Length">Bytes of memory.</param>
/// <param name="Stored">Bytes of them in the file.</param>
/// <param name="Offset">File offset of the first.</param>
internal readonly record struct DumpSegment(ulong Start, ulong Length, ulong Stored, long Offset);

/// <summary>
/// Pages out of a file that holds memory as it is, in pieces: ELF, LiME, VMware, raw. Pieces may overlap (/proc/vmcore has
/// the kernel's text twice) and need not be whole pages: what a page lacks at its edges is zeros.
/// </summary>
internal sealed class SegmentPages : IPageSource
{
    private const ulong PageSize = GuestMemory.PageSize;

    private readonly ArchiveFile file;
    private readonly DumpSegment[] stored;
    private readonly PhysicalRange[] ram;

    /// <summary>Takes over <paramref name="file"/>. The segments are checked: they lie in the file and below <see cref="ArchiveLimits.PageFrames"/>.</summary>
    public SegmentPages(ArchiveFile file, IReadOnlyList<DumpSegment> segments)
    {
        this.file = file;
        stored = WithoutOverlaps(segments);
        ram = Union(segments);
    }

    /// <inheritdoc/>
    public IReadOnlyList<PhysicalRange> Ram => ram;

    /// <inheritdoc/>
    public PageContent Look(long frame)
    {
        ulong start = (ulong)frame * PageSize;
        int range = Last(ram, r => r.Start, start);
        if (range < 0 || start - ram[range].Start >= ram[range].Length)
        {
            return PageContent.NotRam;
        }

        int segment = Last(stored, s => s.Start, start + PageSize - 1);
        return segment >= 0 && stored[segment].Start + stored[segment].Stored > start ? PageContent.Stored : PageContent.Zeros;
    }

    /// <inheritdoc/>
    public void Read(long frame, Span<byte> page)
    {
        ulong start = (ulong)frame * PageSize;
        int index = Last(stored, s => s.Start, start + PageSize - 1);
        if (index >= 0 && stored[index] is var whole && whole.Start <= start && whole.Start + whole.Stored >= start + PageSize)
        {
            file.Read(whole.Offset + (long)(start - whole.Start), page, PageStore.FieldOf(frame));
            return;
        }

        page.Clear();
        for (; index >= 0 && stored[index].Start + stored[index].Stored > start; index--)
        {
            DumpSegment segment = stored[index];
            ulong from = Math.Max(start, segment.Start);
            ulong to = Math.Min(start + PageSize, segment.Start + segment.Stored);
            file.Read(segment.Offset + (long)(from - segment.Start), page[(int)(from - start)..(int)(to - start)], PageStore.FieldOf(frame));
        }
    }

    /// <inheritdoc/>
    public void Dispose() => file.Dispose();

    private static DumpSegment[] WithoutOverlaps(IReadOnlyList<DumpSegment> segments)
    {
        List<DumpSegment> result = [];
        ulong covered = 0;
        foreach (DumpSegment segment in segments.Where(s => s.Stored != 0).OrderBy(s => s.Start))
        {
            ulong end = segment.Start + segment.Stored;
            ulong start = Math.Max(segment.Start, covered);
            if (start < end)
            {
                result.Add(new DumpSegment(start, end - start, end - start, segment.Offset + (long)(start - segment.Start)));
                covered = end;
            }
        }

        return [.. result];
    }

    private static PhysicalRange[] Union(IReadOnlyList<DumpSegment> segments)
    {
        List<PhysicalRange> result = [];
        foreach (DumpSegment segment in segments.Where(s => s.Length != 0).OrderBy(s => s.Start))
        {
            ulong start = segment.Start / PageSize * PageSize;
            ulong end = (segment.Start + segment.Length + PageSize - 1) / PageSize * PageSize;
            if (result.Count > 0 && result[^1] is var last && start <= last.Start + last.Length)
            {
                result[^1] = last with { Length = Math.Max(last.Length, end - last.Start) };
            }
            else
            {
                result.Add(new PhysicalRange(start, end - start));
            }
        }

        return [.. result];
    }

    /// <summary>The last element whose start is not above <paramref name="address"/>, or -1.</summary>
    private static int Last<T>(T[] sorted, Func<T, ulong> start, ulong address)
    {
        int low = 0, high = sorted.Length;
        while (low < high)
        {
            int middle = (low + high) / 2;
            if (start(sorted[middle]) <= address)
            {
                low = middle + 1;
            }
            else
            {
                high = middle;
            }
        }

        return low - 1;
    }
}
