using Snapshots;

namespace Cli.Archives;

/// <summary>The image a person means by ID|FILE, opened, and what lists tell of it.</summary>
internal sealed class NamedImage : IDisposable
{
    private readonly StoredArchive? archive;

    private NamedImage(IMachineImage image, StoredArchive? archive)
    {
        Image = image;
        this.archive = archive;
    }

    /// <summary>The image.</summary>
    public IMachineImage Image { get; }

    /// <summary>Opens it. Throws <see cref="UserError"/> when there is none, <see cref="ArchiveException"/> when it cannot be read.</summary>
    public static NamedImage Open(string name, string storeDirectory, ulong? rawBase)
    {
        if (ArchiveReference.IsFile(name) || (File.Exists(name) && !ArchiveReference.IsInStore(name, storeDirectory)))
        {
            return new NamedImage(CrashAnalysis.Open(ArchiveReference.ResolvePath(name, storeDirectory), rawBase), null);
        }

        StoredArchive archive = ArchiveReference.Find(name, storeDirectory);
        return new NamedImage(ArchiveReader.Open(archive.Path), archive);
    }

    /// <summary>What lists tell of it, given what is known of its crash.</summary>
    public ArchiveDescription Describe(CaptureInfo capture) =>
        archive is null ? ArchiveDescription.Of(Image, capture) : ArchiveDescription.Of(archive).With(Image);

    /// <inheritdoc/>
    public void Dispose() => Image.Dispose();
}
