using Debugging.Kernels;
using GuestOs.Linux.Symbols;
using GuestOs.Linux.Symbols.Elf;

namespace Cli.Debuggers;

/// <summary>
/// The files a debugger on this host finds in a guest, laid out as it looks for them below its sysroot: it reads them from
/// there faster than from the server.
/// </summary>
internal sealed class DebuggerFiles
{
    private readonly string root;

    private DebuggerFiles(string root) => this.root = root;

    /// <summary>The directory that stands for the guest's.</summary>
    public string Root => root;

    /// <summary>The symbol file; null when there are no symbols.</summary>
    public string? SymbolFile { get; private set; }

    /// <summary>Frames that gdb has to be told before it reads the debug file, whose own are wrong there; null where there is none.</summary>
    public string? FramesFile { get; private set; }

    /// <summary>The debug files of modules, which are not part of the kernel's own; each as if linked for where it was loaded.</summary>
    public IReadOnlyList<string> ModuleFiles { get; private set; } = [];

    /// <summary>Writes what is known of a kernel below a directory of ours.</summary>
    /// <param name="image">The kernel; null when none was found.</param>
    /// <param name="kernels">Makes its files.</param>
    /// <param name="withDebugFile">Whether to use its debug file; else the symbol file has all types.</param>
    /// <param name="directory">Where to.</param>
    public static DebuggerFiles Write(KernelImage? image, KernelSymbols kernels, bool withDebugFile, string directory)
    {
        var files = new DebuggerFiles(directory);
        DebugFile? debugFile = image is null || !withDebugFile ? null : kernels.DebugFileOf(image);
        SymbolFile? symbols = withDebugFile ? image is null ? null : kernels.FileOf(image) : image?.CreateSymbolFile();
        if (symbols is null)
        {
            return files;
        }

        files.SymbolFile = files.Write(symbols, KernelSymbols.Path);
        if (debugFile is not null)
        {
            string link = Path.Combine(directory, "usr/lib/debug/.build-id", debugFile.BuildId[..2], $"{debugFile.BuildId[2..]}.debug");
            Directory.CreateDirectory(Path.GetDirectoryName(link)!);
            File.CreateSymbolicLink(link, Path.GetFullPath(debugFile.Path));
            files.ModuleFiles = [.. image!.Modules.Select(module => kernels.DebugFileOf(image, module) is { } file ? files.Write(module, file) : null).OfType<string>()];
            if (image.CreateStackSwitchFile() is { } frames)
            {
                files.FramesFile = files.Write(frames, "/frames");
            }
        }

        return files;
    }

    // Named by its build id: its name is the guest's word. Two modules of one file cannot be.
    private string? Write(KernelModule module, DebugFile file)
    {
        string copy = Path.Combine(root, $"{file.BuildId}.ko");
        if (File.Exists(copy))
        {
            return null;
        }

        ModuleFile.WritePlaced(module, file, copy);
        return copy;
    }

    private string Write(SymbolFile file, string path)
    {
        string whole = root + path;
        using FileStream stream = File.Create(whole);
        file.WriteTo(stream);
        return whole;
    }
}
