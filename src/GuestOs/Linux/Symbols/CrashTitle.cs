using System.Text;

namespace GuestOs.Linux.Symbols;

/// <summary>
/// Names a crash so that crashes alike have one name, as syzkaller does: what kind it was, and the first function of the
/// panicking CPU that is not the machinery of dying. Addresses and numbers are left out, since they differ each time.
/// </summary>
public static class CrashTitle
{
    /// <summary>Longest title.</summary>
    public const int MaxLength = 200;

    // The way from a fault, an interrupt or a check to the reset: kernel/panic.c, arch/x86/kernel/{traps,dumpstack,reboot}.c, arch/x86/mm/fault.c, lib.
    private static readonly HashSet<string> Helpers = new(StringComparer.Ordinal)
    {
        "panic", "vpanic", "nmi_panic", "check_panic_on_warn", "__stack_chk_fail", "__warn", "warn_slowpath_fmt", "report_bug", "handle_bug",
        "oops_end", "oops_begin", "__die", "__die_body", "die", "die_addr", "no_context", "page_fault_oops", "kernelmode_fixup_or_oops", "pgtable_bad",
        "bad_area", "bad_area_nosemaphore", "__bad_area", "__bad_area_nosemaphore", "bad_area_access_error", "do_kern_addr_fault", "do_user_addr_fault",
        "handle_page_fault", "__do_page_fault", "do_page_fault", "do_trap", "do_error_trap", "do_invalid_op", "do_general_protection", "math_error",
        "error_entry", "error_return", "exc_handler", "make_task_dead", "rewind_stack_and_make_dead", "rewind_stack_do_exit",
        "dump_stack", "dump_stack_lvl", "show_stack", "show_regs", "show_trace_log_lvl", "dump_trace", "_printk", "printk", "vprintk", "vprintk_emit", "console_unlock",
        "emergency_restart", "machine_restart", "machine_real_restart", "machine_emergency_restart", "native_machine_restart", "native_machine_emergency_restart", "acpi_reboot", "acpi_reset",
        "acpi_os_write_port", "acpi_hw_write", "acpi_hw_write_port", "kb_wait", "mach_reboot_fixups", "efi_reboot", "bios_reboot", "crash_kexec", "__crash_kexec", "machine_crash_shutdown", "machine_kexec",
        "crash_smp_send_stop", "stop_this_cpu", "native_stop_other_cpus", "relocate_kernel", "panic_smp_self_stop", "nmi_panic_self_stop", "panic_other_cpus_shutdown",
        "delay_tsc", "delay_loop", "delay_halt", "delay_halt_tpause", "__delay", "__const_udelay", "__udelay", "__ndelay", "mdelay", "touch_nmi_watchdog", "touch_softlockup_watchdog",
        "kgdb_panic", "atomic_notifier_call_chain", "notifier_call_chain", "kmsg_dump", "kmsg_dump_desc", "pstore_dump", "bust_spinlocks", "sysrq_dummy",
        "pvpanic_panic_notify", "i8042_panic_blink", "console_flush_on_panic", "do_unblank_screen", "unblank_screen",
        "memcpy", "__memcpy", "memcpy_orig", "memcpy_erms", "memmove", "__memmove", "memset", "__memset", "memset_orig", "memset_erms", "memcmp", "memchr", "strlen", "strnlen", "strcmp", "strncmp", "strcpy", "strncpy",
        "strscpy", "sized_strscpy", "strlcpy", "strchr", "strrchr", "strstr", "rep_movs_alternative", "copy_user_generic_string", "copy_user_generic_unrolled", "copy_user_enhanced_fast_string", "clear_user_rep_good",
        "_copy_to_user", "_copy_from_user", "__copy_user_nocache", "fortify_panic", "__fortify_panic", "usercopy_abort", "refcount_warn_saturate", "__list_add_valid", "__list_del_entry_valid",
        "__list_add_valid_or_report", "__list_del_entry_valid_or_report", "watchdog_timer_fn", "watchdog_overflow_callback", "watchdog_hardlockup_check",
        "_raw_spin_lock", "_raw_spin_lock_irq", "_raw_spin_lock_irqsave", "_raw_spin_lock_bh", "_raw_spin_unlock", "_raw_spin_unlock_irq", "_raw_spin_unlock_irqrestore", "_raw_read_lock", "_raw_write_lock",
        "native_queued_spin_lock_slowpath", "queued_spin_lock_slowpath", "__pv_queued_spin_lock_slowpath", "mutex_lock", "__mutex_lock", "down_read", "down_write",
    };

    private static readonly string[] HelperPrefixes =
        ["asm_exc_", "exc_", "asm_sysvec_", "asm_common_interrupt", "kasan_", "__kasan_", "kcsan_", "__asan_", "print_report", "end_report", "ubsan_", "__ubsan_", "lockdep_", "fault_in_kernel", "spurious_kernel_fault"];

    private static readonly (string Start, string Kind)[] Faults =
    [
        ("BUG: unable to handle page fault", "BUG: unable to handle page fault"),
        ("BUG: unable to handle kernel paging request", "BUG: unable to handle page fault"),
        ("BUG: kernel NULL pointer dereference", "BUG: kernel NULL pointer dereference"),
        ("BUG: unable to handle kernel NULL pointer dereference", "BUG: kernel NULL pointer dereference"),
        ("general protection fault", "general protection fault"),
        ("kernel BUG at", "kernel BUG"),
        ("kernel tried to execute NX-protected page", "BUG: execution of data"),
        ("kernel stack overflow", "kernel stack overflow"),
        ("BUG: stack guard page was hit", "kernel stack overflow"),
        ("BUG: TASK stack guard page was hit", "kernel stack overflow"),
        ("BUG: IRQ stack guard page was hit", "kernel stack overflow"),
        ("double fault", "double fault"),
        ("invalid opcode", "invalid opcode"),
        ("divide error", "divide error"),
        ("stack segment", "stack segment fault"),
        ("int3", "int3"),
    ];

