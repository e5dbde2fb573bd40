using Snapshots;

namespace Cli.Archives;

/// <summary>Progress over an archive as a share of the whole.</summary>
internal sealed class ArchiveShare(Action<double> progress) : IProgress<ArchiveProgress>
{
    /// <inheritdoc/>
    public void Report(ArchiveProgress value) => progress(value.PagesTotal == 0 ? 1 : (double)value.PagesDone / value.PagesTotal);
}
