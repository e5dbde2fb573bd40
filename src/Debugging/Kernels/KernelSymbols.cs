using Emulator;
using GuestOs.Linux.Symbols;
using GuestOs.Linux.Symbols.Elf;

namespace Debugging.Kernels;

/// <summary>What a debugger is told are threads.</summary>
public enum ThreadListing
{
    /// <summary>The vCPUs.</summary>
    Cpus,

    /// <summary>The vCPUs, and behind them every task of a Linux guest.</summary>
    Tasks,
}

/// <summary>
/// What debuggers are given of Linux kernels in the guests of an endpoint: the file with their symbols, and their tasks.
/// One for all connections, so that a file is made once. Any thread may call.
/// </summary>
public sealed class KernelSymbols
{
    /// <summary>The path at which a debugger finds the symbol file among the guest's files.</summary>
    public const string Path = "/vmlinux";

    private readonly SymbolFileCache files = new();

    /// <summary>What are threads.</summary>
    public ThreadListing Threads { get; init; } = ThreadListing.Tasks;

    /// <summary>Finds kernels' debug files; null where none are to be used.</summary>
    public IDebugFiles? DebugFiles { get; init; }

    /// <summary>
    /// Makes the file of a machine's kernel before anyone asks for it, and returns the kernel; null when there is none. Nobody
    /// else may touch the view meanwhile.
    /// </summary>
    public KernelImage? Prepare(IMachineView view)
    {
        KernelImage? image = KernelImage.Find(view);
        if (image is not null)
        {
            FileOf(image);
        }

        return image;
    }

    /// <summary>The symbol file of a kernel; null when its symbols cannot be read.</summary>
    public SymbolFile? FileOf(KernelImage image) => files.Get(image, types: DebugFileOf(image) is null);

    /// <summary>The debug file of a kernel; null when there is none.</summary>
    public DebugFile? DebugFileOf(KernelImage image)
    {
        ArgumentNullException.ThrowIfNull(image);
        return image.BuildId is { } buildId ? DebugFiles?.Find(image.Release, buildId) : null;
    }

    /// <summary>The debug file of a module of a kernel; null when there is none.</summary>
    public DebugFile? DebugFileOf(KernelImage image, KernelModule module)
    {
        ArgumentNullException.ThrowIfNull(image);
        ArgumentNullException.ThrowIfNull(module);
        return module.BuildId is { } buildId ? DebugFiles?.FindModule(image.Release, module.Name, buildId) : null;
    }
}
