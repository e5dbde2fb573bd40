using System.Buffers.Binary;
using GdbStub.Targets;

namespace Debugging.Kernels;

/// <summary>
/// A kernel's debug file as it is served: without the frames of those functions that its compiler described wrongly. Gdb
/// asks a debug file first, and only for what that does not know the symbol file, which has it from the kernel's own
/// tables. Source: DWARF 4, chapter 6.4.1; call frame information of 32-bit DWARF.
/// </summary>
internal sealed class FramePatch : IVirtualFile
{
    /// <summary>Bytes of .debug_frame; kernels have about 5 MB.</summary>
    public const int MaxFrameBytes = 1 << 28;

    private const int RangeBytes = 8;

    private readonly IVirtualFile below;
    private readonly List<ulong> blanks = [];

    private FramePatch(IVirtualFile below) => this.below = below;

    /// <inheritdoc/>
    public ulong Length => below.Length;

    /// <summary>Lays the patch over a file, which it disposes.</summary>
    /// <param name="below">The debug file.</param>
    /// <param name="header">What that says of itself.</param>
    /// <param name="wrong">Where the functions lie, at the addresses the kernel was linked for; ascending.</param>
    public static IVirtualFile Over(IVirtualFile below, ElfHeader header, IReadOnlyList<(ulong Start, ulong End)> wrong)
    {
        var patch = new FramePatch(below);
        if (wrong.Count > 0 && header.FrameLength is > 0 and <= MaxFrameBytes)
        {
            byte[] frames = new byte[header.FrameLength];
            if (below.Read((ulong)header.FrameAt, frames) == frames.Length)
            {
                patch.Find(frames, (ulong)header.FrameAt, wrong);
            }
        }

        return patch;
    }

    /// <inheritdoc/>
    public int Read(ulong offset, Span<byte> destination)
    {
        int read = below.Read(offset, destination);
        for (int i = FirstAfter(offset); i < blanks.Count && blanks[i] < offset + (ulong)read; i++)
        {
            // A function of no bytes holds no address.
            long from = Math.Max(0, (long)(blanks[i] - offset)), to = Math.Min(read, (long)(blanks[i] - offset) + RangeBytes);
            destination[(int)from..(int)to].Clear();
        }

        return read;
    }

    /// <inheritdoc/>
    public void Dispose() => below.Dispose();

    private void Find(ReadOnlySpan<byte> frames, ulong fileOffset, IReadOnlyList<(ulong Start, ulong End)> wrong)
    {
        const uint common = uint.MaxValue, wide = 0xFFFF_FFF0;
        for (int at = 0; at + 24 <= frames.Length;)
        {
            uint length = BinaryPrimitives.ReadUInt32LittleEndian(frames[at..]);
            if (length >= wide || length > (uint)(frames.Length - at - 4))
            {
                return;
            }

            if (length >= 20 && BinaryPrimitives.ReadUInt32LittleEndian(frames[(at + 4)..]) != common)
            {
                ulong start = BinaryPrimitives.ReadUInt64LittleEndian(frames[(at + 8)..]);
                if (wrong.Any(function => start >= function.Start && start < function.End))
                {
                    blanks.Add(fileOffset + (ulong)at + 16);
                }
            }

            at += 4 + (int)length;
        }
    }

    // The first blank that ends behind an offset.
    private int FirstAfter(ulong offset)
    {
        int low = 0, high = blanks.Count;
        while (low < high)
        {
            int middle = (low + high) / 2;
            if (blanks[middle] + RangeBytes <= offset)
            {
                low = middle + 1;
            }
            else
            {
                high = middle;
            }
        }

        return low;
    }
}
