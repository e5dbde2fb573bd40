using System.Globalization;
using System.Security.Cryptography;
using Emulator;
using Microsoft.Win32.SafeHandles;

namespace Snapshots;

/// <summary>
/// A directory of archives. Any number of processes may use one at the same time: an archive is whole or not there, what
/// is being written is under a lock that dies with its writer, and leavings of dead writers are cleared away when the
/// store is opened.
/// </summary>
public sealed class Store
{
    private const string Extension = ".kdump";
    private const string TemporaryExtension = ".partial";
    private const string LockName = ".lock";
    private const int IdBytes = 5;
    private const int IdAttempts = 100;

    private static readonly TimeSpan LockPatience = TimeSpan.FromSeconds(10);

    private Store(string directory) => Directory = directory;

    /// <summary>The directory's full path. It need not exist until something is written.</summary>
    public string Directory { get; }

    /// <summary>
    /// Opens a store and clears leavings away. A directory that does not exist is an empty store; one that cannot be
    /// written serves what is in it.
    /// </summary>
    public static Store Open(string directory)
    {
        ArgumentException.ThrowIfNullOrEmpty(directory);
        var store = new Store(Path.GetFullPath(directory));
        store.ClearLeavings();
        return store;
    }

    /// <summary>
    /// Every archive, newest first; archives of the same instant by id. A file that cannot be opened is listed as damaged,
    /// with the reason; one that is still being written is not listed.
    /// </summary>
    public IReadOnlyList<StoredArchive> List()
    {
        List<StoredArchive> found = [];
        foreach (string path in Files())
        {
            if (StoredArchive.TryRead(path) is { } archive)
            {
                found.Add(archive);
            }
        }

        found.Sort((a, b) => a.Time != b.Time ? b.Time.CompareTo(a.Time) : string.CompareOrdinal(a.Id, b.Id));
        return found;
    }

    /// <summary>
    /// The archive <paramref name="name"/> means: an id or the beginning of one, <c>latest</c>, or <c>-1</c> for the
    /// newest, <c>-2</c> for the one before … Throws <see cref="ArchiveException"/> when there is none, or more than one.
    /// </summary>
    public StoredArchive Find(string name)
    {
        ArgumentException.ThrowIfNullOrEmpty(name);
        if (name == "latest")
        {
            name = "-1";
        }

        if (name[0] == '-' && int.TryParse(name.AsSpan(1), NumberStyles.None, CultureInfo.InvariantCulture, out int back))
        {
            IReadOnlyList<StoredArchive> all = List();
            return back >= 1 && back <= all.Count
                ? all[back - 1]
                : throw new ArchiveException($"{Directory}: there is no archive {name}; the store has {all.Count}");
        }

        List<string> matches = [.. Files().Where(f => Path.GetFileName(f).StartsWith(name, StringComparison.OrdinalIgnoreCase))];
        if (matches.Find(f => string.Equals(IdOf(f), name, StringComparison.OrdinalIgnoreCase)) is { } exact)
        {
            matches = [exact];
        }

        return matches.Count switch
        {
            1 => StoredArchive.TryRead(matches[0]) ?? throw new ArchiveException($"{Directory}: archive {name} was removed just now"),
            0 => throw new ArchiveException($"{Directory}: there is no archive {name}"),
            _ => throw new ArchiveException(
                $"{Directory}: {name} could be any of {string.Join(", ", matches.Select(IdOf).Order(StringComparer.Ordinal))}; give more of it"),
        };
    }

    /// <summary>Opens the archive <paramref name="name"/> means; see <see cref="Find"/>.</summary>
    public ArchiveReader OpenArchive(string name) => ArchiveReader.Open(Find(name).Path);

    /// <summary>Writes a snapshot as a new archive; see the other overload.</summary>
    public StoredArchive Write(
        Snapshot snapshot, ArchiveWriterOptions? options = null, IProgress<ArchiveProgress>? progress = null, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(snapshot);
        return Write(snapshot, snapshot.State, snapshot.Info, options, progress, cancellation);
    }

    /// <summary>
    /// Writes a machine as a new archive and returns it once it is on the disk. Throws what <see cref="ArchiveWriter"/>
    /// throws; nothing is left behind then.
    /// </summary>
    public StoredArchive Write(
        IMachineView view, MachineState? state, CaptureInfo info, ArchiveWriterOptions? options = null,
        IProgress<ArchiveProgress>? progress = null, CancellationToken cancellation = default)
    {
        (string id, SafeFileHandle handle) = CreateTemporary();
        string path = PathOf(id);
        using (handle)
        {
            ArchiveWriter.Write(handle, TemporaryOf(id), path, id, view, state, info, options, progress, cancellation);
        }

        return StoredArchive.TryRead(path) ?? throw new ArchiveException($"{path}: the archive was removed as soon as it was written");
    }

