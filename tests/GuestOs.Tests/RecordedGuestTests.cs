using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
using Emulator;
using GuestOs.Linux;
using Microsoft.Win32.SafeHandles;

namespace GuestOs.Tests;

/// <summary>
/// The readers on RAM of real guests. No such image is kept here: they are hundreds of megabytes of other people's
/// software. GUESTOS_TEST_IMAGES names a directory with one directory per row below, made by running Debian's cloud
/// kernel in QEMU with an acpi-erst device: <c>ram</c> (a file-backed memory-backend, from address 0), <c>erst</c> (the
/// device's backend), <c>regs</c> ("info registers", CPUs divided by ----) and <c>serial</c> (with ignore_loglevel).
/// </summary>
public sealed partial class RecordedGuestTests(ITestOutputHelper output)
{
    private const string SysrqCrash = "Kernel panic - not syncing: sysrq triggered crash";

    [Theory]
    [InlineData("sysrqc", "acpi", 0, TrapKind.KernelPanic, SysrqCrash, PanicEvidence.ErrorRecord | PanicEvidence.KernelLog)]
    [InlineData("la48", "acpi", 0, TrapKind.KernelPanic, SysrqCrash, PanicEvidence.ErrorRecord | PanicEvidence.KernelLog)]
    [InlineData("smp", "acpi", 0, TrapKind.KernelPanic, SysrqCrash, PanicEvidence.ErrorRecord | PanicEvidence.KernelLog)]
    [InlineData("flood", "acpi", 0, TrapKind.KernelPanic, SysrqCrash, PanicEvidence.ErrorRecord | PanicEvidence.KernelLog)]
    [InlineData("panic_t", "triple", 0, TrapKind.KernelPanic, SysrqCrash, PanicEvidence.ErrorRecord | PanicEvidence.KernelLog)]
    [InlineData("panic0", "report", 0, TrapKind.PanicWithoutReset, SysrqCrash, PanicEvidence.ErrorRecord | PanicEvidence.KernelLog)]
    [InlineData("noerst", "acpi", 0, TrapKind.ResetWithoutReport, SysrqCrash, PanicEvidence.KernelLog)]
    [InlineData("panic0noerst", "paused", 0, TrapKind.PanicWithoutReset, SysrqCrash, PanicEvidence.KernelLog)]
    [InlineData("killinit", "acpi", 0, TrapKind.KernelPanic, "Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000300", PanicEvidence.ErrorRecord | PanicEvidence.KernelLog)]
    [InlineData("noroot", "acpi", 0, TrapKind.KernelPanic, "Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)", PanicEvidence.ErrorRecord | PanicEvidence.KernelLog)]
    [InlineData("oopspanic", "acpi", 0, TrapKind.KernelPanic, "Kernel panic - not syncing: Fatal exception", PanicEvidence.ErrorRecord | PanicEvidence.KernelLog)]
    [InlineData("oops", "acpi", 0, TrapKind.PlainReset, null, PanicEvidence.None)]
    [InlineData("reboot", "acpi", 0, TrapKind.PlainReset, null, PanicEvidence.None)]
    [InlineData("reboot_t", "triple", 0, TrapKind.PlainReset, null, PanicEvidence.None)]
    [InlineData("sysrqb", "acpi", 0, TrapKind.PlainReset, null, PanicEvidence.None)]
    [InlineData("fake", "acpi", 0, TrapKind.PlainReset, null, PanicEvidence.None)]
    [InlineData("oom", "acpi", 0, TrapKind.PlainReset, null, PanicEvidence.None)]
    [InlineData("poweroff", "poweroff", 0, TrapKind.PowerOff, null, PanicEvidence.None)]
    [InlineData("halt", "halted", 0, TrapKind.Halted, null, PanicEvidence.None)]
    [InlineData("kdump", "acpi", 0, TrapKind.CrashKernel, null, PanicEvidence.None)]
    [InlineData("kdumpnotify", "acpi", 0, TrapKind.CrashKernel, null, PanicEvidence.None)]
    [InlineData("kdumpmid", "report", 0, TrapKind.CrashKernel, null, PanicEvidence.None)]
    [InlineData("twice", "acpi", 2, TrapKind.KernelPanic, "Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000700", PanicEvidence.ErrorRecord | PanicEvidence.KernelLog)]
    [InlineData("twicereboot", "acpi", 2, TrapKind.PlainReset, null, PanicEvidence.None)]
    [InlineData("early2", "triple", 2, TrapKind.TripleFault, "Triple fault at 0x", PanicEvidence.None)]
    [InlineData("early3", "triple", 2, TrapKind.TripleFault, "Triple fault at 0x", PanicEvidence.None)]
    [InlineData("earlypanic", "acpi", 0, TrapKind.ResetWithoutReport, "Kernel panic - not syncing: System is deadlocked on memory", PanicEvidence.KernelLog)]
    [InlineData("earlypanic2", "acpi", 0, TrapKind.ResetWithoutReport, "Kernel panic - not syncing: System is deadlocked on memory", PanicEvidence.KernelLog)]
    public void A_real_guests_end_is_called_what_it_is(string name, string end, int oldRecords, TrapKind kind, string? title, PanicEvidence found)
    {
        using QemuImage image = Open(name);
        var evidence = new TrapEvidence { ErrorRecords = [.. image.ErrorRecords().Skip(oldRecords)] };
        var watch = Stopwatch.StartNew();
        TrapVerdict verdict = TrapAnalyzer.Analyze(image, TrapAnalyzerTests.Exit(end), evidence);
        output.WriteLine($"{name}: {verdict.Kind}, {verdict.Summary}, {watch.ElapsedMilliseconds} ms");
        Assert.Equal(kind, verdict.Kind);
        Assert.Equal(found, verdict.Evidence);
        Assert.Equal(title is not null, verdict.Report is not null);
        if (title is not null)
        {
            Assert.StartsWith(title, verdict.Report!.Title, StringComparison.Ordinal);
        }

        if ((found & PanicEvidence.ErrorRecord) != 0)
        {
            // The joined report is a stretch of the log, without a gap, that ends with or after the panic.
            Assert.True(verdict.Report!.ReportText.Length > 10_000);
            Assert.Contains(verdict.Report.ReportText, verdict.Report.Log, StringComparison.Ordinal);
            Assert.Contains(title!, verdict.Report.ReportText, StringComparison.Ordinal);
            Assert.Equal(name == "smp" ? image.PanickedCpu() : 0, verdict.Report.Cpu);
        }

        Match offset = image.SerialOfLastBoot().Reverse().Select(line => KernelOffset().Match(line)).FirstOrDefault(match => match.Success, Match.Empty);
        if (offset.Success && verdict.Report is { Release: not null } report)
        {
            Assert.Equal("6.1.0-56-cloud-amd64", report.Release);
            Assert.Equal(report.VmCoreInfo is null ? null : ulong.Parse(offset.Groups[1].ValueSpan, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture), report.KaslrOffset);
            Assert.Contains(kind == TrapKind.TripleFault ? "Linux version" : title!, report.Text, StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData("sysrqc")]
    [InlineData("la48")]
    [InlineData("smp")]
    [InlineData("flood")]
    [InlineData("panic0")]
    [InlineData("killinit")]
    [InlineData("oops")]
    [InlineData("oopspanic")]
    [InlineData("fake")]
    [InlineData("oom")]
    [InlineData("reboot")]
    [InlineData("twice")]
    [InlineData("kdump")]
    [InlineData("earlystop")]
    [InlineData("earlypanic")]
    public void The_log_in_RAM_is_what_the_console_showed(string name)
    {
        using QemuImage image = Open(name);
        LinuxKernel? kernel = LinuxKernel.FindRunning(image);
        Assert.NotNull(kernel);
        Assert.NotNull(kernel.Log);
        string[] log = kernel.Log.ToText().Split('\n', StringSplitOptions.RemoveEmptyEntries);
        string[] serial = [.. image.SerialOfLastBoot()];
        output.WriteLine($"{(kernel.Info.IsReconstructed ? "early " : "")}{name}: {kernel.Log.Records.Count} messages, {log.Length} lines, serial {serial.Length}");
        Assert.Equal(0, kernel.Log.Unreadable);
        Assert.True(log.Length is > 100 and < 20000 && log.Length <= serial.Length);
        if (serial.Any(line => line.Contains("earlyprintk=", StringComparison.Ordinal)))
        {
            // An early console repeats a few lines when it takes over.
            int at = 0;
            Assert.All(log, line => Assert.True((at = Array.IndexOf(serial, line, at) + 1) > 0, line));
            return;
        }

        Assert.Equal(serial[^log.Length..], log);
    }

    [Fact]
    public void The_first_text_is_found_soon()
    {
        using QemuImage image = Open("sysrqc");
        Assert.NotNull(LinuxKernel.FindRunning(image));
        var watch = Stopwatch.StartNew();
        Assert.NotNull(LinuxKernel.FindRunning(image));
        output.WriteLine($"running kernel: {watch.Elapsed.TotalMilliseconds:F1} ms");
        watch.Restart();
        int texts = VmCoreInfo.FindAll(image).Count();
        output.WriteLine($"all {texts} texts in every byte: {watch.Elapsed.TotalMilliseconds:F1} ms");
    }

    private static QemuImage Open(string name)
    {
        string? directory = Environment.GetEnvironmentVariable("GUESTOS_TEST_IMAGES");
        Assert.SkipWhen(string.IsNullOrEmpty(directory), "GUESTOS_TEST_IMAGES names no directory of recorded guests");
        string path = Path.Combine(directory, name);
        Assert.SkipUnless(File.Exists(Path.Combine(path, "ram")), $"{path} has no recorded guest");
        return new QemuImage(path);
    }

    [GeneratedRegex(@"Kernel Offset: 0x([0-9a-f]+) from")]
    private static partial Regex KernelOffset();

    [GeneratedRegex(@"^\[ *\d+\.\d{6}\] ")]
    private static partial Regex KernelLine();

    [GeneratedRegex(@"\b(RIP|CR0|CR3|CR4|EFER)=([0-9a-f]+)")]
    private static partial Regex Register();

    private sealed class QemuImage : IMachineView, IDisposable
    {
        private readonly SafeFileHandle ram;
        private readonly string directory;

        public QemuImage(string directory)
        {
            this.directory = directory;
            ram = File.OpenHandle(Path.Combine(directory, "ram"));
            Ram = [new PhysicalRange(0, (ulong)RandomAccess.GetLength(ram))];
            Vcpus = [.. File.ReadAllText(Path.Combine(directory, "regs")).Split("----").Select(cpu =>
            {
                var values = Register().Matches(cpu).ToDictionary(match => match.Groups[1].Value, match => ulong.Parse(match.Groups[2].ValueSpan, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture));
                return GuestImage.LongMode(values["CR3"], values["RIP"], (values["CR4"] & 0x1000) != 0);
            })];
        }

        public IReadOnlyList<PhysicalRange> Ram { get; }

        public IReadOnlyList<VcpuState> Vcpus { get; }

        public int CurrentVcpu => 0;

        public ulong InstructionCount => 0;

        public MachineExit? StopCause => null;

        public int ReadPhysical(ulong address, Span<byte> destination)
        {
            ulong left = address < Ram[0].Length ? Ram[0].Length - address : 0;
            return left == 0 ? 0 : RandomAccess.Read(ram, destination[..(int)Math.Min((ulong)destination.Length, left)], (long)address);
        }

        public bool IsUntouched(ulong address) => false;

        // QEMU's acpi-erst keeps 8 KiB slots; the first is its header.
        public IEnumerable<ReadOnlyMemory<byte>> ErrorRecords()
        {
            byte[] store = File.ReadAllBytes(Path.Combine(directory, "erst"));
            return Enumerable.Range(1, (store.Length / 8192) - 1).Select(slot => (ReadOnlyMemory<byte>)store.AsMemory(slot * 8192, 8192))
                .Where(slot => slot.Span.StartsWith("CPER"u8));
        }

        public IEnumerable<string> SerialOfLastBoot()
        {
            string text = Encoding.UTF8.GetString(File.ReadAllBytes(Path.Combine(directory, "serial"))).Replace("\r", "", StringComparison.Ordinal);
            string[] lines = [.. text.Split('\n').Where(line => KernelLine().IsMatch(line))];
            int boot = Array.FindLastIndex(lines, line => line.Contains("] Linux version ", StringComparison.Ordinal));
            return lines[Math.Max(boot, 0)..];
        }

        public int PanickedCpu()
        {
            string[] lines = [.. SerialOfLastBoot()];
            int panic = Array.FindLastIndex(lines, line => line.Contains("] Kernel panic - ", StringComparison.Ordinal));
            return lines[panic + 1].Contains("] CPU: 1 ", StringComparison.Ordinal) ? 1 : 0;
        }

        public void Dispose() => ram.Dispose();
    }
}
