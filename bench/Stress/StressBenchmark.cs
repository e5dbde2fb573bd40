using Bench.Processes;
using Emulator;
using Emulator.Memory;
using Guests;

namespace Bench.Stress;

/// <summary>
/// The time a unit at growing numbers, so that a cliff or a growth shows, and the memory of the process after each stage,
/// so that a leak does; ours beside QEMU's TCG, whose cache is made as large as a usual one of ours.
/// </summary>
internal static class StressBenchmark
{
    private const int TcgCacheMiB = 128;

    // Marks that arrive closer together than this were perhaps read at once.
    private const double LeastSeconds = 0.0005;

    /// <summary>What <see cref="Arguments.Parse"/> lets pass.</summary>
    public static readonly string[] Options = ["--runs", "--only", "--contenders", "--engine", "--timeout"];

    /// <summary>Runs and prints. 0 when every guest came to its end.</summary>
    public static int Run(Arguments arguments)
    {
        int runs = arguments.Number("--runs", 3, 1, 100);
        IReadOnlyList<string> names = arguments.Selection("--only", StressGuests.Names);
        TimeSpan patience = TimeSpan.FromSeconds(arguments.Number("--timeout", 120, 1, 3600));
        Engine engine = arguments.Choice("--engine", Engine.Translator);
        IReadOnlyList<string> wanted = arguments.Selection("--contenders", [Contender.OursName, Contender.TcgName]);
        bool qemu = Contender.QemuVersion() is not null;
        List<Contender> contenders =
        [
            .. ((Contender[])[Contender.Ours(engine), Contender.Tcg(TcgCacheMiB)])
                .Where(contender => wanted.Contains(contender.Name) && (qemu || contender.Name == Contender.OursName)),
        ];
        Report.PrintHost();
        Console.WriteLine(Contender.QemuVersion() ?? "QEMU is not there: only our own time is measured");
        Console.WriteLine($"engine: {engine}; runs: {runs}; {GuestImage.UsualMemoryMiB} MiB, one vCPU; TCG with a cache of {TcgCacheMiB} MiB");
        int code = 0;
        foreach (string name in names)
        {
            code = Math.Max(code, Measure(StressGuests.Make(name), contenders, runs, patience));
        }

        return code;
    }

    private static int Measure(StressGuest guest, List<Contender> contenders, int runs, TimeSpan patience)
    {
        Guest made = guest.ToGuest();
        string kernel = Path.GetTempFileName();
        Dictionary<(string, string), List<double>> seconds = [];
        Dictionary<(string, string), long> resident = [];
        Dictionary<string, (Mark First, Mark Last)> whole = [];
        SortedSet<string> problems = [];
        try
        {
            File.WriteAllBytes(kernel, made.Image);
            var image = new GuestImage { Kernel = kernel, ExitCode = made.ExitCode!.Value };
            for (int run = 0; run < runs; run++)
            {
                foreach (Contender contender in contenders)
                {
                    GuestRun done = GuestRun.Of(contender, image, patience);
                    if (done.Problem != "")
                    {
                        problems.Add($"{contender.Name}, {guest.Name}: {done.Problem}");
                    }

                    foreach ((Mark begin, Mark end) in done.Pairs())
                    {
                        if (!seconds.TryGetValue((contender.Name, begin.Name), out List<double>? list))
                        {
                            seconds.Add((contender.Name, begin.Name), list = []);
                        }

                        list.Add(end.Seconds - begin.Seconds);
                        resident[(contender.Name, begin.Name)] = end.Process.ResidentBytes;
                    }

                    if (done.Marks.Count > 0)
                    {
                        whole[contender.Name] = (done.Marks[0], done.Marks[^1]);
                    }
                }
            }
        }
        finally
        {
            File.Delete(kernel);
        }

        Print(guest, contenders, seconds, resident, whole);
        foreach (string problem in problems)
        {
            Console.Error.WriteLine($"bench: {problem}");
        }

        return problems.Count == 0 ? 0 : 1;
    }

    private static void Print(
        StressGuest guest, List<Contender> contenders, Dictionary<(string, string), List<double>> seconds,
        Dictionary<(string, string), long> resident, Dictionary<string, (Mark First, Mark Last)> whole)
    {
        double? Nanoseconds(string contender, Stage stage) =>
            seconds.TryGetValue((contender, stage.Name), out List<double>? list) && Report.Median(list) is > LeastSeconds and var median
                ? median / stage.Units * 1e9 : null;

        bool both = contenders.Count == 2;
        List<string[]> rows =
        [
            [
                guest.Name, "size", .. contenders.Select(contender => $"{contender.Name} ns"), .. contenders.Select(contender => $"{contender.Name} /least"),
                .. contenders.Select(contender => $"{contender.Name} MiB"), .. both ? [$"{contenders[1].Name}/ours"] : Array.Empty<string>(),
            ],
        ];

        // By kind, so that what grows stands in one column of neighbours.
        foreach (IGrouping<string, Stage> kind in guest.Stages.GroupBy(stage => stage.Kind))
        {
            foreach (Stage stage in kind)
            {
                double?[] times = [.. contenders.Select(contender => Nanoseconds(contender.Name, stage))];
                double?[] least = [.. contenders.Select(contender => kind.Min(other => Nanoseconds(contender.Name, other)))];
                rows.Add(
                [
                    stage.Kind, $"{stage.Size}", .. times.Select(time => Show(time, 1)), .. times.Select((time, i) => Show(time / least[i], 1)),
                    .. contenders.Select(contender => resident.TryGetValue((contender.Name, stage.Name), out long bytes) ? $"{bytes >> 20}" : "-"),
                    .. both ? [Show(times[1] / times[0], 2)] : Array.Empty<string>(),
                ]);
            }
        }

        Console.WriteLine();
        Report.PrintTable(rows);
        Console.WriteLine($"  ns a {guest.Unit}; /least: in relation to the best size; MiB resident after the stage; - where a stage was too short to be timed");
        foreach (Contender contender in contenders)
        {
            if (whole.TryGetValue(contender.Name, out (Mark First, Mark Last) marks))
            {
                string ram = marks.Last.Machine is { } machine ? $", of which {machine.Pages * GuestMemory.PageSize >> 20} MiB are the guest's RAM" : "";
                Console.WriteLine($"  {contender.Name}: {marks.First.Process.ResidentBytes >> 20} MiB resident at the first mark, {marks.Last.Process.ResidentBytes >> 20} MiB at the last{ram}");
            }
        }
    }

    private static string Show(double? value, int decimals) => value is { } number ? Report.Number(number, decimals) : "-";
}
