using System.IO.Hashing;
using Emulator;
using Emulator.Memory;
using Snapshots.Kdump;

namespace Snapshots;

/// <summary>One thing wrong with an archive.</summary>
/// <param name="Offset">Byte offset in the file, when there is a place.</param>
/// <param name="Field">The field; for a page its guest-physical address.</param>
/// <param name="Message">What is wrong.</param>
public sealed record ArchiveProblem(long? Offset, string Field, string Message);

/// <summary>What a verification found.</summary>
/// <param name="Problems">The first <see cref="ArchiveLimits.ListedProblems"/> problems, in the order of the file's pages.</param>
/// <param name="ProblemCount">All of them.</param>
/// <param name="Pages">Pages looked at: all of RAM but what was left out.</param>
/// <param name="Blocks">Stored pages read, equal ones once.</param>
public sealed record VerifyReport(IReadOnlyList<ArchiveProblem> Problems, long ProblemCount, long Pages, long Blocks)
{
    /// <summary>Every byte of the file is as it was written.</summary>
    public bool IsWhole => ProblemCount == 0;
}

/// <summary>Reads a whole archive and holds every byte of it against a checksum.</summary>
public static class ArchiveVerifier
{
    /// <summary>
    /// Never throws for what is wrong with the file's contents: that is the report. Throws <see cref="ArchiveException"/>
    /// without a place when there is no such file, and <see cref="OperationCanceledException"/>.
    /// </summary>
    public static VerifyReport Verify(string path, IProgress<ArchiveProgress>? progress = null, CancellationToken cancellation = default)
    {
        ArchiveReader reader;
        try
        {
            reader = ArchiveReader.Open(path);
        }
        catch (ArchiveException e) when (e.FileOffset is not null)
        {
            return new VerifyReport([new ArchiveProblem(e.FileOffset, e.Field!, e.Problem!)], 1, 0, 0);
        }

        using (reader)
        {
            return new Run(reader).Verify(progress, cancellation);
        }
    }

    private sealed class Run(ArchiveReader reader)
    {
        private readonly List<ArchiveProblem> problems = [];
        private readonly Dictionary<long, (int Size, ulong Checksum)> blocks = [];
        private readonly byte[] stored = new byte[ArchiveLimits.BlockBytes];
        private readonly byte[] page = new byte[GuestMemory.PageSize];
        private long problemCount;
        private long pages;
        private long bytes;

        public VerifyReport Verify(IProgress<ArchiveProgress>? progress, CancellationToken cancellation)
        {
            LayoutNote layout = reader.Head.Layout;
            Attempt(() => CheckZeroBlock(layout));
            foreach (PhysicalRange range in reader.Ram)
            {
                for (ulong at = 0; at < range.Length; at += GuestMemory.PageSize)
                {
                    if (pages % 1024 == 0)
                    {
                        cancellation.ThrowIfCancellationRequested();
                        progress?.Report(new ArchiveProgress(pages, layout.Pages, bytes));
                    }

                    long frame = (long)((range.Start + at) / GuestMemory.PageSize);
                    if (reader.IsLeftOut(range.Start + at))
                    {
                        continue;
                    }

                    Attempt(() => CheckPage(frame, pages));
                    pages++;
                }
            }

            Attempt(() => CheckCoverage(layout));
            progress?.Report(new ArchiveProgress(pages, layout.Pages, reader.Length));
            return new VerifyReport(problems, problemCount, pages, blocks.Count);
        }

        private void Attempt(Action check)
        {
            try
            {
                check();
            }
            catch (ArchiveException e)
            {
                if (problemCount++ < ArchiveLimits.ListedProblems)
                {
                    problems.Add(new ArchiveProblem(e.FileOffset, e.Field ?? "", e.Problem ?? e.Message));
                }
            }
        }

        private void CheckZeroBlock(LayoutNote layout)
        {
            var descriptor = new PageDescriptor(
                layout.DataOffset, layout.ZeroBlockSize, layout.ZeroBlockSize == GuestMemory.PageSize ? PageDescriptor.Raw : reader.Head.Compression);
            ulong checksum = ReadBlock(descriptor, "page of zeros");
            if (checksum != layout.ZeroBlockChecksum || page.AsSpan().ContainsAnyExcept((byte)0))
            {
                throw reader.File.Bad(layout.DataOffset, "page of zeros", "its bytes do not match its checksum");
            }
        }

        private void CheckPage(long frame, long rank)
        {
            PageDescriptor descriptor = reader.Pages.Descriptor(frame, rank);
            ulong block = blocks.TryGetValue(descriptor.Offset, out (int Size, ulong Checksum) known) && known.Size == descriptor.Size
                ? known.Checksum
                : ReadBlock(descriptor, PageStore.FieldOf(frame));
            reader.Pages.CheckPage(frame, block, descriptor);
        }

        /// <summary>Reads a stored page into <see cref="page"/> and remembers it.</summary>
        private ulong ReadBlock(PageDescriptor descriptor, string field)
        {
            Span<byte> block = stored.AsSpan(0, descriptor.Size);
            reader.File.Read(descriptor.Offset, block, field);
            ulong checksum = XxHash3.HashToUInt64(block);
            blocks[descriptor.Offset] = (descriptor.Size, checksum);
            bytes += descriptor.Size;
            reader.Pages.Unpack(block, descriptor, page, field);
            return checksum;
        }

        /// <summary>The stored pages fill their part of the file without a gap: no byte is there that no checksum covers.</summary>
        private void CheckCoverage(LayoutNote layout)
        {
            if (problemCount != 0)
            {
                return; // what is missing has been named already
            }

            if (blocks.Count != layout.Blocks)
            {
                throw reader.File.Bad(layout.DataOffset, "layout.blocks", $"{blocks.Count} pages are stored, not {layout.Blocks}");
            }

            long at = layout.DataOffset;
            foreach ((long offset, (int size, _)) in blocks.OrderBy(b => b.Key))
            {
                if (offset != at)
                {
                    throw reader.File.Bad(at, "page data", $"the next stored page begins at 0x{offset:x}");
                }

                at += size;
            }

            if (at != layout.FileLength)
            {
                throw reader.File.Bad(at, "page data", $"it should go on to 0x{layout.FileLength:x}");
            }
        }
    }
}
