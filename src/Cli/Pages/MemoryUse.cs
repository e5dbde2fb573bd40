using Emulator;
using GuestOs.Linux;
using Snapshots;

namespace Cli.Pages;

/// <summary>What a page frame is, for a person who looks at a machine's memory.</summary>
internal enum PageKind
{
    /// <summary>Free, and zeros.</summary>
    FreeZero,

    /// <summary>Free, with what its last owner left.</summary>
    Free,

    /// <summary>The cache of files.</summary>
    Cache,

    /// <summary>A process's own.</summary>
    User,

    /// <summary>The kernel's objects.</summary>
    Slab,

    /// <summary>The kernel's otherwise.</summary>
    Kernel,

    /// <summary>Of no use that is known.</summary>
    Unknown,

    /// <summary>The same, and zeros.</summary>
    UnknownZero,

    /// <summary>Left out of the file.</summary>
    LeftOut,
}

/// <summary>A piece of RAM on the map: how many of its pages are of each kind.</summary>
/// <param name="Start">First guest-physical address.</param>
/// <param name="Pages">By <see cref="PageKind"/>.</param>
internal sealed record MemoryCell(ulong Start, int[] Pages)
{
    /// <summary>The kind most of it is.</summary>
    public PageKind Main => (PageKind)Array.IndexOf(Pages, Pages.Max());
}

/// <summary>What a machine's RAM is used for: in all, and on a map of equal pieces.</summary>
/// <param name="Total">Pages by <see cref="PageKind"/>.</param>
/// <param name="CellBytes">Bytes of RAM of each piece; the last of a range may have fewer.</param>
/// <param name="Cells">The pieces, ascending.</param>
/// <param name="WhyNotKnown">Why uses are not known; null when they are.</param>
internal sealed record MemoryUse(long[] Total, ulong CellBytes, IReadOnlyList<MemoryCell> Cells, string? WhyNotKnown)
{
    private const int MostCells = 1024;
    private const ulong PageSize = 4096;

    /// <summary>Kinds there are.</summary>
    public static int Kinds { get; } = Enum.GetValues<PageKind>().Length;

    /// <summary>Looks at every page of RAM.</summary>
    public static MemoryUse Read(IMachineView view, LinuxKernel? kernel)
    {
        string? whyNot = "no Linux kernel was found";
        PageUses? uses = kernel is null ? null : PageUses.Read(kernel.Memory, view.Ram, out whyNot);
        ulong bytes = view.Ram.Aggregate(0UL, (sum, range) => sum + range.Length);
        ulong cell = 64 << 10;
        while (bytes / cell >= MostCells)
        {
            cell *= 2;
        }

        long[] total = new long[Kinds];
        List<MemoryCell> cells = [];
        foreach (PhysicalRange range in view.Ram)
        {
            for (ulong at = 0; at < range.Length; at += cell)
            {
                int[] pages = new int[Kinds];
                for (ulong page = at; page < Math.Min(at + cell, range.Length); page += PageSize)
                {
                    PageKind kind = KindOf(view, uses, range.Start + page);
                    pages[(int)kind]++;
                    total[(int)kind]++;
                }

                cells.Add(new MemoryCell(range.Start + at, pages));
            }
        }

        return new MemoryUse(total, cell, cells, uses is null ? whyNot : null);
    }

    /// <summary>A kind's name for scripts.</summary>
    public static string Name(PageKind kind) => kind switch
    {
        PageKind.FreeZero => "free-zero",
        PageKind.Free => "free",
        PageKind.Cache => "cache",
        PageKind.User => "user",
        PageKind.Slab => "slab",
        PageKind.Kernel => "kernel",
        PageKind.Unknown => "unknown",
        PageKind.UnknownZero => "unknown-zero",
        _ => "left-out",
    };

    /// <summary>A kind in words.</summary>
    public static string Word(PageKind kind) => kind switch
    {
        PageKind.FreeZero => "free, zeros",
        PageKind.Free => "free, with remains",
        PageKind.Cache => "cache of files",
        PageKind.User => "processes",
        PageKind.Slab => "kernel objects",
        PageKind.Kernel => "kernel",
        PageKind.Unknown => "unknown",
        PageKind.UnknownZero => "unknown, zeros",
        _ => "left out of the file",
    };

    private static PageKind KindOf(IMachineView view, PageUses? uses, ulong address)
    {
        if (view is IPartialView partial && partial.IsLeftOut(address))
        {
            return PageKind.LeftOut;
        }

        return uses?[address] switch
        {
            PageUse.Free => view.IsUntouched(address) ? PageKind.FreeZero : PageKind.Free,
            PageUse.Cache or PageUse.CachePrivate => PageKind.Cache,
            PageUse.User => PageKind.User,
            PageUse.Slab => PageKind.Slab,
            PageUse.Kernel => PageKind.Kernel,
            _ => view.IsUntouched(address) ? PageKind.UnknownZero : PageKind.Unknown,
        };
    }
}
