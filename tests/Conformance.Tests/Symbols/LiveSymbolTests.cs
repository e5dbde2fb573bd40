using System.Net;
using Debugging;
using Debugging.Kernels;
using Debugging.Live;
using Debugging.Tests;
using Emulator;
using Emulator.Time;
using GdbStub.Sessions;
using Microsoft.Extensions.Logging.Abstractions;

namespace Conformance.Tests.Symbols;

/// <summary>A running guest that a bare gdb stops, with symbols and tasks that keep up with it.</summary>
public sealed class LiveSymbolTests(DebianRuns runs)
{
    [Fact]
    public async Task Breakpoints_by_name_stacks_and_tasks_in_a_guest_that_runs_on()
    {
        GuestRun guest = runs.AtShell.Again();
        guest.Machine.Input.Post(InputKind.Console, "sleep 1000 & sleep 1; true > /tmp/file\r"u8);
        await using var live = new Running(guest.Machine);
        string output = await live.GdbAsync(
            "info threads", "break do_sys_openat2 if $_streq((char *) $rsi, \"/tmp/file\")", "continue", "bt", "p $_thread", "x/s $rsi",
            "info threads", "delete", "stepi", "stepi", "thread 3", "stepi", "thread 1", "finish", "monitor bt", "monitor ps sleep", "monitor where");
        string[] parts = output.Split("Breakpoint 1, ", StringSplitOptions.None);
        Assert.Equal(2, parts.Length);
        Assert.Matches("\"sh\" \\(pid \\d+, S sleeping\\)", parts[0]);
        Assert.DoesNotContain("\"sleep\"", parts[0], StringComparison.Ordinal);

        // In the shell's own context, on the vCPU.
        Assert.Contains("in do_sys_openat2 (dfd=<optimized out>", parts[1], StringComparison.Ordinal);
        Assert.Contains("in entry_SYSCALL_64_after_hwframe ()", parts[1], StringComparison.Ordinal);
        Assert.Contains("\"/tmp/file\"", parts[1], StringComparison.Ordinal);
        Assert.Matches("\"vCPU 0\" \\(64-bit, ring 0, pid \\d+ sh\\)", parts[1]);

        // A task that came meanwhile, and one that cannot be run.
        Assert.Matches("\"sleep\" \\(pid \\d+, ", parts[1]);
        Assert.Matches("thread \\d+ waits and cannot be told to run; threads that can: 1", parts[1]);
        Assert.Contains("Value returned is $", parts[1], StringComparison.Ordinal);
        Assert.Contains("in: ", parts[1], StringComparison.Ordinal);
        Assert.Matches("task: sh, pid \\d+, on vCPU 0", parts[1]);
    }

    [Fact]
    public async Task A_guest_that_is_started_again_has_no_kernel_until_there_is_one()
    {
        GuestRun guest = runs.AtShell.Again();
        await using var live = new Running(guest.Machine);
        string output = await live.GdbAsync("monitor symbols", "monitor reset", "maintenance flush register-cache", "monitor symbols", "monitor ps", "info threads");
        Assert.Contains("kernel: Linux 6.", output, StringComparison.Ordinal);
        string after = output[output.IndexOf("the guest was started again", StringComparison.Ordinal)..];
        Assert.Equal(2, after.Split("no Linux kernel was found").Length - 1);
        Assert.DoesNotContain("kthreadd", after, StringComparison.Ordinal);
    }

    private sealed class Running : IMachineSupervisor, IAsyncDisposable
    {
        private readonly Machine machine;
        private readonly MachineRunner runner;
        private readonly GdbListener listener;
        private readonly Task<MachineExit?> thread;

        public Running(Machine machine)
        {
            this.machine = machine;
            runner = new MachineRunner(machine, this, waitForDebugger: true);
            listener = GdbListener.Start(
                new GdbEndpoint.Tcp(IPAddress.Loopback, 0), new LiveTargetProvider(runner, new DebugOptions { Kernels = new KernelSymbols() }), NullLogger.Instance);
            thread = Task.Factory.StartNew(runner.Run, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        }

        public Task<string> GdbAsync(params string[] commands)
        {
            GdbProcess.Require();
            return GdbProcess.RunAsync(listener.Endpoint.TargetRemote, ["set width 0", .. commands]);
        }

        public TrapDecision OnExit(IMachineControl control, MachineExit exit) => TrapDecision.Freeze("the machine stands");

        public IMachineControl Restart(IMachineControl control)
        {
            machine.Restart();
            return machine;
        }

        public async ValueTask DisposeAsync()
        {
            await listener.DisposeAsync();
            runner.End();
            await thread;
        }
    }
}
