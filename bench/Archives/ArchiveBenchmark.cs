using System.Diagnostics;
using System.Globalization;
using System.Text;
using Bench.Comparison;
using Bench.Processes;

namespace Bench.Archives;

/// <summary>
/// What it takes to have a crashed machine on the disk, and to have it back: ours beside QEMU's dump-guest-memory and
/// makedumpfile, of the same guest with the same RAM, in turns. Durable is: after fsync.
/// </summary>
internal static class ArchiveBenchmark
{
    /// <summary>What <see cref="Arguments.Parse"/> lets pass.</summary>
    public static readonly string[] Options = ["--guest", "--product", "--runs", "--memory", "--directory"];

    private const double PauseLimit = 1, OpenLimit = 100;

    /// <summary>Runs and prints. 0 when what must be reached is.</summary>
    public static int Run(Arguments arguments)
    {
        int runs = arguments.Number("--runs", 3, 1, 100);
        string program = arguments.Required("--product");
        string directory = Path.Combine(arguments.Text("--directory") ?? Path.GetTempPath(), $"gdbstub-bench-{Environment.ProcessId}");
        Report.PrintHost();
        var guest = new DebianGuest(arguments.Required("--guest"));
        Console.WriteLine($"Debian {guest.Release}, a panic by sysrq-c; medians of {runs} runs in turns; {Contender.QemuVersion() ?? "no QEMU"}");
        bool reached = true;
        try
        {
            Directory.CreateDirectory(directory);
            foreach (string size in (arguments.Text("--memory") ?? "256,4096").Split(','))
            {
                reached &= Measure(program, guest, int.Parse(size, CultureInfo.InvariantCulture), runs, directory);
            }

            reached &= SlowdownBenchmark.Measure(guest, runs, directory);
        }
        finally
        {
            Directory.Delete(directory, recursive: true);
        }

        return reached ? 0 : 1;
    }

    /// <summary>Puts a file on the disk.</summary>
    public static void Synchronize(string path)
    {
        using var file = new FileStream(path, FileMode.Open, FileAccess.ReadWrite);
        file.Flush(flushToDisk: true);
    }

    private static bool Measure(string program, DebianGuest guest, int memory, int runs, string directory)
    {
        GuestImage ours = guest.ThatPanics with { MemoryMiB = memory };
        GuestImage theirs = ours with { CommandLine = ours.CommandLine.Replace("panic=-1", "panic=0", StringComparison.Ordinal) };
        var figures = new Dictionary<string, Figures>();
        for (int run = 0; run < runs; run++)
        {
            string store = Path.Combine(directory, "store");
            string archive = Product(figures, program, ours, store);
            Opening(figures, program, archive);
            Makedumpfile(figures, program, archive, directory);
            Directory.Delete(store, recursive: true);
            Qemu(figures, theirs, directory);
        }

        return Print(figures, memory);
    }

    private static Figures Of(Dictionary<string, Figures> figures, string name)
    {
        if (!figures.TryGetValue(name, out Figures? found))
        {
            figures[name] = found = new Figures();
        }

        return found;
    }

    private static string Product(Dictionary<string, Figures> figures, string program, GuestImage image, string store)
    {
        using var run = new ProductRun(program, image, store, "--on-panic", "exit");
        double frozen = 0, cpu = 0;
        string? path = null;
        foreach ((string name, double seconds, System.Text.Json.JsonElement happened) in run.Events())
        {
            if (name == "frozen")
            {
                (frozen, cpu) = (seconds, run.CpuSeconds);
                Of(figures, "gdbstub").Pause.Add(happened.GetProperty("pauseMilliseconds").GetDouble());
            }
            else if (name == "archived")
            {
                Figures own = Of(figures, "gdbstub");
                own.Durable.Add(seconds - frozen);
                own.Cpu.Add(run.CpuSeconds - cpu);
                path = happened.GetProperty("path").GetString()!;
            }
        }

        // What is on the disk at the run's end: an archive is written in haste, and then made smaller.
        Of(figures, "gdbstub").Bytes.Add(path is null ? throw new BenchmarkException("gdbstub archived nothing") : new FileInfo(path).Length);
        return path;
    }

    // From the process's start to the answer of its first packet, as gdb's "target remote |" would wait for it.
    private static void Opening(Dictionary<string, Figures> figures, string program, string archive)
    {
        for (int i = 0; i < 5; i++)
        {
            var start = new ProcessStartInfo(program, ["serve", archive, "--gdb", "stdio"]) { RedirectStandardInput = true, RedirectStandardOutput = true };
            long begin = Stopwatch.GetTimestamp();
            using Process process = Process.Start(start)!;
            process.StandardInput.BaseStream.Write("+$qSupported:swbreak+#8b"u8);
            process.StandardInput.BaseStream.Flush();
            var answer = new StringBuilder();
            while (!answer.ToString().Contains('#', StringComparison.Ordinal) && process.StandardOutput.Read() is >= 0 and var letter)
            {
                answer.Append((char)letter);
            }

            double milliseconds = Stopwatch.GetElapsedTime(begin).TotalMilliseconds;
            process.StandardInput.Close();
            process.WaitForExit();
            if (!answer.ToString().Contains("PacketSize", StringComparison.Ordinal))
            {
                throw new BenchmarkException($"the stub answered {answer}");
            }

            // The first finds nothing in the host's cache.
            if (i > 0)
            {
                Of(figures, "gdbstub").Open.Add(milliseconds);
            }
        }
    }

