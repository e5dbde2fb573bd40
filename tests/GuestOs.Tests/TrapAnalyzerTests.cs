using Emulator;
using GuestOs.Linux;

namespace GuestOs.Tests;

/// <summary>Every rule of <see cref="TrapAnalyzer"/> as a row.</summary>
public sealed class TrapAnalyzerTests
{
    private const string Boot = "0.5 Linux version 6.1.0-56-cloud-amd64 (Debian) #1|0.6 Command line: console=ttyS0|";
    private const string Panic = "0.0 Kernel panic - not syncing: sysrq triggered crash|0.4 CPU: 1 PID: 88 Comm: sh Not tainted 6.1.0-56-cloud-amd64 #1";
    private const string Reboot = "0.0 reboot: Restarting system|0.5 reboot: machine restart";
    private const string PanicRecord = "Panic#1 Part1\n<6>[    2.700000] sysrq: Trigger a crash\n<0>[    2.719350] Kernel panic - not syncing: sysrq triggered crash\n";
    private const string OopsRecord = "Oops#1 Part1\n<4>[   10.915253] invalid opcode: 0000 [#1] PREEMPT SMP NOPTI\n";

    // What the guest's log says · what was reported · how it ended → what it was · what speaks for it.
    public static TheoryData<string, string, string, string, TrapKind, PanicEvidence> Rules { get; } = new()
    {
        // Rule 1: not an end.
        { "exit port", Boot, "", "exitport", TrapKind.ExitPort, PanicEvidence.None },
        { "exit port after a report", Boot + Panic, "panic", "exitport", TrapKind.ExitPort, PanicEvidence.None },
        { "breakpoint", Boot, "", "breakpoint", TrapKind.None, PanicEvidence.None },
        { "step while the panic is being told", Boot + Panic, "panic", "step", TrapKind.None, PanicEvidence.None },

        // Rule 2: the guest's own crash kernel.
        { "crash kernel has done its work", "0.6 Command line: elfcorehdr_=0 elfcorehdr=1|" + Reboot, "", "acpi", TrapKind.CrashKernel, PanicEvidence.None },
        { "crash kernel after a report (crash_kexec_post_notifiers)", "0.6 Command line: a elfcorehdr=1|" + Reboot, "panic", "acpi", TrapKind.CrashKernel, PanicEvidence.None },
        { "crash kernel still at work a second after the report", "0.6 Command line: a elfcorehdr=1", "panic", "report", TrapKind.CrashKernel, PanicEvidence.None },
        { "crash kernel resets by triple fault, announced", "0.6 Command line: a elfcorehdr=1|" + Reboot, "", "triple", TrapKind.CrashKernel, PanicEvidence.None },
        { "crash kernel panics itself", "0.6 Command line: a elfcorehdr=1|" + Panic, "", "acpi", TrapKind.ResetWithoutReport, PanicEvidence.KernelLog },
        { "crash kernel panics itself and reports it", "0.6 Command line: a elfcorehdr=1|" + Panic, "panic", "acpi", TrapKind.KernelPanic, PanicEvidence.ErrorRecord | PanicEvidence.KernelLog },
        { "crash kernel faults three times", "0.6 Command line: a elfcorehdr=1", "", "triple", TrapKind.TripleFault, PanicEvidence.None },
        { "crash kernel faults three times after the first kernel's report", "0.6 Command line: a elfcorehdr=1", "panic", "triple", TrapKind.TripleFault, PanicEvidence.None },
        { "pvpanic announces the crash kernel", Boot + Panic, "pvpanic2", "report", TrapKind.CrashKernel, PanicEvidence.None },

        // Rule 3: a report.
        { "panic", Boot + Panic, "panic", "acpi", TrapKind.KernelPanic, PanicEvidence.ErrorRecord | PanicEvidence.KernelLog },
        { "panic the log does not know of", Boot, "panic", "acpi", TrapKind.KernelPanic, PanicEvidence.ErrorRecord },
        { "panic without any kernel to be found", "none", "panic", "keyboard", TrapKind.KernelPanic, PanicEvidence.ErrorRecord },
        { "panic, reset by triple fault (reboot=t)", Boot + Panic, "panic", "triple", TrapKind.KernelPanic, PanicEvidence.ErrorRecord | PanicEvidence.KernelLog },
        { "panic, then switched off", Boot + Panic, "panic", "poweroff", TrapKind.KernelPanic, PanicEvidence.ErrorRecord | PanicEvidence.KernelLog },
        { "panic=0", Boot + Panic, "panic", "report", TrapKind.PanicWithoutReset, PanicEvidence.ErrorRecord | PanicEvidence.KernelLog },
        { "panic, all CPUs halted for good", Boot + Panic, "panic", "halted", TrapKind.PanicWithoutReset, PanicEvidence.ErrorRecord | PanicEvidence.KernelLog },
        { "panic, then paused by a person", Boot + Panic, "panic", "paused", TrapKind.PanicWithoutReset, PanicEvidence.ErrorRecord | PanicEvidence.KernelLog },
        { "panic told by pvpanic alone", "none", "pvpanic1", "acpi", TrapKind.KernelPanic, PanicEvidence.PvPanic },
        { "panic told by all three", Boot + Panic, "panic,pvpanic1", "acpi", TrapKind.KernelPanic, PanicEvidence.ErrorRecord | PanicEvidence.PvPanic | PanicEvidence.KernelLog },
        { "oops, then a panic from it", Boot + Panic, "oops,panic", "acpi", TrapKind.KernelPanic, PanicEvidence.ErrorRecord | PanicEvidence.KernelLog },
        { "panic, then sysrq-b's emergency record", Boot + Panic, "panic,emergency", "acpi", TrapKind.KernelPanic, PanicEvidence.ErrorRecord | PanicEvidence.KernelLog },

        // Rule 4: the log alone.
        { "panic without an error store", Boot + Panic, "", "acpi", TrapKind.ResetWithoutReport, PanicEvidence.KernelLog },
        { "panic without an error store, reset by triple fault", Boot + Panic, "", "triple", TrapKind.ResetWithoutReport, PanicEvidence.KernelLog },
        { "panic=0 without an error store, paused", Boot + Panic, "", "paused", TrapKind.PanicWithoutReset, PanicEvidence.KernelLog },
        { "panic=0 without an error store, halted for good", Boot + Panic, "", "halted", TrapKind.PanicWithoutReset, PanicEvidence.KernelLog },
        { "panic after an oops on record", Boot + Panic, "oops", "acpi", TrapKind.ResetWithoutReport, PanicEvidence.KernelLog },
        { "a record in an unknown compression, and the log", Boot + Panic, "unreadable", "acpi", TrapKind.KernelPanic, PanicEvidence.ErrorRecord | PanicEvidence.KernelLog },
        { "a record in an unknown compression, and nothing else", Boot + Reboot, "unreadable", "acpi", TrapKind.PlainReset, PanicEvidence.None },
        { "panic while restarting", Boot + "0.0 reboot: Restarting system|" + Panic, "", "acpi", TrapKind.ResetWithoutReport, PanicEvidence.KernelLog },
        { "a process wrote the words to /dev/kmsg, then reboot -f", Boot + "1.4 Kernel panic - not syncing: fake|" + Reboot, "", "acpi", TrapKind.PlainReset, PanicEvidence.None },
        { "a process wrote the words to /dev/kmsg as an emergency, then resets by itself", Boot + "1.0 Kernel panic - not syncing: fake", "", "keyboard", TrapKind.PlainReset, PanicEvidence.None },
        { "a firewall rule logs the words, then reboot", Boot + "0.0 Kernel panic - not syncing: IN=eth0|" + Reboot, "", "acpi", TrapKind.PlainReset, PanicEvidence.None },

        { "panic before there is a VMCOREINFO", "early:" + Boot + Panic, "", "acpi", TrapKind.ResetWithoutReport, PanicEvidence.KernelLog },
        { "panic=0 before there is a VMCOREINFO, paused", "early:" + Boot + Panic, "", "paused", TrapKind.PanicWithoutReset, PanicEvidence.KernelLog },
        { "crash kernel before there is a VMCOREINFO", "early:0.5 Linux version 6.1 x|0.6 Command line: a elfcorehdr=1", "panic", "report", TrapKind.CrashKernel, PanicEvidence.None },

        // Rule 5: triple fault.
        { "triple fault before there is a VMCOREINFO", "early:" + Boot, "", "triple", TrapKind.TripleFault, PanicEvidence.None },
        { "triple fault out of the blue", Boot, "", "triple", TrapKind.TripleFault, PanicEvidence.None },
        { "triple fault after an oops on record", Boot + "0.1 BUG: unable to handle page fault", "oops", "triple", TrapKind.TripleFault, PanicEvidence.None },
        { "triple fault before any kernel", "none", "", "triple", TrapKind.TripleFault, PanicEvidence.None },
        { "triple fault with a log that cannot be read", "broken", "", "triple", TrapKind.TripleFault, PanicEvidence.None },
        { "triple fault after a process announced a restart", Boot + "1.0 reboot: Restarting system", "", "triple", TrapKind.TripleFault, PanicEvidence.None },
        { "reboot=t", Boot + Reboot, "", "triple", TrapKind.PlainReset, PanicEvidence.None },
        { "sysrq-b with reboot=t", Boot + "0.6 sysrq: Resetting", "", "triple", TrapKind.PlainReset, PanicEvidence.None },

        // Rule 6: the rest.
        { "reboot -f", Boot + Reboot, "", "acpi", TrapKind.PlainReset, PanicEvidence.None },
        { "reboot through the keyboard controller", Boot + Reboot, "", "keyboard", TrapKind.PlainReset, PanicEvidence.None },
        { "reboot through real mode", Boot + Reboot, "", "vector", TrapKind.PlainReset, PanicEvidence.None },
        { "sysrq-b", Boot + "0.6 sysrq: Resetting", "", "acpi", TrapKind.PlainReset, PanicEvidence.None },
        { "sysrq-b on record (printk.always_kmsg_dump)", Boot + "0.6 sysrq: Resetting", "emergency", "acpi", TrapKind.PlainReset, PanicEvidence.None },
        { "reboot on record (printk.always_kmsg_dump)", Boot + Reboot, "shutdown", "acpi", TrapKind.PlainReset, PanicEvidence.None },
        { "OOM kill, then reboot", Boot + "0.3 Out of memory: Killed process 88 (tail)|" + Reboot, "", "acpi", TrapKind.PlainReset, PanicEvidence.None },
        { "survived oops, then reboot", Boot + "0.4 invalid opcode: 0000 [#1]|" + Reboot, "oops", "acpi", TrapKind.PlainReset, PanicEvidence.None },
        { "survived oops, running on", Boot + "0.4 invalid opcode: 0000 [#1]", "oops", "report", TrapKind.None, PanicEvidence.None },
        { "corrected machine check on record", Boot, "mce", "report", TrapKind.None, PanicEvidence.None },
        { "rubbish in the error store", Boot, "rubbish", "report", TrapKind.None, PanicEvidence.None },
        { "reset of something that is no Linux", "none", "", "cf9", TrapKind.PlainReset, PanicEvidence.None },
        { "poweroff", Boot + "0.0 reboot: Power down", "", "poweroff", TrapKind.PowerOff, PanicEvidence.None },
        { "halt", Boot + "0.0 reboot: System halted", "", "halted", TrapKind.Halted, PanicEvidence.None },
        { "paused by a person", Boot, "", "paused", TrapKind.None, PanicEvidence.None },
    };

