using System.IO.Hashing;
using Emulator;
using Emulator.Memory;
using Microsoft.Win32.SafeHandles;

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
    private readonly StoredPages pages;
    private readonly long dataOffset;
    private readonly PageCompressor[] compressors;
    private readonly byte[] raw = new byte[BatchPages * PageSize];
    private readonly byte[] packed = new byte[BatchPages * PageSize];
    private readonly int[] packedSizes = new int[BatchPages];
    private readonly int[] packedFlags = new int[BatchPages];
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

    public PageEncoder(SafeFileHandle handle, IMachineView view, StoredPages pages, long dataOffset, ArchiveWriterOptions options)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(options.Level, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(options.Level, 19);
        ArgumentOutOfRangeException.ThrowIfLessThan(options.Parallelism, 1);
        this.handle = handle;
        this.view = view;
        this.pages = pages;
        this.dataOffset = dataOffset;
        written = dataOffset;
        descriptors = new byte[pages.Count * PageDescriptor.Bytes];
        checksums = new ulong[pages.Count];
        compressors = [.. Enumerable.Range(0, Math.Min(options.Parallelism, BatchPages)).Select(_ => new PageCompressor(options))];
    }

    private long Position => written + buffered;

    /// <summary>Writes every page's bytes; the file ends with them.</summary>
    public void WritePages(IProgress<ArchiveProgress>? progress, CancellationToken cancellation)
    {
        packedSizes[0] = compressors[0].Compress(raw.AsSpan(0, PageSize), packed.AsSpan(0, PageSize), out packedFlags[0]);
        zeroBlock = Append(0, out zeroChecksum);
        long page = 0;
        foreach (ulong address in pages.Addresses())
        {
            Add(page++, address);
            if (page % BatchPages == 0)
            {
                cancellation.ThrowIfCancellationRequested();
                progress?.Report(new ArchiveProgress(page, checksums.Length, Position));
            }
        }

        WriteBatch();
        Flush();
        progress?.Report(new ArchiveProgress(page, checksums.Length, Position));
    }

    /// <summary>Writes the descriptors, each with its page's checksum, to their place before the pages.</summary>
    public void WriteDescriptors(long offset)
    {
        long page = 0;
        foreach (ulong address in pages.Addresses())
        {
            Span<byte> record = descriptors.AsSpan((int)page * PageDescriptor.Bytes);
            PageDescriptor.Read(record).Seal((long)(address / PageSize), checksums[page]).Write(record);
            page++;
        }

        RandomAccess.Write(handle, descriptors, offset);
    }

    /// <summary>The layout of the file as it now is.</summary>
    public LayoutNote Layout(long headSize, ulong headChecksum) => new()
    {
        FileLength = Position,
        DescriptorsOffset = headSize,
        Pages = checksums.Length,
        DataOffset = dataOffset,
        ZeroBlockSize = zeroBlock.Size,
        Blocks = blocks,
        ZeroBlockChecksum = zeroChecksum,
        HeadChecksum = headChecksum,
    };

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (PageCompressor compressor in compressors)
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
            packedSizes[i] = compressors[worker].Compress(raw.AsSpan(i * PageSize, PageSize), packed.AsSpan(i * PageSize, PageSize), out packedFlags[i]);
        }
    }

    /// <summary>Puts slot <paramref name="slot"/> of the batch into the file.</summary>
    private PageDescriptor Append(int slot, out ulong checksum)
    {
        int size = packedSizes[slot];
        ReadOnlySpan<byte> stored = (size == PageSize ? raw : packed).AsSpan(slot * PageSize, size);
        checksum = XxHash3.HashToUInt64(stored);
        var descriptor = new PageDescriptor(Position, size, packedFlags[slot]);
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
