using System.Net;
using GdbStub.Sessions;
using Microsoft.Extensions.Logging.Abstractions;

namespace Debugging.Tests;

/// <summary>Steps that meet interrupts, ranges, and conditions that are decided where instructions are executed.</summary>
public sealed class SteppingTests
{
    private const string Rip = "10";

    [Fact]
    public async Task A_step_that_meets_an_interrupt_runs_its_handler_and_stops_in_the_interrupted_code()
    {
        await using LiveMachine live = new(waitForDebugger: true);
        await using GdbListener listener = Listen(live);
        using RspClient client = RspClient.Connect(listener.Endpoint);
        client.Ask("?");
        live.Machine.Interrupt();
        Assert.StartsWith("T05", client.Ask("s"), StringComparison.Ordinal);
        Assert.Equal(Little(FakeMachine.Code + 1), client.Ask("p" + Rip));

        // Interrupt, nop, iret, and the instruction itself.
        Assert.Equal(4UL, live.Machine.InstructionCount);
        Assert.Equal(1UL, live.Machine.Journal!.Interrupts);
    }

    [Fact]
    public async Task A_step_stops_in_the_handler_when_that_is_asked_for()
    {
        await using LiveMachine live = new(waitForDebugger: true);
        await using GdbListener listener = Listen(live);
        using RspClient client = RspClient.Connect(listener.Endpoint);
        client.Ask("?");
        Assert.StartsWith("into", client.Monitor("step into"), StringComparison.Ordinal);
        live.Machine.Interrupt();
        client.Ask("s");
        Assert.Equal(Little(FakeMachine.Handler), client.Ask("p" + Rip));
        Assert.StartsWith("over", client.Monitor("step over"), StringComparison.Ordinal);
        Assert.StartsWith("over", client.Monitor("step"), StringComparison.Ordinal);
        Assert.StartsWith("usage", client.Monitor("step sideways"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_breakpoint_in_the_handler_stops_a_step_there()
    {
        await using LiveMachine live = new(waitForDebugger: true);
        await using GdbListener listener = Listen(live);
        using RspClient client = RspClient.Connect(listener.Endpoint);
        client.Ask($"Z0,{FakeMachine.Handler + 1:x},1");
        live.Machine.Interrupt();
        client.Ask("s");
        Assert.Equal(Little(FakeMachine.Handler + 1), client.Ask("p" + Rip));
        client.Ask($"z0,{FakeMachine.Handler + 1:x},1");
        client.Ask("s");
        Assert.Equal(Little(FakeMachine.Code), client.Ask("p" + Rip));
    }

    [Theory]
    [InlineData(0x00, 0x0B, 0x0B, "")]
    [InlineData(0x00, 0x04, 0x04, "")]
    [InlineData(0x04, 0x0A, 0x01, "")]
    [InlineData(0x00, 0x0B, 0x07, "Z0,ffffffff81000007,1")]
    public async Task A_range_is_stepped_through_to_its_end_or_a_breakpoint(int start, int end, int stop, string breakpoint)
    {
        await using LiveMachine live = new(waitForDebugger: true);
        await using GdbListener listener = Listen(live);
        using RspClient client = RspClient.Connect(listener.Endpoint);
        client.Ask("?");
        if (breakpoint.Length > 0)
        {
            Assert.Equal("OK", client.Ask(breakpoint));
        }

        Assert.StartsWith("T05", client.Ask($"vCont;r{FakeMachine.Code + (ulong)start:x},{FakeMachine.Code + (ulong)end:x}:1"), StringComparison.Ordinal);
        Assert.Equal(Little(FakeMachine.Code + (ulong)stop), client.Ask("p" + Rip));
    }

    // rax begins at 1000h and is incremented once a round; the breakpoint is behind that.
    [Theory]

    // reg 0; const16 1064h; equal; end
    [InlineData("260000 231064 13 27", 0x1064UL)]

    // const64 of the data's address; ref64; const16 1032h; equal; end: rax of the round before.
    [InlineData("25ffffffff81200000 1a 231032 13 27", 0x1033UL)]
    public async Task A_condition_is_decided_without_the_debugger(string bytecode, ulong rax)
    {
        await using LiveMachine live = new(waitForDebugger: true);
        await using GdbListener listener = Listen(live);
        using RspClient client = RspClient.Connect(listener.Endpoint);
        string code = bytecode.Replace(" ", "", StringComparison.Ordinal);
        Assert.Equal("OK", client.Ask($"Z0,{FakeMachine.Code + 4:x},1;X{code.Length / 2:x},{code}"));
        Assert.StartsWith("T05", client.Ask("c"), StringComparison.Ordinal);
        Assert.Equal(Little(rax), client.Ask("p0"));
        Assert.Equal(rax - 0x1000, (ulong)live.Machine.Runs);
    }

    [Fact]
    public async Task A_condition_that_cannot_be_evaluated_stops()
    {
        await using LiveMachine live = new(waitForDebugger: true);
        await using GdbListener listener = Listen(live);
        using RspClient client = RspClient.Connect(listener.Endpoint);

        // const8 10h; ref8; end: nothing is mapped there.
        Assert.Equal("OK", client.Ask($"Z0,{FakeMachine.Code + 4:x},1;X4,22101727"));
        Assert.StartsWith("T05", client.Ask("c"), StringComparison.Ordinal);
        Assert.Equal(Little(0x1001), client.Ask("p0"));
    }

    private static string Little(ulong value) => Convert.ToHexStringLower(BitConverter.GetBytes(value));

    private static GdbListener Listen(LiveMachine live) =>
        GdbListener.Start(new GdbEndpoint.Tcp(IPAddress.Loopback, 0), live.Provider, NullLogger.Instance);
}
