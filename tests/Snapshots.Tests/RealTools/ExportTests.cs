namespace Snapshots.Tests.RealTools;

/// <summary>ELF files of ours in the hands of crash, drgn and makedumpfile, and what makedumpfile makes of them in ours again.</summary>
public class ExportTests
{
    [Fact]
    public async Task Drgn_crash_and_makedumpfile_open_our_ELF_and_we_open_what_makedumpfile_writes()
    {
        (string kernel, string debug) = GuestFiles.KernelOrSkip();
        string makedumpfile = GuestFiles.ProgramOrSkip("makedumpfile", "makedumpfile");
        using var directory = new TemporaryDirectory();
        QemuPanic panic = await QemuPanic.CaptureAsync(kernel, 1);
        string elf = directory.File("elf"), zero = directory.File("zero"), raw = directory.File("raw");
        using (Snapshot snapshot = panic.ToSnapshot())
        {
            DumpExport.Write(elf, snapshot, snapshot.Info, ExportFormat.Elf, cancellation: TestContext.Current.CancellationToken);
            DumpExport.Write(zero, snapshot, snapshot.Info, ExportFormat.Elf, leaveOutZeros: true, cancellation: TestContext.Current.CancellationToken);
            DumpExport.Write(raw, snapshot, snapshot.Info, ExportFormat.Raw, cancellation: TestContext.Current.CancellationToken);
        }

        Assert.InRange(new FileInfo(zero).Length, 1 << 20, 160 << 20);
        Assert.Equal((long)QemuPanic.MemorySize, new FileInfo(raw).Length);
        CompareAll(panic, elf, complete: true);
        CompareAll(panic, zero, complete: true);
        foreach (string path in (string[])[elf, zero])
        {
            string drgn = await DrgnTool.RunAsync(debug, path, """
                from drgn.helpers.linux.pid import for_each_task
                for task in for_each_task(prog):
                    print("task", task.pid.value_(), task.comm.string_().decode())
                """);
            Assert.Contains("task 1 init", drgn, StringComparison.Ordinal);
            Assert.Contains("task 2 kthreadd", drgn, StringComparison.Ordinal);
        }

        string crash = await CrashTool.RunAsync(debug, elf, "sys", "bt");
        Assert.Contains("PANIC: \"Kernel panic - not syncing: sysrq triggered crash\"", crash, StringComparison.Ordinal);
        Assert.Contains("write_sysrq_trigger at ", crash, StringComparison.Ordinal);

        // Debian's makedumpfile has no snappy and no zstd: DumpWriter writes those for ForeignDumpTests.
        (string Name, bool Complete, string[] Options)[] forms =
        [
            ("zlib", true, ["-c", "-d", "1"]), ("lzo", true, ["-l", "-d", "0"]), ("filtered", false, ["-c", "-d", "31"]),
            ("lzofiltered", false, ["-l", "-d", "31"]), ("elffiltered", false, ["-E", "-d", "31"]),
        ];
        foreach ((string name, bool complete, string[] options) in forms)
        {
            (int code, string output) = await Tool.RunAsync(makedumpfile, "", [.. options, elf, directory.File(name)]);
            Assert.True(code == 0, $"makedumpfile {string.Join(' ', options)}: {output}");
            CompareAll(panic, directory.File(name), complete);
        }

        (int flat, string said) = await Tool.RunAsync("/bin/sh", "", "-c", $"'{makedumpfile}' -F -c -d 31 '{elf}' > '{directory.File("flat")}'");
        Assert.True(flat == 0, said);
        CompareAll(panic, directory.File("flat"), complete: false);
    }

    private static void CompareAll(QemuPanic panic, string path, bool complete)
    {
        using IMachineImage image = ImageFile.Open(path);
        Assert.Equal(panic.Vmcoreinfo, image.Capture.Vmcoreinfo);
        Assert.Equal((panic.Vcpus[0].Rip, panic.Vcpus[0].Cr3), (image.Vcpus[0].Rip, image.Vcpus[0].Cr3));
        byte[] page = new byte[4096];
        int same = 0, missing = 0;
        for (ulong at = 0; at < QemuPanic.MemorySize; at += 4096)
        {
            if (at is >= 0xA_0000 and < 0xC_0000)
            {
                continue;
            }

            if (image.ReadPhysical(at, page) == 0)
            {
                missing++;
            }
            else if (page.AsSpan().SequenceEqual(panic.Ram.AsSpan((int)at, 4096)))
            {
                same++;
            }
            else
            {
                // What an ELF file leaves out at a segment's end reads as zeros: that is what ELF says.
                Assert.True(!complete && !page.AsSpan().ContainsAnyExcept((byte)0), $"{path}: page 0x{at:x} differs");
            }
        }

        Assert.True(same > 5000 && (!complete || missing == 0), $"{path}: {same} pages are the same, {missing} are not there");
    }
}