    [Theory]
    [MemberData(nameof(Rules))]
    public void An_end_is_called_what_it_is(string what, string log, string reports, string end, TrapKind kind, PanicEvidence found)
    {
        TrapVerdict verdict = TrapAnalyzer.Analyze(Guest(log), Exit(end), Evidence(reports));
        Assert.True(kind == verdict.Kind, $"{what}: {verdict.Kind}, {verdict.Summary}");
        Assert.Equal(found, verdict.Evidence);
        Assert.Equal(verdict.IsCrash, verdict.Report is not null);
        Assert.NotEmpty(verdict.Summary);
    }

    [Fact]
    public void The_report_says_all_there_is_to_know()
    {
        TrapVerdict verdict = TrapAnalyzer.Analyze(Guest(Boot + Panic), Exit("acpi"), Evidence("panic"));
        CrashReport report = verdict.Report!;
        Assert.Equal("Kernel panic - not syncing: sysrq triggered crash", report.Title);
        Assert.Equal("[    2.700000] sysrq: Trigger a crash\n[    2.719350] Kernel panic - not syncing: sysrq triggered crash\n", report.ReportText);
        Assert.Equal(report.ReportText, report.Text);
        Assert.StartsWith("[    0.000000] Linux version 6.1.0-56-cloud-amd64 (Debian) #1\n", report.Log, StringComparison.Ordinal);
        Assert.Equal("6.1.0-56-cloud-amd64", report.Release);
        Assert.Equal("3b43fad5034874490492495d552c0af6a5fab235", report.BuildId);
        Assert.Equal(0x15E0_0000UL, report.KaslrOffset);
        Assert.NotNull(report.VmCoreInfo);
        Assert.Null(report.Fault);
        Assert.True(verdict.ConfirmedByLog);
        Assert.Equal(KernelLogState.Read, verdict.LogState);
        Assert.Equal(ResetCause.AcpiResetRegister, verdict.Reset);
        Assert.Equal("kernel panic, then a reset (an error record, the kernel's log)", verdict.Summary);
    }

