using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Debugging;
using Debugging.Live;
using Emulator;
using Emulator.Boot;
using GdbStub.Sessions;
using Microsoft.Extensions.Logging.Abstractions;
using Snapshots;

namespace Bench;

/// <summary>
/// The debug server beside QEMU's, over TCP on the loopback interface: what a raw client and gdb get from each on the same little guest and
/// the same 64 MiB of noise. Ours runs in this process, QEMU in its own.
/// </summary>
internal static class StubBenchmark
{
    private const string Qemu = "qemu-system-x86_64";
    private const ulong Noise = 0x100_0000, Zeros = 0x600_0000;
    private const int NoiseBytes = 64 << 20, ReadMost = 0x10000;

    // loop: inc ecx; call f; jmp loop. f: nop; ret. In real mode, at 7C00h.
    private static readonly byte[] Loop = [0x66, 0x41, 0xE8, 0x02, 0x00, 0xEB, 0xF9, 0x90, 0xC3];
    private const ulong LoopStart = 0x7C00, HotFunction = 0x7C07;

    /// <summary>Runs and prints; 0 when all was measured.</summary>
    public static int Run(Arguments arguments)
    {
        int runs = arguments.Number("--runs", 3, 1, 100);
        Report.PrintHost();
        string directory = Directory.CreateTempSubdirectory("gdbstub-bench-").FullName;
        try
        {
            byte[] noise = new byte[NoiseBytes];
            new Random(1).NextBytes(noise);
            string noiseFile = Path.Combine(directory, "noise"), sector = Path.Combine(directory, "sector");
            File.WriteAllBytes(noiseFile, noise);
            byte[] image = new byte[512];
            Loop.CopyTo(image, 0);
            (image[510], image[511]) = (0x55, 0xAA);
            File.WriteAllBytes(sector, image);

            using var ours = new Ours(noise, directory);
            using Rival? rival = Rival.TryStart(noiseFile, sector);
            if (rival is null)
            {
                Console.WriteLine($"{Qemu} is not there: only our own figures");
            }

            List<string[]> rows = [["work, medians", "ours", "QEMU", "ours / QEMU"]];
            Row(rows, "m of 16 bytes, round trip, µs", runs, () => RoundTrip(ours.Port), rival is null ? null : () => RoundTrip(rival.Port), 1);
            Row(rows, "64 MiB by a raw client, MB/s", runs, () => Throughput(ours.Port), rival is null ? null : () => Throughput(rival.Port), 0);
            Row(rows, "raw single steps a second", runs, () => Steps(ours.Port, 20_000), rival is null ? null : () => Steps(rival.Port, 2_000), 0);
            if (HasGdb())
            {
                string dump = Path.Combine(directory, "dump");

                // gdb takes hexadecimal digits from each, one by one; what repeats we send as runs, and most of a guest's memory repeats.
                foreach ((string what, ulong from) in new[] { ("noise", Noise), ("zeros", Zeros) })
                {
                    string[] dumping = [$"dump binary memory {dump} 0x{from:x} 0x{from + NoiseBytes:x}"];
                    Row(rows, $"gdb dump of 64 MiB of {what}, s", runs, () => Gdb(ours.Port, dumping), rival is null ? null : () => Gdb(rival.Port, dumping), 2);
                }

                string[] finding = [$"find /b 0x{Noise:x}, +0x{NoiseBytes - 1:x}, 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16"];
                Row(rows, "gdb find over 64 MiB, no hit, s", runs, () => Gdb(ours.Port, finding), rival is null ? null : () => Gdb(rival.Port, finding), 3);
                Row(
                    rows, "condition from gdb, false hits a second", runs, () => FalseHits(ours.Port, 300_000),
                    rival is null ? null : () => FalseHits(rival.Port, 1_000), 0);
                string[] looking = ["info registers", "x/16i $pc"];
                Row(rows, "gdb to first registers and 16 instructions, s", runs, () => Gdb(ours.Port, looking), rival is null ? null : () => Gdb(rival.Port, looking), 3);
                Row(rows, "the same on an archive, s", runs, () => Gdb(ours.ArchivePort, looking), null, 3);
            }

            Console.WriteLine();
            Report.PrintTable(rows);
            return 0;
        }
        finally
        {
            Directory.Delete(directory, recursive: true);
        }
    }

    private static void Row(List<string[]> rows, string name, int runs, Func<double> ours, Func<double>? rival, int decimals)
    {
        List<double> mine = [], other = [];
        for (int run = 0; run < runs; run++)
        {
            mine.Add(ours());
            if (rival is not null)
            {
                other.Add(rival());
            }
        }

        double median = Report.Median(mine);
        Console.WriteLine($"{name}: {Report.Number(median, decimals)}{(rival is null ? "" : $", QEMU {Report.Number(Report.Median(other), decimals)}")}");
        rows.Add(
        [
            name, Report.Number(median, decimals), rival is null ? "-" : Report.Number(Report.Median(other), decimals),
            rival is null ? "-" : Report.Number(median / Report.Median(other), 3),
        ]);
    }

