using Debugging;
using Debugging.Processes;
using GdbStub.Sessions;
using Microsoft.Extensions.Logging;
using Snapshots;

namespace Cli.Archives;

/// <summary>
/// Serves an archive, or a dump somebody else wrote, to debuggers, and the rest of the store to those who attach to it. Each connection has an overlay
/// of its own; the files are only read.
/// </summary>
internal sealed class ArchiveServer : IAsyncDisposable
{
    private ArchiveServer(GdbListener listener) => Listener = listener;

    /// <summary>Where it listens.</summary>
    public GdbListener Listener { get; }

    /// <summary>Looks at the file, so that a damaged one is noticed here, and starts to listen.</summary>
    public static ArchiveServer Start(string path, ulong? rawBase, string storeDirectory, bool resume, GdbEndpoint endpoint, bool expose, ILogger logger)
    {
        CrashAnalysis.Open(path, rawBase).Dispose();
        var images = new StoreImages(Store.Open(storeDirectory), path, rawBase);
        var provider = new ProcessTargetProvider(runner: null, images, images.Find(path) ?? path, new DebugOptions { Resume = resume });
        return new ArchiveServer(GdbListener.Start(endpoint, provider, logger, expose));
    }

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => Listener.DisposeAsync();
}
