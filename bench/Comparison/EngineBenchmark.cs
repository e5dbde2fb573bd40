using Bench.Processes;
using Emulator;

namespace Bench.Comparison;

/// <summary>
/// How fast guests are executed: a boot to the panic's reset and twelve guest programs, ours beside QEMU's TCG with and
/// without -icount, in alternating runs, so that whatever else the host does hits all of them. A run is two boots for
/// each contender: one that panics, and one in which the programs follow one another.
/// </summary>
internal sealed class EngineBenchmark
{
    /// <summary>The row of the boot, and its word for --only.</summary>
    public const string Boot = "boot";

    /// <summary>What <see cref="Arguments.Parse"/> lets pass.</summary>
    public static readonly string[] Options = ["--guest", "--programs", "--runs", "--only", "--contenders", "--engine", "--timeout"];

    private readonly DebianGuest guest;
    private readonly IReadOnlyList<string> works;
    private readonly int runs;
    private readonly TimeSpan patience;
    private readonly Engine engine;
    private readonly List<Contender> contenders = [];
    private readonly Dictionary<(string Contender, string Work), Measurements> figures = [];
    private readonly Dictionary<string, (string Contender, string Result)> results = [];
    private readonly SortedSet<string> problems = [];
    private readonly HashSet<(string Contender, bool Boot)> givenUp = [];

    private EngineBenchmark(Arguments arguments)
    {
        guest = new DebianGuest(arguments.Required("--guest"));
        runs = arguments.Number("--runs", 5, 1, 100);
        works = arguments.Selection("--only", [Boot, .. GuestProgram.All.Select(program => program.Name)]);
        patience = TimeSpan.FromSeconds(arguments.Number("--timeout", 120, 1, 3600));
        engine = arguments.Choice("--engine", Engine.Translator);
        IReadOnlyList<string> wanted = arguments.Selection("--contenders", [Contender.OursName, Contender.TcgName, Contender.CountingName]);
        bool qemu = Contender.QemuVersion() is not null;
        foreach (Contender contender in (Contender[])[Contender.Ours(engine), Contender.Tcg(), Contender.TcgCounting()])
        {
            if (wanted.Contains(contender.Name) && (qemu || contender.Name == Contender.OursName))
            {
                contenders.Add(contender);
            }
        }

        if (contenders.Count == 0)
        {
            throw new ArgumentException("there is nobody to measure: QEMU is not there");
        }
    }

    /// <summary>Runs and prints. 0 when everything was measured and reached what it must.</summary>
    public static int Run(Arguments arguments)
    {
        var benchmark = new EngineBenchmark(arguments);
        Report.PrintHost();
        Console.WriteLine(Contender.QemuVersion() ?? "QEMU is not there: only our own time is measured");
        Console.WriteLine($"guest: {benchmark.guest.Release}, {GuestImage.UsualMemoryMiB} MiB, one vCPU; engine: {benchmark.engine}; runs: {benchmark.runs}");
        string initrd = Path.GetTempFileName();
        try
        {
            benchmark.Measure(arguments, initrd);
        }
        finally
        {
            File.Delete(initrd);
        }

        bool reached = new EngineTable(benchmark.contenders, benchmark.works, benchmark.figures).Print();
        if (benchmark.problems.Count > 0)
        {
            Console.WriteLine($"  not measured, or not as it should be ({benchmark.problems.Count}, told above):");
            foreach (string problem in benchmark.problems)
            {
                Console.WriteLine($"    {problem.Split(';')[0]}");
            }
        }

        return reached && benchmark.problems.Count == 0 ? 0 : 1;
    }