    private static double RoundTrip(int port)
    {
        using var client = new Client(port);
        List<double> times = [];
        for (int i = 0; i < 3000; i++)
        {
            long start = Stopwatch.GetTimestamp();
            client.Ask($"m{LoopStart:x},10");
            times.Add(Stopwatch.GetElapsedTime(start).TotalMicroseconds);
        }

        return Report.Median(times);
    }

    private static double Throughput(int port)
    {
        using var client = new Client(port);
        int piece = client.Binary ? Math.Min(ReadMost, (client.PacketSize - 8) / 2) : Math.Min(ReadMost, (client.PacketSize - 8) / 2);
        char letter = client.Binary ? 'x' : 'm';
        long start = Stopwatch.GetTimestamp();
        for (int done = 0; done < NoiseBytes; done += piece)
        {
            int length = client.Ask($"{letter}{Noise + (ulong)done:x},{Math.Min(piece, NoiseBytes - done):x}");
            if (length < Math.Min(piece, NoiseBytes - done))
            {
                throw new BenchmarkException($"a read of memory came back with {length} bytes");
            }
        }

        return NoiseBytes / 1e6 / Stopwatch.GetElapsedTime(start).TotalSeconds;
    }

    private static double Steps(int port, int count)
    {
        using var client = new Client(port);
        client.Ask("?");
        long start = Stopwatch.GetTimestamp();
        for (int i = 0; i < count; i++)
        {
            client.Ask("s");
        }

        return count / Stopwatch.GetElapsedTime(start).TotalSeconds;
    }

    /// <summary>Hits a second of a breakpoint whose condition, sent by gdb, becomes true at the last.</summary>
    private static double FalseHits(int port, int hits)
    {
        double start = Gdb(port, [$"set $rcx = 0", $"set $rip = 0x{LoopStart:x}"]);
        double whole = Gdb(port, [$"set $rcx = 0", $"set $rip = 0x{LoopStart:x}", $"break *0x{HotFunction:x} if $rcx == {hits}", "continue", "delete"]);
        return hits / Math.Max(whole - start, 0.001);
    }

    private static double Gdb(int port, string[] commands)
    {
        var start = new ProcessStartInfo("gdb") { RedirectStandardOutput = true, RedirectStandardError = true };
        string[] words =
            ["-nx", "-batch", "-ex", "set pagination off", "-ex", "set confirm off", "-ex", "set remotetimeout 300", "-ex", $"target remote 127.0.0.1:{port}", .. commands.SelectMany(command => new[] { "-ex", command })];
        foreach (string word in words)
        {
            start.ArgumentList.Add(word);
        }

        long begin = Stopwatch.GetTimestamp();
        using Process gdb = Process.Start(start)!;
        Task<string> errors = gdb.StandardError.ReadToEndAsync();
        string output = gdb.StandardOutput.ReadToEnd();
        gdb.WaitForExit();
        double seconds = Stopwatch.GetElapsedTime(begin).TotalSeconds;
        return errors.Result.Contains("Remote connection closed", StringComparison.Ordinal) || output.Length == 0
            ? throw new BenchmarkException($"gdb failed: {output}{errors.Result}")
            : seconds;
    }

    private static bool HasGdb() => (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':').Any(directory => File.Exists(Path.Combine(directory, "gdb")));

    /// <summary>Our machine, held at its first instruction for whoever connects, and an archive of it.</summary>
    private sealed class Ours : IMachineSupervisor, IDisposable
    {
        private readonly Machine machine = new(new MachineOptions { Memory = 256UL << 20 });
        private readonly MachineRunner runner;
        private readonly Thread thread;
        private readonly GdbListener listener, archiveListener;
        private readonly ArchiveReader archive;

        public Ours(byte[] noise, string directory)
        {
            machine.Boot(new BootRequest { Kernel = Loop, MemoryMap = [], Format = KernelFormat.Flat, FlatAddress = LoopStart, FlatEntryMode = FlatEntryMode.Real });
            machine.WritePhysical(Noise, noise);
            var info = new CaptureInfo { Kind = CaptureKind.Request, Title = "benchmark", HostTime = DateTimeOffset.UtcNow };
            using var snapshot = new Snapshot(machine.Memory.Freeze(), machine.Save(), info);
            archive = ArchiveReader.Open(Store.Open(Path.Combine(directory, "store")).Write(snapshot).Path);
            runner = new MachineRunner(machine, this, waitForDebugger: true);
            thread = new Thread(() => runner.Run()) { IsBackground = true };
            thread.Start();
            var any = new GdbEndpoint.Tcp(IPAddress.Loopback, 0);
            listener = GdbListener.Start(any, new LiveTargetProvider(runner, new DebugOptions()), NullLogger.Instance);
            archiveListener = GdbListener.Start(any, new ImageTargetProvider(() => new OverlayView(archive), new DebugOptions()), NullLogger.Instance);
        }

