using System.Diagnostics;
using System.Runtime.CompilerServices;

namespace Snapshots.Tests;

/// <summary>What power cuts, kill -9 and full disks do to a store.</summary>
public class StoreCrashTests : IDisposable
{
    private const string WriterVariable = "GDBSTUB_TEST_STORE_WRITER";

    private readonly TemporaryDirectory directory = new();

    public void Dispose() => directory.Dispose();

    /// <summary>With the variable set this program is no test run but a writer that fills a store until it is killed.</summary>
    [ModuleInitializer]
    internal static void WriteUntilKilled()
    {
        if (Environment.GetEnvironmentVariable(WriterVariable) is not { Length: > 0 } path)
        {
            return;
        }

        using Snapshot snapshot = Samples.Snapshot(4 << 20);
        var store = Store.Open(path);
        while (true)
        {
            Console.WriteLine(store.Write(snapshot).Id);
        }
    }

    [Fact]
    public async Task Kill_9_at_any_moment_leaves_only_whole_archives_and_loses_none_that_was_reported()
    {
        var order = new Random(11);
        List<string> reported = [];
        for (int round = 0; round < 12; round++)
        {
            var start = new ProcessStartInfo(Path.Combine(AppContext.BaseDirectory, "Snapshots.Tests")) { RedirectStandardOutput = true };
            start.Environment[WriterVariable] = directory.Path;
            using Process writer = Process.Start(start)!;

            // One archive for sure, then somewhere in the middle of what follows.
            reported.Add((await writer.StandardOutput.ReadLineAsync(TestContext.Current.CancellationToken))!);
            await Task.Delay(order.Next(0, 60), TestContext.Current.CancellationToken);
            writer.Kill();
            reported.AddRange((await writer.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken))
                .Split('\n').Where(line => line.Length == 10));
            await writer.WaitForExitAsync(TestContext.Current.CancellationToken);
        }

        Assert.NotEmpty(Directory.GetFiles(directory.Path, ".*.partial")); // or nothing was ever interrupted
        var store = Store.Open(directory.Path);
        Assert.Empty(Directory.GetFiles(directory.Path, ".*.partial"));
        IReadOnlyList<StoredArchive> archives = store.List();
        Assert.All(archives, a => Assert.Equal(ArchiveState.Whole, a.State));
        Assert.All(archives, a => Assert.True(ArchiveVerifier.Verify(a.Path, cancellation: TestContext.Current.CancellationToken).IsWhole));
        Assert.Empty(reported.Except(archives.Select(a => a.Id)));
    }

    [Fact]
    public async Task A_full_disk_is_a_clear_error_and_leaves_nothing_behind()
    {
        string mount = directory.File("small");
        Directory.CreateDirectory(mount);
        if (await RunAsync("mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", mount) != 0)
        {
            Assert.Skip("a small file system cannot be mounted here (it takes root)");
        }

        try
        {
            using Snapshot large = Samples.Snapshot(16 << 20);
            using Snapshot small = Samples.Snapshot(1 << 20);
            var store = Store.Open(mount);
            StoredArchive kept = store.Write(small, cancellation: TestContext.Current.CancellationToken);

            ArchiveException error = Assert.Throws<ArchiveException>(
                () => store.Write(large, cancellation: TestContext.Current.CancellationToken));
            Assert.Contains("No space left on device", error.Message, StringComparison.Ordinal);
            Assert.Contains(mount, error.Message, StringComparison.Ordinal);
            Assert.Empty(Directory.GetFiles(mount, ".*.partial"));
            Assert.Equal(kept.Id, Assert.Single(store.List()).Id);
            Assert.True(ArchiveVerifier.Verify(kept.Path, cancellation: TestContext.Current.CancellationToken).IsWhole);
        }
        finally
        {
            await RunAsync("umount", mount);
        }
    }

    [Fact]
    public async Task A_read_only_store_serves_what_it_has_and_says_why_it_takes_nothing()
    {
        string mount = directory.File("readonly");
        Directory.CreateDirectory(mount);
        if (await RunAsync("mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", mount) != 0)
        {
            Assert.Skip("a small file system cannot be mounted here (it takes root)");
        }

        try
        {
            using Snapshot snapshot = Samples.Snapshot();
            StoredArchive kept = Store.Open(mount).Write(snapshot, cancellation: TestContext.Current.CancellationToken);
            File.WriteAllText(Path.Combine(mount, ".0000000000.partial"), "half an archive");
            Assert.Equal(0, await RunAsync("mount", "-o", "remount,ro", mount));

            var store = Store.Open(mount);
            Assert.Equal(kept.Id, Assert.Single(store.List()).Id);
            Assert.Contains(
                "Read-only file system",
                Assert.Throws<ArchiveException>(() => store.Write(snapshot, cancellation: TestContext.Current.CancellationToken)).Message,
                StringComparison.Ordinal);
            Assert.Contains(
                "ead-only", Assert.Throws<ArchiveException>(() => store.Remove("latest")).Message, StringComparison.Ordinal);
        }
        finally
        {
            await RunAsync("umount", mount);
        }
    }

    private static async Task<int> RunAsync(string program, params string[] arguments)
    {
        var start = new ProcessStartInfo(program, arguments) { RedirectStandardError = true };
        using Process process = Process.Start(start)!;
        await process.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
        await process.WaitForExitAsync(TestContext.Current.CancellationToken);
        return process.ExitCode;
    }
}
