namespace Emulator.Memory;

/// <summary>The registers that decide how linear addresses are translated.</summary>
/// <param name="Cr0">CR0: PG, WP.</param>
/// <param name="Cr3">CR3.</param>
/// <param name="Cr4">CR4: PSE, PAE, LA57, SMEP, SMAP.</param>
/// <param name="Efer">IA32_EFER: LMA, NXE.</param>
public readonly record struct PagingRegisters(ulong Cr0, ulong Cr3, ulong Cr4, ulong Efer)
{
    /// <summary>The registers of a vCPU.</summary>
    public static PagingRegisters Of(VcpuState vcpu) => new(vcpu.Cr0, vcpu.Cr3, vcpu.Cr4, vcpu.Efer);
}

/// <summary>What a page table walk found.</summary>
/// <param name="Physical">Physical address of the byte asked for.</param>
/// <param name="PageSize">4 KiB, 2 MiB, 4 MiB or 1 GiB.</param>
/// <param name="Writable">Every level allows writes.</param>
/// <param name="User">Every level allows user-mode access.</param>
/// <param name="Executable">No level forbids fetches.</param>
/// <param name="Global">The leaf's G bit.</param>
/// <param name="Accessed">The leaf's A bit.</param>
/// <param name="Dirty">The leaf's D bit.</param>
public readonly record struct PageTranslation(
    ulong Physical, ulong PageSize, bool Writable, bool User, bool Executable, bool Global, bool Accessed, bool Dirty);

/// <summary>
/// Page tables read, never written: accessed and dirty bits stay as they are. Serves debuggers, archives and guest
/// inspection. Source: SDM vol. 3A chapter 4.
/// </summary>
public static class PageWalker
{
    private const ulong AddressMask = 0x000F_FFFF_FFFF_F000;

    /// <summary>Translates one linear address; false when it is not mapped, not canonical, or a table is not in RAM.</summary>
    public static bool TryTranslate(IMachineView view, in PagingRegisters registers, ulong linear, out PageTranslation translation)
    {
        translation = default;
        if ((registers.Cr0 & 0x8000_0000) == 0)
        {
            translation = new PageTranslation(linear & 0xFFFF_FFFF, GuestMemory.PageSize, true, true, true, false, true, true);
            return true;
        }

        bool longMode = (registers.Efer & 0x400) != 0;
        if (!longMode)
        {
            linear &= 0xFFFF_FFFF;
        }

        if (!longMode && (registers.Cr4 & 0x20) == 0)
        {
            return TryTranslateLegacy(view, registers, (uint)linear, out translation);
        }

        bool noExecute = (registers.Efer & 0x800) != 0;
        int levels = !longMode ? 3 : (registers.Cr4 & 0x1000) != 0 ? 5 : 4;
        int width = levels == 3 ? 32 : 12 + (9 * levels);
        if (longMode && (long)(linear << (64 - width)) >> (64 - width) != (long)linear)
        {
            return false;
        }

        bool writable = true, user = true, executable = true;
        ulong table = levels == 3 ? registers.Cr3 & 0xFFFF_FFE0 : registers.Cr3 & AddressMask;
        for (int level = levels; ; level--)
        {
            int shift = 12 + (9 * (level - 1));
            ulong index = (linear >> shift) & (level == 3 && levels == 3 ? 3UL : 511UL);
            if (!TryRead(view, table + (index * 8), out ulong entry) || (entry & 1) == 0)
            {
                return false;
            }

            if (!(levels == 3 && level == 3))
            {
                writable &= (entry & 2) != 0;
                user &= (entry & 4) != 0;
                executable &= !noExecute || (entry >> 63) == 0;
            }

            bool leaf = level == 1 || (level <= 3 && levels != 3 && (entry & 0x80) != 0) || (levels == 3 && level == 2 && (entry & 0x80) != 0);
            if (leaf)
            {
                ulong size = 1UL << shift;
                translation = new PageTranslation(
                    (entry & AddressMask & ~(size - 1)) | (linear & (size - 1)), size, writable, user, executable,
                    (entry & 0x100) != 0, (entry & 0x20) != 0, (entry & 0x40) != 0);
                return true;
            }

            table = entry & AddressMask;
        }
    }

    /// <summary>
    /// Copies linear memory; returns how many bytes were read before the first one that is not mapped to RAM.
    /// </summary>
    public static int ReadLinear(IMachineView view, in PagingRegisters registers, ulong linear, Span<byte> destination)
    {
        int done = 0;
        while (done < destination.Length)
        {
            ulong address = linear + (ulong)done;
            int chunk = Math.Min(destination.Length - done, GuestMemory.PageSize - (int)(address & (GuestMemory.PageSize - 1)));
            if (!TryTranslate(view, registers, address, out PageTranslation translation))
            {
                break;
            }

            int read = view.ReadPhysical(translation.Physical, destination.Slice(done, chunk));
            done += read;
            if (read < chunk)
            {
                break;
            }
        }

        return done;
    }

    private static bool TryTranslateLegacy(IMachineView view, in PagingRegisters registers, uint linear, out PageTranslation translation)
    {
        translation = default;
        if (!TryRead32(view, (registers.Cr3 & 0xFFFF_F000) + (linear >> 22 << 2), out uint directory) || (directory & 1) == 0)
        {
            return false;
        }

        if ((directory & 0x80) != 0 && (registers.Cr4 & 0x10) != 0)
        {
            ulong large = (directory & 0xFFC0_0000) | ((ulong)(directory & 0x1F_E000) << 19);
            translation = Leaf(directory, directory, large | (linear & 0x3F_FFFF), 0x40_0000);
            return true;
        }

        if (!TryRead32(view, (directory & 0xFFFF_F000) + (((linear >> 12) & 0x3FF) << 2), out uint entry) || (entry & 1) == 0)
        {
            return false;
        }

        translation = Leaf(directory & entry, entry, (entry & 0xFFFF_F000) | (linear & 0xFFF), 0x1000);
        return true;

        static PageTranslation Leaf(uint rights, uint leaf, ulong physical, ulong size) => new(
            physical, size, (rights & 2) != 0, (rights & 4) != 0, true, (leaf & 0x100) != 0, (leaf & 0x20) != 0, (leaf & 0x40) != 0);
    }

    private static bool TryRead(IMachineView view, ulong address, out ulong value)
    {
        Span<byte> bytes = stackalloc byte[8];
        bool read = view.ReadPhysical(address, bytes) == 8;
        value = read ? BitConverter.ToUInt64(bytes) : 0;
        return read;
    }

    private static bool TryRead32(IMachineView view, ulong address, out uint value)
    {
        Span<byte> bytes = stackalloc byte[4];
        bool read = view.ReadPhysical(address, bytes) == 4;
        value = read ? BitConverter.ToUInt32(bytes) : 0;
        return read;
    }
}
