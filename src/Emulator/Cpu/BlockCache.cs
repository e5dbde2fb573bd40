using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Emulator.Memory;

namespace Emulator.Cpu;

/// <summary>
/// Decoded blocks by address, and which RAM pages they came from. Everything lives in one arena; when it is full, all
/// of it is thrown away. Writes into a page with blocks come to <see cref="PageWritten"/>.
/// </summary>
internal sealed unsafe class BlockCache : IDisposable
{
    private const int Buckets = 1 << 16;
    private const nuint ArenaSize = 96u << 20;
    private const int Margin = 1024;

    private readonly Dictionary<ulong, PageCode> pages = [];
    private readonly byte* hasCode;
    private readonly ulong physicalPages;
    private readonly Block** buckets;
    private readonly byte* arena;
    private nuint used;

    private struct PageCode
    {
        internal Block* First;
        internal ulong Granules;
    }

    /// <param name="physicalPages">Pages from address 0 to the end of RAM: where code can be kept from.</param>
    internal BlockCache(ulong physicalPages)
    {
        this.physicalPages = physicalPages;
        hasCode = (byte*)NativeMemory.AllocZeroed((nuint)physicalPages);
        buckets = (Block**)NativeMemory.AllocZeroed(Buckets, (nuint)sizeof(Block*));
        arena = (byte*)NativeMemory.AlignedAlloc(ArenaSize, 4096);
    }

    /// <summary>Told that everything was thrown away.</summary>
    internal Action? Cleared { get; set; }

    /// <summary>Told of each block that was dropped.</summary>
    internal Action<nint>? Dropped { get; set; }

    /// <summary>Blocks decoded since the start; for statistics.</summary>
    internal long Decoded { get; private set; }

    /// <summary>Finds a block; null when it must be decoded.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal Block* Find(ulong rip, ulong page, CodeMode mode, ulong csBase)
    {
        Block* block = *Bucket(rip, page);
        while (block != null && !(block->Rip == rip && block->PhysicalPage == page && block->Mode == mode && block->CsBase == csBase))
        {
            block = block->NextInBucket;
        }

        return block;
    }

    /// <summary>
    /// Keeps a freshly decoded block with its bytes, and without operations for now. <paramref name="firstOfPage"/> says that the
    /// page had no code until now and must leave the fast write tables.
    /// </summary>
    internal Block* Add(in Block decoded, ReadOnlySpan<byte> bytes, out bool firstOfPage)
    {
        // With all that may be added to it: its operations, and what stands for it in another page.
        if (used + (nuint)(Margin + bytes.Length + (decoded.Count * sizeof(Op))) > ArenaSize)
        {
            Clear();
        }

        TryTake((nuint)(sizeof(Block) + bytes.Length), out byte* place);
        var block = (Block*)place;
        *block = decoded;
        block->Valid = 1;
        block->Bytes = place + sizeof(Block);
        block->Size = (ushort)bytes.Length;
        bytes.CopyTo(new Span<byte>(block->Bytes, bytes.Length));
        firstOfPage = AddToPage(block);
        Block** bucket = Bucket(decoded.Rip, decoded.PhysicalPage);
        block->NextInBucket = *bucket;
        *bucket = block;
        Decoded++;
        return block;
    }

    /// <summary>
    /// Notes that a block ends in another page, whose <paramref name="bytes"/> first bytes it needs. True if that page had no code
    /// until now.
    /// </summary>
    internal bool AddTail(Block* head, ulong physicalPage, int bytes)
    {
        TryTake((nuint)sizeof(Block), out byte* place);
        var tail = (Block*)place;
        *tail = new Block { PhysicalPage = physicalPage, Granules = Granules(0, bytes), Other = head, Valid = 1 };
        head->Other = tail;
        return AddToPage(tail);
    }

    private bool AddToPage(Block* block)
    {
        ref PageCode code = ref CollectionsMarshal.GetValueRefOrAddDefault(pages, block->PhysicalPage, out bool existed);
        block->NextInPage = code.First;
        code.First = block;
        code.Granules |= block->Granules;
        hasCode[block->PhysicalPage] = 1;
        return !existed;
    }

