using Snapshots;

namespace Cli.Archives;

/// <summary>
/// What a person means by ID|FILE: an archive of the store, or a file. A name with a slash in it is a file; any other is
/// looked for in the store first.
/// </summary>
internal static class ArchiveReference
{
    /// <summary>The archive's file.</summary>
    public static string ResolvePath(string name, string storeDirectory)
    {
        CheckName(name);
        if (IsFile(name))
        {
            return File.Exists(name) ? name : throw new UserError($"there is no file {name}: 'gdbstub ls' lists the archives of the store");
        }

        try
        {
            return Find(name, storeDirectory).Path;
        }
        catch (UserError) when (File.Exists(name))
        {
            return name;
        }
    }

    /// <summary>The archive of the store that a name means.</summary>
    public static StoredArchive Find(string name, string storeDirectory)
    {
        CheckName(name);
        try
        {
            return Store.Open(storeDirectory).Find(name);
        }
        catch (ArchiveException missing)
        {
            throw new UserError($"{missing.Message}: 'gdbstub ls' lists them", missing);
        }
    }

    /// <summary>True when a name can only mean a file.</summary>
    public static bool IsFile(string name) => name.Contains(Path.DirectorySeparatorChar, StringComparison.Ordinal);

    /// <summary>True when the store has an archive of that name.</summary>
    public static bool IsInStore(string name, string storeDirectory)
    {
        try
        {
            _ = Find(name, storeDirectory);
            return true;
        }
        catch (UserError)
        {
            return false;
        }
    }

    private static void CheckName(string name)
    {
        if (name.Length == 0)
        {
            throw new UsageError("the archive's name is empty: give an ID, the beginning of one, latest, -1, or a file");
        }

        if (name[0] == '-' && !int.TryParse(name.AsSpan(1), out _))
        {
            throw new UsageError($"unrecognized option '{name}'");
        }
    }
}
