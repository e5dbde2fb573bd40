using Emulator;
using Emulator.Memory;

namespace Snapshots.Dumps;

/// <summary>
/// Where a Linux kernel maps memory, out of its page tables: what an ELF vmcore's p_vaddr should say. KASLR moves both
/// maps. Source: the kernel's Documentation/arch/x86/x86_64/mm.rst.
/// </summary>
internal static class KernelMaps
{
    private const ulong DefaultDirectMap = 0xFFFF_8880_0000_0000;
    private const ulong DirectMapEnd = 0xFFFF_C880_0000_0000;
    private const ulong Step = 1UL << 30; // KASLR moves the direct map by whole entries of the third level
    private const ulong KernelMap = 0xFFFF_FFFF_8000_0000;
    private const ulong LargePage = 0x20_0000;
    private const ulong LongestText = 1UL << 28;
    private const ulong ControlPaging = 1UL << 31;
    private const ulong Linear57 = 1 << 12;
    private const int PageTableEntries = 512;

    /// <summary>page_offset_base: the linear address of physical address 0. The kernel's default when it cannot be told.</summary>
    public static ulong DirectMap(IMachineView view)
    {
        PagingRegisters registers = PagingRegisters.Of(view.Vcpus[view.CurrentVcpu]);
        if ((registers.Cr0 & ControlPaging) == 0 || (registers.Cr4 & Linear57) != 0)
        {
            return DefaultDirectMap;
        }

        byte[] table = new byte[8 * PageTableEntries];
        if (view.ReadPhysical(registers.Cr3 & 0xF_FFFF_FFFF_F000, table) != table.Length)
        {
            return DefaultDirectMap;
        }

        PhysicalRange last = view.Ram.LastOrDefault(r => r.Start < Step);
        ulong probe = last.Start + Math.Min(last.Length, Step - last.Start) - LargePage;
        for (ulong address = DefaultDirectMap; address < DirectMapEnd; address += Step)
        {
            if ((table[(int)((address >> 39) & 511) * 8] & 1) != 0
                && PageWalker.TryTranslate(view, registers, address + 0x1000, out PageTranslation low) && low.Physical == 0x1000
                && PageWalker.TryTranslate(view, registers, address + probe, out PageTranslation high) && high.Physical == probe)
            {
                return address;
            }
        }

        return DefaultDirectMap;
    }

    /// <summary>The kernel's image: where it is mapped, where it is in memory, how long it is; null when that cannot be told.</summary>
    public static (ulong Virtual, ulong Physical, ulong Length)? Image(IMachineView view, string? vmcoreinfo)
    {
        if (VmcoreinfoText.Hexadecimal(vmcoreinfo, "SYMBOL(_stext)") is not { } text || text < KernelMap
            || VmcoreinfoText.Value(vmcoreinfo, "NUMBER(phys_base)") is null)
        {
            return null;
        }

        ulong start = text & ~0xFFFUL, physical = start - KernelMap + VmcoreinfoText.PhysBase(vmcoreinfo);
        PagingRegisters registers = PagingRegisters.Of(view.Vcpus[view.CurrentVcpu]);
        foreach (PhysicalRange range in view.Ram)
        {
            if (physical - range.Start >= range.Length)
            {
                continue;
            }

            ulong limit = Math.Min(range.Length - (physical - range.Start), LongestText), length = 0;
            while (length < limit && PageWalker.TryTranslate(view, registers, start + length, out PageTranslation page) && page.Physical == physical + length)
            {
                length += Math.Min(LargePage - ((start + length) % LargePage), limit - length);
            }

            return length == 0 ? null : (start, physical, length);
        }

        return null;
    }
}
