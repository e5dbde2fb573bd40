using System.Globalization;
using System.Text;
using Cli.Archives;

namespace Cli.Comparison;

/// <summary>A comparison for a terminal: minus is the first crash, plus the second.</summary>
internal static class ComparisonText
{
    private const int MostRanges = 20;
    private const int MostLines = 400;

    /// <summary>All of it.</summary>
    public static string Write(CrashComparison comparison)
    {
        var text = new StringBuilder();
        Append($"--- {comparison.First.Archive.Id} {comparison.First.Archive.Title}");
        Append($"+++ {comparison.Second.Archive.Id} {comparison.Second.Archive.Title}");
        foreach (string problem in comparison.First.Problems.Concat(comparison.Second.Problems))
        {
            Append($"problem: {problem}");
        }

        Section("facts", comparison.Facts);
        foreach (CpuComparison cpu in comparison.Cpus)
        {
            Section($"registers of CPU {cpu.Vcpu}", cpu.Registers);
            Lines($"stack of CPU {cpu.Vcpu}", cpu.Stack, cpu.Stack.Count == 0 ? "the same functions" : null);
        }

        Section("tasks", comparison.Tasks);
        Section("modules", comparison.Modules);
        Lines("log", comparison.Log, comparison.Log.Count == 0 ? "the same but for time stamps" : null);
        Pages(comparison);
        return text.ToString();

        void Append(string line) => text.Append(ArchiveText.Printable(line)).Append('\n');

        void Section(string heading, IReadOnlyList<Difference> differences)
        {
            if (differences.Count == 0)
            {
                return;
            }

            Append("");
            Append(heading);
            int width = differences.Max(difference => difference.Name.Length);
            foreach (Difference difference in differences.Take(MostLines))
            {
                Append($"- {difference.Name.PadRight(width)}  {difference.First ?? "(not there)"}");
                Append($"+ {difference.Name.PadRight(width)}  {difference.Second ?? "(not there)"}");
            }

            if (differences.Count > MostLines)
            {
                Append($"  … {differences.Count - MostLines} more; --json has them all");
            }
        }

        void Lines(string heading, IReadOnlyList<string> lines, string? otherwise)
        {
            Append("");
            Append(otherwise is null ? heading : $"{heading}: {otherwise}");
            foreach (string line in lines.Take(MostLines))
            {
                Append(line);
            }

            if (lines.Count > MostLines)
            {
                Append($"… {lines.Count - MostLines} more lines; --json has them all");
            }
        }

        void Pages(CrashComparison all)
        {
            PageComparison pages = all.Pages;
            Append("");
            Append(string.Create(
                CultureInfo.InvariantCulture,
                $"memory: {pages.Different} of {pages.Same + pages.Different} pages differ, in {ArchiveText.Size(pages.DifferentBytes)}"
                + $"{(pages.OnlyFirst == 0 ? "" : $"; {pages.OnlyFirst} only in the first")}{(pages.OnlySecond == 0 ? "" : $"; {pages.OnlySecond} only in the second")}"));
            if (all.Caution is { } caution)
            {
                Append($"note: {caution}");
            }

            if (pages.ByUse.Count > 0)
            {
                text.Append(ArchiveText.Table(
                    ["USE", ">PAGES", ">DIFFERENT"],
                    pages.ByUse.Select(use => (string[])
                    [
                        use.Key.ToString().ToLowerInvariant(), use.Value.Both.ToString(CultureInfo.InvariantCulture), use.Value.Different.ToString(CultureInfo.InvariantCulture),
                    ])));
            }

            if (pages.Ranges.Count > 0)
            {
                Append(pages.Ranges.Count > MostRanges ? $"the {MostRanges} longest of {pages.Ranges.Count} ranges:" : "ranges:");
                text.Append(ArchiveText.Table(
                    ["ADDRESS", ">PAGES", ">BYTES"],
                    pages.Ranges.OrderByDescending(range => range.Pages).ThenBy(range => range.Start).Take(MostRanges).OrderBy(range => range.Start).Select(range => (string[])
                    [
                        string.Create(CultureInfo.InvariantCulture, $"{range.Start:x}h"), range.Pages.ToString(CultureInfo.InvariantCulture), range.Bytes.ToString(CultureInfo.InvariantCulture),
                    ])));
            }
        }
    }
}
