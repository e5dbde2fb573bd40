using Debugging.Processes;
using Snapshots;

namespace Cli.Archives;

/// <summary>The archives of a store for debuggers, and perhaps one file that is not in it, an archive or a dump, whose path is its id.</summary>
/// <param name="store">The store.</param>
/// <param name="file">The file.</param>
/// <param name="rawBase">The guest-physical address of the file's first byte, when it is RAM and nothing else.</param>
/// <param name="vmcoreinfo">The VMCOREINFO of the file's kernel, when it was found before.</param>
internal sealed class StoreImages(Store store, string? file = null, ulong? rawBase = null, string? vmcoreinfo = null) : IImageStore
{
    /// <inheritdoc/>
    public IReadOnlyList<StoredImage> List()
    {
        List<StoredImage> images = [];
        if (file is not null && Find(file) is null)
        {
            using IMachineImage image = CrashAnalysis.Open(file, rawBase, vmcoreinfo);
            images.Add(new StoredImage(file, image.Capture.Title, image.Capture.HostTime));
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
        IMachineImage image = id == file ? CrashAnalysis.Open(file, rawBase, vmcoreinfo) : ArchiveReader.Open(store.Find(id).Path);
        return new OpenedImage(new OverlayView(image, owns: true), new GuestInformation(() => image.Capture));
    }

    /// <summary>The id of a file that is an archive of the store; null of any other, and when the file is to be taken for RAM.</summary>
    public string? Find(string path) => rawBase is not null ? null : store.List().FirstOrDefault(archive => archive.Path == Path.GetFullPath(path))?.Id;
}
