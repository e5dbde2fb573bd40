using System.Runtime.CompilerServices;
using Emulator.Memory;

namespace Emulator.Cpu;

/// <summary>
/// The walk a running CPU does: checks rights, sets accessed and dirty bits, and gives a translation for the TLB or a
/// page fault. Source: SDM vol. 3A §4.3–4.8.
/// </summary>
internal static unsafe class Paging
{
    private const ulong Present = 1, Write = 2, UserBit = 4, AccessedBit = 0x20, DirtyBit = 0x40, LargeBit = 0x80, GlobalBit = 0x100;
    private const ulong NoExecuteBit = 1UL << 63;
    private const ulong AddressMask = 0x000F_FFFF_FFFF_F000;

    /// <summary>Physical address bits CPUID reports; entry bits from here to 51 are reserved.</summary>
    internal const int PhysicalBits = 40;

    private const ulong ReservedHigh = 0x000F_FFFF_FFFF_FFFF & ~((1UL << PhysicalBits) - 1);

    internal static bool Enabled(CpuState* s) => (s->Cr0 & ControlRegisters.Pg) != 0;

    /// <summary>Whether a translation lets this access through.</summary>
    internal static bool Allows(CpuState* s, ulong leaf, AccessKind kind, AccessMode mode)
    {
        bool user = (leaf & SoftTlb.User) != 0;
        if (mode == AccessMode.User)
        {
            return user && kind switch
            {
                AccessKind.Write => (leaf & SoftTlb.Writable) != 0,
                AccessKind.Fetch => (leaf & SoftTlb.NoExecute) == 0,
                _ => true,
            };
        }

        return kind switch
        {
            AccessKind.Fetch => (leaf & SoftTlb.NoExecute) == 0 && !(user && (s->Cr4 & ControlRegisters.Smep) != 0),
            AccessKind.Write when (leaf & SoftTlb.Writable) == 0 && (s->Cr0 & ControlRegisters.Wp) != 0 => false,
            _ => !(user && mode == AccessMode.Supervisor && (s->Cr4 & ControlRegisters.Smap) != 0),
        };
    }

    /// <summary>Walks; false: the page fault's error code is in <paramref name="error"/>.</summary>
    internal static bool TryWalk(
        CpuState* s, PhysicalSpace space, ulong linear, AccessKind kind, AccessMode mode, out ulong leaf, out uint error)
    {
        leaf = 0;
        error = (kind == AccessKind.Write ? Fault.PfWrite : 0) | (mode == AccessMode.User ? Fault.PfUser : 0);
        bool noExecute = (s->Efer & ControlRegisters.EferNxe) != 0;
        if (kind == AccessKind.Fetch && (noExecute || (s->Cr4 & ControlRegisters.Smep) != 0))
        {
            error |= Fault.PfFetch;
        }

        bool longMode = (s->Efer & ControlRegisters.EferLma) != 0;
        if (!longMode && (s->Cr4 & ControlRegisters.Pae) == 0)
        {
            return TryWalkLegacy(s, space, (uint)linear, kind, mode, ref error, out leaf);
        }

        int levels = longMode ? 4 : 3;
        ulong reserved = ReservedHigh | (noExecute ? 0 : NoExecuteBit);
        ulong table = longMode ? s->Cr3 & AddressMask : s->Cr3 & 0xFFFF_FFE0;
        ulong rights = SoftTlb.Writable | SoftTlb.User;
        ulong everAccessed = AccessedBit;
        for (int level = levels; ; level--)
        {
            int shift = 12 + (9 * (level - 1));
            ulong at = table + (((linear >> shift) & (levels == 3 && level == 3 ? 3UL : 511UL)) * 8);
            bool pointer = levels == 3 && level == 3;
            ulong entry = space.ReadTable64(at);
            if ((entry & Present) == 0)
            {
                return false;
            }

            bool isLeaf = level == 1 || ((entry & LargeBit) != 0 && !pointer && level <= 3);
            ulong wrong = reserved;
            if (pointer)
            {
                wrong |= NoExecuteBit | 0x1E6;
            }
            else if (level == 4)
            {
                wrong |= LargeBit;
            }
            else if (isLeaf && level > 1)
            {
                wrong |= ((1UL << shift) - 1) & ~0x1FFFUL;
            }

            if (!longMode && !pointer)
            {
                wrong |= 0x7FF0_0000_0000_0000;
            }

            if ((entry & wrong) != 0)
            {
                error |= Fault.PfPresent | Fault.PfReserved;
                return false;
            }

            if (!pointer)
            {
                everAccessed &= entry;
                rights &= ((entry & Write) >> 1) | ((entry & UserBit) >> 1) | ~(SoftTlb.Writable | SoftTlb.User);
                rights |= (entry & NoExecuteBit) != 0 ? SoftTlb.NoExecute : 0;
            }

            if (!isLeaf)
            {
                table = entry & AddressMask;
                continue;
            }

            if (!Allows(s, rights, kind, mode))
            {
                error |= Fault.PfPresent;
                return false;
            }

            bool write = kind == AccessKind.Write;
            if (everAccessed == 0 || (write && (entry & DirtyBit) == 0))
            {
                MarkAccessed(s, space, linear, levels, leafLevel: level, write);
            }

            ulong offsetMask = (1UL << shift) - 1;
            ulong physical = (entry & AddressMask & ~offsetMask) | (linear & offsetMask & ~0xFFFUL);
            bool dirty = write || (entry & DirtyBit) != 0;
            leaf = physical | rights | (dirty ? SoftTlb.Dirty : 0)
                | ((entry & GlobalBit) != 0 && (s->Cr4 & ControlRegisters.Pge) != 0 ? SoftTlb.Global : 0);
            return true;
        }
    }

