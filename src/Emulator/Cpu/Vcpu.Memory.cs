using System.Runtime.CompilerServices;
using Emulator.Devices;
using Emulator.Memory;

namespace Emulator.Cpu;

// The slow path of every access: translation, page crossing, devices, watched pages, copy-on-write, pages with code.
internal sealed unsafe partial class Vcpu
{
    private const byte InReads = 1, InWrites = 2;

    // Of each page of RAM whether the fast tables may have its host address: most pages that move or get code are in none.
    private readonly byte* inFast;

    internal bool LoadSlow(Op* op, ulong linear, int size, out ulong value)
    {
        ulong bytes = 0;
        bool loaded = LoadBytesSlow(op, linear, (byte*)&bytes, size, forStore: false);
        value = bytes;
        return loaded;
    }

    internal bool LoadForStoreSlow(Op* op, ulong linear, int size, out ulong value)
    {
        ulong bytes = 0;
        bool loaded = LoadBytesSlow(op, linear, (byte*)&bytes, size, forStore: true);
        value = bytes;
        return loaded;
    }

    internal bool StoreSlow(Op* op, ulong linear, int size, ulong value) => StoreBytesSlow(op, linear, (byte*)&value, size);

    internal bool LoadBytesSlow(Op* op, ulong linear, byte* destination, int size, bool forStore)
    {
        AccessKind kind = forStore ? AccessKind.Write : AccessKind.Read;
        if (!TryTranslateSpan(op, linear, size, kind, DataMode, out ulong first, out ulong second, out int split))
        {
            return false;
        }

        PublishTime(op);
        LoadPhysical(first, destination, split);
        if (split < size)
        {
            LoadPhysical(second, destination + split, size - split);
        }

        NoteAccess(linear, size, write: false);
        return true;
    }

    internal bool StoreBytesSlow(Op* op, ulong linear, byte* source, int size)
    {
        if (!TryTranslateSpan(op, linear, size, AccessKind.Write, DataMode, out ulong first, out ulong second, out int split))
        {
            return false;
        }

        PublishTime(op);
        StorePhysical(first, source, split);
        if (split < size)
        {
            StorePhysical(second, source + split, size - split);
        }

        NoteAccess(linear, size, write: true);
        return true;
    }

    /// <summary>An access by the CPU itself (descriptors, task state, delivery's stack) with rights of its own.</summary>
    internal bool TryLoadAs(ulong linear, int size, AccessMode mode, out ulong value)
    {
        TlbEntry* entry = Tlb.ReadTable(mode) + SoftTlb.IndexOf(linear);
        if (size == 8 && (linear ^ entry->Tag) <= 4096 - 8)
        {
            value = *(ulong*)(entry->Host + (linear ^ entry->Tag));
            return true;
        }

        ulong bytes = 0;
        value = 0;
        if (!TryTranslateSpan(null, linear, size, AccessKind.Read, mode, out ulong first, out ulong second, out int split))
        {
            return false;
        }

        LoadPhysical(first, (byte*)&bytes, split);
        if (split < size)
        {
            LoadPhysical(second, (byte*)&bytes + split, size - split);
        }

        value = bytes;
        return true;
    }

    internal bool TryStoreAs(ulong linear, int size, AccessMode mode, ulong value)
    {
        TlbEntry* entry = Tlb.WriteTable(mode) + SoftTlb.IndexOf(linear);
        if (size == 8 && (linear ^ entry->Tag) <= 4096 - 8)
        {
            *(ulong*)(entry->Host + (linear ^ entry->Tag)) = value;
            return true;
        }

        if (!TryTranslateSpan(null, linear, size, AccessKind.Write, mode, out ulong first, out ulong second, out int split))
        {
            return false;
        }

        StorePhysical(first, (byte*)&value, split);
        if (split < size)
        {
            StorePhysical(second, (byte*)&value + split, size - split);
        }

        return true;
    }

    /// <summary>
    /// Translates a span of at most a page: both halves before anything is touched, so that a fault leaves no trace.
    /// </summary>
    internal bool TryTranslateSpan(
        Op* op, ulong linear, int size, AccessKind kind, AccessMode mode, out ulong first, out ulong second, out int split)
    {
        CpuState* s = State;
        second = 0;
        split = size;
        if (IsLong)
        {
            ulong last = linear + (ulong)size - 1;
            if (!IsCanonical(linear) || !IsCanonical(last))
            {
                first = 0;
                bool stack = op != null && op->Segment == SegmentIndex.Ss;
                Fault.Raise(s, stack ? Fault.StackFault : Fault.GeneralProtection);
                return false;
            }
        }

        if (s->ReadTlb == Tlb.Never && kind != AccessKind.Fetch && mode == AccessMode.User && op != null
            && size is 2 or 4 or 8 && (linear & (ulong)(size - 1)) != 0)
        {
            first = 0;
            Fault.Raise(s, Fault.AlignmentCheck);
            return false;
        }

        if (!TryTranslate(linear, kind, mode, out first))
        {
            return false;
        }

        int room = GuestMemory.PageSize - (int)(linear & 0xFFF);
        if (size <= room)
        {
            return true;
        }

        split = room;
        ulong next = linear + (ulong)room;
        return TryTranslate(IsLongModeActive ? next : (uint)next, kind, mode, out second);
    }

