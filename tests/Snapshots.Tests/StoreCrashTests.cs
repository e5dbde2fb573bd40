using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Text.Json;
using Emulator.Memory;

namespace Snapshots.Tests;

/// <summary>What power cuts, kill -9 and full disks do to a store.</summary>
public class StoreCrashTests : IDisposable
{
    private const string WriterVariable = "GDBSTUB_TEST_STORE_WRITER";

    private const string Shrunk = "shrunk";

    private static readonly string[] Titles = ["one", "two", "three"];

    private readonly TemporaryDirectory directory = new();

    public void Dispose() => directory.Dispose();

    /// <summary>With the variable set this program is no test run but one that writes, shrinks, imports and prunes in a store until it is killed.</summary>
    [ModuleInitializer]
    internal static void WorkUntilKilled()
    {
        if (Environment.GetEnvironmentVariable(WriterVariable) is not { Length: > 0 } path)
        {
            return;
        }

        using GuestMemory code = Samples.Code();
        Snapshot[] snapshots = [.. Titles.Select(title => new Snapshot(code.Freeze(), Samples.State(), Samples.Info(title)))];
        var inHaste = new ArchiveWriterOptions { Thorough = false };
        string dump = Path.Combine(Path.GetDirectoryName(path)!, $"dump-{Environment.ProcessId}");
        DumpExport.Write(dump, snapshots[0], snapshots[0].Info, ExportFormat.Elf);
        var store = Store.Open(path);
        StoredArchive? written = null;
        for (int turn = 0; ; turn++)
        {
            switch (turn % 5)
            {
                case 1:
                    if (store.Shrink(written!.Id) is { } shrunk && shrunk.Bytes < written.Bytes)
                    {
                        Console.WriteLine(Shrunk);
                    }

                    break;
                case 3:
                    using (IMachineImage image = ImageFile.Open(dump))
                    {
                        Console.WriteLine(store.Write(image, null, image.Capture with { Title = "imported" }).Id);
                    }

                    break;
                case 4:
                    store.Prune(new KeepRules { Archives = 12, CollapseTitles = true });
                    break;
                default:
                    written = store.Write(snapshots[turn % Titles.Length], inHaste);
                    Console.WriteLine(written.Id);
                    break;
            }
        }
    }

    [Fact]
    public async Task Kill_9_at_a_hundred_moments_leaves_only_whole_archives_and_loses_none_that_was_reported()
    {
        var order = new Random(11);
        string path = directory.File("store");
        HashSet<string> reported = [];
        int interrupted = 0, shrunk = 0;
        for (int round = 0; round < 50; round++)
        {
            // Two at a time, on the same store.
            Process[] workers = [.. Enumerable.Range(0, 2).Select(_ => StartWorker(path))];

            // One archive for sure, then somewhere in the middle of what follows.
            foreach (Process worker in workers)
            {
                reported.Add((await worker.StandardOutput.ReadLineAsync(TestContext.Current.CancellationToken))!);
            }

            foreach (Process worker in workers)
            {
                await Task.Delay(order.Next(0, 60), TestContext.Current.CancellationToken);
                worker.Kill();
                string[] lines = (await worker.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken)).Split('\n');
                reported.UnionWith(lines.Where(line => line.Length == 10));
                shrunk += lines.Count(line => line == Shrunk);
                await worker.WaitForExitAsync(TestContext.Current.CancellationToken);
                worker.Dispose();
            }

            interrupted += Directory.GetFiles(path, ".*.partial").Length > 0 ? 1 : 0;
        }

        Assert.InRange(interrupted, 10, 50); // or nothing was ever interrupted
        Assert.InRange(shrunk, 1, 100);
        var store = Store.Open(path);
        Assert.Empty(Directory.GetFiles(path, ".*.partial"));
        IReadOnlyList<StoredArchive> archives = store.List();
        Assert.All(archives, a => Assert.Equal(ArchiveState.Whole, a.State));
        Assert.All(archives, a => Assert.True(ArchiveVerifier.Verify(a.Path, cancellation: TestContext.Current.CancellationToken).IsWhole));