    [Theory]
    [InlineData("Kernel panic - not syncing: x|0.4 CPU: 1 PID: 1 Comm: sh", 1, "as the trace says")]
    [InlineData("Kernel panic - not syncing: x", 0, "the one that asked for the reset")]
    [InlineData("Kernel panic - not syncing: x|0.4 CPU: 7 PID: 1 Comm: sh", 0, "there is no vCPU 7")]
    public void The_cpu_is_the_one_that_panicked(string panic, int expected, string why) =>
        Assert.True(expected == TrapAnalyzer.Analyze(Guest(Boot + "0.0 " + panic), Exit("acpi"), Evidence("")).Report!.Cpu, why);

    [Fact]
    public void A_log_lost_from_memory_is_made_up_for_by_the_report()
    {
        const string Record = "Panic#1 Part1\n<1>[    1.000000] BUG: kernel NULL pointer dereference, address: 0\n<4>[    1.000000] CPU: 1 PID: 5 Comm: sh Not tainted 6.1.0-1-amd64 #1  Debian\n<0>[    1.100000] Kernel panic - not syncing: Fatal exception\n";
        TrapVerdict verdict = TrapAnalyzer.Analyze(Guest("none"), Exit("acpi"), new TrapEvidence { ErrorRecords = [CperWriter.Compressed(Record)] });
        Assert.Equal(("Kernel panic - not syncing: Fatal exception", "BUG: kernel NULL pointer dereference, address: 0", "6.1.0-1-amd64", 1, ""),
            (verdict.Report!.Title, verdict.Report.Fault, verdict.Report.Release, verdict.Report.Cpu, verdict.Report.Log));
        Assert.Equal(KernelLogState.NotFound, verdict.LogState);
        Assert.Equal("kernel panic, then a reset (an error record, no kernel log was found)", verdict.Summary);
    }

