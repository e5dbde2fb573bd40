using System.Net;
using Debugging;
using Debugging.Live;
using Emulator;
using Emulator.Boot;
using GdbStub.Sessions;
using Microsoft.Extensions.Logging.Abstractions;
using Snapshots;

namespace Bench.Stub;

/// <summary>Ours, in this process: a machine held at its first instruction for whoever connects, and an archive of it.</summary>
internal sealed class OurServer : IServer
{
    private static readonly GdbEndpoint Anywhere = new GdbEndpoint.Tcp(IPAddress.Loopback, 0);

    private readonly Served live;
    private readonly ArchiveReader archive;
    private readonly GdbListener archiveListener;

    public OurServer(SmallGuest guest, string directory)
    {
        var machine = new Machine(new MachineOptions { Memory = (ulong)SmallGuest.MemoryMiB << 20 });
        machine.Boot(new BootRequest
        {
            Kernel = SmallGuest.Code.ToArray(),
            MemoryMap = [],
            Format = KernelFormat.Flat,
            FlatAddress = SmallGuest.LoopStart,
            FlatEntryMode = FlatEntryMode.Real,
        });
        machine.WritePhysical(SmallGuest.NoiseAddress, guest.Noise);
        if (guest.Kernel is { } kernel)
        {
            machine.WritePhysical(SmallGuest.KernelAddress, kernel);
        }

        var info = new CaptureInfo { Kind = CaptureKind.Request, Title = "benchmark", HostTime = DateTimeOffset.UtcNow };
        using (var snapshot = new Snapshot(machine.Memory.Freeze(), machine.Save(), info))
        {
            archive = ArchiveReader.Open(Store.Open(Path.Combine(directory, "store")).Write(snapshot).Path);
        }

        archiveListener = GdbListener.Start(Anywhere, new ImageTargetProvider(() => new OverlayView(archive), new DebugOptions()), NullLogger.Instance);
        live = new Served(machine);
    }

    public int Port => live.Port;

    public int? ArchivePort => PortOf(archiveListener);

    public double WithDebian(DebianFiles debian, string commandLine, Func<int, double> measure)
    {
        var machine = new Machine(new MachineOptions { Memory = (ulong)SmallGuest.MemoryMiB << 20 });
        machine.Boot(new BootRequest
        {
            Kernel = File.ReadAllBytes(debian.Kernel),
            Initrd = File.ReadAllBytes(debian.Initrd),
            MemoryMap = [],
            CommandLine = commandLine,
        });
        using var served = new Served(machine);
        return measure(served.Port);
    }

    public void Dispose()
    {
        live.Dispose();
        archiveListener.DisposeAsync().AsTask().Wait();
        archive.Dispose();
    }

    private static int PortOf(GdbListener listener) => ((GdbEndpoint.Tcp)listener.Endpoint).Port;

    /// <summary>A machine with its thread and its port.</summary>
    private sealed class Served : IMachineSupervisor, IDisposable
    {
        private const int StackBytes = 16 << 20;

        private readonly Machine machine;
        private readonly MachineRunner runner;
        private readonly Thread thread;
        private readonly GdbListener listener;

        public Served(Machine machine)
        {
            this.machine = machine;
            runner = new MachineRunner(machine, this, waitForDebugger: true);
            thread = new Thread(() => runner.Run(), StackBytes) { IsBackground = true };
            thread.Start();
            listener = GdbListener.Start(Anywhere, new LiveTargetProvider(runner, new DebugOptions()), NullLogger.Instance);
        }

        public int Port => PortOf(listener);

        public TrapDecision OnExit(IMachineControl stopped, MachineExit exit) => TrapDecision.Freeze("the benchmark's guest has stopped");

        public IMachineControl Restart(IMachineControl stopped) => stopped;

        public void Dispose()
        {
            listener.DisposeAsync().AsTask().Wait();
            runner.End();
            thread.Join();
            machine.Dispose();
        }
    }
}
