using System.Runtime.CompilerServices;

namespace Emulator.Memory;

/// <summary>
/// Host memory in 4 KiB frames with a reference count each. Frames come from 2 MiB chunks whose first page holds the
/// counts, so that a frame's count is found from its address alone. One thread allocates; any thread may release.
/// </summary>
internal sealed unsafe class FramePool
{
    private const int ChunkShift = 21;
    private const nuint ChunkSize = 1 << ChunkShift;
    private const int FramesPerChunk = (int)(ChunkSize / GuestMemory.PageSize) - 1;
    private const int ChunksPerRegion = 1024;
    private const nuint RegionSize = ChunksPerRegion * ChunkSize;

    /// <summary>Wholly free chunks kept for the next allocations; those beyond are given back to the host.</summary>
    private const int KeptEmptyChunks = 16;

    private readonly Lock gate = new();
    private readonly List<nint> regions = [];
    private readonly Stack<nint> discarded = [];
    private Chunk* available;
    private int chunksUsed = ChunksPerRegion;
    private int emptyChunks;
    private long allocated;
    private int holders = 1;

    /// <summary>Frames with a reference count above zero.</summary>
    public long Allocated => Volatile.Read(ref allocated);

    /// <summary>Bytes of chunks that are neither reserved only nor given back.</summary>
    public long CommittedBytes
    {
        get
        {
            lock (gate)
            {
                return regions.Count == 0
                    ? 0
                    : ((((long)(regions.Count - 1) * ChunksPerRegion) + chunksUsed - discarded.Count) << ChunkShift);
            }
        }
    }

    /// <summary>One more owner of the pool as a whole: the RAM, or a snapshot of it.</summary>
    public void AddHolder() => Interlocked.Increment(ref holders);

    /// <summary>The last owner gone, the address space goes back to the host.</summary>
    public void ReleaseHolder()
    {
        if (Interlocked.Decrement(ref holders) != 0)
        {
            return;
        }

        foreach (nint region in regions)
        {
            HostMemory.Release((byte*)region, RegionSize);
        }

        regions.Clear();
    }

    /// <summary>A frame with one reference. Its bytes are zeros only when <paramref name="zeroed"/> says so.</summary>
    public byte* Allocate(out bool zeroed)
    {
        lock (gate)
        {
            Chunk* chunk = available != null ? available : AddChunk();
            int index = chunk->FirstFree;
            zeroed = index == 0;
            if (zeroed)
            {
                index = ++chunk->Fresh;
            }
            else
            {
                chunk->FirstFree = chunk->NextFree[index];
            }

            if (chunk->Free-- == FramesPerChunk)
            {
                emptyChunks--;
            }

            if (chunk->Free == 0)
            {
                Unlink(chunk);
            }

            chunk->References[index] = 1;
            allocated++;
            return (byte*)chunk + (index * GuestMemory.PageSize);
        }
    }

    /// <summary>One more reference to a frame the caller already holds one of.</summary>
    public static void AddReference(byte* frame) => Interlocked.Increment(ref References(frame));

    /// <summary>
    /// True when the caller's reference is the only one. Only the thread that could add references may rely on it: others
    /// can only take theirs away.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool IsExclusive(byte* frame) => Volatile.Read(ref References(frame)) == 1;

    /// <summary>Drops one reference of each frame that is not null.</summary>
    public void Release(ReadOnlySpan<nint> frames)
    {
        lock (gate)
        {
            foreach (nint frame in frames)
            {
                if (frame != 0 && Interlocked.Decrement(ref References((byte*)frame)) == 0)
                {
                    Free((byte*)frame);
                }
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static ref int References(byte* frame) =>
        ref ((Chunk*)((nuint)frame & ~(ChunkSize - 1)))->References[((nuint)frame & (ChunkSize - 1)) / GuestMemory.PageSize];

    private void Free(byte* frame)
    {
        var chunk = (Chunk*)((nuint)frame & ~(ChunkSize - 1));
        int index = (int)(((nuint)frame & (ChunkSize - 1)) / GuestMemory.PageSize);
        chunk->NextFree[index] = (ushort)chunk->FirstFree;
        chunk->FirstFree = index;
        allocated--;
        if (chunk->Free++ == 0)
        {
            Link(chunk);
        }

        if (chunk->Free != FramesPerChunk)
        {
            return;
        }

        if (emptyChunks < KeptEmptyChunks)
        {
            emptyChunks++;
            return;
        }

        Unlink(chunk);
        HostMemory.Discard((byte*)chunk, ChunkSize);
        discarded.Push((nint)chunk);
    }

    private Chunk* AddChunk()
    {
        if (!discarded.TryPop(out nint start))
        {
            if (chunksUsed == ChunksPerRegion)
            {
                byte* region = HostMemory.Reserve(RegionSize, ChunkSize);
                HostMemory.PreferLargePages(region, RegionSize);
                regions.Add((nint)region);
                chunksUsed = 0;
            }

            start = regions[^1] + (chunksUsed * (nint)ChunkSize);
            HostMemory.Commit((byte*)start, ChunkSize);
            chunksUsed++;
        }

        var chunk = (Chunk*)start;
        chunk->Free = FramesPerChunk;
        emptyChunks++;
        Link(chunk);
        return chunk;
    }

    private void Link(Chunk* chunk)
    {
        chunk->Previous = null;
        chunk->Next = available;
        if (available != null)
        {
            available->Previous = chunk;
        }

        available = chunk;
    }

    private void Unlink(Chunk* chunk)
    {
        if (chunk->Previous != null)
        {
            chunk->Previous->Next = chunk->Next;
        }
        else
        {
            available = chunk->Next;
        }

        if (chunk->Next != null)
        {
            chunk->Next->Previous = chunk->Previous;
        }
    }

    /// <summary>A chunk's first page. Zeros, as the host hands it out, are a chunk without a used frame once Free is set.</summary>
    private struct Chunk
    {
        /// <summary>Neighbours among the chunks that have a free frame.</summary>
        public Chunk* Previous;

        public Chunk* Next;

        /// <summary>Free frames, fresh ones included.</summary>
        public int Free;

        /// <summary>Frames 1 … Fresh have been handed out at least once; those beyond are still zeros.</summary>
        public int Fresh;

        /// <summary>Head of the list of frames that were used before; 0 ends it.</summary>
        public int FirstFree;

        /// <summary>By frame number; 0 is this page itself and unused.</summary>
        public fixed int References[FramesPerChunk + 1];

        public fixed ushort NextFree[FramesPerChunk + 1];
    }
}
