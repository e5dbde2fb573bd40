namespace Snapshots;

/// <summary>What is known of an archive in a store.</summary>
public enum ArchiveState
{
    /// <summary>Its headers are whole; <see cref="ArchiveVerifier"/> tells about its pages.</summary>
    Whole,

    /// <summary>It cannot be opened.</summary>
    Damaged,
}

/// <summary>An archive in a store.</summary>
/// <param name="Id">Its id: the file's name.</param>
/// <param name="Path">Its file.</param>
/// <param name="Title">One line that names the crash; of a damaged archive what is wrong with it.</param>
/// <param name="Time">The host's time at the capture; of a damaged archive the file's.</param>
/// <param name="Bytes">Bytes of the file.</param>
/// <param name="State">Whether it can be opened.</param>
/// <param name="Info">What the archive says about itself; null when damaged.</param>
public sealed record StoredArchive(
    string Id, string Path, string Title, DateTimeOffset Time, long Bytes, ArchiveState State, ArchiveInfo? Info)
{
    /// <summary>Reads an archive's headers; null when the file has gone.</summary>
    internal static StoredArchive? TryRead(string path)
    {
        string id = Store.IdOf(path);
        try
        {
            using ArchiveReader reader = ArchiveReader.Open(path);
            return new StoredArchive(
                id, path, reader.Info.Capture.Title, reader.Info.Capture.HostTime, reader.Length, ArchiveState.Whole, reader.Info);
        }
        catch (ArchiveException e)
        {
            var file = new FileInfo(path);
            return file.Exists
                ? new StoredArchive(id, path, e.Problem ?? e.Message, file.LastWriteTimeUtc, file.Length, ArchiveState.Damaged, null)
                : null;
        }
    }
}
