using System.Diagnostics;
using System.Text.Json;
using Cli.DemoGuest;
using Cli.Tests.Archives;
using Snapshots;

namespace Cli.Tests.Program;

/// <summary>A run whose store gives it trouble: what was captured is kept until it is on the disk.</summary>
public sealed class StoreTroubleTests : ProgramTests
{
    private readonly TemporaryDirectory directory = new();
    private readonly List<Process> started = [];

    private string Store => Path.Combine(directory.Path, "store");

    public override async ValueTask DisposeAsync()
    {
        started.ForEach(process =>
        {
            process.Kill();
            process.WaitForExit();
        });
        await RunAsync("umount", Store);
        directory.Dispose();
        await base.DisposeAsync();
    }

    [Fact]
    public async Task A_crash_that_finds_the_disk_full_is_written_when_there_is_room()
    {
        await MountAsync("64k");
        IAsyncEnumerator<JsonElement> events = Start("--on-panic exit");
        JsonElement failed = await NextAsync(events, "archive-failed");
        Assert.Contains("No space left on device", failed.GetProperty("message").GetString());
        Assert.DoesNotContain(Directory.GetFiles(Store), file => file.EndsWith(".kdump", StringComparison.Ordinal) || file.EndsWith(".partial", StringComparison.Ordinal));
        Assert.Equal(0, await RunAsync("mount", "-o", "remount,size=64m", Store));
        await NextAsync(events, "archived");
        Assert.Equal(3, (await NextAsync(events, "ended")).GetProperty("exitCode").GetInt32());
        Assert.True(ArchiveVerifier.Verify(Assert.Single(Snapshots.Store.Open(Store).List()).Path, cancellation: TestContext.Current.CancellationToken).IsWhole);
    }

    [Fact]
    public async Task A_full_disk_gives_up_what_the_rules_would_not_have_kept()
    {
        await MountAsync("16m");
        StoredArchive other = SampleImage.WriteTo(Store, "another machine's", 3);
        for (int i = 0; i < 2; i++)
        {
            await NextAsync(Start("--on-panic exit --name demo"), "ended");
        }

        string[] before = [.. Snapshots.Store.Open(Store).List().Select(archive => archive.Id).Where(id => id != other.Id)];
        await File.WriteAllBytesAsync(Path.Combine(Store, "filler"), new byte[new DriveInfo(Store).AvailableFreeSpace - 65536], TestContext.Current.CancellationToken);
        string added = (await NextAsync(Start("--on-panic exit --name demo --keep 2"), "archived")).GetProperty("id").GetString()!;
        Assert.Equal(new[] { added, before[0], other.Id }.Order(), Snapshots.Store.Open(Store).List().Select(archive => archive.Id).Order());
    }

    [Fact]
    public async Task A_store_that_vanished_is_made_again()
    {
        IAsyncEnumerator<JsonElement> events = Start("--on-panic exit --wait", out int debugger);
        Directory.Delete(Store, recursive: true);
        using (var client = new System.Net.Sockets.TcpClient("127.0.0.1", debugger))
        {
            await client.GetStream().WriteAsync("+$D#44"u8.ToArray(), TestContext.Current.CancellationToken);
            await NextAsync(events, "archived");
        }

        Assert.Single(Snapshots.Store.Open(Store).List());
    }

    internal override ValueTask<BuiltProgram> FindAsync() => BuiltProgram.OrdinaryAsync();

    private static async Task<int> RunAsync(string program, params string[] arguments)
    {
        var start = new ProcessStartInfo(program, arguments) { RedirectStandardError = true };
        using Process process = Process.Start(start)!;
        await process.StandardError.ReadToEndAsync();
        await process.WaitForExitAsync();
        return process.ExitCode;
    }

    private static async Task<JsonElement> NextAsync(IAsyncEnumerator<JsonElement> events, string name)
    {
        while (await events.MoveNextAsync())
        {
            if (events.Current.GetProperty("event").GetString() == name)
            {
                return events.Current;
            }
        }

        throw new Xunit.Sdk.XunitException($"the run ended without the event '{name}'");
    }

    private static async IAsyncEnumerable<JsonElement> EventsAsync(Process run)
    {
        while (await run.StandardOutput.ReadLineAsync(TestContext.Current.CancellationToken) is { } line)
        {
            using JsonDocument document = JsonDocument.Parse(line);
            yield return document.RootElement.Clone();
        }
    }

    private async Task MountAsync(string size)
    {
        Directory.CreateDirectory(Store);
        Assert.SkipUnless(await RunAsync("mount", "-t", "tmpfs", "-o", $"size={size}", "tmpfs", Store) == 0, "a small file system cannot be mounted here (it takes root)");
    }

    private IAsyncEnumerator<JsonElement> Start(string options)
    {
        string kernel = Path.Combine(directory.Path, "guest.elf");
        File.WriteAllBytes(kernel, DemoGuestImage.Build());
        Process run = Built.Start($"run --kernel {kernel} --console none --json --store {Store} {options} {(options.Contains("--wait", StringComparison.Ordinal) ? "" : "--gdb none")}");
        started.Add(run);
        run.ErrorDataReceived += (_, _) => { };
        run.BeginErrorReadLine();
        return EventsAsync(run).GetAsyncEnumerator(TestContext.Current.CancellationToken);
    }

    private IAsyncEnumerator<JsonElement> Start(string options, out int debugger)
    {
        IAsyncEnumerator<JsonElement> events = Start(options);
        debugger = int.Parse(NextAsync(events, "gdb").GetAwaiter().GetResult().GetProperty("remote").GetString()!.Split(':')[1], null);
        return events;
    }
}
