using System.Diagnostics;
using System.Net;
using GdbStub.Sessions;
using GdbStub.Targets;
using Microsoft.Extensions.Logging.Abstractions;

namespace Debugging.Tests;

/// <summary>The real gdb against the fake machine.</summary>
public sealed class GdbTests
{
    [Fact]
    public async Task Gdb_reads_the_registers_of_every_group()
    {
        GdbProcess.Require();
        await using LiveMachine live = new(waitForDebugger: true);
        await using GdbListener listener = Listen(live.Provider);
        string output = await GdbProcess.RunAsync(
            listener.Endpoint.TargetRemote,
            "info registers rip rax eflags fs_base gs_base k_gs_base cr0 cr3 cr4 efer mxcsr",
            "info registers st0 ftag fctrl xmm1 orig_rax dr7 gdtr_base gdtr_limit tr tr_attr lstar apic_base star linear_pc cs_base",
            "info threads");
        Assert.DoesNotContain("target description", output, StringComparison.Ordinal);
        Contains(output, "rip 0xffffffff81000000");
        Contains(output, "rax 0x1000 4096");
        Contains(output, "eflags 0x246 [ PF ZF IF IOPL=0 ]");
        Contains(output, "fs_base 0x7fff00001000");
        Contains(output, "gs_base 0xffff888000000000");
        Contains(output, "k_gs_base 0x12345678");
        Contains(output, "cr0 0x80050033 [ PE MP ET NE WP AM PG ]");
        Contains(output, "cr3 0x10000 [ PCID=0 PDBR=16 ]");
        Contains(output, "efer 0xd01 [ SCE LME LMA NXE ]");
        Contains(output, "mxcsr 0x1f80 [ IM DM ZM OM UM PM RC=0 ]");
        Contains(output, "st0 1 (raw 0x3fff8000000000000000)");

        // Registers 0-5 empty (3), 6 valid (0), 7 zero (1): 01 00 11 11 11 11 11 11.
        Contains(output, "ftag 0x4fff");
        Contains(output, "fctrl 0x37f");
        Contains(output, "uint128 = 0x11111111111111111111111111111111");
        Contains(output, "orig_rax 0xffffffffffffffff");
        Contains(output, "dr7 0x400 [");
        Contains(output, "gdtr_base 0xfffffe0000001000");
        Contains(output, "gdtr_limit 0x7f");
        Contains(output, "tr 0x40");
        Contains(output, "tr_attr 0x8b");
        Contains(output, "lstar 0xffffffff81800000");
        Contains(output, "star <unavailable>");
        Contains(output, "linear_pc 0xffffffff81000000");
        Contains(output, "\"vCPU 0\" (64-bit, ring 0)");
    }

    [Fact]
    public async Task Gdb_reads_and_writes_memory_and_registers()
    {
        GdbProcess.Require();
        await using LiveMachine live = new(waitForDebugger: true);
        await using GdbListener listener = Listen(live.Provider);
        string output = await GdbProcess.RunAsync(
            listener.Endpoint.TargetRemote,
            "x/s 0xffffffff81200100",
            "x/3i $pc",
            "x/b 0x1000",
            "set var *(long*)0xffffffff81200200 = 0x1122334455667788",
            "x/gx 0xffffffff81200200",
            "set $rax = 77",
            "set $xmm2.v4_int32[1] = 42",
            "set $rip = $rip + 1",
            "p $rax + 1",
            "p $xmm2.v4_int32",
            "set $cr0 = (long) 0x80000000",
            "find 0xffffffff81200000, +0x1fff, 'd', 'a', 't', 'a'",
            "detach");
        Contains(output, "0xffffffff81200100: \"kernel data\"");
        Contains(output, "inc %rax");
        Contains(output, "Cannot access memory at address 0x1000");
        Contains(output, "0xffffffff81200200: 0x1122334455667788");
        Contains(output, "$1 = 78");
        Contains(output, "$2 = {0, 42, 0, 0}");
        Contains(output, "CR0.PG without CR0.PE is no state a CPU can be in");
        Contains(output, "0xffffffff81200107");
        Contains(output, "detached]");
        await Until(() => !live.Runner.HasDebugger && live.Machine.Runs > 0);
    }

    [Fact]
    public async Task Gdb_breaks_watches_and_steps()
    {
        GdbProcess.Require();
        await using LiveMachine live = new(waitForDebugger: true);
        await using GdbListener listener = Listen(live.Provider);
        string output = await GdbProcess.RunAsync(
            listener.Endpoint.TargetRemote,
            "stepi",
            "p/x $pc",
            "break *0xffffffff8100000a",
            "continue",
            "p $rax",
            "p $rcx",
            "continue",
            "p $rax",
            "delete",
            "hbreak *0xffffffff81000004",
            "continue",
            "p/x $pc",
            "delete",
            "watch *(long*)0xffffffff81200000",
            "continue",
            "delete",
            "rwatch *(long*)0xffffffff81200000",
            "continue",
            "delete",
            "awatch *(int*)0xffffffff81200004",
            "continue",
            "p/x $pc",
            "delete",
            "stepi 5",
            "p/x $pc");
        Contains(output, "$1 = 0xffffffff81000001");
        Contains(output, "Breakpoint 1, 0xffffffff8100000a in ?? ()");
        Contains(output, "$2 = 4097");
        Contains(output, "$3 = 4097");
        Contains(output, "$4 = 4098");
        Contains(output, "Breakpoint 2, 0xffffffff81000004 in ?? ()");
        Contains(output, "$5 = 0xffffffff81000004");
        Contains(output, "Hardware watchpoint 3: *(long*)0xffffffff81200000 Old value = 4098 New value = 4099");
        Contains(output, "Hardware read watchpoint 4: *(long*)0xffffffff81200000 Value = 4099");
        Contains(output, "Hardware access (read/write) watchpoint 5: *(int*)0xffffffff81200004 Value = 0");
        Contains(output, "$6 = 0xffffffff81000007");

        // Five from there: 7, a, b, 0, 1; then 4.
        Contains(output, "$7 = 0xffffffff81000004");
    }

