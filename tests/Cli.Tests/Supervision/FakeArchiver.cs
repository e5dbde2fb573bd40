using Cli.Supervision;

namespace Cli.Tests.Supervision;

internal sealed class FakeCapture(string title) : ICapture
{
    public string Title => title;

    public bool Disposed { get; private set; }

    public void Dispose() => Disposed = true;
}

/// <summary>An archiver that fails as often as it is told, and that can be held up.</summary>
internal sealed class FakeArchiver(int failures = 0) : IArchiver
{
    private int failuresLeft = failures;

    /// <summary>Holds the writer up until it is set.</summary>
    public ManualResetEventSlim? Barrier { get; init; }

    /// <summary>Titles of what was written.</summary>
    public List<string> Written { get; } = [];

    /// <summary>How often it was asked.</summary>
    public int Attempts { get; private set; }

    public ArchivedCrash Archive(ICapture capture, Action<double> progress)
    {
        Attempts++;
        Barrier?.Wait(TimeSpan.FromSeconds(30));
        Assert.False(((FakeCapture)capture).Disposed);
        if (failuresLeft > 0)
        {
            failuresLeft--;
            throw new IOException("No space left on device");
        }

        Written.Add(capture.Title);
        return new ArchivedCrash($"id{Written.Count}", $"/store/id{Written.Count}", 1, capture.Title, 1);
    }

    public IReadOnlyList<(string Id, string Title)> Prune() => [];

    public long? Shrink(ArchivedCrash archived, CancellationToken cancellation) => null;
}
