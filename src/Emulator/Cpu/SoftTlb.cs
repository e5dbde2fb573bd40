using System.Runtime.InteropServices;
using Emulator.Memory;

namespace Emulator.Cpu;

/// <summary>What an access through the TLB wants.</summary>
internal enum AccessKind
{
    Read,
    Write,
    Fetch,
}

/// <summary>Whose rights an access has. The first three have fast tables; the numbers are their indexes.</summary>
internal enum AccessMode
{
    /// <summary>CPL 3.</summary>
    User = 0,

    /// <summary>CPL 0–2, user pages out of reach while SMAP is on (EFLAGS.AC clear, or an implicit access).</summary>
    Supervisor = 1,

    /// <summary>CPL 0–2 with EFLAGS.AC set, or without SMAP.</summary>
    SupervisorUnchecked = 2,
}

/// <summary>
/// The TLB in two layers. The translations themselves (data and fetch apart) are architectural state: what is in them
/// decides what a guest sees that changes page tables without flushing, so they depend on the guest's own accesses
/// alone. Above them lie the fast tables of host addresses, which may be dropped at any time (freeze, watchpoint, code
/// page) without the guest noticing: a refill from the layer below walks nothing.
/// </summary>
internal sealed unsafe class SoftTlb : IDisposable
{
    internal const int Entries = 4096;
    internal const int FetchEntries = FetchSets * FetchWays;
    internal const uint FastBytes = ((Modes * 2) + 1) * Entries * 16;
    private const int Modes = 3, FetchSets = 512, FetchWays = 4, Regions = 1024;

    internal const ulong Writable = 1, User = 2, NoExecute = 4, Dirty = 8, Global = 16, FlagMask = 0xFFF;

    /// <summary>The translation is a piece of a page of 2 or 4 MiB, or of one of 1 GiB.</summary>
    internal const ulong Large = 32, Giant = 64;

    private const int LargeShift = 22, GiantShift = 30;

    private readonly TlbEntry* fast;
    private readonly Translation* data;
    private readonly Translation* fetch;
    private readonly bool ownsFast;

    // The slots that may hold anything: all a flush has to look at. Those with global translations apart: most flushes keep them.
    private SlotList usedData = new(Entries), usedGlobalData = new(Entries);
    private SlotList usedFetch = new(FetchEntries), usedGlobalFetch = new(FetchEntries);
    private readonly byte[] oldestWay = new byte[FetchSets];

    // Where pieces of larger pages may be, by a hash of where their page begins.
    private readonly bool[] largeAround = new bool[Regions], giantAround = new bool[Regions];

    /// <summary>A cached walk: the linear page with bit 0 as valid bit, and the physical page with rights in the low bits.</summary>
    internal struct Translation
    {
        internal ulong Tag;
        internal ulong Leaf;
    }

    /// <param name="tables">Room for the fast tables (<see cref="FastBytes"/>), or null for memory of its own.</param>
    internal SoftTlb(TlbEntry* tables = null)
    {
        ownsFast = tables == null;
        // One empty table more: what a mode without inline hits (alignment checks on) points at.
        fast = ownsFast ? (TlbEntry*)NativeMemory.AlignedAlloc(FastBytes, 4096) : tables;
        data = (Translation*)NativeMemory.AllocZeroed(Entries, (nuint)sizeof(Translation));
        fetch = (Translation*)NativeMemory.AllocZeroed(FetchEntries, (nuint)sizeof(Translation));
        for (int i = 0; i < ((Modes * 2) + 1) * Entries; i++)
        {
            fast[i].Tag = EmptyTag(i & (Entries - 1));
            fast[i].Host = null;
        }
    }

    /// <summary>The table nothing is ever put into.</summary>
    internal TlbEntry* Never => fast + (Modes * 2 * Entries);

    internal TlbEntry* ReadTable(AccessMode mode) => fast + ((int)mode * 2 * Entries);

    internal TlbEntry* WriteTable(AccessMode mode) => fast + ((((int)mode * 2) + 1) * Entries);

    internal static int IndexOf(ulong linear) => (int)(linear >> 12) & (Entries - 1);

    internal Translation* DataSlot(ulong linear) => data + IndexOf(linear);

    /// <summary>The slot of a fetch translation; where there is none, one that is another's.</summary>
    internal Translation* FetchSlot(ulong linear)
    {
        Translation* set = fetch + (((int)(linear >> 12) & (FetchSets - 1)) * FetchWays);
        ulong tag = (linear & ~FlagMask) | 1;
        return set[1].Tag == tag ? set + 1 : set[2].Tag == tag ? set + 2 : set[3].Tag == tag ? set + 3 : set;
    }

