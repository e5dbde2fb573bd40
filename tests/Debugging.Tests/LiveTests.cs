using System.Net;
using Debugging.Live;
using Emulator;
using GdbStub.Sessions;
using GdbStub.Targets;
using Microsoft.Extensions.Logging.Abstractions;

namespace Debugging.Tests;

/// <summary>A live machine over the protocol, without gdb between.</summary>
public sealed class LiveTests
{
    private const string Rip = "10", Rax = "0";

    [Fact]
    public async Task A_machine_runs_until_a_debugger_attaches_and_runs_on_when_it_leaves()
    {
        await using LiveMachine live = new();
        await using GdbListener listener = Listen(live.Provider);
        await Until(() => live.Machine.Runs > 0);
        ulong count;
        using (RspClient client = RspClient.Connect(listener.Endpoint))
        {
            Assert.StartsWith("T05thread:1;", client.Ask("?"));
            count = live.Machine.InstructionCount;
            Assert.Equal(client.Ask("g"), client.Ask("g"));
            Assert.Equal(count, live.Machine.InstructionCount);
            Assert.True(live.Runner.HasDebugger);
            Assert.Equal("OK", client.Ask("D"));
        }

        await Until(() => live.Runner.Inspect(view => view.InstructionCount) > count);
    }

    [Fact]
    public async Task A_connection_without_a_word_does_not_stop_the_machine()
    {
        await using LiveMachine live = new();
        await using GdbListener listener = Listen(live.Provider);
        var endpoint = (GdbEndpoint.Tcp)listener.Endpoint;
        using var socket = new System.Net.Sockets.TcpClient();
        await socket.ConnectAsync(endpoint.Address, endpoint.Port, TestContext.Current.CancellationToken);
        await Until(() => live.Machine.Runs > 0);
        Assert.False(live.Runner.HasDebugger);
    }

    [Fact]
    public async Task A_debugger_that_vanishes_leaves_no_breakpoints_and_a_running_machine()
    {
        await using LiveMachine live = new(waitForDebugger: true);
        await using GdbListener listener = Listen(live.Provider);
        foreach (bool running in new[] { false, true })
        {
            using (RspClient client = RspClient.Connect(listener.Endpoint))
            {
                client.Ask($"Z0,{FakeMachine.Code + 0x0A:x},1");
                client.Ask($"Z2,{FakeMachine.Data + 0x100:x},4");
                client.Send("c");
                Assert.StartsWith("T05thread:1;", client.Receive());
                Assert.Single(live.Machine.Breakpoints);
                Assert.Single(live.Machine.Watchpoints);
                if (running)
                {
                    client.Ask($"z0,{FakeMachine.Code + 0x0A:x},1");
                    client.Send("c");
                }
            }

            await Until(() => !live.Runner.HasDebugger);
            ulong count = live.Runner.Inspect(view => view.InstructionCount);
            await Until(() => live.Runner.Inspect(view => view.InstructionCount) > count);
            Assert.Empty(live.Machine.Breakpoints);
            Assert.Empty(live.Machine.Watchpoints);
        }
    }

