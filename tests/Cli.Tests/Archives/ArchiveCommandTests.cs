using System.Diagnostics;
using System.Text;
using System.Text.Json;
using Cli.Tests.Program;
using Snapshots;

namespace Cli.Tests.Archives;

/// <summary>The ordinary build's commands about archives.</summary>
public sealed class OrdinaryArchiveCommandTests : ArchiveCommandTests
{
    internal override ValueTask<BuiltProgram> FindAsync() => BuiltProgram.OrdinaryAsync();
}

/// <summary>The native program's.</summary>
public sealed class NativeArchiveCommandTests : ArchiveCommandTests
{
    internal override ValueTask<BuiltProgram> FindAsync() => BuiltProgram.NativeAsync();
}

/// <summary>The commands about archives, run as scripts run them.</summary>
public abstract class ArchiveCommandTests : ProgramTests
{
    private readonly TemporaryDirectory store = new();
    private readonly StoredArchive older;
    private readonly StoredArchive newer;

    protected ArchiveCommandTests()
    {
        older = SampleImage.WriteTo(store.Path, "Kernel panic - not syncing: older", 1);
        newer = SampleImage.WriteTo(store.Path, "Kernel panic - not syncing: newer", 2);
    }

    public override ValueTask DisposeAsync()
    {
        store.Dispose();
        return base.DisposeAsync();
    }

    [Fact]
    public async Task An_empty_store_is_an_empty_array_and_no_error()
    {
        using var empty = new TemporaryDirectory();
        (int code, string output, _) = await Built.RunAsync($"ls --json --store {empty.Path}");
        Assert.Equal(0, code);
        Assert.Equal("[]", output.Trim());
        (code, output, string error) = await Built.RunAsync($"ls --store {empty.Path}");
        Assert.Equal((0, "", $"no archives in {empty.Path}\n"), (code, output, error));
    }

    [Fact]
    public async Task A_list_has_the_newest_first()
    {
        (int code, string output, string error) = await Built.RunAsync($"ls --store {store.Path}");
        Assert.Equal((0, ""), (code, error));
        string[] lines = output.TrimEnd('\n').Split('\n');
        Assert.Equal(3, lines.Length);
        Assert.StartsWith("ID ", lines[0]);
        Assert.StartsWith(newer.Id, lines[1]);
        Assert.EndsWith("  whole  sample   6.1.0-test      1  Kernel panic - not syncing: newer", lines[1]);
        Assert.StartsWith(older.Id, lines[2]);
    }

    [Fact]
    public async Task The_list_in_JSON_names_what_scripts_rely_on()
    {
        (int code, string output, _) = await Built.RunAsync($"ls --json --store {store.Path}");
        Assert.Equal(0, code);
        using JsonDocument json = JsonDocument.Parse(output);
        Assert.Equal(2, json.RootElement.GetArrayLength());
        JsonElement first = json.RootElement[0];
        Assert.Equal(newer.Id, first.GetProperty("id").GetString());
        Assert.Equal("Kernel panic - not syncing: newer", first.GetProperty("title").GetString());
        Assert.Equal(new DateTimeOffset(2026, 5, 1, 12, 0, 2, TimeSpan.Zero), first.GetProperty("time").GetDateTimeOffset());
        Assert.Equal(new FileInfo(newer.Path).Length, first.GetProperty("bytes").GetInt64());
        Assert.Equal("whole", first.GetProperty("state").GetString());
        Assert.Equal(newer.Path, first.GetProperty("path").GetString());
        Assert.Equal("panic", first.GetProperty("kind").GetString());
        Assert.Equal("6.1.0-test", first.GetProperty("release").GetString());
    }

    [Theory]
    [InlineData("latest")]
    [InlineData("-1")]
    public async Task The_newest_has_names_of_its_own(string name)
    {
        (int code, string output, string error) = await Built.RunAsync($"show {name} --store {store.Path}");
        Assert.Equal((0, ""), (code, error));
        Assert.StartsWith("title:        Kernel panic - not syncing: newer\n", output);
        Assert.Contains($"id:           {newer.Id}\n", output);
        Assert.Contains("memory:       896K\n", output);
        Assert.Contains("\nCPU 0 (crashed), real mode\nrip 0000000000007c42\n", output);
        Assert.Contains("\nrax     0000000000001000  rbx     0000000000001003  rcx     0000000000001001", output);
        Assert.Contains("release:      6.1.0-test\n", output);
    }