    // Goes the way of a walk that succeeded once more, marking. Most walks find everything marked.
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void MarkAccessed(CpuState* s, PhysicalSpace space, ulong linear, int levels, int leafLevel, bool write)
    {
        ulong table = levels == 4 ? s->Cr3 & AddressMask : s->Cr3 & 0xFFFF_FFE0;
        for (int level = levels; level >= leafLevel; level--)
        {
            bool pointer = levels == 3 && level == 3;
            ulong at = table + (((linear >> (12 + (9 * (level - 1)))) & (pointer ? 3UL : 511UL)) * 8);
            ulong entry = space.ReadTable64(at);
            ulong wanted = pointer ? 0 : AccessedBit | (write && level == leafLevel ? DirtyBit : 0);
            if ((entry & wanted) != wanted)
            {
                space.WriteTable64(at, entry | wanted);
            }

            table = entry & AddressMask;
        }
    }

    private static bool TryWalkLegacy(
        CpuState* s, PhysicalSpace space, uint linear, AccessKind kind, AccessMode mode, ref uint error, out ulong leaf)
    {
        leaf = 0;
        ulong directoryAt = (s->Cr3 & 0xFFFF_F000) + (linear >> 22 << 2);
        uint directory = space.ReadTable32(directoryAt);
        if ((directory & Present) == 0)
        {
            return false;
        }

        bool large = (directory & LargeBit) != 0 && (s->Cr4 & ControlRegisters.Pse) != 0;
        ulong entryAt = directoryAt;
        uint entry = directory;
        if (!large)
        {
            entryAt = (directory & 0xFFFF_F000) + (((linear >> 12) & 0x3FF) << 2);
            entry = space.ReadTable32(entryAt);
            if ((entry & Present) == 0)
            {
                return false;
            }
        }
        else if ((directory & 0x0020_0000) != 0)
        {
            error |= Fault.PfPresent | Fault.PfReserved;
            return false;
        }

        ulong rights = ((ulong)(directory & entry) & (Write | UserBit)) >> 1;
        if (!Allows(s, rights, kind, mode))
        {
            error |= Fault.PfPresent;
            return false;
        }

        if (!large && (directory & AccessedBit) == 0)
        {
            space.WriteTable32(directoryAt, directory | (uint)AccessedBit);
        }

        uint wanted = (uint)(AccessedBit | (kind == AccessKind.Write ? DirtyBit : 0));
        if ((entry & wanted) != wanted)
        {
            space.WriteTable32(entryAt, entry | wanted);
        }

        ulong physical = large
            ? (entry & 0xFFC0_0000) | ((ulong)(entry & 0x1F_E000) << 19) | (linear & 0x3F_F000)
            : entry & 0xFFFF_F000;
        bool dirty = kind == AccessKind.Write || (entry & DirtyBit) != 0;
        leaf = physical | rights | (dirty ? SoftTlb.Dirty : 0)
            | ((entry & GlobalBit) != 0 && (s->Cr4 & ControlRegisters.Pge) != 0 ? SoftTlb.Global : 0);
        return true;
    }
}
