using Emulator.Memory;

namespace Snapshots.Tests;

public class StoreTests : IDisposable
{
    private const UnixFileMode OthersMode =
        UnixFileMode.GroupRead | UnixFileMode.GroupWrite | UnixFileMode.GroupExecute
        | UnixFileMode.OtherRead | UnixFileMode.OtherWrite | UnixFileMode.OtherExecute;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private readonly TemporaryDirectory directory = new();

    private string StorePath => directory.File("store");

    public void Dispose() => directory.Dispose();

    [Fact]
    public void Archives_are_listed_newest_first_and_found_by_id_prefix_and_age()
    {
        var store = Store.Open(StorePath);
        StoredArchive middle = Write(store, "middle", 2000);
        StoredArchive oldest = Write(store, "oldest", 1000);
        StoredArchive newest = Write(store, "newest", 3000);

        Assert.Equal(["newest", "middle", "oldest"], store.List().Select(a => a.Title));
        Assert.Equal(newest, store.Find("latest") with { Info = newest.Info });
        Assert.Equal("newest", store.Find("-1").Title);
        Assert.Equal("middle", store.Find("-2").Title);
        Assert.Equal("oldest", store.Find("-3").Title);
        Assert.Equal("oldest", store.Find(oldest.Id).Title);
        Assert.Equal("middle", store.Find(UniquePrefix(middle.Id, newest.Id, oldest.Id)).Title);
        Assert.Equal("middle", store.Find(middle.Id.ToUpperInvariant()).Title);
        Assert.Equal((ArchiveState.Whole, DateTimeOffset.FromUnixTimeSeconds(2000)), (middle.State, middle.Time));
        Assert.Equal(new FileInfo(middle.Path).Length, middle.Bytes);
        Assert.Matches("^[0-9a-f]{10}$", middle.Id);
        using ArchiveReader reader = store.OpenArchive(middle.Id);
        Assert.Equal(middle.Id, reader.Info.Id);
    }

