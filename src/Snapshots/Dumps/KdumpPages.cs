using Emulator;
using Emulator.Memory;
using Snappier;
using Snapshots.Kdump;
using ZstdSharp;

namespace Snapshots.Dumps;

/// <summary>
/// Pages out of a kdump-compressed file somebody else wrote. The first bitmap says what is RAM, the second what of it is
/// in the file; a page that is only in the first was filtered out. Source: makedumpfile's IMPLEMENTATION document.
/// </summary>
internal sealed class KdumpPages : IPageSource
{
    private const int PageSize = GuestMemory.PageSize;
    private const int Lzo = 2;
    private const int SnappyFlag = 4;

    private readonly ArchiveFile file;
    private readonly PageBitmap memory;
    private readonly PageBitmap stored;
    private readonly long descriptors;
    private readonly Decompressor zstd = new();
    private readonly ZlibPage zlib = new();
    private readonly byte[] block = new byte[PageSize];
    private readonly byte[] record = new byte[PageDescriptor.Bytes];

    // Writers store a page of zeros once; where it is shows when the first of them is read.
    private long zeros = -1;

    /// <summary>Takes over <paramref name="file"/>.</summary>
    public KdumpPages(ArchiveFile file, PageBitmap memory, PageBitmap stored, IReadOnlyList<PhysicalRange> ram, long descriptors)
    {
        this.file = file;
        this.memory = memory;
        this.stored = stored;
        this.descriptors = descriptors;
        Ram = ram;
    }

    /// <inheritdoc/>
    public IReadOnlyList<PhysicalRange> Ram { get; }

    /// <inheritdoc/>
    public PageContent Look(long frame)
    {
        if (memory.Rank(frame) < 0)
        {
            return PageContent.NotRam;
        }

        if (stored.Rank(frame) is var rank && rank < 0)
        {
            return PageContent.LeftOut;
        }

        return zeros >= 0 && Descriptor(rank).Offset == zeros ? PageContent.Zeros : PageContent.Stored;
    }

    /// <inheritdoc/>
    public void Read(long frame, Span<byte> page)
    {
        long rank = stored.Rank(frame);
        PageDescriptor descriptor = Descriptor(rank);
        long at = descriptors + (rank * PageDescriptor.Bytes);
        string field = PageStore.FieldOf(frame);
        if (descriptor.Size is < 1 or > PageSize)
        {
            throw file.Bad(at + 8, field, $"{descriptor.Size} bytes are said to be stored, must be 1 … {PageSize}");
        }

        if (descriptor.Offset < KdumpHeader.BlockSize || descriptor.Offset > file.Length - descriptor.Size)
        {
            throw file.Bad(at, field, $"its {descriptor.Size} bytes are said to be at 0x{descriptor.Offset:x}; the file has 0x{file.Length:x}");
        }

        Span<byte> bytes = block.AsSpan(0, descriptor.Size);
        file.Read(descriptor.Offset, bytes, field);
        Expand(descriptor, bytes, page, field, at);
        if (zeros < 0 && !page.ContainsAnyExcept((byte)0))
        {
            zeros = descriptor.Offset;
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        zstd.Dispose();
        file.Dispose();
    }

    private PageDescriptor Descriptor(long rank)
    {
        file.Read(descriptors + (rank * PageDescriptor.Bytes), record, "page descriptors");
        return PageDescriptor.Read(record);
    }

    private void Expand(PageDescriptor descriptor, Span<byte> bytes, Span<byte> page, string field, long at)
    {
        int size;
        string name;
        try
        {
            switch (descriptor.Flags)
            {
                case PageDescriptor.Raw:
                    (name, size) = ("page", bytes.Length);
                    bytes.CopyTo(page);
                    break;
                case PageDescriptor.Zlib:
                    (name, size) = ("zlib stream", zlib.Expand(bytes, page));
                    break;
                case Lzo:
                    (name, size) = ("lzo stream", Lzo1x.Expand(bytes, page));
                    break;
                case SnappyFlag:
                    (name, size) = ("snappy block", Snappy.GetUncompressedLength(bytes) == PageSize ? Snappy.Decompress(bytes, page) : -1);
                    break;
                case PageDescriptor.Zstd:
                    (name, size) = ("zstd frame", zstd.TryUnwrap(bytes, page, out int written) ? written : -1);
                    break;
                default:
                    throw file.Bad(at + 12, field, $"flags 0x{descriptor.Flags:x} are no compression known: 0 none, 1 zlib, 2 lzo, 4 snappy, 20h zstd");
            }
        }
        catch (Exception e) when (e is InvalidDataException or ZstdException or ArgumentException or InvalidOperationException)
        {
            throw file.Bad(descriptor.Offset, field, $"its compressed bytes are damaged: {e.Message}", e);
        }

        if (size != PageSize)
        {
            throw file.Bad(descriptor.Offset, field, $"the {name} does not hold one page");
        }
    }
}
