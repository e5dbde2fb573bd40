using Debugging.Processes;
using Snapshots;

namespace Cli.Archives;

/// <summary>The archives of a store for debuggers, and perhaps one file that is not in it, whose path is its id.</summary>
internal sealed class StoreImages(Store store, string? file = null) : IImageStore
{
    /// <inheritdoc/>
    public IReadOnlyList<StoredImage> List()
    {
        List<StoredImage> images = [];
        if (file is not null && Find(file) is null)
        {
            using ArchiveReader reader = ArchiveReader.Open(file);
            images.Add(new StoredImage(file, reader.Info.Capture.Title, reader.Info.Capture.HostTime));
        }

        foreach (StoredArchive archive in store.List())
        {
            images.Add(new StoredImage(archive.Id, archive.Title, archive.Time, archive.State == ArchiveState.Whole ? null : archive.Title));
        }

        return images;
    }

    /// <inheritdoc/>
    public OpenedImage Open(string id)
    {
        ArchiveReader reader = ArchiveReader.Open(id == file ? file : store.Find(id).Path);
        return new OpenedImage(new OverlayView(reader, owns: true), new GuestInformation(() => reader.Info.Capture));
    }

    /// <summary>The id of a file that is an archive of the store; null of any other.</summary>
    public string? Find(string path) => store.List().FirstOrDefault(archive => archive.Path == Path.GetFullPath(path))?.Id;
}
