using System.Diagnostics;
using System.Net.Sockets;
using System.Text;
using Bench.Processes;

namespace Bench.Archives;

/// <summary>A QEMU with a Debian guest in it that panics and stays so, commanded through its monitor.</summary>
internal sealed class QemuMachine : IDisposable
{
    private const string PanicEnd = "---[ end Kernel panic";

    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(5);

    private readonly string directory;
    private readonly Process process;
    private readonly Socket monitor;
    private int panics;

    private QemuMachine(string directory, Process process, Socket monitor)
    {
        this.directory = directory;
        this.process = process;
        this.monitor = monitor;
    }

    /// <summary>Starts it; <paramref name="directory"/> is its own.</summary>
    public static QemuMachine Start(GuestImage image, string directory)
    {
        Directory.CreateDirectory(directory);
        string socket = Path.Combine(directory, "monitor");
        Process process = Process.Start(new ProcessStartInfo("qemu-system-x86_64",
        [
            "-accel", "tcg", "-machine", "pc", "-cpu", "Nehalem", "-smp", "1", "-m", $"{image.MemoryMiB}", "-nodefaults", "-display", "none",
            "-serial", $"file:{directory}/console", "-monitor", $"unix:{socket},server,nowait",
            "-kernel", image.Kernel, "-initrd", image.Initrd!, "-append", image.CommandLine,
        ]))!;
        long begin = Stopwatch.GetTimestamp();
        while (true)
        {
            var monitor = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            try
            {
                monitor.Connect(new UnixDomainSocketEndPoint(socket));
                var machine = new QemuMachine(directory, process, monitor);
                machine.ReadAnswer();
                return machine;
            }
            catch (SocketException) when (!process.HasExited && Stopwatch.GetElapsedTime(begin) < Patience)
            {
                monitor.Dispose();
                Thread.Sleep(2);
            }
        }
    }

    /// <summary>CPU time of its process so far.</summary>
    public double CpuSeconds => ProcessFigures.Of(process.Id).CpuSeconds;

    /// <summary>Waits for the end of the guest's next panic.</summary>
    public void WaitForPanic()
    {
        string console = Path.Combine(directory, "console");
        long begin = Stopwatch.GetTimestamp();
        while (Count(console) <= panics)
        {
            if (process.HasExited || Stopwatch.GetElapsedTime(begin) > Patience)
            {
                throw new BenchmarkException($"QEMU's guest did not panic; see {console}");
            }

            Thread.Sleep(2);
        }

        panics++;
    }

    /// <summary>Executes a command of the monitor's; returns when it is done.</summary>
    public void Command(string command)
    {
        monitor.Send(Encoding.ASCII.GetBytes(command + "\n"));
        string answer = ReadAnswer();
        if (answer.Contains("rror", StringComparison.Ordinal))
        {
            throw new BenchmarkException($"QEMU: {command}: {answer}");
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        monitor.Dispose();
        process.Kill();
        process.WaitForExit();
        process.Dispose();
        Directory.Delete(directory, recursive: true);
    }

    private static int Count(string console)
    {
        if (!File.Exists(console))
        {
            return 0;
        }

        using var file = new FileStream(console, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
        using var reader = new StreamReader(file, Encoding.Latin1);
        string text = reader.ReadToEnd();
        int count = 0;
        for (int at = text.IndexOf(PanicEnd, StringComparison.Ordinal); at >= 0; at = text.IndexOf(PanicEnd, at + 1, StringComparison.Ordinal))
        {
            count++;
        }

        return count;
    }

    private string ReadAnswer()
    {
        var answer = new StringBuilder();
        byte[] buffer = new byte[65536];
        while (!answer.ToString().TrimEnd().EndsWith("(qemu)", StringComparison.Ordinal))
        {
            int read = monitor.Receive(buffer);
            if (read == 0)
            {
                throw new BenchmarkException("QEMU's monitor went away");
            }

            answer.Append(Encoding.ASCII.GetString(buffer, 0, read));
        }

        return answer.ToString();
    }
}
