using System.Net;
using GdbStub.Sessions;
using Microsoft.Extensions.Logging.Abstractions;

namespace Debugging.Tests;

/// <summary>The real lldb against the fake machine: what this version promises it is that it does not hurt itself.</summary>
public sealed class LldbTests
{
    [Fact]
    public async Task Lldb_attaches_reads_breaks_steps_and_detaches()
    {
        GdbProcess.Require("lldb");
        await using LiveMachine live = new(waitForDebugger: true);
        await using GdbListener listener = GdbListener.Start(new GdbEndpoint.Tcp(IPAddress.Loopback, 0), live.Provider, NullLogger.Instance);
        string output = await RunAsync(
            listener,
            "register read rip rax cr0 fs_base",
            "memory read --format x --size 1 --count 4 0xffffffff81000000",
            "thread step-inst",
            "breakpoint set --address 0xffffffff8100000a",
            "continue",
            "register read rip",
            "watchpoint set expression -w write -s 8 -- 0xffffffff81200000",
            "breakpoint delete 1",
            "continue",
            "register read rip",
            "register write rax 5",
            "register read rax",
            "process plugin packet monitor phys 0x80000 9",
            "detach");
        Contains(output, "rip = 0xffffffff81000000");
        Contains(output, "rax = 0x0000000000001000");
        Contains(output, "0x90 0x48 0xff 0xc0");
        Contains(output, "rip = 0xffffffff8100000a");
        Contains(output, "stop reason = breakpoint 1.1");
        Contains(output, "stop reason = watchpoint 1");
        Contains(output, "rax = 0x0000000000000005");
        Contains(output, "user data");
        Contains(output, "Process 1 detached");
    }

    [Fact]
    public async Task Lldb_that_kills_at_the_end_of_its_batch_leaves_the_machine()
    {
        GdbProcess.Require("lldb");
        await using LiveMachine live = new(waitForDebugger: true);
        await using GdbListener listener = GdbListener.Start(new GdbEndpoint.Tcp(IPAddress.Loopback, 0), live.Provider, NullLogger.Instance);
        Contains(await RunAsync(listener, "register read rip", "process kill"), "rip = 0xffffffff81000000");
        while (live.Machine.Runs == 0)
        {
            await Task.Delay(5, TestContext.Current.CancellationToken);
        }
    }

    [Fact]
    public async Task Lldb_that_attaches_reads_only_where_the_machine_stands_and_asks_nothing_that_matters_in_vain()
    {
        GdbProcess.Require("lldb");
        var log = new PacketLog();
        await using LiveMachine live = new(waitForDebugger: true);
        await using GdbListener listener = GdbListener.Start(new GdbEndpoint.Tcp(IPAddress.Loopback, 0), live.Provider, log);
        Contains(await RunAsync(listener, "register read rip", "thread list", "detach"), "rip = 0xffffffff81000000");

        // Around the program counter and the frame pointer, to disassemble and unwind. A hunt for a Darwin kernel would be thousands of reads, at every page below.
        ulong frame = live.Machine.Vcpus[0].Gpr[5];
        Assert.InRange(log.Reads.Count, 1, 8);
        Assert.All(log.Reads, address => Assert.True(IsNear(address, FakeMachine.Code) || IsNear(address, frame), $"a read at 0x{address:x}"));
        Assert.Empty(log.Unknown.Except(["qVAttachOrWaitSupported", "qStructuredDataPlugins", "qShlibInfoAddr"]));
    }

    private static bool IsNear(ulong address, ulong place) => address + 0x1000 - place < 0x2000;

    private static Task<string> RunAsync(GdbListener listener, params string[] commands)
    {
        IEnumerable<string> all = ["settings set interpreter.prompt-on-quit false", $"gdb-remote {listener.Endpoint.TargetRemote}", .. commands];
        return GdbProcess.StartAsync("lldb", ["--no-lldbinit", "--batch", .. all.SelectMany(command => new[] { "-o", command })]);
    }

    private static void Contains(string output, string text)
    {
        string flat = string.Join(' ', output.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries));
        Assert.True(flat.Contains(text, StringComparison.Ordinal), $"no {text} in:\n{output}");
    }
}
