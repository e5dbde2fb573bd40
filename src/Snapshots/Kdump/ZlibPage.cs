using System.IO.Compression;
using Emulator.Memory;

namespace Snapshots.Kdump;

/// <summary>A page as a zlib stream, by which every reader of kdump-compressed files has always known them. One caller at a time.</summary>
internal sealed class ZlibPage
{
    private readonly byte[] buffer = new byte[2 * GuestMemory.PageSize];

    /// <summary>Compresses a page as far as zlib can; the size, or the page's when that is not less.</summary>
    public int Compress(ReadOnlySpan<byte> page, Span<byte> destination)
    {
        using var output = new MemoryStream(buffer);
        using (var stream = new ZLibStream(output, CompressionLevel.SmallestSize, leaveOpen: true))
        {
            stream.Write(page);
        }

        int size = (int)output.Position;
        if (size >= page.Length)
        {
            return page.Length;
        }

        buffer.AsSpan(0, size).CopyTo(destination);
        return size;
    }

    /// <summary>Expands one; the size, or -1 when it does not hold just as much as <paramref name="page"/>. Throws <see cref="InvalidDataException"/>.</summary>
    public int Expand(ReadOnlySpan<byte> stored, Span<byte> page)
    {
        stored.CopyTo(buffer);
        using var stream = new ZLibStream(new MemoryStream(buffer, 0, stored.Length), CompressionMode.Decompress);
        int read = stream.ReadAtLeast(page, page.Length, throwOnEndOfStream: false);
        return read == page.Length && stream.ReadByte() < 0 ? read : -1;
    }
}
