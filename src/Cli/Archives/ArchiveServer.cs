using Debugging;
using GdbStub.Sessions;
using Microsoft.Extensions.Logging;
using Snapshots;

namespace Cli.Archives;

/// <summary>Serves an archive to debuggers. Each connection has an overlay of its own; the file is only read.</summary>
internal sealed class ArchiveServer : IAsyncDisposable
{
    private readonly ArchiveReader reader;

    private ArchiveServer(ArchiveReader reader, GdbListener listener)
    {
        this.reader = reader;
        Listener = listener;
    }

    /// <summary>Where it listens.</summary>
    public GdbListener Listener { get; }

    /// <summary>Opens the archive and starts to listen.</summary>
    public static ArchiveServer Start(string path, GdbEndpoint endpoint, bool expose, ILogger logger)
    {
        ArchiveReader reader = ArchiveReader.Open(path);
        try
        {
            var options = new DebugOptions { Guest = new GuestInformation(() => reader.Info.Capture) };
            var provider = new ImageTargetProvider(() => new OverlayView(reader), options);
            return new ArchiveServer(reader, GdbListener.Start(endpoint, provider, logger, expose));
        }
        catch
        {
            reader.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await Listener.DisposeAsync();
        reader.Dispose();
    }
}
