using System.Net;
using System.Text;
using Debugging;
using Debugging.Kernels;
using Debugging.Live;
using Debugging.Tests;
using Emulator;
using GdbStub.Sessions;
using GuestOs;
using GuestOs.Linux;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Snapshots;

namespace Conformance.Tests;

/// <summary>
/// Debian under a debugger from its first instruction: gdb breaks, steps and watches in the decompressor and leaves; the
/// guest runs on to its panic, where the machine is frozen.
/// </summary>
internal sealed class LiveDebian : IMachineSupervisor, IAsyncDisposable
{
    private readonly GuestRun guest = GuestRun.Debian();
    private readonly MachineRunner runner;
    private readonly Task<MachineExit?> thread;
    private readonly TaskCompletionSource<MachineExit> trapped = new(TaskCreationOptions.RunContinuationsAsynchronously);

    private LiveDebian()
    {
        Entry = guest.Machine.Vcpus[0].Rip;
        runner = new MachineRunner(guest.Machine, this, waitForDebugger: true);
        Listener = GdbListener.Start(new GdbEndpoint.Tcp(IPAddress.Loopback, 0), new LiveTargetProvider(runner, new DebugOptions { Kernels = new KernelSymbols() }), NullLogger.Instance);
        thread = Task.Factory.StartNew(runner.Run, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
    }

    /// <summary>Where the kernel is entered.</summary>
    public ulong Entry { get; }

    public GdbListener Listener { get; }

    /// <summary>What gdb printed before it left at the beginning.</summary>
    public string FirstSession { get; private set; } = "";

    /// <summary>The trap, once the guest is there.</summary>
    public MachineExit Trap { get; private set; }

    public TrapVerdict? Verdict { get; private set; }

    public string Console => guest.Console;

    public static async Task<LiveDebian> StartAsync()
    {
        GdbProcess.Require();
        var live = new LiveDebian();
        live.FirstSession = await GdbProcess.RunAsync(
            live.Listener.Endpoint.TargetRemote,
            "p/x $pc",
            "x/3i $pc",
            "p $cr0",
            "stepi",
            "p/x $pc",
            $"break *0x{live.Entry + 2:x}",
            $"hbreak *0x{live.Entry + 4:x}",
            "continue",
            "continue",
            "p/x $pc",
            "delete",

            // Far enough for the stack to be set up; it lies in what the decompressor copies out of its own way next.
            "stepi 60",
            "set $slot = $rsp - 8",
            "awatch *(long *) $slot",
            "continue",
            "delete",
            "stepi 1000",
            "p $eflags",
            "detach");
        live.Trap = await live.trapped.Task.WaitAsync(TimeSpan.FromMinutes(2));
        return live;
    }

    /// <summary>Serves the frozen machine once more, with its kernel's symbols.</summary>
    public GdbListener Serve(KernelSymbols kernels, ILogger? logger = null) => GdbListener.Start(
        new GdbEndpoint.Tcp(IPAddress.Loopback, 0), new LiveTargetProvider(runner, new DebugOptions { Kernels = kernels }), logger ?? NullLogger.Instance);

    /// <summary>Looks at the frozen machine.</summary>
    public T Look<T>(Func<Machine, T> look) => runner.Inspect(view => look((Machine)view));

    /// <summary>The frozen machine as a snapshot, as an archive is written from it.</summary>
    public Snapshot Capture() => Look(machine =>
    {
        LinuxKernel? kernel = LinuxKernel.FindRunning(machine);
        return new Snapshot(machine.Memory.Freeze(), machine.Save(), new CaptureInfo
        {
            Kind = CaptureKind.Panic,
            Title = Verdict!.Report!.Title,
            HostTime = DateTimeOffset.UnixEpoch,
            StopCause = Trap,
            CurrentVcpu = Trap.Vcpu,
            PanicText = Verdict.Report.Text,
            GuestRelease = Verdict.Report.Release,
            BuildId = Verdict.Report.BuildId,
            KernelOffset = Verdict.Report.KaslrOffset,
            GuestNanoseconds = Trap.InstructionCount,
            Vmcoreinfo = kernel is null ? null : Encoding.Latin1.GetString(kernel.Info.Text.Span),
        })
        {
            Journal = ExceptionJournal.Of(machine.Journal.Last(ArchiveLimits.JournalEvents)),
        };
    });

    public TrapDecision OnExit(IMachineControl machine, MachineExit exit)
    {
        Verdict = guest.Judge(exit);
        trapped.TrySetResult(exit);
        return TrapDecision.Freeze("the machine is frozen at its panic");
    }

    public IMachineControl Restart(IMachineControl machine) => machine;

    public async ValueTask DisposeAsync()
    {
        await Listener.DisposeAsync();
        runner.End();
        await thread;
        guest.Dispose();
    }
}
