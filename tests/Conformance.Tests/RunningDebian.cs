using System.Net;
using System.Text;
using Debugging;
using Debugging.Kernels;
using Debugging.Live;
using Debugging.Processes;
using Emulator;
using Emulator.Memory;
using GdbStub.Sessions;
using GuestOs.Linux.Symbols;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Snapshots;

namespace Conformance.Tests;

/// <summary>Debian at a shell's prompt, running and served, beside a store: a machine of its own, made from the one the tests share.</summary>
internal sealed class RunningDebian : IMachineSupervisor, IAsyncDisposable
{
    private const int StackBytes = 16 << 20;

    private readonly Machine machine;
    private readonly MachineRunner runner;
    private readonly Thread thread;

    /// <param name="runs">Has the machine it is made from.</param>
    /// <param name="store">Served beside it.</param>
    /// <param name="logger">The debug server's.</param>
    /// <param name="waits">What is typed happens only when a debugger is there and lets the guest run.</param>
    public RunningDebian(DebianRuns runs, IImageStore? store = null, ILogger? logger = null, bool waits = false)
    {
        GuestRun shell = runs.AtShell.Again();
        using MemorySnapshot memory = shell.Machine.Memory.Freeze();
        using var snapshot = new Snapshot(
            memory, shell.Machine.Save(), new CaptureInfo { Kind = CaptureKind.Request, Title = "at the shell", HostTime = DateTimeOffset.UnixEpoch });
        machine = Machine.From(snapshot, new MachineOptions());
        Symbols = KernelImage.Find(machine)!.Symbols!;
        runner = new MachineRunner(machine, this, waitForDebugger: waits);
        Listener = GdbListener.Start(
            new GdbEndpoint.Tcp(IPAddress.Loopback, 0),
            new ProcessTargetProvider(runner, store, image: null, new DebugOptions { Kernels = new KernelSymbols() }), logger ?? NullLogger.Instance);
        thread = new Thread(() => runner.Run(), StackBytes);
        thread.Start();
    }

    public GdbListener Listener { get; }

    /// <summary>The kernel's.</summary>
    public SymbolTable Symbols { get; }

    /// <summary>Where a function or variable of the kernel's is.</summary>
    public ulong AddressOf(string symbol) => Symbols.TryGetAddress(symbol, out ulong address) ? address : throw new InvalidOperationException($"Debian's kernel has no {symbol}");

    /// <summary>Types a line at the console.</summary>
    public void Type(string line) => machine.Input.Post(Emulator.Time.InputKind.Console, Encoding.ASCII.GetBytes(line + "\r"));

    public TrapDecision OnExit(IMachineControl stopped, MachineExit exit) => TrapDecision.Freeze("the machine is frozen at its panic");

    public IMachineControl Restart(IMachineControl stopped) => stopped;

    public async ValueTask DisposeAsync()
    {
        await Listener.DisposeAsync();
        runner.End();
        thread.Join();
        machine.Dispose();
    }
}