    [Fact]
    public void An_early_triple_fault_is_named_by_where_it_happened()
    {
        var image = new GuestImage();
        image.Cpus.Add(GuestImage.LongMode(0, 0x10_0123));
        TrapVerdict verdict = TrapAnalyzer.Analyze(image, Exit("triple"), new TrapEvidence());
        Assert.Equal("Triple fault at 0x100123 (vCPU 0)", verdict.Report!.Title);
        Assert.Equal("triple fault, and no running kernel was found", verdict.Summary);
    }

    [Fact]
    public void The_last_boots_panic_is_not_this_ones()
    {
        var image = new GuestImage();
        Write(new SyntheticKernel(image, 0x0200_0000, 0x0A00_0000), Boot + Panic);
        SyntheticKernel current = Write(new SyntheticKernel(image, 0x0800_0000, 0x2340_0000), Boot + Reboot);
        image.Cpus.Add(GuestImage.LongMode(current.Cr3, current.Text));
        Assert.Equal(TrapKind.PlainReset, TrapAnalyzer.Analyze(image, Exit("acpi"), Evidence("")).Kind);

        // Nor when this boot dies before its kernel can say anything.
        image.Cpus[0] = GuestImage.RealMode(0x7C00);
        TrapVerdict early = TrapAnalyzer.Analyze(image, Exit("triple"), Evidence(""));
        Assert.Equal((TrapKind.TripleFault, KernelLogState.NotFound, ""), (early.Kind, early.LogState, early.Report!.Log));
    }

