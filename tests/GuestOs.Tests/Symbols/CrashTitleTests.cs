using GuestOs.Linux.Symbols;

namespace GuestOs.Tests.Symbols;

public sealed class CrashTitleTests
{
    [Theory]
    [InlineData("Kernel panic - not syncing: sysrq triggered crash", null,
        "acpi_os_write_port acpi_reboot native_machine_emergency_restart panic sysrq_handle_crash __handle_sysrq.cold write_sysrq_trigger",
        "kernel panic: sysrq triggered crash in sysrq_handle_crash")]
    [InlineData("Kernel panic - not syncing: Fatal exception", "BUG: unable to handle page fault for address: ffffc90000123000",
        "native_machine_emergency_restart panic oops_end page_fault_oops exc_page_fault asm_exc_page_fault !memcpy_orig ext4_readdir.isra.0 iterate_dir",
        "BUG: unable to handle page fault in ext4_readdir")]
    [InlineData("Kernel panic - not syncing: Fatal exception in interrupt", "BUG: kernel NULL pointer dereference, address: 0000000000000008",
        "panic oops_end.cold page_fault_oops.cold exc_page_fault asm_exc_page_fault !dummy_xmit dev_hard_start_xmit", "BUG: kernel NULL pointer dereference in dummy_xmit")]
    [InlineData("Kernel panic - not syncing: Fatal exception", "general protection fault, probably for non-canonical address 0xdead000000000100: 0000 [#1] PREEMPT SMP NOPTI",
        "panic oops_end die_addr exc_general_protection asm_exc_general_protection !__list_del_entry_valid kfree_rcu_work", "general protection fault in kfree_rcu_work")]
    [InlineData("Kernel panic - not syncing: Fatal exception", "kernel BUG at fs/ext4/inode.c:2754!",
        "panic oops_end do_trap do_error_trap exc_invalid_op asm_exc_invalid_op !ext4_writepages do_writepages", "kernel BUG in ext4_writepages")]
    [InlineData("Kernel panic - not syncing: Fatal exception", "alignment check: 0000 [#1] PREEMPT SMP", "panic oops_end asm_exc_alignment_check !foo", "alignment check in foo")]
    [InlineData("Kernel panic - not syncing: Software Watchdog Timer expired", null,
        "delay_tsc panic softdog_fire __hrtimer_run_queues asm_sysvec_apic_timer_interrupt !native_safe_halt", "kernel panic: Software Watchdog Timer expired in softdog_fire")]
    [InlineData("Kernel panic - not syncing: softlockup: hung tasks", null,
        "panic watchdog_timer_fn __hrtimer_run_queues asm_sysvec_apic_timer_interrupt !_raw_spin_lock my_driver_loop", "kernel panic: softlockup: hung tasks in my_driver_loop")]
    [InlineData("Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,254)", null, "panic mount_block_root.cold mount_root",
        "kernel panic: VFS: Unable to mount root fs on unknown-block(NUM,NUM) in mount_block_root")]
    [InlineData("Kernel panic - not syncing: Attempted to kill init! exitcode=0x0000000b", null, "panic do_exit.cold do_group_exit", "kernel panic: Attempted to kill init! exitcode=ADDR in do_exit")]
    [InlineData("Kernel panic - not syncing: stack-protector: Kernel stack is corrupted in: foo_bar+0x12f/0x130", null, "panic __stack_chk_fail foo_bar",
        "kernel panic: stack-protector: Kernel stack is corrupted in: foo_bar in foo_bar")]
    [InlineData("Kernel panic - not syncing: x", null, "panic", "kernel panic: x")]
    [InlineData("Kernel panic - not syncing", null, "", "kernel panic")]
    [InlineData("Triple fault at 0xffffffff81234567 (vCPU 0)", null, "load_idt.constprop.0 start_kernel", "triple fault at load_idt")]
    [InlineData("Triple fault at 0x7c00 (vCPU 0)", null, "?", "triple fault")]
    public void A_crash_is_named_by_its_kind_and_its_first_significant_function(string line, string? fault, string stack, string expected)
    {
        // "!" marks a function that was interrupted, "?" one without a name.
        StackFrame[] frames = [.. stack.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select((name, at) =>
            new StackFrame(0x1000, 0, at == 0 || name[0] == '!', name == "?" ? null : name.TrimStart('!'), 0, null))];
        Assert.Equal(expected, CrashTitle.Of(line, fault, frames));
    }

    [Fact]
    public void A_title_stays_short() =>
        Assert.Equal(CrashTitle.MaxLength, CrashTitle.Of("Kernel panic - not syncing: " + new string('x', 1000), null, []).Length);
}
