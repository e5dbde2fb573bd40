using System.Net;
using Debugging.Processes;
using Emulator;
using GdbStub.Sessions;
using GdbStub.Targets;
using Microsoft.Extensions.Logging.Abstractions;

namespace Debugging.Tests;

/// <summary>The live machine and a store behind one endpoint.</summary>
public sealed class ProcessTests
{
    [Fact]
    public async Task Gdb_lists_the_machines_and_attaches_to_the_one_it_wants()
    {
        GdbProcess.Require();
        await using LiveMachine live = new(waitForDebugger: true);
        await using GdbListener listener = Listen(new ProcessTargetProvider(live.Runner, new Shelf(), null, new DebugOptions()));
        string output = await GdbProcess.StartAsync("gdb", ["-nx", "-batch", .. new[]
        {
            "set confirm off",
            $"target extended-remote {listener.Endpoint.TargetRemote}",
            "info os processes",
            "p/x $rip",
            "monitor snapshots",
            "detach",
            "attach 3",
            "p/x $rip",
            "set $rax = 5",
            "p $rax",
        }.SelectMany(command => new[] { "-ex", command })]);
        Assert.Matches(@"1 +the live machine", output);
        Assert.Matches(@"2 +Kernel panic - not syncing: first +aaaa +2026-01-02 03:04:05 archived", output);
        Assert.Matches(@"3 +Kernel panic - not syncing: second +bbbb +2026-01-02 03:04:05 archived", output);
        Assert.Matches(@"4 +the header is damaged +cccc +2026-01-02 03:04:05 damaged", output);
        Assert.Contains("$1 = 0xffffffff81000000", output, StringComparison.Ordinal);
        Assert.Contains("'attach N' opens one", output, StringComparison.Ordinal);
        Assert.Contains("$2 = 0xffffffff81000020", output, StringComparison.Ordinal);
        Assert.Contains("$3 = 5", output, StringComparison.Ordinal);
    }

    [Fact]
    public void Numbers_keep_their_meaning_and_what_is_not_there_is_refused()
    {
        var shelf = new Shelf();
        var provider = new ProcessTargetProvider(runner: null, shelf, null, new DebugOptions());
        Assert.False(provider.TryOpen(new NoEvents(), out _, out string? refusal));
        Assert.Contains("'attach N' opens one", refusal, StringComparison.Ordinal);
        Assert.Equal([2, 3, 4], provider.List.Select(process => process.Id));
        shelf.Images.RemoveAt(0);
        Assert.Equal([3, 4], provider.List.Select(process => process.Id));
        shelf.Images.Insert(0, new StoredImage("dddd", "new", DateTimeOffset.UnixEpoch));
        Assert.Equal([5, 3, 4], provider.List.Select(process => process.Id));
        Assert.True(provider.TryAttach(3, new NoEvents(), out IDebugTarget? target, out _));
        Assert.Equal(3, target.ProcessId);
        foreach ((int process, string why) in new[] { (1, "there is no process 1"), (0, "there is no process 0"), (-7, "there is no process"), (99, "there is no process 99"), (4, "the header is damaged"), (2, "aaaa is gone") })
        {
            Assert.False(provider.TryAttach(process, new NoEvents(), out _, out TargetError? error));
            Assert.Contains(why, error!.Text, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void An_image_that_was_named_is_what_a_connection_gets()
    {
        var provider = new ProcessTargetProvider(runner: null, new Shelf(), "bbbb", new DebugOptions());
        Assert.True(provider.TryOpen(new NoEvents(), out IDebugTarget? target, out _));
        Assert.Equal(target.ProcessId, provider.List.Single(process => process.Name.EndsWith("second", StringComparison.Ordinal)).Id);
        target.Dispose();
    }

    private static GdbListener Listen(ITargetProvider provider) =>
        GdbListener.Start(new GdbEndpoint.Tcp(IPAddress.Loopback, 0), provider, NullLogger.Instance);

    private sealed class NoEvents : ITargetEvents
    {
        public void Stopped(StopReport report) => Assert.Fail("an image does not run by itself");
    }

    private sealed class Shelf : IImageStore
    {
        private static readonly DateTimeOffset Time = new(2026, 1, 2, 3, 4, 5, TimeSpan.Zero);

        public List<StoredImage> Images { get; } =
        [
            new("aaaa", "Kernel panic - not syncing: first", Time), new("bbbb", "Kernel panic - not syncing: second", Time),
            new("cccc", "the header is damaged", Time, "the header is damaged"),
        ];

        public IReadOnlyList<StoredImage> List() => [.. Images];

        public OpenedImage Open(string id)
        {
            StoredImage image = Images.Find(one => one.Id == id) ?? throw new IOException($"{id} is gone");
            if (image.Problem is { } problem)
            {
                throw new InvalidDataException(problem);
            }

            var machine = new FakeMachine { StopCause = new MachineExit(MachineExitKind.Reset, 0, 5, ResetCause.KeyboardController) };
            machine.Change(vcpu => vcpu with { Rip = FakeMachine.Crash });
            return new OpenedImage(new CopiedView(machine), null);
        }
    }
}
