namespace GuestOs.Linux.Symbols.Elf;

/// <summary>A section that stands for a part of the guest's memory; the file holds none of its bytes.</summary>
internal readonly record struct MemorySection(string Name, ulong Start, ulong End, bool Executable, bool Writable);

/// <summary>
/// Which part of the kernel's memory was which section of vmlinux (include/asm-generic/vmlinux.lds.h): gdb moves a debug
/// file's sections to where those of the same names are here, so names and beginnings must be vmlinux's own. Each module's
/// code is one section more.
/// </summary>
internal static class SectionMap
{
    private static readonly (string Name, string Start, string? End, bool Executable, bool Writable)[] Kernel =
    [
        (".text", "_text", "_etext", true, false),
        (".rodata", "__start_rodata", null, false, false),
        (".pci_fixup", "__start_pci_fixups_early", "__end_pci_fixups_suspend_late", false, false),
        ("__ksymtab", "__start___ksymtab", "__stop___ksymtab", false, false),
        ("__ksymtab_gpl", "__start___ksymtab_gpl", "__stop___ksymtab_gpl", false, false),
        ("__kcrctab", "__start___kcrctab", "__stop___kcrctab", false, false),
        ("__kcrctab_gpl", "__start___kcrctab_gpl", "__stop___kcrctab_gpl", false, false),
        ("__param", "__start___param", "__stop___param", false, false),
        ("__modver", "__start___modver", "__stop___modver", false, false),
        ("__ex_table", "__start___ex_table", "__stop___ex_table", false, false),
        (".notes", "__start_notes", "__stop_notes", false, false),
        (".BTF", "__start_BTF", "__stop_BTF", false, false),
        (".data", "_sdata", "_edata", false, true),
        ("__bug_table", "__start___bug_table", "__stop___bug_table", false, true),
        (".orc_unwind_ip", "__start_orc_unwind_ip", "__stop_orc_unwind_ip", false, false),
        (".orc_unwind", "__start_orc_unwind", "__stop_orc_unwind", false, false),
        (".orc_lookup", "orc_lookup", "orc_lookup_end", false, true),
        (".vvar", "__vvar_page", null, false, true),
        (".init.text", "_sinittext", "_einittext", true, false),
        (".smp_locks", "__smp_locks", "__smp_locks_end", false, false),
        (".data_nosave", "__nosave_begin", "__nosave_end", false, true),
        (".bss", "__bss_start", "__bss_stop", false, true),
        (".brk", "__brk_base", "__brk_limit", false, true),
    ];

    // gdb warns of each section that a debug file lacks, but not of those that the prelinker is known to add.
    private const string UnwarnedName = ".gnu.conflict";

    /// <summary>The sections, ascending and apart from one another.</summary>
    /// <param name="image">The kernel and its modules.</param>
    /// <param name="symbols">The kernel's symbols.</param>
    /// <param name="besideDebugFile">A debugger will lay vmlinux's own debug file over this one.</param>
    public static List<MemorySection> Of(KernelImage image, SymbolTable symbols, bool besideDebugFile)
    {
        var sections = new List<MemorySection>();
        foreach ((string name, string startName, string? endName, bool executable, bool writable) in Kernel)
        {
            if (symbols.TryGetAddress(startName, out ulong start) && image.Memory.IsImageAddress(start))
            {
                ulong end = endName is not null && symbols.TryGetAddress(endName, out ulong last) ? last : ulong.MaxValue;
                sections.Add(new MemorySection(name, start, end, executable, writable));
            }
        }

        AddInitData(image, symbols, sections);
        foreach (KernelModule module in image.Modules)
        {
            if (module.TextLength > 0)
            {
                sections.Add(new MemorySection(besideDebugFile ? UnwarnedName : $".text.{module.Name}", module.TextAddress, module.TextAddress + module.TextLength, true, false));
            }
        }

        return Separate(sections, symbols.TryGetAddress("_end", out ulong imageEnd) ? imageEnd : ulong.MaxValue);
    }

    // Nothing names its beginning: it is the page of the first variable behind the initialisation's text.
    private static void AddInitData(KernelImage image, SymbolTable symbols, List<MemorySection> sections)
    {
        const ulong PageMask = ~0xFFFUL;
        if (!symbols.TryGetAddress("_einittext", out ulong text) || !symbols.TryGetAddress("__init_end", out ulong end))
        {
            return;
        }

        for (int i = symbols.After(text); i < symbols.Count && symbols.AddressOf(i) < end; i++)
        {
            if (!symbols.IsText(i) && image.Memory.IsImageAddress(symbols.AddressOf(i)))
            {
                ulong start = symbols.AddressOf(i) & PageMask;
                string[] behind = ["__x86_cpu_dev_start", "__parainstructions", "__retpoline_sites", "__alt_instructions"];
                foreach (string name in behind)
                {
                    end = symbols.TryGetAddress(name, out ulong next) && next > start ? Math.Min(end, next) : end;
                }

                if (start > text)
                {
                    sections.Add(new MemorySection(".init.data", start, end, false, true));
                }

                return;
            }
        }
    }

    private static List<MemorySection> Separate(List<MemorySection> sections, ulong imageEnd)
    {
        sections.Sort((a, b) => a.Start.CompareTo(b.Start));
        var apart = new List<MemorySection>(sections.Count);
        for (int i = 0; i < sections.Count; i++)
        {
            ulong next = i + 1 < sections.Count ? sections[i + 1].Start : ulong.MaxValue;
            ulong end = Math.Min(sections[i].End, next);
            end = end == ulong.MaxValue ? imageEnd : end;
            if (sections[i].Start < end && (apart.Count == 0 || apart[^1].End <= sections[i].Start))
            {
                apart.Add(sections[i] with { End = end });
            }
        }

        return apart;
    }
}