    /// <summary>Removes the archive <paramref name="name"/> means. Whoever has it open keeps reading it.</summary>
    public void Remove(string name)
    {
        StoredArchive archive = Find(name);
        try
        {
            using SafeFileHandle storeLock = TakeLock() ?? throw LockHeld();
            File.Delete(archive.Path);
            HostFiles.FlushDirectory(Directory);
        }
        catch (Exception e) when (e is UnauthorizedAccessException or (IOException and not ArchiveException))
        {
            throw new ArchiveException($"{archive.Path}: cannot be removed: {e.Message}", e);
        }
    }

    /// <summary>
    /// Writes an archive again that was written in haste, as small as it can be, in place of itself: whoever has it open keeps
    /// reading the one before. Returns it as it then is, the same when nothing was won; null when it was removed meanwhile.
    /// Throws what <see cref="Write(Snapshot, ArchiveWriterOptions?, IProgress{ArchiveProgress}?, CancellationToken)"/>
    /// throws, and then it is as it was.
    /// </summary>
    public StoredArchive? Shrink(string id, CancellationToken cancellation = default)
    {
        string path = PathOf(id), temporary = TemporaryOf(id);
        if (StoredArchive.TryRead(path) is not { State: ArchiveState.Whole } before)
        {
            return null;
        }

        using ArchiveReader? reader = OpenUnlessGone(path);
        if (reader is null)
        {
            return null;
        }

        using (SafeFileHandle handle = CreateTemporary(id))
        {
            ArchiveWriter.Write(
                handle, temporary, path, id, reader, reader.SavedState, reader.Info.Capture, new ArchiveWriterOptions { Thorough = true }, null, cancellation,
                length =>
                {
                    if (length >= before.Bytes)
                    {
                        return false;
                    }

                    // Under the lock, since what was removed must not come back.
                    using SafeFileHandle storeLock = TakeLock() ?? throw LockHeld();
                    if (!File.Exists(path))
                    {
                        return false;
                    }

                    File.Move(temporary, path, overwrite: true);
                    HostFiles.FlushDirectory(Directory);
                    return true;
                });
        }

        return StoredArchive.TryRead(path);
    }

    /// <summary>
    /// Removes what the rules do not keep, remembering that it was there, and returns what was removed. It is noted first; only
    /// where the disk is too full for that, one goes before. Throws <see cref="ArchiveException"/>.
    /// </summary>
    public IReadOnlyList<StoredArchive> Prune(KeepRules rules)
    {
        ArgumentNullException.ThrowIfNull(rules);
        List<StoredArchive> removed = [];
        try
        {
            if (rules.KeepAll || rules.Surplus(List()).Count == 0)
            {
                return removed;
            }

            using SafeFileHandle storeLock = TakeLock() ?? throw LockHeld();

            // Looked at again: what another process pruned meanwhile is not there any more.
            IReadOnlyList<StoredArchive> surplus = rules.Surplus(List());
            try
            {
                Note(surplus);
            }
            catch (IOException) when (surplus.Count > 0)
            {
                // A full disk has no room for the note either, until something is removed.
                File.Delete(surplus[^1].Path);
                Note(surplus);
            }

            foreach (StoredArchive archive in surplus)
            {
                File.Delete(archive.Path);
                removed.Add(archive);
            }

            HostFiles.FlushDirectory(Directory);
            return removed;
        }
        catch (Exception e) when (e is UnauthorizedAccessException or (IOException and not ArchiveException))
        {
            throw new ArchiveException($"{Directory}: the store cannot be pruned: {e.Message}", e);
        }
    }

    /// <summary>
    /// How often each title was seen, the pruned ones counted too: those of <paramref name="archives"/>, which this store
    /// listed. A machine's name restricts what is counted to that machine.
    /// </summary>
    public IReadOnlyDictionary<string, TitleCount> Count(IReadOnlyList<StoredArchive> archives, string? machine = null)
    {
        ArgumentNullException.ThrowIfNull(archives);
        Dictionary<string, TitleCount> counts = [];
        HashSet<string> present = [];
        foreach (StoredArchive archive in archives)
        {
            present.Add(archive.Id);
            if (machine is null || archive.Info?.Capture.MachineName == machine)
            {
                Add(archive.Title, 1, archive.Time, archive.Time);
            }
        }

        foreach (PrunedCrash pruned in new PruneLog(Directory).Read())
        {
            if ((pruned.Id is null || present.Add(pruned.Id)) && (machine is null || pruned.Machine == machine))
            {
                Add(pruned.Title, pruned.Count, pruned.First, pruned.Last);
            }
        }

        return counts;

        void Add(string title, long count, DateTimeOffset first, DateTimeOffset last) => counts[title] =
            counts.TryGetValue(title, out TitleCount? known)
                ? new TitleCount(title, known.Count + count, first < known.First ? first : known.First, last > known.Last ? last : known.Last)
                : new TitleCount(title, count, first, last);
    }

