using Emulator;
using GuestOs;
using GuestOs.Linux;

namespace Conformance.Tests;

/// <summary>Debian from its first instruction to the trap and beyond.</summary>
public sealed class TrapTests(DebianRuns runs)
{
    private const string Title = "Kernel panic - not syncing: sysrq triggered crash";

    /// <summary>Panics half a guest second after the start: there is nothing to run as init.</summary>
    private const string EarlyPanic = "console=ttyS0 panic=-1 rdinit=/nonexistent";

    [Fact]
    public void A_panicking_Debian_is_trapped_at_its_reset_with_the_report_in_the_error_store()
    {
        DebianRuns.Panicked crash = runs.Crash;
        Assert.Equal(MachineExitKind.Reset, crash.Exit.Kind);
        Assert.NotEmpty(crash.Guest.Machine.NewErrorRecords);
        Assert.NotNull(crash.Guest.Machine.ReportInstant);
        TrapVerdict verdict = crash.Guest.Judge(crash.Exit);
        Assert.Equal(TrapKind.KernelPanic, verdict.Kind);
        Assert.Equal(PanicEvidence.ErrorRecord | PanicEvidence.KernelLog, verdict.Evidence);
        Assert.Equal(crash.Exit.Reset, verdict.Reset);
        CrashReport report = verdict.Report!;
        Assert.Equal(Title, report.Title);
        Assert.Contains("sysrq: Trigger a crash", report.ReportText, StringComparison.Ordinal);
        Assert.StartsWith("[    0.000000] Linux version " + report.Release, report.Log, StringComparison.Ordinal);
        Assert.Contains("guest: asking the kernel to panic", crash.Guest.Console, StringComparison.Ordinal);
        Assert.Matches("^[0-9a-f]{40}$", report.BuildId!);
        Assert.NotNull(LinuxKernel.FindRunning(crash.Guest.Machine));
    }

    [Fact]
    public void The_rebooted_guest_finds_its_last_crash_in_pstore()
    {
        using GuestRun run = GuestRun.Debian(EarlyPanic + " reboot=k");
        MachineExit exit = run.Run();
        Assert.Equal((MachineExitKind.Reset, ResetCause.KeyboardController), (exit.Kind, exit.Reset));
        TrapVerdict verdict = run.Judge(exit);
        Assert.Equal(TrapKind.KernelPanic, verdict.Kind);
        Assert.StartsWith("Kernel panic - not syncing: ", verdict.Report!.Title, StringComparison.Ordinal);

        run.Restart("console=ttyS0 gdbstub.do=pstore,poweroff");
        exit = run.Run();
        Assert.Equal(MachineExitKind.PowerOff, exit.Kind);
        Assert.Matches("guest: [1-9][0-9]* crash records in /sys/fs/pstore", run.Console);
        Assert.Contains("guest: /sys/fs/pstore/dmesg-erst-", run.Console, StringComparison.Ordinal);
        Assert.Contains(verdict.Report.Title, run.Console, StringComparison.Ordinal);

        // The old record is not taken for this life's.
        Assert.Equal(TrapKind.PowerOff, run.Judge(exit).Kind);
    }

    [Fact]
    public void A_kernel_that_never_resets_is_trapped_one_second_after_its_report()
    {
        GuestRun run = runs.AtShell.Again();
        MachineExit exit = run.Type("echo 0 > /proc/sys/kernel/panic; echo c > /proc/sysrq-trigger");
        Assert.Equal(MachineExitKind.ReportWithoutReset, exit.Kind);
        Assert.InRange(exit.InstructionCount - run.Machine.ReportInstant!.Value, 0UL, 1_100_000_000UL);
        TrapVerdict verdict = run.Judge(exit);
        Assert.Equal(TrapKind.PanicWithoutReset, verdict.Kind);
        Assert.True(verdict.ConfirmedByLog);
        Assert.Equal(Title, verdict.Report!.Title);
    }

    [Theory]
    [InlineData("kbd", ResetCause.KeyboardController)]
    [InlineData("pci", ResetCause.PortCf9)]
    [InlineData("acpi", ResetCause.AcpiResetRegister)]
    [InlineData("triple", ResetCause.TripleFault)]
    [InlineData("bios", ResetCause.ResetVector)]
    public void A_panic_is_one_and_a_reboot_is_none_by_whichever_way_the_kernel_resets(string way, ResetCause cause)
    {
        string choose = $"echo {way} > /sys/kernel/reboot/type";
        GuestRun run = runs.AtShell.Again();
        MachineExit exit = run.Type($"{choose}; echo -1 > /proc/sys/kernel/panic; echo c > /proc/sysrq-trigger");
        Assert.Equal((MachineExitKind.Reset, cause), (exit.Kind, exit.Reset));
        TrapVerdict verdict = run.Judge(exit);
        Assert.Equal((TrapKind.KernelPanic, Title, true), (verdict.Kind, verdict.Report?.Title, verdict.ConfirmedByLog));

        run = runs.AtShell.Again();
        exit = run.Type($"{choose}; reboot -f");
        Assert.Equal((MachineExitKind.Reset, cause), (exit.Kind, exit.Reset));
        verdict = run.Judge(exit);
        Assert.Equal((TrapKind.PlainReset, PanicEvidence.None), (verdict.Kind, verdict.Evidence));
        Assert.True(verdict.RestartAnnounced);
    }

    [Theory]
    [InlineData("echo b > /proc/sysrq-trigger", MachineExitKind.Reset, TrapKind.PlainReset)]
    [InlineData("poweroff -f", MachineExitKind.PowerOff, TrapKind.PowerOff)]
    [InlineData("halt -f", MachineExitKind.Halted, TrapKind.Halted)]
    [InlineData(
        "w='Kernel panic - not syncing: sysrq triggered crash'; echo $w; echo \"<0>$w\" > /dev/kmsg; echo \"<0>---[ end $w ]---\" > /dev/kmsg; reboot -f",
        MachineExitKind.Reset, TrapKind.PlainReset)]
    [InlineData(
        "w='Kernel panic - not syncing: sysrq triggered crash'; echo \"<0>$w\" > /dev/kmsg; echo \"<0>---[ end $w ]---\" > /dev/kmsg; echo b > /proc/sysrq-trigger",
        MachineExitKind.Reset, TrapKind.PlainReset)]
    [InlineData("sh -c 'echo 1000 > /proc/self/oom_score_adj; exec tail /dev/zero'; dmesg | grep -c 'Killed process'; reboot -f", MachineExitKind.Reset, TrapKind.PlainReset)]
    public void What_is_no_panic_is_not_taken_for_one(string command, MachineExitKind end, TrapKind kind)
    {
        GuestRun run = runs.AtShell.Again();
        MachineExit exit = run.Type(command);
        Assert.Equal(end, exit.Kind);
        TrapVerdict verdict = run.Judge(exit);
        Assert.Equal(kind, verdict.Kind);
        Assert.False(verdict.IsCrash);
        Assert.Equal(PanicEvidence.None, verdict.Evidence);
        if (command.Contains("oom", StringComparison.Ordinal))
        {
            Assert.Contains("Out of memory: Killed process", run.Console, StringComparison.Ordinal);
        }
    }
}