    [Fact]
    public async Task Gdb_is_told_of_the_trap_and_keeps_its_session()
    {
        GdbProcess.Require();
        await using LiveMachine live = new(waitForDebugger: true);
        await using GdbListener listener = Listen(live.Provider);
        string output = await GdbProcess.RunAsync(
            listener.Endpoint.TargetRemote,
            "set $rip = 0xffffffff81000020",
            "continue",
            "p/x $pc",
            "continue",
            "p $rax",
            "stepi",
            "p $rbx == 0xffffffff81200000",
            "monitor reset",
            "maintenance flush register-cache",
            "p/x $pc",
            "kill");
        Contains(output, "Program received signal SIGABRT, Aborted.");
        Contains(output, "$1 = 0xffffffff81000020");
        Contains(output, "the machine is frozen at its panic; 'monitor reset' starts it again");
        Contains(output, "$2 = 4096");
        Contains(output, "$3 = 1");
        Contains(output, "the guest was started again");
        Contains(output, "$4 = 0xffffffff81000000");
        Assert.Equal(1, live.Restarts);

        // kill detached: the machine that was started again runs on.
        await Until(() => !live.Runner.HasDebugger && live.Machine.Runs > 0);
    }

    [Fact]
    public async Task Gdb_interrupts_a_running_machine()
    {
        GdbProcess.Require();
        await using LiveMachine live = new(waitForDebugger: true);
        await using GdbListener listener = Listen(live.Provider);
        string output = await GdbProcess.StartAsync(
            "gdb",
            ["-nx", "-batch", "-ex", $"target remote {listener.Endpoint.TargetRemote}", "-ex", "p 1000 + 1", "-ex", "continue", "-ex", "p 2000 + 2", "-ex", "detach"],
            async process =>
            {
                await Until(() => live.Machine.Runs > 0 || process.HasExited);
                using Process kill = Process.Start("kill", ["-INT", process.Id.ToString(System.Globalization.CultureInfo.InvariantCulture)]);
                await kill.WaitForExitAsync(TestContext.Current.CancellationToken);
            });
        Contains(output, "$1 = 1001");
        Contains(output, "Program received signal SIGINT, Interrupt.");
        Contains(output, "$2 = 2002");
        await Until(() => !live.Runner.HasDebugger);
    }

    [Fact]
    public async Task An_archive_says_that_it_does_not_run_and_does_not_hang_gdb()
    {
        GdbProcess.Require();
        var machine = new FakeMachine();
        machine.Change(vcpu => vcpu with { Rip = FakeMachine.Crash });
        machine.Run();
        await using GdbListener listener = Listen(new ImageTargetProvider(() => new CopiedView(machine), new DebugOptions()));
        string output = await GdbProcess.RunAsync(
            listener.Endpoint.TargetRemote,
            "info program",
            "continue",
            "stepi",
            "p/x $pc",
            "set $rax = 5",
            "p $rax",
            "break *0xffffffff8100000a",
            "continue",
            "monitor info");
        string reason = "this image has memory and registers but not the state of a machine's devices and timers";
        Contains(output, "signal SIGABRT");
        Assert.True(output.Split(reason).Length >= 3, output);
        Contains(output, "$1 = 0xffffffff81000020");
        Contains(output, "$2 = 5");
        Contains(output, "stopped: a reset was asked for by the keyboard controller");
    }

    [Fact]
    public async Task Gdb_connects_through_a_socket_file()
    {
        GdbProcess.Require();
        string directory = Directory.CreateTempSubdirectory("gdbstub-test-").FullName;
        try
        {
            await using LiveMachine live = new(waitForDebugger: true);
            await using GdbListener listener = GdbListener.Start(new GdbEndpoint.Unix(Path.Combine(directory, "gdb")), live.Provider, NullLogger.Instance);
            Contains(await GdbProcess.RunAsync(listener.Endpoint.TargetRemote, "p $rax"), "$1 = 4096");
        }
        finally
        {
            Directory.Delete(directory, recursive: true);
        }
    }

    [Fact]
    public async Task Gdb_connects_through_a_pipe()
    {
        GdbProcess.Require();
        string program = Environment.ProcessPath!;
        string command = Path.GetFileNameWithoutExtension(program) == "dotnet" ? $"{program} {typeof(GdbTests).Assembly.Location}" : program;
        string output = await GdbProcess.RunAsync(
            $"| env {Program.ServeVariable}=stdio {command}", "break *0xffffffff8100000a", "continue", "p/x $pc", "set $rip = 0xffffffff81000020", "delete", "continue");
        Contains(output, "$1 = 0xffffffff8100000a");
        Contains(output, "Program received signal SIGABRT, Aborted.");
    }

    private static GdbListener Listen(ITargetProvider provider) =>
        GdbListener.Start(new GdbEndpoint.Tcp(IPAddress.Loopback, 0), provider, NullLogger.Instance);

    /// <summary>Looks for one of the texts, runs of white space counting as one space.</summary>
    private static void Contains(string output, params string[] texts)
    {
        string flat = string.Join(' ', output.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries));
        Assert.True(texts.Any(text => flat.Contains(text, StringComparison.Ordinal)), $"no {string.Join(" or ", texts)} in:\n{output}");
    }

    private static async Task Until(Func<bool> condition)
    {
        while (!condition())
        {
            await Task.Delay(5, TestContext.Current.CancellationToken);
        }
    }
}