    private static readonly string[] InsideInterrupt = ["softlockup", "Hard LOCKUP", "hard lockup", "NMI", "Fatal exception in interrupt"];

    /// <summary>The title of a crash.</summary>
    /// <param name="image">The kernel, for the stack; null when there is none, and then the title has no function.</param>
    /// <param name="report">What the trap told of it.</param>
    /// <param name="panicked">The registers of the vCPU that panicked; null when not known.</param>
    public static string Of(KernelImage? image, CrashReport report, Emulator.VcpuState? panicked)
    {
        ArgumentNullException.ThrowIfNull(report);
        return Of(report.Title, report.Fault, image is null || panicked is null ? [] : image.Unwind(panicked));
    }

    /// <summary>The title of a crash.</summary>
    /// <param name="line">The panic's line as the kernel said it, or what stands for it.</param>
    /// <param name="fault">The first line of the oops it came from; null when it came without one.</param>
    /// <param name="stack">The stack of the vCPU that panicked, innermost frame first.</param>
    public static string Of(string line, string? fault, IReadOnlyList<StackFrame> stack)
    {
        ArgumentNullException.ThrowIfNull(line);
        ArgumentNullException.ThrowIfNull(stack);
        if (line.StartsWith("Triple fault", StringComparison.OrdinalIgnoreCase))
        {
            return stack is [{ Symbol: { } place }, ..] ? Cut($"triple fault at {Plain(place)}") : "triple fault";
        }

        string kind = fault is not null ? KindOfFault(fault) : KindOfPanic(line);
        int culprit = CulpritOf(line, fault, stack);
        return Cut(culprit < 0 ? kind : $"{kind} in {Plain(stack[culprit].Symbol!)}");
    }

    /// <summary>The frame a title names: the first that is not the machinery of dying; −1 when there is none.</summary>
    public static int CulpritOf(string line, string? fault, IReadOnlyList<StackFrame> stack)
    {
        ArgumentNullException.ThrowIfNull(line);
        ArgumentNullException.ThrowIfNull(stack);
        return FirstFunction(stack, fault is not null || InsideInterrupt.Any(words => line.Contains(words, StringComparison.Ordinal)));
    }

    private static string KindOfFault(string fault)
    {
        foreach ((string start, string kind) in Faults)
        {
            if (fault.StartsWith(start, StringComparison.Ordinal))
            {
                return kind;
            }
        }

        // "something: 0000 [#1] PREEMPT SMP".
        int code = fault.IndexOf(": 0000 [#", StringComparison.Ordinal);
        return Generalize(code > 0 ? fault[..code] : fault);
    }

    private static string KindOfPanic(string line)
    {
        string said = line.StartsWith(KernelWords.Panic, StringComparison.Ordinal) ? line[KernelWords.Panic.Length..].TrimStart(':', ' ') : line;
        return said.Length == 0 ? "kernel panic" : $"kernel panic: {Generalize(said)}";
    }

    private static int FirstFunction(IReadOnlyList<StackFrame> stack, bool afterInterrupt)
    {
        int from = 0;
        for (int i = 1; afterInterrupt && i < stack.Count; i++)
        {
            // What was interrupted is the culprit, not what the interrupt did.
            if (stack[i].Interrupted)
            {
                from = i;
                break;
            }
        }

        for (int i = from; i < stack.Count; i++)
        {
            if (stack[i].Symbol is { } symbol && !IsHelper(Plain(symbol)))
            {
                return i;
            }
        }

        return -1;
    }

    private static bool IsHelper(string name)
    {
        if (Helpers.Contains(name))
        {
            return true;
        }

        foreach (string prefix in HelperPrefixes)
        {
            if (name.StartsWith(prefix, StringComparison.Ordinal))
            {
                return true;
            }
        }

        return false;
    }

    // What compilers append: .cold, .isra.0, .constprop.0, .part.0.
    private static string Plain(string symbol) => symbol.IndexOf('.', 1) is > 0 and var dot ? symbol[..dot] : symbol;

    /// <summary>Numbers become NUM, addresses ADDR, and function+offset/length the function.</summary>
    private static string Generalize(string text)
    {
        var general = new StringBuilder(text.Length);
        for (int i = 0; i < text.Length;)
        {
            bool starts = i == 0 || !(char.IsAsciiLetterOrDigit(text[i - 1]) || text[i - 1] == '_');
            if (text[i] == '+' && At(text, i + 1, "0x"))
            {
                i = SkipHex(text, i + 3);
                i = At(text, i, "/0x") ? SkipHex(text, i + 3) : i;
            }
            else if (starts && At(text, i, "0x"))
            {
                general.Append("ADDR");
                i = SkipHex(text, i + 2);
            }
            else if (starts && SkipHex(text, i) is var end && end - i >= 8)
            {
                general.Append("ADDR");
                i = end;
            }
            else if (starts && char.IsAsciiDigit(text[i]))
            {
                general.Append("NUM");
                while (i < text.Length && char.IsAsciiDigit(text[i]))
                {
                    i++;
                }
            }
            else
            {
                general.Append(text[i++]);
            }
        }

        return general.ToString().Trim();
    }

    private static bool At(string text, int index, string word) => index < text.Length && text.AsSpan(index).StartsWith(word, StringComparison.Ordinal);

    private static int SkipHex(string text, int index)
    {
        while (index < text.Length && char.IsAsciiHexDigit(text[index]))
        {
            index++;
        }

        return index;
    }

    private static string Cut(string title) => title.Length <= MaxLength ? title : title[..MaxLength];
}
