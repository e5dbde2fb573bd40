using System.Globalization;
using Emulator;
using Snapshots;
using Snapshots.Tests;
using Snapshots.Tests.RealTools;

namespace Conformance.Tests.Archives;

/// <summary>What is left out of exports, held against makedumpfile's choice on the same image, and such files in the hands of crash and drgn.</summary>
public sealed class FilterTests(DebianStore debian) : IDisposable
{
    private readonly TemporaryDirectory directory = new();

    public void Dispose() => directory.Dispose();

    [Fact]
    public async Task Pages_are_left_out_that_makedumpfile_leaves_out()
    {
        string store = await debian.ReadyAsync(), makedumpfile = GuestFiles.ProgramOrSkip("makedumpfile", "makedumpfile");
        await ExportAsync(store, "elf");
        (string Filter, int Level)[] filters = [("free", 16), ("cache", 6), ("user", 8), ("free,cache,user,zero", 31)];
        foreach ((string filter, int level) in filters)
        {
            string theirs = directory.File($"theirs-{level}");
            (int code, string output) = await Tool.RunAsync(makedumpfile, "", "-c", "-d", level.ToString(CultureInfo.InvariantCulture), directory.File("elf"), theirs);
            Assert.True(code == 0, output);
            string ours = await ExportAsync(store, "kdump-zlib", filter);
            using IMachineImage one = ImageFile.Open(ours), other = ImageFile.Open(theirs);
            HashSet<ulong> left = LeftOut(one), expected = LeftOut(other);
            Assert.True(expected.Count > 0, $"makedumpfile left nothing out with -d {level}");
            Assert.True(left.SetEquals(expected), $"-d {level}: {left.Count} pages, {expected.Count} expected; {left.Except(expected).Count()} too many, {expected.Except(left).Count()} too few");
            Assert.Equal(level, one.Capture.DumpLevel);
        }
    }

    [Fact]
    public async Task Crash_drgn_and_makedumpfile_open_a_filtered_export_and_so_do_we()
    {
        string store = await debian.ReadyAsync(), debug = DebianFiles.DebugKernel(), makedumpfile = GuestFiles.ProgramOrSkip("makedumpfile", "makedumpfile");
        string zlib = await ExportAsync(store, "kdump-zlib", "free,cache,user,zero"), zstd = await ExportAsync(store, "kdump", "free"), elf = await ExportAsync(store, "elf", "free,cache,user,zero");
        foreach (string path in (string[])[zlib, zstd, elf])
        {
            string drgn = await DrgnTool.RunAsync(debug, path, """
                from drgn.helpers.linux.pid import for_each_task
                for task in for_each_task(prog):
                    print("task", task.pid.value_(), task.comm.string_().decode())
                print(prog.stack_trace([t for t in for_each_task(prog) if t.pid == 1][0]))
                """);
            Assert.Contains("task 1 init", drgn, StringComparison.Ordinal);
            Assert.Matches(@"sysrq_handle_crash \(", drgn);
        }

        string crash = await CrashTool.RunAsync(debug, zlib, "sys", "bt");
        Assert.Contains("[PARTIAL DUMP]", crash, StringComparison.Ordinal);
        Assert.Contains("PANIC: \"Kernel panic - not syncing: sysrq triggered crash\"", crash, StringComparison.Ordinal);
        Assert.Contains("write_sysrq_trigger at ", crash, StringComparison.Ordinal);
        (int code, string output) = await Tool.RunAsync(makedumpfile, "", "--dump-dmesg", zlib, directory.File("dmesg"));
        Assert.True(code == 0, output);
        Assert.Contains("Kernel panic - not syncing: sysrq triggered crash", await File.ReadAllTextAsync(directory.File("dmesg"), TestContext.Current.CancellationToken), StringComparison.Ordinal);

        // Imported it stays what it is: filtered, with its title, its state gone.
        (code, output, string error) = await DebianStore.RunAsync("import", zlib, "--store", directory.File("store"));
        Assert.True(code == 0, error);
        Assert.EndsWith(": kernel panic: sysrq triggered crash in sysrq_handle_crash\n", output, StringComparison.Ordinal);
        string imported = Store.Open(directory.File("store")).Find("latest").Path;
        Assert.True(ArchiveVerifier.Verify(imported, cancellation: TestContext.Current.CancellationToken).IsWhole);
        using IMachineImage before = ImageFile.Open(zlib), after = ImageFile.Open(imported);
        Assert.True(LeftOut(before).SetEquals(LeftOut(after)));
        Assert.Null(after.WholeState);
        byte[] one = new byte[4096], other = new byte[4096];
        foreach (PhysicalRange range in before.Ram)
        {
            for (ulong at = range.Start; at < range.Start + range.Length; at += 4096)
            {
                Assert.Equal(before.ReadPhysical(at, one), after.ReadPhysical(at, other));
                Assert.True(one.AsSpan().SequenceEqual(other), $"page 0x{at:x}");
            }
        }

        // makedumpfile reads the ELF file that lacks pages and has its zeros once, and what it makes of that can be imported.
        (code, output) = await Tool.RunAsync(makedumpfile, "", "-l", "-d", "1", elf, directory.File("lzo"));
        Assert.True(code == 0, output);
        (code, output, error) = await DebianStore.RunAsync("import", directory.File("lzo"), "--store", directory.File("store"));
        Assert.True(code == 0, error);
        Assert.EndsWith(": kernel panic: sysrq triggered crash in sysrq_handle_crash\n", output, StringComparison.Ordinal);
    }

    private static HashSet<ulong> LeftOut(IMachineImage image)
    {
        HashSet<ulong> pages = [];
        foreach (PhysicalRange range in image.Ram)
        {
            for (ulong at = range.Start; at < range.Start + range.Length; at += 4096)
            {
                if (image.IsLeftOut(at))
                {
                    pages.Add(at);
                }
            }
        }

        return pages;
    }

    private async Task<string> ExportAsync(string store, string format, string? filter = null)
    {
        string path = directory.File(filter is null ? format : $"{format}-{filter}");
        (int code, _, string error) = await DebianStore.RunAsync(["export", "latest", "--format", format, .. filter is null ? (string[])[] : ["--filter", filter], "-o", path, "--store", store]);
        Assert.True(code == 0, error);
        return path;
    }
}
