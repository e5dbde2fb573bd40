using System.Buffers.Binary;
using System.IO.Hashing;
using Emulator;
using Emulator.Memory;
using Microsoft.Win32.SafeHandles;
using ZstdSharp;

namespace Snapshots.Kdump;

/// <summary>
/// Turns pages into stored blocks and descriptors: pages of zeros share the first block, equal pages share one, the rest
/// is compressed, or left as it is when that does not shrink it. Works in batches, so that several threads may compress.
/// </summary>
internal sealed class PageEncoder : IDisposable
{
    private const int PageSize = GuestMemory.PageSize;
    private const int BatchPages = 256;
    private const int OutputBytes = 1 << 20;

    private readonly SafeFileHandle handle;
    private readonly IMachineView view;
    private readonly long dataOffset;
    private readonly Compressor[] compressors;
    private readonly byte[] raw = new byte[BatchPages * PageSize];
    private readonly byte[] packed = new byte[BatchPages * PageSize];
    private readonly int[] packedSizes = new int[BatchPages];
    private readonly long[] batchPages = new long[BatchPages];
    private readonly List<(long Page, long Original)> repeated = [];
    private readonly Dictionary<ulong, (long Page, ulong Address)> known = [];
    private readonly byte[] comparison = new byte[PageSize];
    private readonly byte[] output = new byte[OutputBytes];
    private readonly byte[] descriptors;
    private readonly ulong[] checksums;
    private int batch;
    private int buffered;
    private long written;
    private long blocks;
    private PageDescriptor zeroBlock;
    private ulong zeroChecksum;

    public PageEncoder(SafeFileHandle handle, IMachineView view, long pages, long dataOffset, ArchiveWriterOptions options)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(options.Level, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(options.Level, 19);
        ArgumentOutOfRangeException.ThrowIfLessThan(options.Parallelism, 1);
        this.handle = handle;
        this.view = view;
        this.dataOffset = dataOffset;
        written = dataOffset;
        descriptors = new byte[pages * PageDescriptor.Bytes];
        checksums = new ulong[pages];
        compressors = [.. Enumerable.Range(0, Math.Min(options.Parallelism, BatchPages)).Select(_ => new Compressor(options.Level))];
    }

    private long Position => written + buffered;

    /// <summary>Writes every page's bytes and returns the file offset behind them.</summary>
    public long WritePages(IProgress<ArchiveProgress>? progress, CancellationToken cancellation)
    {
        packedSizes[0] = Compress(compressors[0], raw.AsSpan(0, PageSize), packed.AsSpan(0, PageSize));
        zeroBlock = Append(0, out zeroChecksum);
        long page = 0;
        foreach (PhysicalRange range in view.Ram)
        {
            for (ulong at = 0; at < range.Length; at += PageSize)
            {
                Add(page++, range.Start + at);
                if (page % BatchPages == 0)
                {
                    cancellation.ThrowIfCancellationRequested();
                    progress?.Report(new ArchiveProgress(page, checksums.Length, Position));
                }
            }
        }

        WriteBatch();
        Flush();
        progress?.Report(new ArchiveProgress(page, checksums.Length, Position));
        return Position;
    }

    /// <summary>Writes the descriptors to their place before the pages and the checksums behind them.</summary>
    public void WriteTables(long descriptorsOffset, long checksumsOffset)
    {
        long page = 0;
        foreach (PhysicalRange range in view.Ram)
        {
            for (ulong at = 0; at < range.Length; at += PageSize, page++)
            {
                checksums[page] = PageDescriptor.Checksum(
                    (long)((range.Start + at) / PageSize), descriptors.AsSpan((int)page * PageDescriptor.Bytes), checksums[page]);
            }
        }

        RandomAccess.Write(handle, descriptors, descriptorsOffset);
        written = checksumsOffset;
        Span<byte> bytes = stackalloc byte[PageDescriptor.ChecksumBytes];
        foreach (ulong checksum in checksums)
        {
            BinaryPrimitives.WriteUInt64LittleEndian(bytes, checksum);
            Append(bytes);
        }

        Flush();
    }