    /// <summary>The number of the slot that has an address's fetch translation, or -1.</summary>
    internal int FetchIndexOf(ulong linear)
    {
        Translation* slot = FetchSlot(linear);
        return slot->Tag == ((linear & ~FlagMask) | 1) ? (int)(slot - fetch) : -1;
    }

    /// <summary>The physical page and rights in a slot.</summary>
    internal ulong FetchLeaf(int slot) => fetch[slot].Leaf;

    /// <summary>Told of every fetch translation that goes, by its slot.</summary>
    internal Action<int>? FetchDropped { get; set; }

    internal void ReplaceFetch(ulong linear, ulong leaf)
    {
        int index = FetchIndexOf(linear);
        if (index < 0)
        {
            // Round and round: the oldest goes.
            int set = (int)(linear >> 12) & (FetchSets - 1);
            index = (set * FetchWays) + (oldestWay[set]++ & (FetchWays - 1));
        }

        FetchDropped?.Invoke(index);
        NotePiece(linear, leaf);
        ((leaf & Global) != 0 ? ref usedGlobalFetch : ref usedFetch).Add(index);
        fetch[index].Tag = (linear & ~FlagMask) | 1;
        fetch[index].Leaf = leaf;
    }

    /// <summary>Puts a translation in place of whatever stood in its slot, whose fast entries go with it.</summary>
    internal void ReplaceData(ulong linear, ulong leaf)
    {
        int index = IndexOf(linear);
        DropFast(index);
        NotePiece(linear, leaf);
        ((leaf & Global) != 0 ? ref usedGlobalData : ref usedData).Add(index);
        data[index].Tag = (linear & ~FlagMask) | 1;
        data[index].Leaf = leaf;
    }

    internal void DropFast(int index)
    {
        ulong tag = EmptyTag(index);
        for (int table = 0; table < Modes * 2; table++)
        {
            fast[(table * Entries) + index].Tag = tag;
        }
    }

    internal void Fill(TlbEntry* table, ulong linear, byte* host)
    {
        int index = IndexOf(linear);
        if (data[index].Tag == 0)
        {
            // Without paging there are no translations below.
            usedData.Add(index);
        }

        table[index].Tag = linear & ~FlagMask;
        table[index].Host = host;
    }

    /// <summary>Forgets translations: all, or those whose leaf is not global.</summary>
    internal void Flush(bool keepGlobal)
    {
        if (!keepGlobal)
        {
            // Nothing of what was there before may decide what is there later.
            Array.Clear(oldestWay);
            Array.Clear(largeAround);
            Array.Clear(giantAround);
        }

        FlushData(ref usedData, keepGlobal);
        FlushFetch(ref usedFetch, keepGlobal);
        if (!keepGlobal)
        {
            FlushData(ref usedGlobalData, keepGlobal);
            FlushFetch(ref usedGlobalFetch, keepGlobal);
        }
    }

    private void FlushData(ref SlotList slots, bool keepGlobal)
    {
        for (int i = 0; i < slots.Count; i++)
        {
            int index = slots[i];
            if (!keepGlobal || (data[index].Leaf & Global) == 0)
            {
                ForgetData(index);
            }
        }

        slots.Clear();
    }

    private void FlushFetch(ref SlotList slots, bool keepGlobal)
    {
        for (int i = 0; i < slots.Count; i++)
        {
            int index = slots[i];
            if (!keepGlobal || (fetch[index].Leaf & Global) == 0)
            {
                ForgetFetch(index);
            }
        }

        slots.Clear();
    }

    /// <summary>INVLPG: forgets the page's translations, global or not; of a large page all pieces (SDM vol. 3A §4.10.4.1).</summary>
    internal void FlushPage(ulong linear)
    {
        if (largeAround[Region(linear, LargeShift)])
        {
            FlushPieces(linear, LargeShift, Large);
        }

        if (giantAround[Region(linear, GiantShift)])
        {
            FlushPieces(linear, GiantShift, Giant);
        }

        ulong tag = (linear & ~FlagMask) | 1;
        if (DataSlot(linear)->Tag == tag)
        {
            ForgetData(IndexOf(linear));
        }

        int index = FetchIndexOf(linear);
        if (index >= 0)
        {
            ForgetFetch(index);
        }
    }

