using System.Diagnostics;
using System.Net;
using System.Net.Sockets;

namespace Bench.Stub;

/// <summary>QEMU in a process of its own, with the small guest booted from a disk's first sector.</summary>
internal sealed class QemuServer : IServer
{
    private const string Qemu = "qemu-system-x86_64";

    private readonly Process process;

    public QemuServer(SmallGuest guest, string directory)
    {
        string noise = Path.Combine(directory, "noise"), kernel = Path.Combine(directory, "kernel"), sector = Path.Combine(directory, "sector");
        File.WriteAllBytes(noise, guest.Noise);
        File.WriteAllBytes(kernel, guest.Kernel ?? []);
        byte[] image = new byte[512];
        SmallGuest.Code.CopyTo(image);
        (image[510], image[511]) = (0x55, 0xAA);
        File.WriteAllBytes(sector, image);
        process = Start(
            out int port,
            [
                "-drive", $"file={sector},format=raw,if=ide", .. Load(noise, SmallGuest.NoiseAddress),
                .. guest.Kernel is null ? [] : Load(kernel, SmallGuest.KernelAddress),
            ]);
        Port = port;

        // Its firmware takes a moment to get to the first sector.
        Thread.Sleep(TimeSpan.FromSeconds(5));
    }

    public int Port { get; }

    public int? ArchivePort => null;

    public double WithDebian(DebianFiles debian, string commandLine, Func<int, double> measure)
    {
        using Process running = Start(
            out int port,
            ["-S", "-machine", "pc", "-cpu", "Nehalem", "-serial", "null", "-no-reboot", "-kernel", debian.Kernel, "-initrd", debian.Initrd, "-append", commandLine]);
        try
        {
            Thread.Sleep(TimeSpan.FromSeconds(1));
            return measure(port);
        }
        finally
        {
            Stop(running);
        }
    }

    public void Dispose()
    {
        Stop(process);
        process.Dispose();
    }

    private static void Stop(Process running)
    {
        running.Kill();
        running.WaitForExit();
    }

    private static string[] Load(string file, ulong address) => ["-device", $"loader,file={file},addr=0x{address:x},force-raw=on"];

    private static Process Start(out int port, string[] machine)
    {
        using var probe = new TcpListener(IPAddress.Loopback, 0);
        probe.Start();
        port = ((IPEndPoint)probe.LocalEndpoint).Port;
        probe.Stop();
        return Process.Start(new ProcessStartInfo(
            Qemu,
            ["-accel", "tcg", "-m", $"{SmallGuest.MemoryMiB}", "-display", "none", "-nic", "none", "-monitor", "none", "-gdb", $"tcp:127.0.0.1:{port}", .. machine]))!;
    }
}