    private static void Makedumpfile(Dictionary<string, Figures> figures, string program, string archive, string directory)
    {
        string elf = Path.Combine(directory, "elf"), output = Path.Combine(directory, "makedumpfile");
        Execute(program, "export", archive, "-o", elf);
        foreach (string[] options in (string[][])[["-c", "-d", "1"], ["-l", "-d", "1"]])
        {
            double cpu = ProcessFigures.CpuSecondsOfEndedChildren();
            long begin = Stopwatch.GetTimestamp();
            Execute("makedumpfile", [.. options, elf, output]);
            Synchronize(output);
            Figures their = Of(figures, $"makedumpfile {string.Join(' ', options)}");
            their.Durable.Add(Stopwatch.GetElapsedTime(begin).TotalSeconds);
            their.Cpu.Add(ProcessFigures.CpuSecondsOfEndedChildren() - cpu);
            their.Bytes.Add(new FileInfo(output).Length);
            File.Delete(output);
        }

        File.Delete(elf);
    }

    // The guest stands from the command's beginning to its end.
    private static void Qemu(Dictionary<string, Figures> figures, GuestImage image, string directory)
    {
        using var machine = QemuMachine.Start(image, Path.Combine(directory, "qemu"));
        machine.WaitForPanic();
        foreach ((string name, string option) in (ReadOnlySpan<(string, string)>)[("QEMU elf", ""), ("QEMU kdump-zlib", "-z ")])
        {
            string output = Path.Combine(directory, "dump");
            double cpu = machine.CpuSeconds;
            long begin = Stopwatch.GetTimestamp();
            machine.Command($"dump-guest-memory {option}{output}");
            double pause = Stopwatch.GetElapsedTime(begin).TotalMilliseconds;
            Synchronize(output);
            Figures their = Of(figures, name);
            their.Pause.Add(pause);
            their.Durable.Add(Stopwatch.GetElapsedTime(begin).TotalSeconds);
            their.Cpu.Add(machine.CpuSeconds - cpu);
            their.Bytes.Add(new FileInfo(output).Length);
            File.Delete(output);
        }
    }

    private static void Execute(string program, params string[] arguments)
    {
        var start = new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true };
        using Process process = Process.Start(start)!;
        Task<string> output = process.StandardOutput.ReadToEndAsync(), error = process.StandardError.ReadToEndAsync();
        process.WaitForExit();
        if (process.ExitCode != 0)
        {
            throw new BenchmarkException($"{program} {string.Join(' ', arguments)} ended with {process.ExitCode}: {error.Result}{output.Result}");
        }
    }

    private static bool Print(Dictionary<string, Figures> figures, int memory)
    {
        Console.WriteLine();
        List<string[]> rows = [[$"{memory} MiB", "pause ms", "durable s", "CPU s", "MB", "first packet ms"]];
        foreach ((string name, Figures one) in figures)
        {
            rows.Add(
            [
                name, one.Pause.Count == 0 ? "-" : Report.Number(Report.Median(one.Pause), 3), Report.Number(Report.Median(one.Durable), 2), Report.Number(Report.Median(one.Cpu), 2),
                Report.Number(Report.Median(one.Bytes) / 1e6, 1), one.Open.Count == 0 ? "-" : Report.Number(Report.Median(one.Open), 1),
            ]);
        }

        Report.PrintTable(rows);
        Figures ours = figures["gdbstub"];
        double size = Report.Median(ours.Bytes) / Report.Median(figures["makedumpfile -c -d 1"].Bytes);
        bool reached = Must($"the longest pause, {Report.Number(ours.Pause.Max(), 3)} ms, is under {PauseLimit} ms", ours.Pause.Max() < PauseLimit)
            & Must($"the archive has {Report.Number(size, 3)} of the size of makedumpfile's -c -d 1, not more than 1", size <= 1)
            & Must($"the first packet is answered in {Report.Number(Report.Median(ours.Open), 1)} ms, under {OpenLimit} ms", Report.Median(ours.Open) < OpenLimit);
        foreach ((string name, Figures their) in figures.Where(pair => pair.Key != "gdbstub"))
        {
            // makedumpfile works on a dump that somebody has written before.
            double before = name.StartsWith("makedumpfile", StringComparison.Ordinal) ? Report.Median(figures["QEMU elf"].Durable) : 0;
            double ratio = (Report.Median(their.Durable) + before) / Report.Median(ours.Durable);
            reached &= Must($"durable {Report.Number(ratio, 2)} times sooner than {name}{(before == 0 ? "" : " after QEMU elf")}", ratio > 1);
        }

        return reached;
    }

    private static bool Must(string words, bool reached)
    {
        Console.WriteLine($"  {(reached ? "reached" : "MISSED ")}  {words}");
        return reached;
    }

    private sealed class Figures
    {
        public List<double> Pause { get; } = [];

        public List<double> Durable { get; } = [];

        public List<double> Cpu { get; } = [];

        public List<double> Bytes { get; } = [];

        public List<double> Open { get; } = [];
    }
}
