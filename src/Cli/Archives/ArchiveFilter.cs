using Snapshots;

namespace Cli.Archives;

/// <summary>Which archives of a store are meant. What is null restricts nothing.</summary>
internal sealed record ArchiveFilter
{
    /// <summary>So many of the newest that are left.</summary>
    public int Limit { get; init; } = int.MaxValue;

    /// <summary>Captured then or later, by the host's clock.</summary>
    public DateTimeOffset Since { get; init; } = DateTimeOffset.MinValue;

    /// <summary>Words of the title, in any case.</summary>
    public string? Title { get; init; }

    /// <summary>The machine's name.</summary>
    public string? Machine { get; init; }

    /// <summary>How the kernel's release begins.</summary>
    public string? Release { get; init; }

    /// <summary>Those that are meant, of a list that is newest first.</summary>
    public IEnumerable<StoredArchive> Apply(IEnumerable<StoredArchive> archives) => archives
        .Where(a => a.Time >= Since
            && (Title is null || a.Title.Contains(Title, StringComparison.OrdinalIgnoreCase))
            && (Machine is null || a.Info?.Capture.MachineName == Machine)
            && (Release is null || a.Info?.Capture.GuestRelease?.StartsWith(Release, StringComparison.Ordinal) == true))
        .Take(Limit);
}