    [Theory]
    [InlineData("Z0,ffffffff8100000a,1", "swbreak:;", "0a000081ffffffff")]
    [InlineData("Z1,ffffffff8100000a,1", "hwbreak:;", "0a000081ffffffff")]
    [InlineData("Z2,ffffffff81200000,8", "watch:ffffffff81200000;", "07000081ffffffff")]
    [InlineData("Z3,ffffffff81200000,1", "rwatch:ffffffff81200000;", "0a000081ffffffff")]
    [InlineData("Z4,ffffffff81200004,2", "awatch:ffffffff81200004;", "07000081ffffffff")]
    [InlineData("Z2,ffffffff811fff00,104", "watch:ffffffff81200000;", "07000081ffffffff")]
    public async Task A_stop_names_its_reason_and_place(string packet, string reason, string pc)
    {
        await using LiveMachine live = new(waitForDebugger: true);
        await using GdbListener listener = Listen(live.Provider);
        using RspClient client = RspClient.Connect(listener.Endpoint);
        client.Ask("qSupported:swbreak+;hwbreak+");
        Assert.Equal("OK", client.Ask(packet));
        Assert.Empty(live.Machine.Breakpoints);
        string stop = client.Ask("vCont;c");
        Assert.StartsWith("T05thread:1;" + reason, stop);
        Assert.Equal(pc, client.Ask("p" + Rip));
        Assert.Contains($"10:{pc};", stop, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Steps_are_single_instructions()
    {
        await using LiveMachine live = new(waitForDebugger: true);
        await using GdbListener listener = Listen(live.Provider);
        using RspClient client = RspClient.Connect(listener.Endpoint);
        foreach (string pc in new[] { "01", "04", "07", "0a", "0b", "00", "01" })
        {
            Assert.StartsWith("T05thread:1;", client.Ask("vCont;s:1"));
            Assert.Equal(pc + "000081ffffffff", client.Ask("p" + Rip));
        }

        Assert.Equal(7UL, live.Machine.InstructionCount);
    }

    [Fact]
    public async Task An_interrupt_stops_a_running_machine_with_one_reply()
    {
        await using LiveMachine live = new(waitForDebugger: true);
        await using GdbListener listener = Listen(live.Provider);
        using RspClient client = RspClient.Connect(listener.Endpoint);
        for (int i = 0; i < 50; i++)
        {
            // Sometimes before the machine set out, sometimes after: both end in one stop.
            client.Send("c");
            client.SendRaw(i % 2 == 0 ? "\x03" : "\x03\x03");
            Assert.StartsWith("T02thread:1;", client.Receive());
            Assert.Equal("QC1", client.Ask("qC"));
        }
    }

    [Fact]
    public async Task A_second_debugger_observes_and_is_told_that_it_does()
    {
        int quits = 0;
        await using LiveMachine live = new(waitForDebugger: true, new DebugOptions { Quit = () => $"{++quits} ended\n" });
        await using GdbListener listener = Listen(live.Provider);
        using RspClient first = RspClient.Connect(listener.Endpoint);
        first.Ask("?");
        using RspClient second = RspClient.Connect(listener.Endpoint);
        Assert.Equal(first.Ask("g"), second.Ask("g"));
        Assert.StartsWith("E.another debugger controls this machine", second.Ask("c"));
        Assert.StartsWith("E.another debugger controls this machine", second.Ask("P0=0000000000000000"));
        Assert.Equal("", second.Ask("Z0,0,1"));
        Assert.StartsWith("this machine cannot be started again from here", second.Monitor("reset"), StringComparison.Ordinal);
        foreach (string command in new[] { "quit", "nmi", "power", "step into" })
        {
            Assert.StartsWith("this machine does not take that from here", second.Monitor(command), StringComparison.Ordinal);
        }

        Assert.Equal("1 ended\n", first.Monitor("quit"));

        // While the machine runs for the first, the second still reads, and the first is not told of it.
        first.Send("c");
        await Until(() => live.Machine.Runs > 0);
        for (int i = 0; i < 20; i++)
        {
            Assert.Equal("6b65726e656c2064617461", second.Ask($"m{FakeMachine.Data + 0x100:x},b"));
            Assert.Equal(16, second.Ask("p" + Rax).Length);
        }

        first.SendRaw("\x03");
        Assert.StartsWith("T02", first.Receive());
    }

    [Fact]
    public async Task A_breakpoint_is_not_lost_to_an_observers_look()
    {
        await using LiveMachine live = new(waitForDebugger: true);
        await using GdbListener listener = Listen(live.Provider);
        using RspClient client = RspClient.Connect(listener.Endpoint);
        client.Ask($"Z0,{FakeMachine.Code + 0x0A:x},1");
        for (int i = 1; i < 200; i++)
        {
            client.Send("c");
            live.Runner.Inspect(view => view.InstructionCount);
            client.Receive();
            byte[] rax = BitConverter.GetBytes(0x1000UL + (ulong)i);
            Assert.Equal(Convert.ToHexStringLower(rax), client.Ask("p" + Rax));
        }
    }

    [Fact]
    public async Task The_trap_is_a_stop_and_the_frozen_machine_outlives_its_debuggers()
    {
        await using LiveMachine live = new(waitForDebugger: true);
        await using GdbListener listener = Listen(live.Provider);
        using (RspClient client = RspClient.Connect(listener.Endpoint))
        {
            Crash(client);
            Assert.StartsWith("T06thread:1;", client.Ask("c"));
            Assert.Equal("E.the machine is frozen at its panic; 'monitor reset' starts it again", client.Ask("c"));
            Assert.Equal("E.the machine is frozen at its panic; 'monitor reset' starts it again", client.Ask("vCont;s:1"));
            client.Send("k");
        }

        await Until(() => !live.Runner.HasDebugger);
        Assert.True(live.Runner.IsFrozen);
        using RspClient next = RspClient.Connect(listener.Endpoint);
        Assert.StartsWith("T06thread:1;", next.Ask("?"));
        Assert.Equal("20000081ffffffff", next.Ask("p" + Rip));
        Assert.Equal("the guest was started again and stands at its first instruction; 'maintenance flush register-cache' makes gdb look again\n", next.Monitor("reset"));
        Assert.False(live.Runner.IsFrozen);
        Assert.Equal("00000081ffffffff", next.Ask("p" + Rip));
        Assert.StartsWith("T05thread:1;", next.Ask("s"));
        Assert.Equal([MachineExitKind.Reset], live.Exits);
    }

    [Fact]
    public async Task A_machine_that_freezes_alone_shows_its_trap_to_who_comes_later()
    {
        await using LiveMachine live = new(waitForDebugger: true);
        await using GdbListener listener = Listen(live.Provider);
        using (RspClient client = RspClient.Connect(listener.Endpoint))
        {
            Crash(client);
            client.Ask("D");
        }

        await Until(() => live.Runner.IsFrozen);
        using RspClient later = RspClient.Connect(listener.Endpoint);
        Assert.StartsWith("T06thread:1;", later.Ask("?"));
    }

    [Fact]
    public async Task A_guest_that_is_started_again_at_once_keeps_the_debugger_waiting_and_its_breakpoints()
    {
        await using LiveMachine live = new(waitForDebugger: true);
        live.Decide = owner => TrapDecision.RunOn(owner.Restart(owner.Machine));
        await using GdbListener listener = Listen(live.Provider);
        using RspClient client = RspClient.Connect(listener.Endpoint);
        Crash(client);
        client.Ask($"Z0,{FakeMachine.Code + 0x0A:x},1");
        Assert.StartsWith("T05thread:1;", client.Ask("c"));
        Assert.Equal(1, live.Restarts);
        Assert.Equal("0a000081ffffffff", client.Ask("p" + Rip));
    }

    [Fact]
    public async Task A_debugger_may_look_before_the_guest_is_started_again()
    {
        await using LiveMachine live = new(waitForDebugger: true);
        live.Decide = owner => TrapDecision.StopThenRunOn(() => owner.Restart(owner.Machine));
        await using GdbListener listener = Listen(live.Provider);
        using RspClient client = RspClient.Connect(listener.Endpoint);
        Crash(client);
        Assert.StartsWith("T06thread:1;", client.Ask("c"));
        Assert.Equal("20000081ffffffff", client.Ask("p" + Rip));
        Assert.Equal(0, live.Restarts);
        client.Ask($"Z0,{FakeMachine.Code + 0x0A:x},1");
        Assert.StartsWith("T05thread:1;", client.Ask("C06"));
        Assert.Equal(1, live.Restarts);

        // With nobody to look, it goes on at once.
        Crash(client);
        client.Ask("D");
        await Until(() => live.Restarts == 2 && live.Machine.Runs > 0);
    }

    [Fact]
    public async Task The_end_of_the_run_is_told_to_who_waits()
    {
        await using LiveMachine live = new(waitForDebugger: true);
        live.Decide = _ => TrapDecision.End(3);
        await using GdbListener listener = Listen(live.Provider);
        using RspClient client = RspClient.Connect(listener.Endpoint);
        Crash(client);
        Assert.Equal("W03", client.Ask("c"));
        Assert.Equal(MachineExitKind.Reset, (await live.Ended)?.Kind);
    }

    [Fact]
    public async Task Ending_the_run_from_outside_releases_everybody()
    {
        LiveMachine live = new(waitForDebugger: true);
        await using GdbListener listener = Listen(live.Provider);
        using RspClient client = RspClient.Connect(listener.Endpoint);
        client.Send("c");
        await Until(() => live.Machine.Runs > 0);
        await live.DisposeAsync();
        Assert.Equal("W00", client.Receive());
    }

    [Fact]
    public async Task Starting_again_from_outside_works_on_a_running_machine()
    {
        await using LiveMachine live = new();
        await Until(() => live.Machine.Runs > 0);
        live.Runner.Restart();
        Assert.Equal(1, live.Restarts);
        await Until(() => live.Machine.Runs > 0);
    }

    [Fact]
    public async Task The_same_packets_get_the_same_bytes_from_the_frozen_machine_and_its_copy()
    {
        await using LiveMachine live = new(waitForDebugger: true);
        await using GdbListener listener = Listen(live.Provider);
        using RspClient frozen = RspClient.Connect(listener.Endpoint);
        Crash(frozen);
        frozen.Ask("c");
        frozen.Transcript.Clear();

        await using GdbListener archive = Listen(new ImageTargetProvider(() => new CopiedView(live.Machine), new DebugOptions()));
        using RspClient copy = RspClient.Connect(archive.Endpoint);
        copy.Transcript.Clear();
        foreach (RspClient client in new[] { frozen, copy })
        {
            foreach (string packet in new[]
            {
                "qSupported:multiprocess+;swbreak+;hwbreak+", "?", "qfThreadInfo", "qsThreadInfo", "qC", "Hg1", "g", "p10", "pff",
                "qXfer:threads:read::0,1000", "qXfer:features:read:target.xml:0,ffff", "qHostInfo",
                $"m{FakeMachine.Data:x},1000", $"x{FakeMachine.Code:x},1000", "m0,10", $"m{FakeMachine.Data + 0x1FF0:x},100",
                $"qCRC:{FakeMachine.Data:x},2000", $"qSearch:memory:{FakeMachine.Data:x};2000;kernel",
                $"M{FakeMachine.Data:x},4:deadbeef", $"m{FakeMachine.Data:x},8", "P0=0102030405060708", "p0", "g",
            })
            {
                client.Ask(packet);
            }

            client.Monitor("info");
            client.Monitor("phys 0x60000 256");
        }

        Assert.True(frozen.Transcript.Count > 40);
        Assert.Equal(frozen.Transcript, copy.Transcript);
    }

    [Fact]
    public async Task Every_connection_to_an_image_has_writes_of_its_own()
    {
        var machine = new FakeMachine();
        await using GdbListener listener = Listen(new ImageTargetProvider(() => new CopiedView(machine), new DebugOptions()));
        using RspClient first = RspClient.Connect(listener.Endpoint);
        using RspClient second = RspClient.Connect(listener.Endpoint);
        first.Ask($"M{FakeMachine.Data:x},2:abcd");
        Assert.Equal("abcd", first.Ask($"m{FakeMachine.Data:x},2"));
        Assert.Equal("0000", second.Ask($"m{FakeMachine.Data:x},2"));
    }

    [Fact]
    public async Task An_image_that_cannot_be_opened_refuses_with_the_reason()
    {
        await using GdbListener listener = Listen(new ImageTargetProvider(() => throw new InvalidDataException("the archive is cut at byte 5"), new DebugOptions()));
        var endpoint = (GdbEndpoint.Tcp)listener.Endpoint;
        using var socket = new System.Net.Sockets.TcpClient();
        await socket.ConnectAsync(endpoint.Address, endpoint.Port, TestContext.Current.CancellationToken);
        await socket.GetStream().WriteAsync("$qC#b4"u8.ToArray(), TestContext.Current.CancellationToken);
        using var reader = new StreamReader(socket.GetStream());
        Assert.StartsWith("+$E.the archive is cut at byte 5#", await reader.ReadToEndAsync(TestContext.Current.CancellationToken), StringComparison.Ordinal);
    }

    private static void Crash(RspClient client) => Assert.Equal("OK", client.Ask($"P{Rip}=20000081ffffffff"));

    private static GdbListener Listen(ITargetProvider provider) =>
        GdbListener.Start(new GdbEndpoint.Tcp(IPAddress.Loopback, 0), provider, NullLogger.Instance);

    private static async Task Until(Func<bool> condition)
    {
        while (!condition())
        {
            await Task.Delay(5, TestContext.Current.CancellationToken);
        }
    }
}
