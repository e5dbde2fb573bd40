using Bench.Processes;

namespace Bench.Comparison;

/// <summary>The table of works and contenders, and what was to be reached.</summary>
internal sealed class EngineTable(
    IReadOnlyList<Contender> contenders, IReadOnlyList<string> works, IReadOnlyDictionary<(string Contender, string Work), Measurements> figures)
{
    private static readonly Measurements Nothing = new();

    /// <summary>Prints it. True when all that must be reached, of what was measured, is.</summary>
    public bool Print()
    {
        List<Contender> others = [.. contenders.Where(contender => contender.Name != Contender.OursName)];
        List<string[]> rows =
        [
            [
                "work", .. contenders.Select(contender => $"{contender.Name} s"), .. others.Select(other => $"{other.Name}/ours"),
                .. others.Select(other => $"{other.Name}/ours, CPU"), .. contenders.Select(contender => $"spread {contender.Name} %"), "ours M instr./s",
            ],
        ];
        foreach (string work in works)
        {
            rows.Add(
            [
                work, .. contenders.Select(contender => Of(contender.Name, work).ToString()),
                .. others.Select(other => Show(Ratio(work, other.Name))), .. others.Select(other => Show(CpuRatio(work, other.Name))),
                .. contenders.Select(contender => Of(contender.Name, work) is { Any: true } measured ? Report.Number(measured.SpreadPercent, 0) : "-"),
                Of(Contender.OursName, work).Rate is { } rate ? Report.Number(rate / 1e6, 0) : "-",
            ]);
        }

        Console.WriteLine();
        Report.PrintTable(rows);
        Console.WriteLine("  medians; X/ours is how many times our time X needs, by the clock and by CPU time; spread is most less least, of the median; instructions are the guest's");
        return PrintClaims();
    }

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

        Claim("boot, tcg/ours", Ratio(EngineBenchmark.Boot, Contender.TcgName), 1, 2);
        Claim("boot, icount/ours", Ratio(EngineBenchmark.Boot, Contender.CountingName), 2, 4);
        List<(string Work, double Ratio)> programs = [];
        foreach (string work in works.Where(work => work != EngineBenchmark.Boot))
        {
            if (Ratio(work, Contender.TcgName) is { } ratio)
            {
                programs.Add((work, ratio));
            }
        }

        if (programs.Count > 0)
        {
            (string work, double worst) = programs.MinBy(program => program.Ratio);
            double mean = Math.Exp(programs.Average(program => Math.Log(program.Ratio)));
            Claim($"geometric mean of {programs.Count} of {GuestProgram.All.Count} programs, tcg/ours", mean, 2, 4);
            Claim($"worst program ({work}), tcg/ours", worst, 1, 2);
        }

        if (rows.Count > 1)
        {
            Console.WriteLine();
            Report.PrintTable(rows);
        }

        return all;
    }

    private Measurements Of(string contender, string work) => figures.GetValueOrDefault((contender, work), Nothing);

    private double? Ratio(string work, string other) =>
        Of(Contender.OursName, work) is { Any: true } ours && Of(other, work) is { Any: true } its ? its.Median / ours.Median : null;

    private double? CpuRatio(string work, string other) =>
        Of(Contender.OursName, work) is { Any: true, CpuMedian: > 0 } ours && Of(other, work) is { Any: true } its ? its.CpuMedian / ours.CpuMedian : null;

    private static string Show(double? ratio) => ratio is { } value ? Report.Number(value, 2) : "-";
}