    [Theory]
    [InlineData(0x0800_1000UL, TrapKind.CrashKernel)]
    [InlineData(0x0700_1000UL, TrapKind.PanicWithoutReset)]
    public void A_crash_kernel_that_has_not_spoken_yet_is_known_by_where_it_runs(ulong rip, TrapKind expected)
    {
        var image = new GuestImage();
        Write(new SyntheticKernel(image, 0x0200_0000), Boot + "0.6 Reserving 64MB of memory at 128MB for crashkernel (System RAM: 255MB)|" + Panic);
        image.Write64(0x0180_0000, 0x0180_1003);
        image.Write64(0x0180_1000, 0x83);
        image.Cpus.Add(GuestImage.LongMode(0x0180_0000, rip));
        Assert.Equal(expected, TrapAnalyzer.Analyze(image, Exit("report"), Evidence("panic")).Kind);
    }

    [Theory]
    [InlineData(0x0200_0000UL)]
    [InlineData(0x0C00_0000UL)]
    public void A_crash_kernel_whose_log_has_gone_round_is_known_by_where_it_lies(ulong first)
    {
        var image = new GuestImage(512UL << 20);
        Write(new SyntheticKernel(image, first, 0x0A00_0000), Boot + "0.6 Reserving 64MB of memory at 128MB for crashkernel (System RAM: 255MB)|" + Panic);
        SyntheticKernel crash = Write(new SyntheticKernel(image, 0x0880_0000, 0x2340_0000), Reboot);
        image.Cpus.Add(GuestImage.LongMode(crash.Cr3, crash.Text));
        Assert.Equal(TrapKind.CrashKernel, TrapAnalyzer.Analyze(image, Exit("acpi"), Evidence("")).Kind);
    }

    [Fact]
    public void Of_more_reports_than_anyone_can_read_the_newest_count()
    {
        byte[] bomb = CperWriter.Compressed("Oops#1 Part1\n" + new string('x', ErstRecord.MaxTextBytes));
        var records = Enumerable.Repeat((ReadOnlyMemory<byte>)bomb, 200).Append(CperWriter.Compressed(PanicRecord)).ToList();
        Assert.Equal(TrapKind.KernelPanic, TrapAnalyzer.Analyze(Guest("none"), Exit("acpi"), new TrapEvidence { ErrorRecords = records }).Kind);
        records.Reverse();
        Assert.Equal(TrapKind.PlainReset, TrapAnalyzer.Analyze(Guest("none"), Exit("acpi"), new TrapEvidence { ErrorRecords = records }).Kind);
    }

    [Fact]
    public void How_long_nothing_followed_is_said()
    {
        TrapVerdict verdict = TrapAnalyzer.Analyze(
            Guest(Boot + Panic), Exit("report") with { InstructionCount = 3_500_000_000 }, Evidence("panic") with { ReportInstant = 2_500_000_000 });
        Assert.Equal("kernel panic, and no reset for 1.0 s (an error record, the kernel's log)", verdict.Summary);
    }