        public int Port => ((GdbEndpoint.Tcp)listener.Endpoint).Port;

        public int ArchivePort => ((GdbEndpoint.Tcp)archiveListener.Endpoint).Port;

        public TrapDecision OnExit(IMachineControl stopped, MachineExit exit) => TrapDecision.Freeze("the benchmark's guest has stopped");

        public IMachineControl Restart(IMachineControl stopped) => stopped;

        public void Dispose()
        {
            listener.DisposeAsync().AsTask().Wait();
            archiveListener.DisposeAsync().AsTask().Wait();
            runner.End();
            thread.Join();
            machine.Dispose();
            archive.Dispose();
        }
    }

    /// <summary>QEMU with the same guest, booted from a disk's first sector.</summary>
    private sealed class Rival : IDisposable
    {
        private readonly Process process;

        private Rival(Process process, int port)
        {
            this.process = process;
            Port = port;
        }

        public int Port { get; }

        public static Rival? TryStart(string noise, string sector)
        {
            using var probe = new TcpListener(IPAddress.Loopback, 0);
            probe.Start();
            int port = ((IPEndPoint)probe.LocalEndpoint).Port;
            probe.Stop();
            var start = new ProcessStartInfo(
                Qemu,
                [
                    "-accel", "tcg", "-m", "256", "-display", "none", "-nic", "none", "-gdb", $"tcp:127.0.0.1:{port}",
                    "-drive", $"file={sector},format=raw,if=ide", "-device", $"loader,file={noise},addr=0x{Noise:x},force-raw=on",
                ]);
            try
            {
                var rival = new Rival(Process.Start(start)!, port);

                // Its firmware takes a moment to get to the first sector.
                Thread.Sleep(TimeSpan.FromSeconds(5));
                return rival;
            }
            catch (System.ComponentModel.Win32Exception)
            {
                return null;
            }
        }

        public void Dispose()
        {
            process.Kill();
            process.WaitForExit();
            process.Dispose();
        }
    }

    /// <summary>A client that is no slower than it must be: whole packets in, whole packets out.</summary>
    private sealed class Client : IDisposable
    {
        private readonly Socket socket = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        private readonly byte[] buffer = new byte[1 << 20];
        private readonly bool acknowledges = true;

        public Client(int port)
        {
            socket.Connect(IPAddress.Loopback, port);
            string features = AskText("qSupported:swbreak+;hwbreak+;vContSupported+");
            int at = features.IndexOf("PacketSize=", StringComparison.Ordinal);
            PacketSize = at < 0 ? 1024 : int.Parse(features[(at + 11)..].Split(';')[0], NumberStyles.HexNumber, CultureInfo.InvariantCulture);
            if (features.Contains("QStartNoAckMode+", StringComparison.Ordinal))
            {
                AskText("QStartNoAckMode");
                acknowledges = false;
            }

            Binary = features.Contains("binary-upload+", StringComparison.Ordinal);
        }

        public int PacketSize { get; }

        /// <summary>The server says that it knows x.</summary>
        public bool Binary { get; }

        /// <summary>Sends a packet and takes the reply; returns the bytes of its payload.</summary>
        public int Ask(string payload)
        {
            byte[] bytes = Encoding.Latin1.GetBytes(payload);
            int sum = bytes.Sum(one => one) & 0xFF;
            socket.Send(Encoding.Latin1.GetBytes($"${payload}#{sum:x2}"));
            int filled = 0;
            while (true)
            {
                int read = socket.Receive(buffer, filled, buffer.Length - filled, SocketFlags.None);
                if (read == 0)
                {
                    throw new BenchmarkException("the server closed the connection");
                }

                filled += read;
                int start = Array.IndexOf(buffer, (byte)'$', 0, Math.Min(filled, 2));
                if (start >= 0 && filled >= start + 4 && buffer[filled - 3] == '#')
                {
                    if (acknowledges)
                    {
                        socket.Send("+"u8);
                    }

                    PayloadStart = start + 1;
                    return filled - start - 4;
                }
            }
        }

        public void Dispose()
        {
            try
            {
                Ask("D");
            }
            catch (Exception exception) when (exception is SocketException or BenchmarkException)
            {
                // It has gone before us.
            }

            socket.Dispose();
        }

        private int PayloadStart { get; set; }

        private string AskText(string payload)
        {
            // Runs are a character, a star, and 29 more than how often it is repeated.
            int length = Ask(payload);
            var text = new StringBuilder();
            for (int i = PayloadStart; i < PayloadStart + length; i++)
            {
                if (buffer[i] == '*' && i + 1 < PayloadStart + length)
                {
                    text.Append(text[^1], buffer[++i] - 29);
                }
                else
                {
                    text.Append((char)buffer[i]);
                }
            }

            return text.ToString();
        }
    }
}
