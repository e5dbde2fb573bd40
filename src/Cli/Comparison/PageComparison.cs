using Emulator;
using GuestOs.Linux;

namespace Cli.Comparison;

/// <summary>Consecutive pages that differ.</summary>
/// <param name="Start">Guest-physical address of the first.</param>
/// <param name="Pages">How many.</param>
/// <param name="Bytes">Bytes of them that differ.</param>
internal readonly record struct DifferentRange(ulong Start, long Pages, long Bytes);

/// <summary>The memory of two machines, page by page at the same physical addresses.</summary>
internal sealed record PageComparison
{
    private const int PageSize = 4096;

    /// <summary>Pages that are alike.</summary>
    public long Same { get; private set; }

    /// <summary>Pages that are not.</summary>
    public long Different { get; private set; }

    /// <summary>Bytes of those that differ.</summary>
    public long DifferentBytes { get; private set; }

    /// <summary>Pages that only the first has: RAM the other lacks, or left out of its file.</summary>
    public long OnlyFirst { get; private set; }

    /// <summary>Pages that only the second has.</summary>
    public long OnlySecond { get; private set; }

    /// <summary>Of each use by the first's kernel, pages that both have and pages that differ; empty when it does not tell.</summary>
    public SortedDictionary<PageUse, (long Both, long Different)> ByUse { get; } = [];

    /// <summary>The ranges that differ, ascending.</summary>
    public List<DifferentRange> Ranges { get; } = [];

    /// <summary>Compares. Pages that are zeros in both cost nothing; the rest is read.</summary>
    public static PageComparison Read(IMachineView first, IMachineView second, LinuxKernel? kernel, Action<double> progress)
    {
        PageUses? uses = kernel is null ? null : PageUses.Read(kernel.Memory, first.Ram, out _);
        var comparison = new PageComparison();
        byte[] one = new byte[PageSize], other = new byte[PageSize];
        ulong end = Math.Max(End(first), End(second));
        foreach (ulong address in Addresses(first, second))
        {
            comparison.Add(first, second, address, one, other, uses);
            if (address % (PageSize * 1024) == 0)
            {
                progress((double)address / end);
            }
        }

        return comparison;
    }

    private static ulong End(IMachineView view) => view.Ram.Count == 0 ? 1 : view.Ram[^1].Start + view.Ram[^1].Length;

    private static IEnumerable<ulong> Addresses(IMachineView first, IMachineView second)
    {
        ulong next = 0;
        foreach (PhysicalRange range in first.Ram.Concat(second.Ram).OrderBy(range => range.Start))
        {
            for (ulong at = Math.Max(next, range.Start); at < range.Start + range.Length; at += PageSize)
            {
                yield return at;
            }

            next = Math.Max(next, range.Start + range.Length);
        }
    }

    private void Add(IMachineView first, IMachineView second, ulong address, byte[] one, byte[] other, PageUses? uses)
    {
        if (first.IsUntouched(address) && second.IsUntouched(address))
        {
            Same++;
            Note(uses, address, different: false);
            return;
        }

        bool inFirst = first.ReadPhysical(address, one) == PageSize, inSecond = second.ReadPhysical(address, other) == PageSize;
        if (!inFirst || !inSecond)
        {
            OnlyFirst += inFirst ? 1 : 0;
            OnlySecond += inSecond ? 1 : 0;
            return;
        }

        int bytes = 0;
        if (!one.AsSpan().SequenceEqual(other))
        {
            for (int i = 0; i < PageSize; i++)
            {
                bytes += one[i] == other[i] ? 0 : 1;
            }
        }

        Note(uses, address, bytes != 0);
        if (bytes == 0)
        {
            Same++;
            return;
        }

        Different++;
        DifferentBytes += bytes;
        if (Ranges.Count > 0 && Ranges[^1] is var last && last.Start + ((ulong)last.Pages * PageSize) == address)
        {
            Ranges[^1] = last with { Pages = last.Pages + 1, Bytes = last.Bytes + bytes };
        }
        else
        {
            Ranges.Add(new DifferentRange(address, 1, bytes));
        }
    }

    private void Note(PageUses? uses, ulong address, bool different)
    {
        if (uses is not null)
        {
            (long both, long changed) = ByUse.GetValueOrDefault(uses[address]);
            ByUse[uses[address]] = (both + 1, changed + (different ? 1 : 0));
        }
    }
}
