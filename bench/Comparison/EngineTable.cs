using Bench.Processes;

namespace Bench.Comparison;

/// <summary>The table of works and contenders, and what was to be reached. The first contender is ours, then TCG and icount.</summary>
internal sealed class EngineTable(
    IReadOnlyList<Contender> contenders, IReadOnlyList<string> works, IReadOnlyDictionary<(string Contender, string Work), Measurements> figures)
{
    private const int Tcg = 1, Counting = 2;

    private static readonly Measurements Nothing = new();

    /// <summary>Prints it. True when all that must be reached, of what was measured, is.</summary>
    public bool Print()
    {
        List<string[]> rows =
        [
            [
                "work", .. contenders.Select(contender => $"{contender.Name} s"), .. Others.Select(other => $"{other.Name}/ours"),
                .. Others.Select(other => $"{other.Name}/ours, CPU"), .. contenders.Select(contender => $"spread {contender.Name} %"), "ours M instr./s",
            ],
        ];
        foreach (string work in works)
        {
            rows.Add(
            [
                work, .. contenders.Select(contender => Of(contender, work).ToString()),
                .. Others.Select((_, i) => Show(Ratio(work, i + 1))), .. Others.Select((_, i) => Show(CpuRatio(work, i + 1))),
                .. contenders.Select(contender => Of(contender, work) is { Any: true } measured ? Report.Number(measured.SpreadPercent, 0) : "-"),
                Of(contenders[0], work).Rate is { } rate ? Report.Number(rate / 1e6, 0) : "-",
            ]);
        }

        Console.WriteLine();
        Report.PrintTable(rows);
        Console.WriteLine("  medians; X/ours is how many times our time X needs, by the clock and by CPU time; spread is most less least, of the median");
        return contenders.Count <= Counting || PrintClaims();
    }

    private IEnumerable<Contender> Others => contenders.Skip(1);

    private bool PrintClaims()
    {
        List<string[]> rows = [["claim", "reached", "must", "aim", ""]];
        bool all = true;
        void Claim(string what, double? reached, double must, double aim)
        {
            if (reached is { } ratio)
            {
                all &= ratio >= must;
                rows.Add([what, Report.Number(ratio, 2), Report.Number(must, 0), Report.Number(aim, 0),
                    ratio >= aim ? "beyond the aim" : ratio >= must ? "reached" : "NOT reached"]);
            }
        }

        Claim("boot, TCG/ours", Ratio(EngineBenchmark.Boot, Tcg), 1, 2);
        Claim("boot, icount/ours", Ratio(EngineBenchmark.Boot, Counting), 2, 4);
        List<(string Work, double Ratio)> programs = [];
        foreach (string work in works.Where(work => work != EngineBenchmark.Boot))
        {
            if (Ratio(work, Tcg) is { } ratio)
            {
                programs.Add((work, ratio));
            }
        }

        if (programs.Count > 0)
        {
            (string work, double worst) = programs.MinBy(program => program.Ratio);
            double mean = Math.Exp(programs.Average(program => Math.Log(program.Ratio)));
            Claim($"geometric mean of {programs.Count} of {GuestProgram.All.Count} programs, TCG/ours", mean, 2, 4);
            Claim($"worst program ({work}), TCG/ours", worst, 1, 2);
        }

        if (rows.Count > 1)
        {
            Console.WriteLine();
            Report.PrintTable(rows);
        }

        return all;
    }

    private Measurements Of(Contender contender, string work) => figures.GetValueOrDefault((contender.Name, work), Nothing);

    private double? Ratio(string work, int other) =>
        Of(contenders[0], work) is { Any: true } ours && Of(contenders[other], work) is { Any: true } its ? its.Median / ours.Median : null;

    private double? CpuRatio(string work, int other) =>
        Of(contenders[0], work) is { Any: true, CpuMedian: > 0 } ours && Of(contenders[other], work) is { Any: true } its ? its.CpuMedian / ours.CpuMedian : null;

    private static string Show(double? ratio) => ratio is { } value ? Report.Number(value, 2) : "-";
}
