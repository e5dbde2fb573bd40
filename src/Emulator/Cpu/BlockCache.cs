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
    private const int JumpEntries = 1 << 15;
    private const nuint ArenaSize = 96u << 20;

    private readonly Dictionary<(ulong Rip, ulong Page, CodeMode Mode, ulong CsBase), nint> blocks = [];
    private readonly Dictionary<ulong, PageCode> pages = [];
    private readonly Block** jumps;
    private readonly byte* arena;
    private nuint used;

    private struct PageCode
    {
        internal Block* First;
        internal ulong Granules;
    }

    internal BlockCache()
    {
        jumps = (Block**)NativeMemory.AllocZeroed(JumpEntries, (nuint)sizeof(Block*));
        arena = (byte*)NativeMemory.AlignedAlloc(ArenaSize, 4096);
    }

    /// <summary>Told that everything was thrown away.</summary>
    internal Action? Cleared { get; set; }

    /// <summary>Told that the blocks of a physical page were dropped.</summary>
    internal Action<ulong>? PageDropped { get; set; }

    /// <summary>Blocks decoded since the start; for statistics.</summary>
    internal long Decoded { get; private set; }

    internal static int JumpIndex(ulong rip, ulong page) => (int)((rip ^ (rip >> 14) ^ (page << 3)) & (JumpEntries - 1));

    /// <summary>Finds a block of 64-bit code in the jump table alone; null when it is not there.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal Block* FindJump(ulong rip, ulong page, CodeMode mode)
    {
        Block* block = jumps[JumpIndex(rip, page)];
        return block != null && block->Rip == rip && block->PhysicalPage == page && block->Mode == mode && block->CsBase == 0 && block->Valid != 0
            ? block
            : null;
    }

    /// <summary>Finds a block; null when it must be decoded.</summary>
    internal Block* Find(ulong rip, ulong page, CodeMode mode, ulong csBase)
    {
        Block** jump = jumps + JumpIndex(rip, page);
        Block* block = *jump;
        if (block != null && block->Rip == rip && block->PhysicalPage == page && block->Mode == mode && block->CsBase == csBase && block->Valid != 0)
        {
            return block;
        }

        if (blocks.TryGetValue((rip, page, mode, csBase), out nint found))
        {
            *jump = (Block*)found;
            return (Block*)found;
        }

        return null;
    }

    /// <summary>
    /// Keeps a freshly decoded block. The copy stands in the arena; <paramref name="firstOfPage"/> says that the page had
    /// no code until now and must leave the fast write tables.
    /// </summary>
    internal Block* Add(in Block decoded, ReadOnlySpan<Op> ops, out bool firstOfPage)
    {
        nuint size = (nuint)(sizeof(Block) + 63 & ~63) + ((nuint)ops.Length * (nuint)sizeof(Op));
        if (used + size > ArenaSize)
        {
            Clear();
        }

        Block* block = (Block*)(arena + used);
        used += size;
        *block = decoded;
        block->Ops = (Op*)((byte*)block + (sizeof(Block) + 63 & ~63));
        block->Count = ops.Length;
        block->Valid = 1;
        ops.CopyTo(new Span<Op>(block->Ops, ops.Length));
        ref PageCode code = ref CollectionsMarshal.GetValueRefOrAddDefault(pages, decoded.PhysicalPage, out bool existed);
        firstOfPage = !existed;
        block->NextInPage = code.First;
        code.First = block;
        code.Granules |= decoded.Granules;
        blocks[(decoded.Rip, decoded.PhysicalPage, decoded.Mode, decoded.CsBase)] = (nint)block;
        jumps[JumpIndex(decoded.Rip, decoded.PhysicalPage)] = block;
        Decoded++;
        return block;
    }

    /// <summary>True while blocks come from this physical page.</summary>
    internal bool HasCode(ulong physicalPage) => pages.ContainsKey(physicalPage);

    /// <summary>
    /// Bytes of a page were written. When they overlap decoded code, the page's blocks are dropped and true comes back:
    /// whoever runs one of them must leave it after the present instruction.
    /// </summary>
    internal bool PageWritten(ulong physicalPage, int offset, int length)
    {
        if (!Overlaps(physicalPage, offset, length))
        {
            return false;
        }

        DropPage(physicalPage, pages[physicalPage]);
        return true;
    }

    /// <summary>Whether bytes of a page are near decoded code.</summary>
    internal bool Overlaps(ulong physicalPage, int offset, int length) =>
        pages.TryGetValue(physicalPage, out PageCode code) && (code.Granules & Granules(offset, length)) != 0;

    /// <summary>The granules that bytes of a page lie in.</summary>
    internal static ulong Granules(int offset, int length)
    {
        int first = offset >> 6, last = Math.Min(offset + length - 1, GuestMemory.PageSize - 1) >> 6;
        return (ulong.MaxValue >> (63 - (last - first))) << first;
    }

    /// <summary>Throws everything away.</summary>
    internal void Clear()
    {
        blocks.Clear();
        pages.Clear();
        new Span<nint>(jumps, JumpEntries).Clear();
        used = 0;
        Cleared?.Invoke();
    }

    public void Dispose()
    {
        NativeMemory.Free(jumps);
        NativeMemory.AlignedFree(arena);
    }

    private void DropPage(ulong physicalPage, PageCode code)
    {
        for (Block* block = code.First; block != null; block = block->NextInPage)
        {
            block->Valid = 0;
            blocks.Remove((block->Rip, block->PhysicalPage, block->Mode, block->CsBase));
        }

        pages.Remove(physicalPage);
        PageDropped?.Invoke(physicalPage);
    }
}