    /// <summary>Translates one address, filling the TLB and its fast tables; false: a page fault was raised.</summary>
    internal bool TryTranslate(ulong linear, AccessKind kind, AccessMode mode, out ulong physical)
    {
        CpuState* s = State;
        if (!Paging.Enabled(s))
        {
            physical = linear;
            if (kind != AccessKind.Fetch)
            {
                FillFast(linear, physical & ~0xFFFUL, mode, write: kind == AccessKind.Write);
            }

            return true;
        }

        SoftTlb.Translation* slot = kind == AccessKind.Fetch ? Tlb.FetchSlot(linear) : Tlb.DataSlot(linear);
        ulong tag = (linear & ~0xFFFUL) | 1;
        ulong leaf = slot->Leaf;
        if (slot->Tag != tag || !Paging.Allows(s, leaf, kind, mode) || (kind == AccessKind.Write && (leaf & SoftTlb.Dirty) == 0))
        {
            if (!Paging.TryWalk(s, space, linear, kind, mode, out leaf, out uint error))
            {
                if (slot->Tag == tag)
                {
                    FlushPage(linear);
                }

                s->FaultAddress = linear;
                Fault.Raise(s, Fault.PageFault, error);
                physical = 0;
                return false;
            }

            if (kind == AccessKind.Fetch)
            {
                Tlb.ReplaceFetch(linear, leaf);
            }
            else
            {
                Tlb.ReplaceData(linear, leaf);
            }
        }

        ulong page = leaf & ~SoftTlb.FlagMask;
        physical = page | (linear & 0xFFF);
        if (kind != AccessKind.Fetch)
        {
            FillFast(linear, page, mode, write: kind == AccessKind.Write);
        }

        return true;
    }

    private void FillFast(ulong linear, ulong page, AccessMode mode, bool write)
    {
        if (!space.TryRamPage(page >> 12, out ulong ramPage) || IsWatched(linear))
        {
            return;
        }

        if (write)
        {
            if (!blocks.HasCode(page >> 12))
            {
                inFast[ramPage] |= InWrites;
                Tlb.Fill(Tlb.WriteTable(mode), linear, space.WritableRamPage(ramPage));
            }
        }
        else
        {
            inFast[ramPage] |= InReads;
            Tlb.Fill(Tlb.ReadTable(mode), linear, space.Memory.ReadPage(ramPage));
        }
    }

    private void LoadPhysical(ulong physical, byte* destination, int size)
    {
        if (space.TryRamPage(physical >> 12, out ulong page))
        {
            Unsafe.CopyBlockUnaligned(destination, space.Memory.ReadPage(page) + (physical & 0xFFF), (uint)size);
            return;
        }

        for (int done = 0; done < size;)
        {
            int part = Part(physical + (ulong)done, size - done);
            ulong value = ReadDevice(physical + (ulong)done, part);
            for (int i = 0; i < part; i++)
            {
                destination[done + i] = (byte)(value >> (8 * i));
            }

            done += part;
        }
    }

    private void StorePhysical(ulong physical, byte* source, int size)
    {
        if (space.TryRamPage(physical >> 12, out ulong page))
        {
            Unsafe.CopyBlockUnaligned(space.WritableRamPage(page) + (physical & 0xFFF), source, (uint)size);
            NoteCodeWrite(physical, size);
            return;
        }

        for (int done = 0; done < size;)
        {
            int part = Part(physical + (ulong)done, size - done);
            ulong value = 0;
            for (int i = 0; i < part; i++)
            {
                value |= (ulong)source[done + i] << (8 * i);
            }

            WriteDevice(physical + (ulong)done, part, value);
            done += part;
        }
    }

    /// <summary>Bytes of RAM changed, by whatever means: decoded code there is void.</summary>
    internal void NoteCodeWrite(ulong physical, int size)
    {
        if (blocks.PageWritten(physical >> 12, (int)(physical & 0xFFF), size))
        {
            LeaveBlock();
        }
    }

    private static int Part(ulong address, int left)
    {
        int part = 8;
        while (part > left || (address & (ulong)(part - 1)) != 0)
        {
            part >>= 1;
        }

        return part;
    }

    private ulong ReadDevice(ulong address, int size)
    {
        LeaveBlock();
        if (Apic.TryGetMmioBase(out ulong apicBase) && address - apicBase < 0x1000)
        {
            return Apic.ReadMmio(address - apicBase, size);
        }

        return space.Bus.TryFindMmio(address, out IMmioDevice device, out ulong offset)
            ? device.ReadMmio(offset, size)
            : ulong.MaxValue >> (64 - (size * 8));
    }

    private void WriteDevice(ulong address, int size, ulong value)
    {
        LeaveBlock();
        if (Apic.TryGetMmioBase(out ulong apicBase) && address - apicBase < 0x1000)
        {
            Apic.WriteMmio(address - apicBase, size, value);
        }
        else if (space.Bus.TryFindMmio(address, out IMmioDevice device, out ulong offset))
        {
            device.WriteMmio(offset, size, value);
        }
    }

    internal static bool IsCanonical(ulong linear) => (long)(linear << 16) >> 16 == (long)linear;
}
