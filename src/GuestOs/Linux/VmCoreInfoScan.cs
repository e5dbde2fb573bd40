using Emulator;
using Emulator.Memory;

namespace GuestOs.Linux;

/// <summary>The search behind <see cref="VmCoreInfo.FindAll"/>.</summary>
internal static class VmCoreInfoScan
{
    /// <summary>Texts parsed before the search gives up: a guest may fill its memory with them.</summary>
    public const int MaxCandidates = 1 << 14;

    /// <summary>RAM beyond this is not searched (1 TiB).</summary>
    public const ulong MaxScanBytes = 1UL << 40;

    /// <summary>A note's header and name, after which the copy for dumps begins (kernel/crash_core.c).</summary>
    private const int NoteHeader = 24;
    private const int PageSize = GuestMemory.PageSize;
    private const int ChunkBytes = 64 * PageSize;

    public static IEnumerable<VmCoreInfo> Find(IMachineView view)
    {
        int parsed = 0;
        var seen = new HashSet<string>(StringComparer.Ordinal);
        var starts = new HashSet<ulong>();

        // The kernel's own text has a page to itself, so only the first bytes of each page need a look.
        foreach (ulong page in TouchedPages(view))
        {
            if (parsed < MaxCandidates && StartsHere(view, page) is ulong start && starts.Add(start))
            {
                parsed++;
                if (TryParse(view, start, seen) is { } info)
                {
                    yield return info;
                }
            }
        }

        // Where it stands elsewhere (old kernels: in .bss; quoted in a file), every byte has to be looked at.
        var buffer = new byte[ChunkBytes + VmCoreInfo.Signature.Length - 1];
        var hits = new List<ulong>();
        ulong next = ulong.MaxValue;
        int held = 0;
        foreach ((ulong chunk, int length) in TouchedChunks(view))
        {
            // The last bytes of an adjoining chunk stay in front, so that a hit across the seam is not lost.
            int kept = chunk == next ? Math.Min(held, VmCoreInfo.Signature.Length - 1) : 0;
            buffer.AsSpan(held - kept, kept).CopyTo(buffer);
            int read = view.ReadPhysical(chunk, buffer.AsSpan(kept, length));
            held = kept + read;
            next = chunk + (ulong)read;
            hits.Clear();
            Search(buffer.AsSpan(0, held), chunk - (ulong)kept, hits);
            foreach (ulong hit in hits)
            {
                if (parsed < MaxCandidates && starts.Add(hit))
                {
                    parsed++;
                    if (TryParse(view, hit, seen) is { } info)
                    {
                        yield return info;
                    }
                }
            }
        }
    }

    private static void Search(ReadOnlySpan<byte> bytes, ulong address, List<ulong> hits)
    {
        int from = 0;
        while (hits.Count < MaxCandidates)
        {
            int at = bytes[from..].IndexOf(VmCoreInfo.Signature);
            if (at < 0)
            {
                return;
            }

            hits.Add(address + (ulong)(from + at));
            from += at + 1;
        }
    }

    private static ulong? StartsHere(IMachineView view, ulong page)
    {
        Span<byte> head = stackalloc byte[NoteHeader + VmCoreInfo.Signature.Length];
        if (view.ReadPhysical(page, head) < head.Length)
        {
            return null;
        }

        return head.StartsWith(VmCoreInfo.Signature) ? page : head.EndsWith(VmCoreInfo.Signature) ? page + NoteHeader : null;
    }

    private static VmCoreInfo? TryParse(IMachineView view, ulong address, HashSet<string> seen)
    {
        Span<byte> text = stackalloc byte[VmCoreInfo.MaxTextBytes];
        int read = view.ReadPhysical(address, text);
        return VmCoreInfo.TryParse(text[..Math.Max(read, 0)], address, out VmCoreInfo? info)
            && seen.Add(Convert.ToHexString(System.Security.Cryptography.SHA256.HashData(info.Text.Span)))
            ? info : null;
    }

    private static IEnumerable<ulong> TouchedPages(IMachineView view)
    {
        ulong scanned = 0;
        foreach (PhysicalRange range in view.Ram)
        {
            ulong first = (range.Start + PageSize - 1) & ~(ulong)(PageSize - 1);
            ulong end = range.Start + range.Length;
            for (ulong page = first; end >= PageSize && page <= end - PageSize && page >= first; page += PageSize)
            {
                if (++scanned > MaxScanBytes / PageSize)
                {
                    yield break;
                }

                if (!view.IsUntouched(page))
                {
                    yield return page;
                }
            }
        }
    }

    private static IEnumerable<(ulong Address, int Length)> TouchedChunks(IMachineView view)
    {
        ulong start = 0;
        int length = 0;
        foreach (ulong page in TouchedPages(view))
        {
            if (length > 0 && (page != start + (ulong)length || length == ChunkBytes))
            {
                yield return (start, length);
                length = 0;
            }

            start = length == 0 ? page : start;
            length += PageSize;
        }

        if (length > 0)
        {
            yield return (start, length);
        }
    }
}