    internal static string IdOf(string path) => Path.GetFileNameWithoutExtension(path);

    private static ArchiveReader? OpenUnlessGone(string path)
    {
        try
        {
            return ArchiveReader.Open(path);
        }
        catch (ArchiveException) when (!File.Exists(path))
        {
            return null;
        }
    }

    private string PathOf(string id) => Path.Combine(Directory, id + Extension);

    // The dot keeps it out of a plain `ls` and out of Files().
    private string TemporaryOf(string id) => Path.Combine(Directory, $".{id}{TemporaryExtension}");

    private List<string> Files()
    {
        try
        {
            return
            [
                .. System.IO.Directory.EnumerateFiles(Directory)
                    .Where(f => f.EndsWith(Extension, StringComparison.Ordinal) && Path.GetFileName(f)[0] != '.'),
            ];
        }
        catch (DirectoryNotFoundException) when (!File.Exists(Directory))
        {
            return [];
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new ArchiveException($"{Directory}: the store cannot be read: {e.Message}", e);
        }
    }

    /// <summary>A new id with its temporary file, locked for as long as the handle is open.</summary>
    private (string Id, SafeFileHandle Handle) CreateTemporary()
    {
        try
        {
            CreateDirectory();

            // Under the store's lock: a file just made, not yet locked, must not look like a dead writer's.
            using SafeFileHandle storeLock = TakeLock() ?? throw LockHeld();
            for (int attempt = 0; attempt < IdAttempts; attempt++)
            {
                string id = Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(IdBytes));
                if (File.Exists(PathOf(id)) || File.Exists(TemporaryOf(id)))
                {
                    continue;
                }

                SafeFileHandle handle = HostFiles.CreateNew(TemporaryOf(id));
                _ = HostFiles.TryLock(handle);
                return (id, handle);
            }
        }
        catch (Exception e) when (e is UnauthorizedAccessException or (IOException and not ArchiveException))
        {
            throw new ArchiveException($"{Directory}: the store cannot be written: {e.Message}", e);
        }

        throw new ArchiveException($"{Directory}: no free id was found");
    }

    private void Note(IReadOnlyList<StoredArchive> surplus) => new PruneLog(Directory).Add(surplus, id => File.Exists(PathOf(id)));

    private ArchiveException LockHeld() => new(
        $"{Path.Combine(Directory, LockName)}: another process has held the store's lock for {LockPatience.TotalSeconds} seconds");

    /// <summary>The temporary file of an archive that is there, locked for as long as the handle is open.</summary>
    private SafeFileHandle CreateTemporary(string id)
    {
        try
        {
            using SafeFileHandle storeLock = TakeLock() ?? throw LockHeld();
            SafeFileHandle handle = HostFiles.CreateNew(TemporaryOf(id));
            _ = HostFiles.TryLock(handle);
            return handle;
        }
        catch (Exception e) when (e is UnauthorizedAccessException or (IOException and not ArchiveException))
        {
            throw new ArchiveException($"{Directory}: the store cannot be written: {e.Message}", e);
        }
    }

    private void CreateDirectory()
    {
        if (OperatingSystem.IsWindows())
        {
            System.IO.Directory.CreateDirectory(Directory);
            return;
        }

        System.IO.Directory.CreateDirectory(Directory, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
    }

    private void ClearLeavings()
    {
        try
        {
            if (!System.IO.Directory.EnumerateFiles(Directory, ".*" + TemporaryExtension).Any())
            {
                return;
            }

            using SafeFileHandle? storeLock = TakeLock();
            if (storeLock is null)
            {
                return;
            }

            foreach (string path in System.IO.Directory.EnumerateFiles(Directory, ".*" + TemporaryExtension))
            {
                ClearLeaving(path);
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // A store that cannot be cleared away can still be read; writing will say what is wrong.
        }
    }

    private static void ClearLeaving(string path)
    {
        try
        {
            using SafeFileHandle handle = HostFiles.OpenExisting(path);
            if (HostFiles.TryLock(handle))
            {
                File.Delete(path);
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // Its writer finished just now, or it is not ours to remove.
        }
    }

    /// <summary>The store's lock, held until the handle is closed; null when others hold it for too long.</summary>
    private SafeFileHandle? TakeLock()
    {
        SafeFileHandle handle = HostFiles.OpenOrCreate(Path.Combine(Directory, LockName));
        long start = Environment.TickCount64;
        while (!HostFiles.TryLock(handle))
        {
            if (Environment.TickCount64 - start > LockPatience.TotalMilliseconds)
            {
                handle.Dispose();
                return null;
            }

            Thread.Sleep(5);
        }

        return handle;
    }
}
