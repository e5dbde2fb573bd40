using System.Numerics;
using System.Runtime.InteropServices;
using Emulator;

namespace Snapshots.Kdump;

/// <summary>One bit a page frame, least significant bit first; with the rank of each bit, which is the page's descriptor number.</summary>
internal sealed class PageBitmap
{
    private const int WordsPerRank = 8;

    private readonly ulong[] words;
    private readonly long[] ranks;

    /// <summary>Takes the bits of frames 0 … <paramref name="frames"/> − 1; what follows them must be zeros and is the caller's to check.</summary>
    public PageBitmap(ReadOnlySpan<byte> bytes, long frames)
    {
        Frames = frames;
        words = new ulong[(frames + 63) / 64];
        bytes[..(int)((frames + 7) / 8)].CopyTo(MemoryMarshal.AsBytes(words.AsSpan()));
        if (frames % 64 != 0)
        {
            words[^1] &= (1UL << (int)(frames % 64)) - 1;
        }

        ranks = new long[((words.Length + WordsPerRank - 1) / WordsPerRank) + 1];
        for (int i = 0; i < words.Length; i++)
        {
            if (i % WordsPerRank == 0)
            {
                ranks[i / WordsPerRank] = Count;
            }

            Count += BitOperations.PopCount(words[i]);
        }
    }

    /// <summary>Frames it covers.</summary>
    public long Frames { get; }

    /// <summary>Bits set.</summary>
    public long Count { get; }

    /// <summary>Blocks one bitmap of so many frames takes in the file.</summary>
    public static long Blocks(long frames) => (((frames + 7) / 8) + KdumpHeader.BlockSize - 1) / KdumpHeader.BlockSize;

    /// <summary>Sets a range of bits in a bitmap's bytes.</summary>
    public static void Set(Span<byte> bytes, long first, long count)
    {
        for (long frame = first; frame < first + count; frame++)
        {
            if (frame % 8 == 0 && first + count - frame >= 8)
            {
                bytes[(int)(frame / 8)] = 0xFF;
                frame += 7;
                continue;
            }

            bytes[(int)(frame / 8)] |= (byte)(1 << (int)(frame % 8));
        }
    }

    /// <summary>The number of the frame among those that are set, or -1.</summary>
    public long Rank(long frame)
    {
        if ((ulong)frame >= (ulong)Frames)
        {
            return -1;
        }

        int word = (int)(frame / 64);
        ulong bit = 1UL << (int)(frame % 64);
        if ((words[word] & bit) == 0)
        {
            return -1;
        }

        long rank = ranks[word / WordsPerRank];
        for (int i = word - (word % WordsPerRank); i < word; i++)
        {
            rank += BitOperations.PopCount(words[i]);
        }

        return rank + BitOperations.PopCount(words[word] & (bit - 1));
    }

    /// <summary>The runs of bits set, as physical ranges; null when there are more than <paramref name="limit"/>.</summary>
    public IReadOnlyList<PhysicalRange>? Ranges(int limit)
    {
        List<PhysicalRange> ranges = [];
        for (long frame = Next(0, true); frame < Frames;)
        {
            long end = Next(frame, false);
            if (ranges.Count == limit)
            {
                return null;
            }

            ranges.Add(new PhysicalRange((ulong)frame * KdumpHeader.BlockSize, (ulong)(end - frame) * KdumpHeader.BlockSize));
            frame = Next(end, true);
        }

        return ranges;
    }

    /// <summary>The first frame from <paramref name="frame"/> on whose bit is <paramref name="set"/>, or <see cref="Frames"/>.</summary>
    private long Next(long frame, bool set)
    {
        while (frame < Frames)
        {
            ulong word = set ? words[frame / 64] : ~words[frame / 64];
            word &= ulong.MaxValue << (int)(frame % 64);
            if (word != 0)
            {
                return Math.Min(Frames, (frame & ~63L) + BitOperations.TrailingZeroCount(word));
            }

            frame = (frame & ~63L) + 64;
        }

        return Frames;
    }
}
