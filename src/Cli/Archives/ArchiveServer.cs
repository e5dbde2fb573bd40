using Debugging;
using Debugging.Kernels;
using Debugging.Processes;
using GdbStub.Sessions;
using GuestOs.Linux.Symbols;
using Microsoft.Extensions.Logging;
using Snapshots;

namespace Cli.Archives;

/// <summary>
/// Serves an archive, or a dump somebody else wrote, to debuggers, and the rest of the store to those who attach to it. Each connection has an overlay
/// of its own; the files are only read.
/// </summary>
internal sealed partial class ArchiveServer : IAsyncDisposable
{
    private readonly IMachineImage image;
    private readonly Task<KernelImage?> preparation;

    private ArchiveServer(GdbListener listener, IMachineImage image, Task<KernelImage?> preparation)
    {
        Listener = listener;
        this.image = image;
        this.preparation = preparation;
    }

    /// <summary>Where it listens.</summary>
    public GdbListener Listener { get; }

    /// <summary>Looks at the file, so that a damaged one is noticed here, and starts to listen.</summary>
    public static ArchiveServer Start(
        string path, ulong? rawBase, string storeDirectory, bool resume, KernelSymbols kernels, GdbEndpoint endpoint, bool expose, ILogger logger)
    {
        IMachineImage image = CrashAnalysis.Open(path, rawBase);
        try
        {
            CheckDebugFile(image, kernels);
            var images = new StoreImages(Store.Open(storeDirectory), path, rawBase, image.Capture.Vmcoreinfo);
            var provider = new ProcessTargetProvider(runner: null, images, images.Find(path) ?? path, new DebugOptions { Resume = resume, Kernels = kernels });
            GdbListener listener = GdbListener.Start(endpoint, provider, logger, expose);

            // A debugger takes longer to start than this, and finds it done.
            return new ArchiveServer(listener, image, Task.Run(() => Prepare(image, kernels, logger)));
        }
        catch
        {
            image.Dispose();
            throw;
        }
    }

    /// <summary>What can be made of the file's kernel, null when there is none, for one caller at a time.</summary>
    public async Task<T> WithKernelAsync<T>(Func<KernelImage?, T> make) => make(await preparation);

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await Listener.DisposeAsync();
        await preparation;
        image.Dispose();
    }

    private static void CheckDebugFile(IMachineImage image, KernelSymbols kernels)
    {
        if (kernels.DebugFiles is not { Named: not null } files)
        {
            return;
        }

        KernelImage kernel = KernelImage.Find(image) ?? throw new UserError($"--vmlinux: no Linux kernel was found in {image.Path}");
        if (files.Complaint(kernel.BuildId) is { } complaint)
        {
            throw new UserError($"--vmlinux: {complaint}");
        }
    }

    private static KernelImage? Prepare(IMachineImage image, KernelSymbols kernels, ILogger logger)
    {
        try
        {
            return kernels.Prepare(image);
        }
        catch (Exception failure)
        {
            LogNoSymbols(logger, failure);
            return null;
        }
    }

    [LoggerMessage(Level = LogLevel.Error, Message = "the kernel's symbols could not be made ready for debuggers")]
    private static partial void LogNoSymbols(ILogger logger, Exception failure);
}
