using GdbStub.Targets;
using Microsoft.Win32.SafeHandles;

namespace Debugging.Kernels;

/// <summary>A file of this host that its owner chose to serve.</summary>
internal sealed class HostFile : IVirtualFile
{
    private readonly SafeFileHandle handle;

    private HostFile(SafeFileHandle handle)
    {
        this.handle = handle;
        Length = (ulong)RandomAccess.GetLength(handle);
    }

    /// <inheritdoc/>
    public ulong Length { get; }

    /// <summary>Opens it; null when that is not possible any more.</summary>
    public static HostFile? TryOpen(string path)
    {
        try
        {
            return new HostFile(File.OpenHandle(path));
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    /// <inheritdoc/>
    public int Read(ulong offset, Span<byte> destination) => offset >= Length ? 0 : RandomAccess.Read(handle, destination, (long)offset);

    /// <inheritdoc/>
    public void Dispose() => handle.Dispose();
}
