using System.Diagnostics;
using System.Text.Json;
using Snapshots;
using Snapshots.Tests;

namespace Conformance.Tests;

/// <summary>The program as people start it, with Debian in it.</summary>
public sealed class ProgramTests
{
    [Fact]
    public async Task A_guest_that_panics_is_archived_and_started_again_and_finds_its_report()
    {
        using var directory = new TemporaryDirectory();
        string console = directory.File("console"), store = directory.File("store");
        using Process run = Start(["run", .. Guest("panic=1 gdbstub.do=crash-once"), "--on-panic", "reboot", "--store", store, "--console", console, "--gdb", "none", "--json"]);
        string output = await run.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
        await run.WaitForExitAsync(TestContext.Current.CancellationToken);
        Assert.True(run.ExitCode == 3, output);
        Assert.Contains("guest: 1 crash records in /sys/fs/pstore", await File.ReadAllTextAsync(console, TestContext.Current.CancellationToken), StringComparison.Ordinal);

        using Process list = Start(["ls", "--json", "--store", store]);
        using JsonDocument listed = await JsonDocument.ParseAsync(list.StandardOutput.BaseStream, cancellationToken: TestContext.Current.CancellationToken);
        JsonElement archive = Assert.Single(listed.RootElement.EnumerateArray());
        Assert.Equal("kernel panic: sysrq triggered crash in sysrq_handle_crash", archive.GetProperty("title").GetString());
        Assert.Equal("whole", archive.GetProperty("state").GetString());

        using Process verify = Start(["verify", "latest", "--store", store]);
        await verify.WaitForExitAsync(TestContext.Current.CancellationToken);
        Assert.Equal(0, verify.ExitCode);
    }

    [Fact]
    public async Task A_program_killed_while_it_writes_an_archive_leaves_none_and_hinders_nothing()
    {
        using var directory = new TemporaryDirectory();
        string store = directory.File("store");
        string[] arguments = ["run", .. Guest("panic=-1 rdinit=/nonexistent"), "--on-panic", "exit", "--store", store, "--console", "none", "--gdb", "none"];
        using (Process run = Start(arguments))
        {
            // An archive in the making is a megabyte long well before its end.
            while (!Files().Any(file => file.Exists && file.Length > 1 << 20))
            {
                Assert.False(run.HasExited, "the program ended before it could be killed");
                await Task.Delay(1, TestContext.Current.CancellationToken);
            }

            run.Kill();
            await run.WaitForExitAsync(TestContext.Current.CancellationToken);
            Assert.Equal(128 + 9, run.ExitCode);
        }

        Assert.DoesNotContain(Store.Open(store).List(), archive => archive.State == ArchiveState.Whole);
        using Process again = Start(arguments);
        await again.WaitForExitAsync(TestContext.Current.CancellationToken);
        Assert.Equal(3, again.ExitCode);
        StoredArchive whole = Assert.Single(Store.Open(store).List(), archive => archive.State == ArchiveState.Whole);
        Assert.True(ArchiveVerifier.Verify(whole.Path, cancellation: TestContext.Current.CancellationToken).IsWhole);

        FileInfo[] Files() => Directory.Exists(store) ? new DirectoryInfo(store).GetFiles("*", new EnumerationOptions { AttributesToSkip = 0 }) : [];
    }

    private static string[] Guest(string append)
    {
        DebianFiles.Kernel();
        DebianFiles.Initrd();
        return ["--kernel", Path.Combine(DebianFiles.Directory, "vmlinuz"), "--initrd", Path.Combine(DebianFiles.Directory, "initrd"), "--append", "console=ttyS0 " + append];
    }

    private static Process Start(string[] arguments)
    {
        var start = new ProcessStartInfo(Path.Combine(AppContext.BaseDirectory, "Cli"), arguments) { RedirectStandardOutput = true, RedirectStandardInput = true };
        Process process = Process.Start(start)!;
        process.StandardInput.Close();
        return process;
    }
}
