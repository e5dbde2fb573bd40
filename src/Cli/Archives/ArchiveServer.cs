using Debugging;
using GdbStub.Sessions;
using Microsoft.Extensions.Logging;
using Snapshots;

namespace Cli.Archives;

/// <summary>Serves an archive, or a dump somebody else wrote, to debuggers. Each connection has an overlay of its own; the file is only read.</summary>
internal sealed class ArchiveServer : IAsyncDisposable
{
    private readonly IMachineImage image;

    private ArchiveServer(IMachineImage image, GdbListener listener)
    {
        this.image = image;
        Listener = listener;
    }

    /// <summary>Where it listens.</summary>
    public GdbListener Listener { get; }

    /// <summary>Opens the file and starts to listen.</summary>
    public static ArchiveServer Start(string path, ulong? rawBase, GdbEndpoint endpoint, bool expose, ILogger logger)
    {
        IMachineImage image = DumpDescription.Open(path, rawBase);
        try
        {
            var options = new DebugOptions { Guest = new GuestInformation(() => image.Capture) };
            var provider = new ImageTargetProvider(() => new OverlayView(image), options);
            return new ArchiveServer(image, GdbListener.Start(endpoint, provider, logger, expose));
        }
        catch
        {
            image.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await Listener.DisposeAsync();
        image.Dispose();
    }
}
