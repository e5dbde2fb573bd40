using System.Text.Json;
using Microsoft.Win32.SafeHandles;

namespace Snapshots;

/// <summary>One crash, or several alike, whose archives were pruned: a line of the prune log.</summary>
internal sealed record PrunedCrash
{
    /// <summary>The archive's id; null in a line that sums several up.</summary>
    public string? Id { get; init; }

    /// <summary>Its title.</summary>
    public required string Title { get; init; }

    /// <summary>The machine it was of.</summary>
    public string? Machine { get; init; }

    /// <summary>How many crashes the line stands for.</summary>
    public long Count { get; init; } = 1;

    /// <summary>When the first of them was captured.</summary>
    public required DateTimeOffset First { get; init; }

    /// <summary>When the last of them was captured.</summary>
    public required DateTimeOffset Last { get; init; }
}

/// <summary>
/// What a store remembers of archives it no longer has: a file of JSON lines beside them, so that crashes alike are still
/// counted when only their first and last are kept. A line is on the disk before its archive is removed, and names it: whoever
/// dies in between leaves an archive that is there and in the log, and counts once. A line cut short is no line.
/// </summary>
internal sealed class PruneLog(string directory)
{
    private const string Name = ".pruned";

    private readonly string path = Path.Combine(directory, Name);

    /// <summary>Everything in it; nothing when there is none or it cannot be read.</summary>
    public List<PrunedCrash> Read()
    {
        try
        {
            using SafeFileHandle file = HostFiles.OpenRead(path);
            return Parse(ReadAll(file));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return [];
        }
    }

    /// <summary>Adds archives about to be removed, and has them on the disk when it returns. Under the store's lock.</summary>
    /// <param name="pruned">The archives.</param>
    /// <param name="exists">Whether the store still has an archive of this id.</param>
    public void Add(IEnumerable<StoredArchive> pruned, Func<string, bool> exists)
    {
        using SafeFileHandle file = HostFiles.OpenOrCreate(path);
        byte[] before = ReadAll(file);
        List<byte> added = [];
        if (before.Length > 0 && before[^1] != (byte)'\n')
        {
            added.Add((byte)'\n');
        }

        foreach (StoredArchive archive in pruned)
        {
            Append(added, new PrunedCrash
            {
                Id = archive.Id,
                Title = archive.Title,
                Machine = archive.Info?.Capture.MachineName,
                First = archive.Time,
                Last = archive.Time,
            });
        }

        if (before.Length + added.Count > ArchiveLimits.PruneLogBytes)
        {
            Rewrite(Sum(Parse([.. before, .. added]), exists));
            return;
        }

        RandomAccess.Write(file, added.ToArray(), before.Length);
        RandomAccess.FlushToDisk(file);
    }

    /// <summary>One line for each title and machine; archives that are still there keep theirs, or they would count twice.</summary>
    private static IEnumerable<PrunedCrash> Sum(List<PrunedCrash> lines, Func<string, bool> exists)
    {
        foreach (PrunedCrash line in lines.Where(l => l.Id is not null && exists(l.Id)))
        {
            yield return line;
        }

        IEnumerable<PrunedCrash> gone = lines.Where(l => l.Id is null || !exists(l.Id)).DistinctBy(l => l.Id ?? $"{l.Machine}\n{l.Title}\n{l.First.Ticks}");
        foreach (IGrouping<(string Title, string? Machine), PrunedCrash> alike in gone
            .GroupBy(l => (l.Title, l.Machine)).OrderByDescending(g => g.Max(l => l.Last)).Take(ArchiveLimits.PrunedTitles))
        {
            yield return new PrunedCrash
            {
                Title = alike.Key.Title,
                Machine = alike.Key.Machine,
                Count = alike.Sum(l => l.Count),
                First = alike.Min(l => l.First),
                Last = alike.Max(l => l.Last),
            };
        }
    }

    private static List<PrunedCrash> Parse(byte[] bytes)
    {
        List<PrunedCrash> lines = [];
        ReadOnlySpan<byte> rest = bytes;
        for (int end = rest.IndexOf((byte)'\n'); end >= 0; rest = rest[(end + 1)..], end = rest.IndexOf((byte)'\n'))
        {
            try
            {
                if (end > 0 && JsonSerializer.Deserialize(rest[..end], ArchiveJson.Default.PrunedCrash) is { Count: > 0 and < 1L << 40 } line)
                {
                    lines.Add(line);
                }
            }
            catch (JsonException)
            {
                // Cut short by a power failure, or not ours: the other lines count.
            }
        }

        return lines;
    }

    private static byte[] ReadAll(SafeFileHandle file)
    {
        byte[] bytes = new byte[(int)Math.Min(RandomAccess.GetLength(file), 2 * ArchiveLimits.PruneLogBytes)];
        int done = 0;
        while (done < bytes.Length && RandomAccess.Read(file, bytes.AsSpan(done), done) is > 0 and var read)
        {
            done += read;
        }

        return bytes[..done];
    }

    private static void Append(List<byte> bytes, PrunedCrash line)
    {
        bytes.AddRange(JsonSerializer.SerializeToUtf8Bytes(line, ArchiveJson.Default.PrunedCrash));
        bytes.Add((byte)'\n');
    }

    private void Rewrite(IEnumerable<PrunedCrash> lines)
    {
        List<byte> bytes = [];
        foreach (PrunedCrash line in lines)
        {
            Append(bytes, line);
        }

        string temporary = path + ".new";
        using (SafeFileHandle file = HostFiles.OpenOrCreate(temporary))
        {
            RandomAccess.SetLength(file, 0);
            RandomAccess.Write(file, bytes.ToArray(), 0);
            RandomAccess.FlushToDisk(file);
        }

        File.Move(temporary, path, overwrite: true);
        HostFiles.FlushDirectory(directory);
    }
}
