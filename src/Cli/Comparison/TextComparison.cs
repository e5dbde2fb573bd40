using System.Text;
using System.Text.RegularExpressions;
using DiffPlex;
using DiffPlex.Model;

namespace Cli.Comparison;

/// <summary>Two texts line by line, in the unified form that diff(1) and git have.</summary>
internal static partial class TextComparison
{
    private const int Context = 3;

    /// <summary>The hunks that differ; empty when the texts are alike but for the time stamps of a kernel's log.</summary>
    public static IReadOnlyList<string> Unified(IReadOnlyList<string> first, IReadOnlyList<string> second)
    {
        DiffResult result = Differ.Instance.CreateLineDiffs(Joined(first), Joined(second), ignoreWhitespace: false);
        List<string> lines = [];
        for (int i = 0; i < result.DiffBlocks.Count;)
        {
            int next = i + 1;
            while (next < result.DiffBlocks.Count && result.DiffBlocks[next].DeleteStartA - EndInFirst(result.DiffBlocks[next - 1]) <= 2 * Context)
            {
                next++;
            }

            Hunk(lines, first, second, result.DiffBlocks, i, next);
            i = next;
        }

        return lines;
    }

    private static int EndInFirst(DiffBlock block) => block.DeleteStartA + block.DeleteCountA;

    private static void Hunk(List<string> lines, IReadOnlyList<string> first, IReadOnlyList<string> second, IList<DiffBlock> blocks, int from, int to)
    {
        DiffBlock last = blocks[to - 1];
        int start = Math.Max(0, blocks[from].DeleteStartA - Context), end = Math.Min(first.Count, EndInFirst(last) + Context);
        int startSecond = blocks[from].InsertStartB - (blocks[from].DeleteStartA - start);
        int endSecond = last.InsertStartB + last.InsertCountB + (end - EndInFirst(last));
        lines.Add($"@@ -{start + 1},{end - start} +{startSecond + 1},{endSecond - startSecond} @@");
        int at = start;
        for (int i = from; i < to; i++)
        {
            DiffBlock block = blocks[i];
            for (; at < block.DeleteStartA; at++)
            {
                lines.Add(" " + first[at]);
            }

            for (; at < EndInFirst(block); at++)
            {
                lines.Add("-" + first[at]);
            }

            for (int k = block.InsertStartB; k < block.InsertStartB + block.InsertCountB; k++)
            {
                lines.Add("+" + second[k]);
            }
        }

        for (; at < end; at++)
        {
            lines.Add(" " + first[at]);
        }
    }

    private static string Joined(IReadOnlyList<string> lines)
    {
        var text = new StringBuilder();
        for (int i = 0; i < lines.Count; i++)
        {
            text.Append(i == 0 ? "" : "\n").Append(TimeStamp().Replace(lines[i].Replace('\r', ' '), ""));
        }

        return text.ToString();
    }

    [GeneratedRegex(@"^\[ *\d+\.\d+\] ")]
    private static partial Regex TimeStamp();
}
