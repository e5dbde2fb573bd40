using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;

namespace Bench;

/// <summary>
/// A stock Debian kernel from power-on to the reset after its panic: our emulator beside QEMU's TCG, in alternating runs,
/// so that whatever else the host does hits all of them. Wall time of the whole process, its start and end included, and
/// its CPU time, which suffers less when the host has other work.
/// </summary>
internal static class BootBenchmark
{
    private const string Append = "console=ttyS0 panic=-1 gdbstub.do=crash";
    private const string Qemu = "qemu-system-x86_64";

    /// <summary>Runs and prints. 0 when every run ended as it should, and ours within the limit of a minute.</summary>
    public static int Run(Arguments arguments)
    {
        string guest = arguments.Text("--guest") ?? throw new ArgumentException("boot needs --guest DIR, with vmlinuz and initrd in it");
        int runs = arguments.Number("--runs", 3, 1, 100);
        TimeSpan patience = TimeSpan.FromSeconds(arguments.Number("--timeout", 300, 1, 3600));
        Report.PrintHost();
        string? version = QemuVersion();
        Console.WriteLine(version ?? $"{Qemu} is not there: only our own time is measured");
        Console.WriteLine($"guest: {ReadFirstLine(Path.Combine(guest, "release"))}, {BootChild.MemoryMiB} MiB, {Append}");

        // Nehalem is the QEMU model nearest to the x86-64-v2 that we offer. No network card, since our machine has none.
        string[] machine =
        [
            "-cpu", "Nehalem", "-m", $"{BootChild.MemoryMiB}", "-nographic", "-nic", "none", "-no-reboot",
            "-kernel", Path.Combine(guest, "vmlinuz"), "-initrd", Path.Combine(guest, "initrd"), "-append", Append,
        ];
        List<Contender> contenders =
        [
            new("gdbstub", Environment.ProcessPath!, [.. OwnAssembly(), BootChild.Command, guest, Append]),
        ];
        if (version is not null)
        {
            contenders.Add(new("qemu tcg", Qemu, ["-accel", "tcg", .. machine]));
            contenders.Add(new("qemu tcg, icount", Qemu, ["-accel", "tcg", "-icount", "shift=0,sleep=off", .. machine]));
        }

        for (int run = 1; run <= runs; run++)
        {
            foreach (Contender contender in contenders)
            {
                double seconds = contender.Measure(patience);
                Console.WriteLine($"run {run}: {contender.Name} {Report.Number(seconds, 2)} s");
            }
        }

        Print(contenders);
        return 0;
    }

    private static void Print(List<Contender> contenders)
    {
        double ours = Report.Median(contenders[0].Seconds), oursCpu = Report.Median(contenders[0].CpuSeconds);
        List<string[]> rows = [["power-on to the reset", "median s", "least s", "most s", "spread %", "ours / it", "CPU s", "ours / it", "million instructions/s"]];
        foreach (Contender contender in contenders)
        {
            double median = Report.Median(contender.Seconds), least = contender.Seconds.Min(), most = contender.Seconds.Max();
            double cpu = Report.Median(contender.CpuSeconds);
            rows.Add(
            [
                contender.Name,
                Report.Number(median, 2),
                Report.Number(least, 2),
                Report.Number(most, 2),
                Report.Number((most - least) / median * 100, 0),
                Report.Number(ours / median, 2),
                Report.Number(cpu, 2),
                Report.Number(oursCpu / cpu, 2),
                contender.Instructions is { } count ? Report.Number(count / median / 1e6, 1) : "-",
            ]);
        }

        Console.WriteLine();
        Report.PrintTable(rows);
        Console.WriteLine($"  gdbstub: {contenders[0].Instructions / 1e6:F0} million instructions executed, {contenders[0].Halted / 1e9:F3} s of guest time halted");
    }

    // Started by the dotnet command, the process is that one and wants our assembly first.
    private static string[] OwnAssembly() =>
        Path.GetFileNameWithoutExtension(Environment.ProcessPath) == "dotnet" ? [Path.Combine(AppContext.BaseDirectory, "Bench.dll")] : [];

    private static string? QemuVersion()
    {
        try
        {
            using Process process = Process.Start(new ProcessStartInfo(Qemu, ["--version"]) { RedirectStandardOutput = true })!;
            return process.StandardOutput.ReadToEnd().Split('\n')[0];
        }
        catch (Win32Exception)
        {
            return null;
        }
    }

    private static string ReadFirstLine(string path) => File.Exists(path) ? File.ReadLines(path).FirstOrDefault() ?? "" : "an unnamed kernel";

    private sealed class Contender(string name, string program, string[] arguments)
    {
        public string Name => name;

        public List<double> Seconds { get; } = [];

        public List<double> CpuSeconds { get; } = [];

        public ulong? Instructions { get; private set; }

        public ulong? Halted { get; private set; }

        /// <summary>One run. Throws <see cref="BenchmarkException"/> unless the guest panicked and the process ended by itself.</summary>
        public double Measure(TimeSpan patience)
        {
            double cpuBefore = CpuSecondsOfChildren();
            long start = Stopwatch.GetTimestamp();
            using Process process = Process.Start(new ProcessStartInfo(program, arguments)
            {
                RedirectStandardInput = true,
                RedirectStandardOutput = true,
                RedirectStandardError = true,
            })!;
            Task<string> console = process.StandardOutput.ReadToEndAsync();
            Task<string> errors = process.StandardError.ReadToEndAsync();
            bool ended = process.WaitForExit(patience);
            double seconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
            if (!ended)
            {
                process.Kill();
            }

            string problem = !ended ? $"had not ended after {patience.TotalSeconds} s"
                : process.ExitCode != 0 ? $"ended with code {process.ExitCode}"
                : !console.Result.Contains("Kernel panic - not syncing", StringComparison.Ordinal) ? "ended without the kernel's panic on its console"
                : "";
            if (problem != "")
            {
                throw new BenchmarkException($"{name} {problem}; its last words: {Tail(console.Result)} {Tail(errors.Result)}");
            }

            foreach (string line in errors.Result.Split('\n'))
            {
                if (line.StartsWith(BootChild.CountMark, StringComparison.Ordinal))
                {
                    string[] counts = line[BootChild.CountMark.Length..].Split(' ', StringSplitOptions.RemoveEmptyEntries);
                    Instructions = ulong.Parse(counts[0], CultureInfo.InvariantCulture);
                    Halted = ulong.Parse(counts[1], CultureInfo.InvariantCulture);
                }
            }

            CpuSeconds.Add(CpuSecondsOfChildren() - cpuBefore);
            Seconds.Add(seconds);
            return seconds;
        }

        // proc(5), stat: cutime and cstime, fields 16 and 17, in hundredths of a second, of the children waited for. Counted
        // from behind the program's name, which may hold spaces.
        private static double CpuSecondsOfChildren()
        {
            string text = File.ReadAllText("/proc/self/stat");
            string[] fields = text[(text.LastIndexOf(')') + 2)..].Split(' ');
            return (double.Parse(fields[13], CultureInfo.InvariantCulture) + double.Parse(fields[14], CultureInfo.InvariantCulture)) / 100;
        }

        private static string Tail(string text) => text.TrimEnd()[Math.Max(0, text.TrimEnd().Length - 400)..];
    }
}
