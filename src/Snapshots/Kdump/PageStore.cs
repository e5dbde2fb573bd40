using System.IO.Hashing;
using Emulator.Memory;
using ZstdSharp;

namespace Snapshots.Kdump;

/// <summary>
/// Pages out of an open archive: nothing is read before it is asked for, everything is checked when it is read. Keeps a
/// few hundred pages and descriptor runs. One caller at a time.
/// </summary>
internal sealed class PageStore : IDisposable
{
    private const int PageSize = GuestMemory.PageSize;
    private const int CachedPages = 256;
    private const int RunPages = 512;
    private const int CachedRuns = 64;

    private readonly ArchiveFile file;
    private readonly ArchiveHead head;
    private readonly Decompressor decompressor = new();
    private readonly ZlibPage zlib = new();
    private readonly byte[] stored = new byte[PageSize];
    private readonly byte[] zeros = new byte[PageSize];
    private readonly (long Frame, byte[] Bytes)[] pages = new (long, byte[])[CachedPages];
    private readonly (long Run, byte[] Bytes)[] runs = new (long, byte[])[CachedRuns];

    public PageStore(ArchiveFile file, ArchiveHead head)
    {
        this.file = file;
        this.head = head;
        Array.Fill(pages, (-1, []));
        Array.Fill(runs, (-1, []));
    }

    /// <summary>The page's bytes, valid until the next call; empty when the frame is not RAM, or was left out.</summary>
    public ReadOnlySpan<byte> Read(long frame)
    {
        ref (long Frame, byte[] Bytes) slot = ref pages[frame % CachedPages];
        if (slot.Frame == frame)
        {
            return slot.Bytes;
        }

        long rank = head.Stored.Rank(frame);
        if (rank < 0)
        {
            return [];
        }

        PageDescriptor descriptor = Descriptor(frame, rank);
        if (descriptor.Offset == head.Layout.DataOffset)
        {
            CheckPage(frame, head.Layout.ZeroBlockChecksum, descriptor);
            return zeros;
        }

        Span<byte> block = stored.AsSpan(0, descriptor.Size);
        file.Read(descriptor.Offset, block, FieldOf(frame));
        CheckPage(frame, XxHash3.HashToUInt64(block), descriptor);
        byte[] bytes = slot.Bytes.Length == PageSize ? slot.Bytes : new byte[PageSize];
        slot = (-1, bytes);
        Unpack(block, descriptor, bytes, FieldOf(frame));
        slot.Frame = frame;
        return bytes;
    }

    /// <summary>True when the frame is RAM that was stored as the page of zeros.</summary>
    public bool IsZero(long frame)
    {
        long rank = head.Stored.Rank(frame);
        if (rank < 0)
        {
            return false;
        }

        PageDescriptor descriptor = Descriptor(frame, rank);
        if (descriptor.Offset != head.Layout.DataOffset)
        {
            return false;
        }

        CheckPage(frame, head.Layout.ZeroBlockChecksum, descriptor);
        return true;
    }

    /// <summary>A page's descriptor with its numbers checked.</summary>
    public PageDescriptor Descriptor(long frame, long rank)
    {
        long run = rank / RunPages;
        ref (long Run, byte[] Bytes) slot = ref runs[run % CachedRuns];
        int count = (int)Math.Min(RunPages, head.Layout.Pages - (run * RunPages));
        if (slot.Run != run)
        {
            const int size = RunPages * PageDescriptor.Bytes;
            byte[] bytes = slot.Bytes.Length == size ? slot.Bytes : new byte[size];
            slot = (-1, bytes);
            file.Read(
                head.Layout.DescriptorsOffset + (run * RunPages * PageDescriptor.Bytes), bytes.AsSpan(0, count * PageDescriptor.Bytes), "page descriptors");
            slot.Run = run;
        }

        var descriptor = PageDescriptor.Read(slot.Bytes.AsSpan((int)(rank % RunPages) * PageDescriptor.Bytes));
        long at = head.Layout.DescriptorsOffset + (rank * PageDescriptor.Bytes);
        if (descriptor.Offset < head.Layout.DataOffset || descriptor.Offset >= head.Layout.FileLength)
        {
            throw file.Bad(at, FieldOf(frame), $"its bytes are said to be at 0x{descriptor.Offset:x}, outside of the page data");
        }

        if (descriptor.Size < 1 || descriptor.Size > Math.Min(ArchiveLimits.BlockBytes, head.Layout.FileLength - descriptor.Offset))
        {
            throw file.Bad(at + 8, FieldOf(frame), $"{descriptor.Size} bytes are said to be stored, must be 1 … {ArchiveLimits.BlockBytes} and within the page data");
        }

        bool rightFlags = descriptor.Flags is PageDescriptor.Zstd or PageDescriptor.Zlib || (descriptor.Flags == PageDescriptor.Raw && descriptor.Size == PageSize);
        return rightFlags ? descriptor : throw file.Bad(at + 12, FieldOf(frame), $"flags 0x{descriptor.Flags:x} with {descriptor.Size} bytes");
    }

    /// <summary>Holds a page against its checksum.</summary>
    public void CheckPage(long frame, ulong blockChecksum, PageDescriptor descriptor)
    {
        if (descriptor.Seal(frame, blockChecksum) != descriptor)
        {
            throw file.Bad(descriptor.Offset, FieldOf(frame), "its bytes or its descriptor do not match the checksum");
        }
    }

    /// <summary>Expands a stored page.</summary>
    public void Unpack(ReadOnlySpan<byte> block, PageDescriptor descriptor, Span<byte> page, string field)
    {
        if (descriptor.Flags == PageDescriptor.Raw)
        {
            block.CopyTo(page);
            return;
        }

        int size;
        try
        {
            size = descriptor.Flags == PageDescriptor.Zlib ? zlib.Expand(block, page)
                : decompressor.TryUnwrap(block, page, out int written) ? written : -1;
        }
        catch (Exception e) when (e is ZstdException or InvalidDataException)
        {
            throw file.Bad(descriptor.Offset, field, $"its compressed bytes are damaged: {e.Message}", e);
        }

        if (size != PageSize)
        {
            throw file.Bad(descriptor.Offset, field, $"the {(descriptor.Flags == PageDescriptor.Zlib ? "zlib stream" : "zstd frame")} does not hold one page");
        }
    }

    /// <inheritdoc/>
    public void Dispose() => decompressor.Dispose();

    /// <summary>How errors name a page.</summary>
    public static string FieldOf(long frame) => $"page at physical 0x{frame * PageSize:x}";
}
