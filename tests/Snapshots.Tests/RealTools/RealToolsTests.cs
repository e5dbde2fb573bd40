namespace Snapshots.Tests.RealTools;

/// <summary>A real kernel's panic in an archive of ours, opened by the tools people use.</summary>
public class RealToolsTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public async Task Crash_and_drgn_open_an_archive_as_it_is(int cpus)
    {
        (string kernel, string debug) = GuestFiles.KernelOrSkip();
        QemuPanic panic = await QemuPanic.CaptureAsync(kernel, cpus);
        string path = Path.Combine(Path.GetTempPath(), $"archive-{Guid.NewGuid():n}.kdump");
        try
        {
            using (Snapshot snapshot = panic.ToSnapshot())
            {
                ArchiveWriter.Write(path, "0123456789", snapshot, cancellation: TestContext.Current.CancellationToken);
            }

            string crash = await CrashTool.RunAsync(debug, path, "sys", "bt", "log");
            Assert.Contains($"CPUS: {cpus}", crash, StringComparison.Ordinal);
            Assert.Contains("PANIC: \"Kernel panic - not syncing: sysrq triggered crash\"", crash, StringComparison.Ordinal);
            Assert.Matches(@"#\d+ \[[0-9a-f]+\] (panic|sysrq_handle_crash) at ", crash);
            Assert.Contains("write_sysrq_trigger at ", crash, StringComparison.Ordinal);
            Assert.Contains("end Kernel panic - not syncing: sysrq triggered crash", crash, StringComparison.Ordinal);

            string drgn = await DrgnTool.RunAsync(debug, path, """
                from drgn.helpers.linux.pid import for_each_task
                for task in for_each_task(prog):
                    print("task", task.pid.value_(), task.comm.string_().decode())
                running = [t for t in for_each_task(prog) if t.pid == 1][0]
                print(prog.stack_trace(running))
                """);
            Assert.Contains("task 1 init", drgn, StringComparison.Ordinal);
            Assert.Contains("task 2 kthreadd", drgn, StringComparison.Ordinal);
            Assert.True(drgn.Split('\n').Count(l => l.StartsWith("task ", StringComparison.Ordinal)) > 30, drgn);
            // The running task's frames come from our registers: without them drgn shows a stale stack.
            Assert.Matches(@"panic \(kernel/panic.c:[0-9:]+\)\n#\d+ +sysrq_handle_crash \(", drgn);
            Assert.Contains(" entry_SYSCALL_64+", drgn, StringComparison.Ordinal);
        }
        finally
        {
            File.Delete(path);
        }
    }
}