    /// <summary>Gives a block its operations, as far as there is room.</summary>
    internal void Keep(Block* block, ReadOnlySpan<Op> ops)
    {
        if (TryTake((nuint)ops.Length * (nuint)sizeof(Op), out byte* place))
        {
            block->Ops = (Op*)place;
            ops.CopyTo(new Span<Op>(block->Ops, ops.Length));
        }
    }

    private bool TryTake(nuint size, out byte* place)
    {
        place = arena + used;
        size = (size + 63) & ~(nuint)63;
        if (used + size > ArenaSize)
        {
            return false;
        }

        used += size;
        return true;
    }

    /// <summary>True while blocks come from this physical page.</summary>
    internal bool HasCode(ulong physicalPage) => physicalPage < physicalPages && hasCode[physicalPage] != 0;

    /// <summary>
    /// Bytes of a page were written. Blocks decoded from near them are dropped, and true comes back: whoever runs one of them
    /// must leave it after the present instruction.
    /// </summary>
    internal bool PageWritten(ulong physicalPage, int offset, int length)
    {
        if (!Overlaps(physicalPage, offset, length))
        {
            return false;
        }

        ulong written = Granules(offset, length);
        var kept = default(PageCode);
        for (Block* block = pages[physicalPage].First, next; block != null; block = next)
        {
            next = block->NextInPage;
            if ((block->Granules & written) != 0)
            {
                Drop(block);
                continue;
            }

            block->NextInPage = kept.First;
            kept.First = block;
            kept.Granules |= block->Granules;
        }

        if (kept.First != null)
        {
            pages[physicalPage] = kept;
        }
        else
        {
            pages.Remove(physicalPage);
            hasCode[physicalPage] = 0;
        }

        return true;
    }

    /// <summary>Drops blocks with any of these linear addresses, which ascend, in their bytes.</summary>
    internal void DropAround(ReadOnlySpan<ulong> addresses)
    {
        for (int i = 0; i < Buckets; i++)
        {
            for (Block* block = buckets[i], next; block != null; block = next)
            {
                next = block->NextInBucket;
                ulong linear = block->Rip + block->CsBase;
                int at = addresses.BinarySearch(linear);
                at = at < 0 ? ~at : at;
                if (at < addresses.Length && addresses[at] - linear < block->Size)
                {
                    Drop(block);
                }
            }
        }
    }

    /// <summary>Whether bytes of a page are near decoded code.</summary>
    internal bool Overlaps(ulong physicalPage, int offset, int length) =>
        HasCode(physicalPage) && pages.TryGetValue(physicalPage, out PageCode code) && (code.Granules & Granules(offset, length)) != 0;

    /// <summary>The granules that bytes of a page lie in.</summary>
    internal static ulong Granules(int offset, int length)
    {
        int first = offset >> 6, last = Math.Min(offset + length - 1, GuestMemory.PageSize - 1) >> 6;
        return (ulong.MaxValue >> (63 - (last - first))) << first;
    }

    /// <summary>Throws everything away.</summary>
    internal void Clear()
    {
        foreach (ulong page in pages.Keys)
        {
            hasCode[page] = 0;
        }

        pages.Clear();
        new Span<nint>(buckets, Buckets).Clear();
        used = 0;
        Cleared?.Invoke();
    }

    public void Dispose()
    {
        NativeMemory.Free(hasCode);
        NativeMemory.Free(buckets);
        NativeMemory.AlignedFree(arena);
    }

    private Block** Bucket(ulong rip, ulong page) => buckets + ((rip ^ (rip >> 16) ^ (page << 5)) & (Buckets - 1));

    /// <summary>Makes a block one that is not found any more. What stands for it in pages' lists may stay there.</summary>
    internal void Drop(Block* block)
    {
        if (block->Valid == 0)
        {
            return;
        }

        block->Valid = 0;
        if (block->Other != null)
        {
            block->Other->Valid = 0;
            block = block->Count == 0 ? block->Other : block;
        }

        Block** link = Bucket(block->Rip, block->PhysicalPage);
        while (*link != block)
        {
            link = &(*link)->NextInBucket;
        }

        *link = block->NextInBucket;
        Dropped?.Invoke((nint)block);
    }
}