    [Fact]
    public async Task The_one_before_and_the_beginning_of_an_ID_are_names_too()
    {
        (int code, string output, _) = await Built.RunAsync($"show -2 --json --store {store.Path}");
        Assert.Equal(0, code);
        using JsonDocument json = JsonDocument.Parse(output);
        Assert.Equal(older.Id, json.RootElement.GetProperty("id").GetString());
        Assert.Equal("first line\n\u001b[31mred\u0007\n", json.RootElement.GetProperty("panicText").GetString());
        Assert.Equal(917504, json.RootElement.GetProperty("memoryBytes").GetInt64());
        (code, output, _) = await Built.RunAsync($"show {older.Id[..^1]} --store {store.Path}");
        Assert.Equal(0, code);
        Assert.Contains(older.Id, output);
    }

    [Fact]
    public async Task What_a_guest_said_cannot_command_the_terminal()
    {
        (_, string output, _) = await Built.RunAsync($"show latest --store {store.Path}");
        Assert.Contains("\nlog\n  first line\n  ?[31mred?\n", output);
    }

    [Fact]
    public async Task A_whole_archive_is_verified_and_a_damaged_one_named_an_error()
    {
        (int code, string output, string error) = await Built.RunAsync($"verify {newer.Path}");
        Assert.Equal((0, ""), (code, error));
        Assert.StartsWith($"{newer.Path}: whole (224 pages, ", output);

        byte[] bytes = File.ReadAllBytes(older.Path);
        bytes[bytes.Length * 3 / 4] ^= 1;
        File.WriteAllBytes(older.Path, bytes);
        (code, output, error) = await Built.RunAsync($"verify {older.Id} --store {store.Path}");
        Assert.Equal(1, code);
        Assert.Contains("offset 0x", output);
        Assert.StartsWith($"gdbstub: {older.Path} is damaged in ", error);
        Assert.Equal(1, error.Count(letter => letter == '\n'));
    }

    [Fact]
    public async Task A_truncated_archive_is_listed_as_damaged_and_not_served()
    {
        using (FileStream file = File.OpenWrite(newer.Path))
        {
            file.SetLength(1000);
        }

        (int code, string output, _) = await Built.RunAsync($"ls --store {store.Path}");
        Assert.Equal(0, code);
        Assert.Contains($"{newer.Id}  ", output);
        Assert.Contains("  damaged  ", output);
        (code, _, string error) = await Built.RunAsync($"serve {newer.Id} --store {store.Path}");
        Assert.Equal(1, code);
        Assert.Contains(newer.Path, error);
        Assert.Equal(1, error.Count(letter => letter == '\n'));
    }

    [Theory]
    [InlineData("-1", "newer")]
    [InlineData("-n 1", "newer")]
    [InlineData("-n 0", "")]
    [InlineData("--title OLDER", "older")]
    [InlineData("--machine sample --release 6.1", "newer older")]
    [InlineData("--machine other", "")]
    [InlineData("--release 5", "")]
    [InlineData("--since 2026-05-01T12:00:02Z", "newer")]
    [InlineData("--since 2026-05-02", "")]
    public async Task A_list_can_be_narrowed(string options, string expected)
    {
        (int code, string output, _) = await Built.RunAsync($"ls --json {options} --store {store.Path}");
        Assert.Equal(0, code);
        using JsonDocument json = JsonDocument.Parse(output);
        Assert.Equal(expected, string.Join(' ', json.RootElement.EnumerateArray().Select(a => a.GetProperty("title").GetString()!.Split(' ')[^1])));
    }

    [Fact]
    public async Task Pruning_keeps_what_it_was_told_and_tells_what_goes()
    {
        (int code, string output, _) = await Built.RunAsync($"prune --keep 1 --dry-run --store {store.Path}");
        Assert.Equal((0, $"would remove {older.Id}: Kernel panic - not syncing: older\n"), (code, output));
        (code, output, _) = await Built.RunAsync($"prune --keep 1 --store {store.Path}");
        Assert.Equal((0, $"removed {older.Id}: Kernel panic - not syncing: older\n"), (code, output));
        Assert.Equal([newer.Id], Store.Open(store.Path).List().Select(archive => archive.Id));
    }

    [Fact]
    public async Task What_was_pruned_still_counts_and_machines_are_pruned_apart()
    {
        for (int second = 3; second < 7; second++)
        {
            SampleImage.WriteTo(store.Path, "Kernel panic - not syncing: newer", second);
        }

        (int code, string output, _) = await Built.RunAsync($"prune --keep-per-title --machine other --store {store.Path}");
        Assert.Equal((0, ""), (code, output));
        (code, output, _) = await Built.RunAsync($"prune --keep-per-title --machine sample --store {store.Path}");
        Assert.Equal((0, 3), (code, output.Count(letter => letter == '\n')));
        (code, output, _) = await Built.RunAsync($"ls --group --json --store {store.Path}");
        Assert.Equal(0, code);
        using JsonDocument json = JsonDocument.Parse(output);
        JsonElement group = json.RootElement[0];
        Assert.Equal(("Kernel panic - not syncing: newer", 5), (group.GetProperty("title").GetString(), group.GetProperty("count").GetInt32()));
        Assert.Equal(2, group.GetProperty("archives").GetArrayLength());
        Assert.Equal((2, 6), (group.GetProperty("first").GetDateTimeOffset().Second, group.GetProperty("last").GetDateTimeOffset().Second));
        Assert.Equal(1, json.RootElement[1].GetProperty("count").GetInt32());
        (_, output, _) = await Built.RunAsync($"ls --group --store {store.Path}");
        Assert.Matches("^COUNT  FIRST .*\n    5  2026-05-01 .*  Kernel panic - not syncing: newer\n    1  ", output);
    }

