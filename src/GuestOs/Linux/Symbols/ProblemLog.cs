namespace GuestOs.Linux.Symbols;

/// <summary>What was wrong with a guest's structures, in words for a person; what could be read is served all the same.</summary>
internal sealed class ProblemLog
{
    /// <summary>Lines kept: a guest can have more wrong with it than anyone wants to read.</summary>
    public const int MaxLines = 64;

    private readonly List<string> lines = [];

    public IReadOnlyList<string> Lines => lines;

    public void Add(string line)
    {
        if (lines.Count < MaxLines && !lines.Contains(line))
        {
            lines.Add(line);
        }
    }
}
