namespace Snapshots;

/// <summary>Which archives of a store are kept when it is pruned. What a rule is null for it does not limit.</summary>
public sealed record KeepRules
{
    /// <summary>So many of the newest.</summary>
    public int? Archives { get; init; }

    /// <summary>The newest that fit into so many bytes together. The newest of all is kept even when it does not.</summary>
    public long? Bytes { get; init; }

    /// <summary>Of those with the same title only the first and the last.</summary>
    public bool CollapseTitles { get; init; }

    /// <summary>The rules are for the archives of this machine alone; null: for all.</summary>
    public string? Machine { get; init; }

    /// <summary>No rule says what to keep, so everything is.</summary>
    public bool KeepAll => Archives is null && Bytes is null && !CollapseTitles;

    /// <summary>
    /// The rules as they will be once another archive of about <paramref name="bytes"/> has come: what goes by them would go
    /// then. The newest stays, since that other is not there yet.
    /// </summary>
    public KeepRules WithOneMore(long bytes) => this with
    {
        Archives = Archives is { } count ? Math.Max(1, count - 1) : null,
        Bytes = Bytes is { } limit ? Math.Max(0, limit - bytes) : null,
    };

    /// <summary>What goes, newest first, out of a list that is newest first. Damaged archives are left to their owner.</summary>
    public IReadOnlyList<StoredArchive> Surplus(IReadOnlyList<StoredArchive> archives)
    {
        ArgumentNullException.ThrowIfNull(archives);
        List<StoredArchive> whole =
            [.. archives.Where(a => a.State == ArchiveState.Whole && (Machine is null || a.Info?.Capture.MachineName == Machine))];
        HashSet<StoredArchive> surplus = [];
        if (CollapseTitles)
        {
            foreach (IGrouping<string, StoredArchive> alike in whole.GroupBy(a => a.Title))
            {
                surplus.UnionWith(alike.Skip(1).SkipLast(1));
            }
        }

        int kept = 0;
        long bytes = 0;
        bool full = false;
        foreach (StoredArchive archive in whole)
        {
            if (surplus.Contains(archive))
            {
                continue;
            }

            full |= kept >= Archives || (kept > 0 && bytes + archive.Bytes > Bytes);
            if (full)
            {
                surplus.Add(archive);
                continue;
            }

            kept++;
            bytes += archive.Bytes;
        }

        return [.. whole.Where(surplus.Contains)];
    }
}
