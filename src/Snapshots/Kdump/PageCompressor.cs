using Emulator.Memory;
using ZstdSharp;

namespace Snapshots.Kdump;

/// <summary>
/// Compresses pages one by one. zstd at its fastest; a thorough one lets zlib at its best have a page too of which that leaves
/// half or more, which finds the short matches of code and pointers that zstd passes over, and the smaller one is taken. Pages
/// that hardly shrink are not worth the second try (docs/decisions/0015). One caller at a time.
/// </summary>
internal sealed class PageCompressor(ArchiveWriterOptions options) : IDisposable
{
    private const int PageSize = GuestMemory.PageSize;
    private const int SecondTryFrom = PageSize / 2;
    private const int SecondTryBelow = PageSize * 13 / 16;

    private readonly Compressor zstd = new(options.Level);
    private readonly ZlibPage zlib = new();
    private readonly byte[] second = new byte[PageSize];

    /// <summary>The compressed size and how to read it; the page's size, and nothing written, when it does not shrink.</summary>
    public int Compress(ReadOnlySpan<byte> page, Span<byte> destination, out int flags)
    {
        int size = PageSize;
        flags = PageDescriptor.Zlib;
        if (options.Compression == PageCompression.Zlib)
        {
            size = zlib.Compress(page, destination);
        }
        else
        {
            flags = PageDescriptor.Zstd;
            size = zstd.TryWrap(page, destination[..(PageSize - 1)], out int written) ? written : PageSize;
            if (options.Thorough && size is >= SecondTryFrom and < SecondTryBelow && zlib.Compress(page, second) is var other && other < size)
            {
                second.AsSpan(0, other).CopyTo(destination);
                size = other;
                flags = PageDescriptor.Zlib;
            }
        }

        flags = size == PageSize ? PageDescriptor.Raw : flags;
        return size;
    }

    /// <inheritdoc/>
    public void Dispose() => zstd.Dispose();
}
