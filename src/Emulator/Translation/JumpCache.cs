using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Emulator.Cpu;

namespace Emulator.Translation;

/// <summary>One guest address and the code for it: what translated code looks into when it jumps to another page.</summary>
[StructLayout(LayoutKind.Explicit, Size = Size)]
internal struct JumpEntry
{
    internal const int Size = 32, CodeOffset = 8;

    /// <summary>The guest address, or one that never looks here while the entry is closed.</summary>
    [FieldOffset(0)] internal ulong Rip;

    /// <summary>Where its code is.</summary>
    [FieldOffset(CodeOffset)] internal ulong Code;

    /// <summary>The guest address, also while the entry is closed.</summary>
    [FieldOffset(16)] internal ulong Known;

    /// <summary>The physical page it is code of.</summary>
    [FieldOffset(24)] internal uint Page;
}

/// <summary>
/// Code by guest address, a table for each way memory is accessed. An entry is open while the fetch translation of its page is in the
/// TLB; when that goes it is closed, and opened again when the same page is there again.
/// </summary>
internal sealed unsafe class JumpCache
{
    internal const int Entries = 1 << 14;
    internal const uint Bytes = Modes * Entries * JumpEntry.Size;
    private const int Modes = 3, MaxLinks = 1 << 18;

    private readonly JumpEntry* table;
    private readonly int[] heads = new int[SoftTlb.FetchEntries];
    private readonly uint[] entries = new uint[MaxLinks];
    private readonly int[] next = new int[MaxLinks];
    private int free;

    internal JumpCache(byte* memory)
    {
        table = (JumpEntry*)memory;
        Clear();
    }

    /// <summary>Address of a mode's table; an address's entry is the one with the number of its low bits.</summary>
    internal uint TableOf(AccessMode mode) => (uint)(nuint)(table + ((int)mode * Entries));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal JumpEntry* EntryOf(AccessMode mode, ulong rip) => table + ((int)mode * Entries) + ((int)rip & (Entries - 1));

    /// <summary>Opens an address's entry, which code was found for, as long as its page stays in a slot of the TLB.</summary>
    internal void Open(AccessMode mode, ulong rip, nint code, ulong page, int slot)
    {
        JumpEntry* entry = EntryOf(mode, rip);
        entry->Known = rip;
        entry->Code = (ulong)code;
        entry->Page = (uint)page;
        Open(entry, slot);
    }

    /// <summary>Opens a closed entry, if it is of this address and page: its code, or 0.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal nint TryReopen(AccessMode mode, ulong rip, ulong page, int slot)
    {
        JumpEntry* entry = EntryOf(mode, rip);
        if (entry->Known != rip || entry->Page != page)
        {
            return 0;
        }

        Open(entry, slot);
        return (nint)entry->Code;
    }

    /// <summary>A fetch translation is gone: whoever jumps into its page must ask for a new one.</summary>
    internal void Close(int slot)
    {
        for (int link = heads[slot]; link >= 0; link = next[link])
        {
            Close((JumpEntry*)entries[link]);
        }

        heads[slot] = -1;
    }

    /// <summary>A block is gone.</summary>
    internal void Forget(Block* block)
    {
        JumpEntry* entry = EntryOf(Translator.ModeOf(block->Mode), block->Rip);
        if (entry->Known == block->Rip && entry->Code == (ulong)block->Code)
        {
            Forget(entry);
        }
    }

    /// <summary>Forgets all.</summary>
    internal void Clear()
    {
        for (int i = 0; i < Modes * Entries; i++)
        {
            Forget(table + i);
        }

        Array.Fill(heads, -1);
        free = 0;
    }

    private void Open(JumpEntry* entry, int slot)
    {
        if (free == MaxLinks)
        {
            CloseAll();
        }

        entry->Rip = entry->Known;
        entries[free] = (uint)(nuint)entry;
        next[free] = heads[slot];
        heads[slot] = free++;
    }

    private void CloseAll()
    {
        for (int i = 0; i < Modes * Entries; i++)
        {
            Close(table + i);
        }

        Array.Fill(heads, -1);
        free = 0;
    }

    private void Forget(JumpEntry* entry)
    {
        Close(entry);
        entry->Known = entry->Rip;
    }

    // A closed entry names an address that never looks there.
    private void Close(JumpEntry* entry) => entry->Rip = ((entry - table) & (Entries - 1)) == 0 ? 1u : 0u;
}