        // What is not there any more was pruned, and is noted; and each crash counts once.
        HashSet<string> known = [.. archives.Select(a => a.Id), .. File.ReadLines(Path.Combine(path, ".pruned")).SelectMany(IdsOf)];
        Assert.Empty(reported.Except(known));
        Assert.Equal(known.Count, store.Count(archives).Values.Sum(count => count.Count));
        Assert.InRange(archives.Count, 1, 12 + 100);
        Assert.True(known.Count > archives.Count, "nothing was pruned");
        store.Prune(new KeepRules { Archives = 12, CollapseTitles = true });
        Assert.InRange(store.List().Count, 4, 8); // the first and the last of four titles
        Assert.Equal(known.Count, store.Count(store.List()).Values.Sum(count => count.Count));
    }

    [Fact]
    public async Task A_full_disk_can_still_be_pruned_and_an_export_to_it_leaves_nothing()
    {
        string mount = await MountOrSkipAsync("full", "3m");

        try
        {
            using Snapshot snapshot = Samples.Snapshot(1 << 20);
            var store = Store.Open(mount);
            for (int i = 0; i < 4; i++)
            {
                store.Write(snapshot, cancellation: TestContext.Current.CancellationToken);
            }

            Assert.Contains("No space left on device", Assert.Throws<IOException>(() => Fill(Path.Combine(mount, "filler"))).Message, StringComparison.Ordinal);

            foreach (ExportFormat format in Enum.GetValues<ExportFormat>())
            {
                string dump = Path.Combine(mount, "dump");
                Assert.Contains("No space left on device", Assert.Throws<ArchiveException>(
                    () => DumpExport.Write(dump, snapshot, snapshot.Info, format, cancellation: TestContext.Current.CancellationToken)).Message, StringComparison.Ordinal);
                Assert.DoesNotContain(Directory.GetFiles(mount), file => Path.GetFileName(file).StartsWith("dump", StringComparison.Ordinal));
            }

            Assert.Equal(3, store.Prune(new KeepRules { Archives = 1 }).Count);
            Assert.Equal(4, store.Count(store.List()).Values.Single().Count);
            store.Write(snapshot, cancellation: TestContext.Current.CancellationToken);
            Assert.Equal(5, store.Count(store.List()).Values.Single().Count);
        }
        finally
        {
            await RunAsync("umount", mount);
        }
    }

    [Fact]
    public async Task A_full_disk_is_a_clear_error_and_leaves_nothing_behind()
    {
        string mount = await MountOrSkipAsync("small", "2m");

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
        string mount = await MountOrSkipAsync("readonly", "8m");

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

    private static void Fill(string path)
    {
        using var filler = new FileStream(path, FileMode.Create, FileAccess.Write, FileShare.None, bufferSize: 0);
        byte[] block = new byte[4096];
        while (true)
        {
            filler.Write(block);
        }
    }

    private static Process StartWorker(string path)
    {
        var start = new ProcessStartInfo(Path.Combine(AppContext.BaseDirectory, "Snapshots.Tests")) { RedirectStandardOutput = true };
        start.Environment[WriterVariable] = path;
        return Process.Start(start)!;
    }

    // A line cut short has no ids that count.
    private static IEnumerable<string> IdsOf(string line)
    {
        try
        {
            using JsonDocument document = JsonDocument.Parse(line);
            return [document.RootElement.GetProperty("id").GetString()!];
        }
        catch (JsonException)
        {
            return [];
        }
    }

    // A file system of so many bytes.
    private async Task<string> MountOrSkipAsync(string name, string size)
    {
        string mount = directory.File(name);
        Directory.CreateDirectory(mount);
        if (await RunAsync("mount", "-t", "tmpfs", "-o", $"size={size}", "tmpfs", mount) != 0)
        {
            Assert.Skip("a small file system cannot be mounted here (it takes root)");
        }

        return mount;
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