    private void NotePiece(ulong linear, ulong leaf)
    {
        if ((leaf & (Large | Giant)) != 0)
        {
            bool giant = (leaf & Giant) != 0;
            (giant ? giantAround : largeAround)[Region(linear, giant ? GiantShift : LargeShift)] = true;
        }
    }

    private void FlushPieces(ulong linear, int shift, ulong size)
    {
        FlushDataPieces(usedData, linear, shift, size);
        FlushDataPieces(usedGlobalData, linear, shift, size);
        FlushFetchPieces(usedFetch, linear, shift, size);
        FlushFetchPieces(usedGlobalFetch, linear, shift, size);
    }

    private void FlushDataPieces(in SlotList slots, ulong linear, int shift, ulong size)
    {
        for (int i = 0; i < slots.Count; i++)
        {
            int index = slots[i];
            if ((data[index].Leaf & size) != 0 && data[index].Tag >> shift == linear >> shift)
            {
                ForgetData(index);
            }
        }
    }

    private void FlushFetchPieces(in SlotList slots, ulong linear, int shift, ulong size)
    {
        for (int i = 0; i < slots.Count; i++)
        {
            int index = slots[i];
            if ((fetch[index].Leaf & size) != 0 && fetch[index].Tag >> shift == linear >> shift)
            {
                ForgetFetch(index);
            }
        }
    }

    private void ForgetData(int index)
    {
        data[index] = default;
        DropFast(index);
    }

    private void ForgetFetch(int index)
    {
        fetch[index] = default;
        FetchDropped?.Invoke(index);
    }

    private static int Region(ulong linear, int shift) => (int)(linear >> shift) & (Regions - 1);

    /// <summary>Empties every fast table; translations stay.</summary>
    internal void DropAllFast()
    {
        DropAllFast(usedData);
        DropAllFast(usedGlobalData);
    }

    private void DropAllFast(in SlotList slots)
    {
        for (int i = 0; i < slots.Count; i++)
        {
            DropFast(slots[i]);
        }
    }

    /// <summary>Empties the fast write tables; translations stay.</summary>
    internal void DropFastWrites()
    {
        DropFastWrites(usedData);
        DropFastWrites(usedGlobalData);
    }

    private void DropFastWrites(in SlotList slots)
    {
        for (int i = 0; i < slots.Count; i++)
        {
            for (int mode = 0; mode < Modes; mode++)
            {
                WriteTable((AccessMode)mode)[slots[i]].Tag = EmptyTag(slots[i]);
            }
        }
    }

    /// <summary>Drops the fast entries of one physical page.</summary>
    internal void DropFastOf(ulong physicalPage)
    {
        // Without paging it stands here.
        DropFast((int)physicalPage & (Entries - 1));
        DropFastOf(usedData, physicalPage);
        DropFastOf(usedGlobalData, physicalPage);
    }

    private void DropFastOf(in SlotList slots, ulong physicalPage)
    {
        for (int i = 0; i < slots.Count; i++)
        {
            if (data[slots[i]].Leaf >> 12 == physicalPage)
            {
                DropFast(slots[i]);
            }
        }
    }

    public void Dispose()
    {
        if (ownsFast)
        {
            NativeMemory.AlignedFree(fast);
        }

        usedData.Dispose();
        usedGlobalData.Dispose();
        usedFetch.Dispose();
        usedGlobalFetch.Dispose();
        NativeMemory.Free(data);
        NativeMemory.Free(fetch);
    }

    // The page number of the next index: no address that looks here can be within 4 KiB of it.
    private static ulong EmptyTag(int index) => (ulong)((index + 1) & (Entries - 1)) << 12;

    // A set of slots that is quick to add to, to go through and to empty.
    private struct SlotList(int slots) : IDisposable
    {
        private readonly ushort* list = (ushort*)NativeMemory.Alloc((nuint)slots, sizeof(ushort));
        private readonly bool* contains = (bool*)NativeMemory.AllocZeroed((nuint)slots, sizeof(bool));

        internal int Count { get; private set; }

        internal readonly int this[int position] => list[position];

        internal void Add(int slot)
        {
            if (!contains[slot])
            {
                contains[slot] = true;
                list[Count++] = (ushort)slot;
            }
        }

        internal void Clear()
        {
            for (int i = 0; i < Count; i++)
            {
                contains[list[i]] = false;
            }

            Count = 0;
        }

        public readonly void Dispose()
        {
            NativeMemory.Free(list);
            NativeMemory.Free(contains);
        }
    }
}