    internal static TrapEvidence Evidence(string reports)
    {
        var records = new List<ReadOnlyMemory<byte>>();
        byte pvpanic = 0;
        foreach (string report in reports.Split(',', StringSplitOptions.RemoveEmptyEntries))
        {
            switch (report)
            {
                case "panic":
                    records.Add(CperWriter.Compressed(PanicRecord));
                    break;
                case "oops":
                    records.Add(CperWriter.Compressed(OopsRecord));
                    break;
                case "emergency":
                    records.Add(CperWriter.Plain("Emergency#2 Part1\n<6>[    1.000000] sysrq: Resetting\n"));
                    break;
                case "shutdown":
                    records.Add(CperWriter.Plain("Shutdown#2 Part1\n<0>[    1.000000] reboot: Restarting system\n"));
                    break;
                case "mce":
                    records.Add(CperWriter.Record(CperWriter.MachineCheck, "Panic#1 Part1\n"u8));
                    break;
                case "unreadable":
                    records.Add(CperWriter.Record(CperWriter.CompressedLog, [0x28, 0xB5, 0x2F, 0xFD, 4, 5, 6, 7, 8, 9]));
                    break;
                case "rubbish":
                    records.Add(new byte[5000]);
                    break;
                case "pvpanic1":
                    pvpanic |= 1;
                    break;
                case "pvpanic2":
                    pvpanic |= 2;
                    break;
                default:
                    throw new ArgumentException(report);
            }
        }

        return new TrapEvidence { ErrorRecords = records, PvPanicEvents = pvpanic };
    }

    internal static MachineExit Exit(string end) => end switch
    {
        "acpi" => new(MachineExitKind.Reset, 0, 0, ResetCause.AcpiResetRegister),
        "keyboard" => new(MachineExitKind.Reset, 0, 0, ResetCause.KeyboardController),
        "cf9" => new(MachineExitKind.Reset, 0, 0, ResetCause.PortCf9),
        "vector" => new(MachineExitKind.Reset, 0, 0, ResetCause.ResetVector),
        "triple" => new(MachineExitKind.Reset, 0, 0, ResetCause.TripleFault),
        "report" => new(MachineExitKind.ReportWithoutReset, 0, 0),
        "poweroff" => new(MachineExitKind.PowerOff, 0, 0),
        "halted" => new(MachineExitKind.Halted, 0, 0),
        "paused" => new(MachineExitKind.Paused, 0, 0),
        "exitport" => new(MachineExitKind.ExitPort, 0, 0, ExitCode: 33),
        "breakpoint" => new(MachineExitKind.Breakpoint, 0, 0),
        "step" => new(MachineExitKind.Stepped, 0, 0),
        _ => throw new ArgumentException(end),
    };

    internal static GuestImage Guest(string log)
    {
        var image = new GuestImage();
        image.Cpus.Add(GuestImage.RealMode(0));
        image.Cpus.Add(GuestImage.RealMode(0));
        if (log == "none")
        {
            return image;
        }

        var kernel = new SyntheticKernel(image);
        image.Cpus[0] = GuestImage.LongMode(kernel.Cr3, kernel.Text + 0x1000);
        if (log == "broken")
        {
            kernel.WithVmCoreInfo();
        }
        else if (log.StartsWith("early:", StringComparison.Ordinal))
        {
            kernel.WithEarlyLog(Messages(log["early:".Length..]));
        }
        else
        {
            Write(kernel, log);
        }

        return image;
    }

    private static SyntheticKernel Write(SyntheticKernel kernel, string log) =>
        kernel.WithLog(Messages(log));

    private static (byte Facility, byte Level, string Text)[] Messages(string log) =>
        [.. KernelWordsTests.Log(log).Select(record => (record.Facility, record.Level, record.Text))];
}