    private void Measure(Arguments arguments, string initrd)
    {
        List<GuestProgram> programs = [.. GuestProgram.All.Where(program => works.Contains(program.Name))];
        GuestImage? image = programs.Count == 0 ? null
            : guest.ThatRuns(string.Concat(programs.Select(program => program.Script)), arguments.Required("--programs"), initrd);
        for (int run = 0; run < runs; run++)
        {
            for (int turn = 0; turn < contenders.Count; turn++)
            {
                // Another one begins each time, so that none is always behind the same one.
                Contender contender = contenders[(run + turn) % contenders.Count];
                string head = $"run {run + 1}, {contender.Name}:";
                if (works.Contains(Boot) && !givenUp.Contains((contender.Name, true)))
                {
                    MeasureBoot(contender, head);
                }

                if (image is not null && !givenUp.Contains((contender.Name, false)))
                {
                    MeasurePrograms(contender, programs, image, head);
                }
            }
        }
    }

    private void MeasureBoot(Contender contender, string head)
    {
        GuestRun run = GuestRun.Of(contender, guest.ThatPanics, patience);
        string problem = run.Problem != "" ? run.Problem
            : !run.Console.Contains("Kernel panic - not syncing", StringComparison.Ordinal) ? "ended without the kernel's panic on its console"
            : "";
        if (problem != "")
        {
            Note($"{contender.Name}, {Boot}: {problem}");
            givenUp.Add((contender.Name, true));
            return;
        }

        Of(contender, Boot).Add(run.Seconds, run.CpuSeconds, run.Instructions);
        Console.WriteLine($"{head} {Boot} {Report.Number(run.Seconds, 2)} s");
    }

    private void MeasurePrograms(Contender contender, List<GuestProgram> programs, GuestImage image, string head)
    {
        GuestRun run = GuestRun.Of(contender, image, patience);
        Dictionary<string, (Mark Begin, Mark End)> pairs = run.Pairs().ToDictionary(pair => pair.Begin.Name);
        List<string> shown = [];
        foreach (GuestProgram program in programs)
        {
            string problem = !pairs.TryGetValue(program.Name, out (Mark Begin, Mark End) pair) ? "did not end"
                : pair.End.Status != 0 ? $"ended with code {pair.End.Status}, printing '{pair.End.Result}'"
                : Differs(contender, program, pair.End.Result);
            if (problem != "")
            {
                Note($"{contender.Name}, {program.Name}: {problem}");
                continue;
            }

            double seconds = pair.End.Seconds - pair.Begin.Seconds;
            double? instructions = pair is { Begin.Machine: { } before, End.Machine: { } after } ? after.Instructions - before.Instructions : null;
            Of(contender, program.Name).Add(seconds, pair.End.Process.CpuSeconds - pair.Begin.Process.CpuSeconds, instructions);
            shown.Add($"{program.Name} {Report.Number(seconds, 2)}");
        }

        Console.WriteLine($"{head} {string.Join(", ", shown)} s; {Report.Number(run.Seconds, 1)} s in all");
        if (run.Problem != "" || pairs.Count < programs.Count)
        {
            // A guest that panics ends in good order, as far as its process is concerned.
            Note($"{contender.Name}, the programs: {(run.Problem != "" ? run.Problem : $"the guest ended early; last words: {run.ConsoleTail}")}");
            givenUp.Add((contender.Name, false));
        }
    }

    // A program that computes something else was not executed, however fast it was.
    private string Differs(Contender contender, GuestProgram program, string result)
    {
        if (program.Result is { } right && result != right)
        {
            return $"printed '{result}' and not '{right}'";
        }

        if (results.TryAdd(program.Name, (contender.Name, result)) || results[program.Name].Result == result)
        {
            return "";
        }

        return $"printed '{result}' where {results[program.Name].Contender} had '{results[program.Name].Result}'";
    }

    private Measurements Of(Contender contender, string work)
    {
        if (!figures.TryGetValue((contender.Name, work), out Measurements? measurements))
        {
            figures.Add((contender.Name, work), measurements = new Measurements());
        }

        return measurements;
    }

    // At once, since a run takes minutes; in short again at the end, where it is seen.
    private void Note(string problem)
    {
        if (problems.Add(problem))
        {
            Console.Error.WriteLine($"bench: {problem}");
        }
    }
}