    [Fact]
    public async Task An_exported_machine_is_shown_and_imported_again()
    {
        using var other = new TemporaryDirectory();
        string vmcore = Path.Combine(other.Path, "vmcore");
        (int code, string output, string error) = await Built.RunAsync($"export latest -o {vmcore} --store {store.Path}");
        Assert.Equal((0, ""), (code, error));
        Assert.StartsWith($"wrote {vmcore} (", output);
        (code, output, _) = await Built.RunAsync($"show {vmcore} --json");
        Assert.Equal(0, code);
        using JsonDocument json = JsonDocument.Parse(output);
        Assert.Equal(917504, json.RootElement.GetProperty("memoryBytes").GetInt64());
        (code, output, error) = await Built.RunAsync($"import {vmcore} --store {other.Path}/store");
        Assert.Equal((0, ""), (code, error));
        StoredArchive imported = Assert.Single(Store.Open(other.Path + "/store").List());
        Assert.Equal($"imported {imported.Id}: dump vmcore\n", output);
        using ArchiveReader reader = ArchiveReader.Open(imported.Path);
        using ArchiveReader original = ArchiveReader.Open(newer.Path);
        byte[] expected = new byte[0xA0000], actual = new byte[0xA0000];
        Assert.Equal(original.ReadPhysical(0, expected), reader.ReadPhysical(0, actual));
        Assert.Equal(expected, actual);
        Assert.Equal(original.Vcpus[0].Gpr, reader.Vcpus[0].Gpr);
    }

    [Fact]
    public async Task Removing_takes_one_and_leaves_the_other()
    {
        (int code, string output, _) = await Built.RunAsync($"rm latest --store {store.Path}");
        Assert.Equal((0, $"removed {newer.Id}: Kernel panic - not syncing: newer\n"), (code, output));
        Assert.Equal([older.Id], Store.Open(store.Path).List().Select(archive => archive.Id));
    }

    [Fact]
    public async Task An_archive_is_served_on_standard_input_and_output()
    {
        using Process server = Built.Start($"serve latest --gdb stdio --store {store.Path}");
        await server.StandardInput.WriteAsync("+$?#3f");
        await server.StandardInput.FlushAsync(TestContext.Current.CancellationToken);
        var answer = new StringBuilder();
        char[] letter = new char[1];
        while (!answer.ToString().Contains('#') && await server.StandardOutput.ReadAsync(letter, TestContext.Current.CancellationToken) == 1)
        {
            answer.Append(letter[0]);
        }

        Assert.Contains("$T06", answer.ToString());
        server.StandardInput.Close();
        await server.WaitForExitAsync(TestContext.Current.CancellationToken);
        Assert.Equal((0, ""), (server.ExitCode, await server.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken)));
    }

    [Fact]
    public async Task A_server_says_where_it_listens_and_ends_in_good_order_on_a_signal()
    {
        using Process server = Built.Start($"serve latest --store {store.Path}");
        string line = (await server.StandardError.ReadLineAsync(TestContext.Current.CancellationToken))!;
        Assert.Matches("^gdb: target remote 127\\.0\\.0\\.1:[1-9][0-9]*$", line);
        using (Process kill = Process.Start("kill", ["-TERM", $"{server.Id}"]))
        {
            await kill.WaitForExitAsync(TestContext.Current.CancellationToken);
        }

        await server.WaitForExitAsync(TestContext.Current.CancellationToken);
        Assert.Equal(0, server.ExitCode);
    }

    [Fact]
    public async Task Debug_is_gdb_on_the_archive_with_the_arguments_given()
    {
        Assert.SkipUnless(File.Exists("/usr/bin/gdb"), "gdb is not installed");
        (int code, string output, string error) = await Built.RunAsync(
            $"debug latest --store {store.Path} -- -batch -nx -ex print/x$rip -ex continue -ex print/x$rbx");
        Assert.Equal(0, code);
        Assert.Contains("$1 = 0x7c42\n", output);
        Assert.Contains("nothing that could run", error);
        Assert.Contains("$2 = 0x1003\n", output);
    }
}