    [Theory]
    [InlineData("-4")]
    [InlineData("-0")]
    [InlineData("zz")]
    [InlineData("../a")]
    public void A_name_that_means_nothing_is_an_error_that_says_so(string name)
    {
        var store = Store.Open(StorePath);
        Write(store, "only", 1);

        Assert.Contains(name, Assert.Throws<ArchiveException>(() => store.Find(name)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_prefix_of_two_archives_is_an_error_that_lists_them()
    {
        var store = Store.Open(StorePath);
        string file = Write(store, "only", 1).Path;
        foreach (string id in (string[])["ab12345678", "ab99999999", "ab"])
        {
            File.Copy(file, Path.Combine(StorePath, id + ".kdump"));
        }

        string message = Assert.Throws<ArchiveException>(() => store.Find("a")).Message;
        Assert.Contains("ab, ab12345678, ab99999999", message, StringComparison.Ordinal);
        Assert.Equal("ab", store.Find("ab").Id); // an exact id is never ambiguous
    }

    [Fact]
    public void A_removed_archive_is_gone_but_not_for_who_has_it_open()
    {
        var store = Store.Open(StorePath);
        StoredArchive archive = Write(store, "only", 1);
        using ArchiveReader reader = store.OpenArchive("latest");
        store.Remove(archive.Id);

        Assert.Empty(store.List());
        byte[] page = new byte[4096];
        Assert.Equal(4096, reader.ReadPhysical(3 * 4096, page));
        Assert.Equal(Samples.Page(3), page);
    }

    [Fact]
    public void A_store_that_is_not_there_is_empty_and_appears_when_it_is_written()
    {
        string path = Path.Combine(StorePath, "deep", "below");
        var store = Store.Open(path);

        Assert.Empty(store.List());
        Assert.Throws<ArchiveException>(() => store.Find("latest"));
        Assert.False(Directory.Exists(path));
        Write(store, "first", 1);
        Assert.Single(store.List());

        // A guest's RAM is nobody else's business.
        Assert.Equal(UnixFileMode.None, new DirectoryInfo(path).UnixFileMode & OthersMode);
        Assert.Equal(UnixFileMode.None, new FileInfo(store.Find("-1").Path).UnixFileMode & OthersMode);
    }

    [Fact]
    public void A_damaged_archive_is_listed_as_damaged_with_the_reason()
    {
        var store = Store.Open(StorePath);
        StoredArchive good = Write(store, "good", 1);
        byte[] bytes = File.ReadAllBytes(good.Path);
        File.WriteAllBytes(Path.Combine(StorePath, "dead000000.kdump"), bytes[..^1]);

        StoredArchive damaged = store.List().Single(a => a.State == ArchiveState.Damaged);
        Assert.Equal(("dead000000", bytes.Length - 1), (damaged.Id, (int)damaged.Bytes));
        Assert.Contains("it was cut", damaged.Title, StringComparison.Ordinal);
        store.Remove("dead");
        Assert.Equal("good", Assert.Single(store.List()).Title);
    }

    [Fact]
    public void A_dead_writers_leaving_is_cleared_away_and_a_living_ones_is_not()
    {
        var store = Store.Open(StorePath);
        Write(store, "whole", 1);
        string dead = Path.Combine(StorePath, ".0000000000.partial");
        File.WriteAllText(dead, "half an archive");
        string[] whileWriting = [];
        int listed = -1;
        using Snapshot snapshot = Samples.Snapshot(4 << 20);
        var progress = new Callback(() =>
        {
            File.WriteAllText(dead, "half an archive");
            listed = Store.Open(StorePath).List().Count;
            whileWriting = Directory.GetFiles(StorePath, ".*.partial");
        });
        store.Write(snapshot, progress: progress, cancellation: Cancellation);

        Assert.Equal(1, listed);
        Assert.NotEqual(dead, Assert.Single(whileWriting));
        Assert.Equal(2, store.List().Count);
        Assert.Empty(Directory.GetFiles(StorePath, ".*.partial"));
    }

    [Fact]
    public void A_failed_or_cancelled_write_leaves_nothing_and_lists_nothing()
    {
        var store = Store.Open(StorePath);
        using Snapshot snapshot = Samples.Snapshot(4 << 20);
        using var cancellation = new CancellationTokenSource();
        var cancel = new Callback(cancellation.Cancel);

        Assert.Throws<OperationCanceledException>(() => store.Write(snapshot, progress: cancel, cancellation: cancellation.Token));
        Assert.Empty(store.List());
        Assert.Empty(Directory.GetFiles(StorePath, ".*.partial"));
    }

    [Fact]
    public void A_store_that_vanishes_under_the_writer_is_a_clear_error()
    {
        var store = Store.Open(StorePath);
        using Snapshot snapshot = Samples.Snapshot(4 << 20);
        var vanish = new Callback(() => Directory.Delete(StorePath, recursive: true));

        ArchiveException error = Assert.Throws<ArchiveException>(() => store.Write(snapshot, progress: vanish, cancellation: Cancellation));
        Assert.Contains(StorePath, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_file_where_the_store_should_be_is_a_clear_error()
    {
        File.WriteAllText(StorePath, "no directory");
        var store = Store.Open(StorePath);
        using Snapshot snapshot = Samples.Snapshot();

        Assert.Contains(StorePath, Assert.Throws<ArchiveException>(() => store.Write(snapshot, cancellation: Cancellation)).Message, StringComparison.Ordinal);
        Assert.Contains(StorePath, Assert.Throws<ArchiveException>(() => store.List()).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Writers_readers_and_cleaners_on_one_store_do_not_hurt_each_other()
    {
        Store.Open(StorePath);
        using Snapshot snapshot = Samples.Snapshot();
        using var stop = new CancellationTokenSource();
        Task cleaner = Task.Run(
            () =>
            {
                while (!stop.IsCancellationRequested)
                {
                    Assert.DoesNotContain(Store.Open(StorePath).List(), a => a.State == ArchiveState.Damaged);
                }
            },
            Cancellation);
        string[][] written = await Task.WhenAll(Enumerable.Range(0, 3).Select(_ => Task.Run(
            () => Enumerable.Range(0, 20).Select(_ => Store.Open(StorePath).Write(snapshot).Id).ToArray(), Cancellation)));
        await stop.CancelAsync();
        await cleaner;

        Assert.Equal(written.SelectMany(i => i).Order(), Store.Open(StorePath).List().Select(a => a.Id).Order());
    }

    [Fact]
    public void Pruned_archives_are_counted_once_however_often_and_wherever_the_pruning_was_broken_off()
    {
        var store = Store.Open(StorePath);
        StoredArchive[] alike = [.. Enumerable.Range(0, 6).Select(i => Write(store, "alike", 1000 + i))];
        Write(store, "other", 500);
        byte[] middle = File.ReadAllBytes(alike[3].Path);
        Assert.Equal(4, store.Prune(new KeepRules { CollapseTitles = true }).Count);
        Assert.Empty(store.Prune(new KeepRules { CollapseTitles = true }));

        // Killed between the note and the removal: it is there, and noted.
        File.WriteAllBytes(alike[3].Path, middle);
        Check(6);
        Assert.Equal(alike[3].Id, Assert.Single(store.Prune(new KeepRules { CollapseTitles = true })).Id);
        Check(6);

        // Killed in the middle of a note.
        string log = Path.Combine(StorePath, ".pruned");
        File.WriteAllBytes(log, File.ReadAllBytes(log)[..^20]);
        Check(6); // alike[3] is noted twice, the second time in half
        Write(store, "alike", 2000);
        Assert.Single(store.Prune(new KeepRules { CollapseTitles = true }));
        Check(7);

        void Check(int expected)
        {
            TitleCount count = Store.Open(StorePath).Count(store.List())["alike"];
            Assert.Equal(expected, count.Count);
            Assert.Equal(DateTimeOffset.FromUnixTimeSeconds(1000), count.First);
            Assert.Equal(1, store.Count(store.List())["other"].Count);
        }
    }

    [Fact]
    public void A_long_log_of_what_was_pruned_is_summed_up_and_counts_the_same()
    {
        var store = Store.Open(StorePath);
        string log = Path.Combine(StorePath, ".pruned");
        Write(store, "alike", 3000);
        using (StreamWriter writer = File.CreateText(log))
        {
            for (int i = 0; i < 10_000; i++)
            {
                writer.Write($$"""{"id":"{{i:x10}}","title":"{{(i % 4 == 0 ? "alike" : $"title {i % 5000}")}}","machine":"m","count":1,"first":"2026-05-01T12:00:00+00:00","last":"2026-05-01T12:00:00+00:00"}""" + "\n");
            }

            writer.Write("this is no line\n{}\n");
        }

        Assert.Equal(2501, store.Count(store.List())["alike"].Count);
        Write(store, "alike", 3001);
        Write(store, "alike", 3002);
        Assert.Single(store.Prune(new KeepRules { CollapseTitles = true }));
        Assert.Equal(2503, store.Count(store.List())["alike"].Count);
        Assert.InRange(new FileInfo(log).Length, 1000, ArchiveLimits.PruneLogBytes / 2);
        Assert.InRange(File.ReadLines(log).Count(), 100, ArchiveLimits.PrunedTitles + 1);
    }

    [Fact]
    public void A_machine_is_pruned_without_regard_to_others()
    {
        var store = Store.Open(StorePath);
        foreach (string machine in (string[])["one", "two", "one", "two", "one"])
        {
            using Snapshot snapshot = Samples.Snapshot(64 << 10, info: Samples.Info("alike", 1000) with { MachineName = machine });
            store.Write(snapshot, cancellation: Cancellation);
        }

        Assert.Equal(2, store.Prune(new KeepRules { Archives = 1, Machine = "one" }).Count);
        Assert.Equal(["one", "two", "two"], store.List().Select(a => a.Info!.Capture.MachineName!).Order());
        Assert.Equal((3, 2), (store.Count(store.List(), "one")["alike"].Count, store.Count(store.List(), "two")["alike"].Count));
    }

    [Fact]
    public void An_archive_written_in_haste_is_made_smaller_and_is_the_same()
    {
        var store = Store.Open(StorePath);
        using GuestMemory memory = Samples.Code();
        using var snapshot = new Snapshot(memory.Freeze(), Samples.State(2), Samples.Info());
        StoredArchive before = store.Write(snapshot, new ArchiveWriterOptions { Thorough = false }, cancellation: Cancellation);
        using ArchiveReader open = ArchiveReader.Open(before.Path);
        StoredArchive after = store.Shrink(before.Id, Cancellation)!;

        Assert.InRange(after.Bytes, 1, before.Bytes - 1);
        Assert.Equal(before with { Bytes = after.Bytes, Info = after.Info }, after);
        Assert.True(ArchiveVerifier.Verify(after.Path, cancellation: Cancellation).IsWhole);
        using ArchiveReader now = ArchiveReader.Open(after.Path);
        Assert.Equal(open.Info with { Capture = now.Info.Capture }, now.Info);
        Assert.Equal(snapshot.Info.Vmcoreinfo, now.Capture.Vmcoreinfo);
        Assert.Equal(snapshot.State.Vcpus[1].Gpr, now.State.Vcpus[1].Gpr);
        byte[] one = new byte[4096], other = new byte[4096];
        for (ulong at = 0; at < 0xA0000; at += 4096)
        {
            Assert.Equal(4096, open.ReadPhysical(at, one));
            Assert.Equal(4096, now.ReadPhysical(at, other));
            Assert.Equal(one, other);
        }

        Assert.Equal(after.Bytes, store.Shrink(before.Id, Cancellation)!.Bytes);
        store.Remove(before.Id);
        Assert.Null(store.Shrink(before.Id, Cancellation));
        Assert.Empty(store.List());
        Assert.Empty(Directory.GetFiles(StorePath, ".*.partial"));
    }

    private static StoredArchive Write(Store store, string title, long seconds)
    {
        using Snapshot snapshot = Samples.Snapshot(64 << 10, info: Samples.Info(title, seconds));
        return store.Write(snapshot, cancellation: Cancellation);
    }

    private static string UniquePrefix(string id, params string[] others)
    {
        int length = 1;
        while (others.Any(o => o.StartsWith(id[..length], StringComparison.Ordinal)))
        {
            length++;
        }

        return id[..length];
    }

    private sealed class Callback(Action action) : IProgress<ArchiveProgress>
    {
        private bool done;

        public void Report(ArchiveProgress value)
        {
            if (!done)
            {
                done = true;
                action();
            }
        }
    }
}