    /// <summary>The layout of the file as it now is.</summary>
    public LayoutNote Layout(long headSize, long checksumsOffset, ulong headChecksum) => new()
    {
        FileLength = Position,
        DescriptorsOffset = headSize,
        Pages = checksums.Length,
        DataOffset = dataOffset,
        ChecksumsOffset = checksumsOffset,
        ZeroBlockSize = zeroBlock.Size,
        Blocks = blocks,
        ZeroBlockChecksum = zeroChecksum,
        HeadChecksum = headChecksum,
    };

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (Compressor compressor in compressors)
        {
            compressor.Dispose();
        }
    }

    private void Add(long page, ulong address)
    {
        Span<byte> bytes = raw.AsSpan(batch * PageSize, PageSize);
        if (view.IsUntouched(address) || !Read(address, bytes).ContainsAnyExcept((byte)0))
        {
            Place(page, zeroBlock, zeroChecksum);
            return;
        }

        ulong hash = XxHash3.HashToUInt64(bytes);
        if (known.TryGetValue(hash, out (long Page, ulong Address) original))
        {
            // A guest could make pages whose hashes agree: the bytes decide.
            if (Read(original.Address, comparison).SequenceEqual(bytes))
            {
                PageDescriptor placed = DescriptorOf(original.Page);
                if (placed.Size != 0)
                {
                    Place(page, placed, checksums[original.Page]);
                }
                else
                {
                    repeated.Add((page, original.Page));
                }

                return;
            }
        }
        else
        {
            known.Add(hash, (page, address));
        }

        batchPages[batch] = page;
        if (++batch == BatchPages)
        {
            WriteBatch();
        }
    }

    private Span<byte> Read(ulong address, Span<byte> destination) => view.ReadPhysical(address, destination) == PageSize
        ? destination
        : throw new ArchiveException($"The machine's RAM at 0x{address:x} could not be read.");

    private void WriteBatch()
    {
        if (compressors.Length == 1)
        {
            CompressShare(0);
        }
        else
        {
            Parallel.For(0, compressors.Length, new ParallelOptions { MaxDegreeOfParallelism = compressors.Length }, CompressShare);
        }

        for (int i = 0; i < batch; i++)
        {
            PageDescriptor descriptor = Append(i, out ulong checksum);
            Place(batchPages[i], descriptor, checksum);
        }

        // Only now has each original its place.
        foreach ((long page, long original) in repeated)
        {
            Place(page, DescriptorOf(original), checksums[original]);
        }

        batch = 0;
        repeated.Clear();
    }

    private void CompressShare(int worker)
    {
        for (int i = worker; i < batch; i += compressors.Length)
        {
            packedSizes[i] = Compress(compressors[worker], raw.AsSpan(i * PageSize, PageSize), packed.AsSpan(i * PageSize, PageSize));
        }
    }

    /// <summary>The compressed size, or <see cref="PageSize"/> when that is not less.</summary>
    private static int Compress(Compressor compressor, ReadOnlySpan<byte> page, Span<byte> destination) =>
        compressor.TryWrap(page, destination[..(PageSize - 1)], out int size) ? size : PageSize;

    /// <summary>Puts slot <paramref name="slot"/> of the batch into the file.</summary>
    private PageDescriptor Append(int slot, out ulong checksum)
    {
        int size = packedSizes[slot];
        ReadOnlySpan<byte> stored = (size == PageSize ? raw : packed).AsSpan(slot * PageSize, size);
        checksum = XxHash3.HashToUInt64(stored);
        var descriptor = new PageDescriptor(Position, size, size == PageSize ? PageDescriptor.Raw : PageDescriptor.Zstd);
        blocks++;
        Append(stored);
        return descriptor;
    }

    private void Append(ReadOnlySpan<byte> bytes)
    {
        if (buffered + bytes.Length > output.Length)
        {
            Flush();
        }

        bytes.CopyTo(output.AsSpan(buffered));
        buffered += bytes.Length;
    }

    private void Flush()
    {
        RandomAccess.Write(handle, output.AsSpan(0, buffered), written);
        written += buffered;
        buffered = 0;
    }

    /// <summary>A page's descriptor, or nothing while it waits in the batch.</summary>
    private PageDescriptor DescriptorOf(long page) => PageDescriptor.Read(descriptors.AsSpan((int)page * PageDescriptor.Bytes));

    private void Place(long page, PageDescriptor descriptor, ulong blockChecksum)
    {
        descriptor.Write(descriptors.AsSpan((int)page * PageDescriptor.Bytes));
        checksums[page] = blockChecksum;
    }
}
