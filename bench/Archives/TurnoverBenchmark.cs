using System.Diagnostics;
using Bench.Comparison;
using Bench.Processes;

namespace Bench.Archives;

/// <summary>
/// How many machines a minute go through boot, panic, a durable dump, and boot again: `gdbstub run --on-panic reboot`, and QEMU
/// whose guest is dumped and reset through its monitor as soon as its console shows the panic's end.
/// </summary>
internal static class TurnoverBenchmark
{
    /// <summary>What <see cref="Arguments.Parse"/> lets pass.</summary>
    public static readonly string[] Options = ["--guest", "--product", "--runs", "--seconds", "--directory"];

    /// <summary>Runs and prints. 0 when ours turns over more than each of QEMU's ways.</summary>
    public static int Run(Arguments arguments)
    {
        int runs = arguments.Number("--runs", 3, 1, 100), seconds = arguments.Number("--seconds", 30, 5, 3600);
        string program = arguments.Required("--product");
        string directory = Path.Combine(arguments.Text("--directory") ?? Path.GetTempPath(), $"gdbstub-bench-{Environment.ProcessId}");
        Report.PrintHost();
        var guest = new DebianGuest(arguments.Required("--guest"));
        Console.WriteLine($"Debian {guest.Release}, 256 MiB; {runs} runs of {seconds} s in turns; {Contender.QemuVersion() ?? "no QEMU"}");
        GuestImage ours = guest.ThatPanics, theirs = ours with { CommandLine = ours.CommandLine.Replace("panic=-1", "panic=0", StringComparison.Ordinal) };
        var rates = new Dictionary<string, List<double>> { ["gdbstub"] = [], ["QEMU elf"] = [], ["QEMU kdump-zlib"] = [] };
        try
        {
            Directory.CreateDirectory(directory);
            for (int run = 0; run < runs; run++)
            {
                rates["gdbstub"].Add(Product(program, ours, Path.Combine(directory, "store"), seconds));
                rates["QEMU elf"].Add(Qemu(theirs, directory, "", seconds));
                rates["QEMU kdump-zlib"].Add(Qemu(theirs, directory, "-z ", seconds));
            }
        }
        finally
        {
            Directory.Delete(directory, recursive: true);
        }

        Console.WriteLine();
        double mine = Report.Median(rates["gdbstub"]);
        Report.PrintTable(
        [
            ["way", "machines a minute", "ours / it", "runs"],
            .. rates.Select(pair => (string[])
            [
                pair.Key, Report.Number(Report.Median(pair.Value), 1), Report.Number(mine / Report.Median(pair.Value), 2),
                string.Join(' ', pair.Value.Select(rate => Report.Number(rate, 1))),
            ]),
        ]);
        return rates.All(pair => pair.Key == "gdbstub" || mine > Report.Median(pair.Value)) ? 0 : 1;
    }

    // The first machine is not counted, only how long it takes from its archive to the last one's.
    private static double Product(string program, GuestImage image, string store, int seconds)
    {
        double first = 0, last = 0;
        int count = 0;
        using (var run = new ProductRun(program, image, store, "--on-panic", "reboot", "--backoff", "none", "--keep", "2"))
        {
            foreach ((string name, double at, _) in run.Events())
            {
                if (name != "archived")
                {
                    continue;
                }

                (first, last, count) = count == 0 ? (at, at, 1) : (first, at, count + 1);
                if (at - first > seconds)
                {
                    run.End();
                    break;
                }
            }
        }

        // What it had begun to write is gone with it.
        Directory.Delete(store, recursive: true);
        return count < 2 ? throw new BenchmarkException("gdbstub did not turn a machine over") : (count - 1) * 60 / (last - first);
    }

    private static double Qemu(GuestImage image, string directory, string option, int seconds)
    {
        using var machine = QemuMachine.Start(image, Path.Combine(directory, "qemu"));
        long first = 0, last = 0;
        int count = 0;
        while (count < 2 || Stopwatch.GetElapsedTime(first).TotalSeconds < seconds)
        {
            machine.WaitForPanic();
            string output = Path.Combine(directory, $"dump-{count % 2}");
            File.Delete(output);
            machine.Command($"dump-guest-memory {option}{output}");
            machine.Command("system_reset");

            // The guest is on its way again meanwhile.
            ArchiveBenchmark.Synchronize(output);
            last = Stopwatch.GetTimestamp();
            first = count == 0 ? last : first;
            count++;
        }

        return (count - 1) * 60 / Stopwatch.GetElapsedTime(first, last).TotalSeconds;
    }
}
