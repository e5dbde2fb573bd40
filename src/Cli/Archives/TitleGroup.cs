using Snapshots;

namespace Cli.Archives;

/// <summary>Crashes alike, as `ls --group` tells of them. The names are a contract with scripts.</summary>
internal sealed record TitleGroup
{
    /// <summary>What they are called.</summary>
    public required string Title { get; init; }

    /// <summary>How many there were, those the store no longer has included.</summary>
    public required long Count { get; init; }

    /// <summary>When the first was captured, by the host's clock.</summary>
    public required DateTimeOffset First { get; init; }

    /// <summary>When the last was captured.</summary>
    public required DateTimeOffset Last { get; init; }

    /// <summary>IDs of those the store has, newest first.</summary>
    public required string[] Archives { get; init; }

    /// <summary>The groups of some archives, the one with the newest crash first.</summary>
    /// <param name="archives">The archives, newest first.</param>
    /// <param name="counts">How often each title was seen.</param>
    public static TitleGroup[] Of(IEnumerable<StoredArchive> archives, IReadOnlyDictionary<string, TitleCount> counts) =>
    [
        .. archives.GroupBy(archive => archive.Title).Select(alike => new TitleGroup
        {
            Title = alike.Key,
            Count = counts[alike.Key].Count,
            First = counts[alike.Key].First,
            Last = counts[alike.Key].Last,
            Archives = [.. alike.Select(archive => archive.Id)],
        }),
    ];
}
