using System.Diagnostics.CodeAnalysis;
using GdbStub.Targets;
using GuestOs.Linux.Symbols;
using GuestOs.Linux.Symbols.Elf;

namespace Debugging.Kernels;

/// <summary>
/// The files a debugger finds in a guest: its kernel's symbols, made from its memory, and its debug file from this host,
/// where gdb looks for it by build id.
/// </summary>
/// <param name="symbols">Makes them.</param>
/// <param name="look">Gives the kernel while it may be read.</param>
internal sealed class KernelFiles(KernelSymbols symbols, Func<Func<KernelImage?, SymbolFile?>, SymbolFile?> look) : IVirtualFiles
{
    /// <summary>The path of the symbol file.</summary>
    public const string Path = "/vmlinux";

    private KernelImage? madeOf;
    private SymbolFile? made;
    private DebugFile? debugFile;

    /// <inheritdoc/>
    public string? Executable => Make() is null ? null : Path;

    /// <inheritdoc/>
    public bool TryOpen(string path, [NotNullWhen(true)] out IVirtualFile? file)
    {
        file = path == Path && Make() is { } symbolFile ? new MadeFile(symbolFile)
            : debugFile is { BuildId: var id } && path.EndsWith($"/.build-id/{id[..2]}/{id[2..]}.debug", StringComparison.Ordinal) ? HostFile.TryOpen(debugFile.Path)
            : null;
        return file is not null;
    }

    private SymbolFile? Make() => look(image =>
    {
        if (image is null || image != madeOf)
        {
            madeOf = image;
            debugFile = image is null ? null : symbols.DebugFileOf(image);
            made = image is null ? null : symbols.FileOf(image);
        }

        return made;
    });

    private sealed class MadeFile(SymbolFile file) : IVirtualFile
    {
        public ulong Length => (ulong)file.Length;

        public int Read(ulong offset, Span<byte> destination) => offset >= Length ? 0 : file.Read((long)offset, destination);

        public void Dispose()
        {
        }
    }
}
