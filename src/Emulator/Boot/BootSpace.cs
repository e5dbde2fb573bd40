namespace Emulator.Boot;

/// <summary>
/// Which RAM the loaders have given away so far. Everything a loader puts into memory is placed here first, so two things
/// never overlap and nothing lands outside usable RAM, whatever a header says.
/// </summary>
internal sealed class BootSpace(IBootMemory memory, IReadOnlyList<E820Entry> map)
{
    private readonly List<BootPlacement> placements = [];

    /// <summary>What went where.</summary>
    public IReadOnlyList<BootPlacement> Placements => placements;

    /// <summary>The memory to write to.</summary>
    public IBootMemory Memory => memory;

    /// <summary>True when the whole range is usable RAM that nothing was placed in.</summary>
    public bool IsFree(ulong start, ulong length) => IsRam(start, length) && !placements.Exists(p => Overlap(p, start, length));

    /// <summary>Takes exactly this range, which a header asked for. Two parts of one kernel may share bytes; others may not.</summary>
    public void Take(string what, ulong start, ulong length)
    {
        if (!IsRam(start, length))
        {
            throw new BootException($"{what} at {start:x}h, {length:x}h bytes, is not within usable RAM ({DescribeRam()})");
        }

        foreach (BootPlacement placement in placements)
        {
            if (placement.What != what && Overlap(placement, start, length))
            {
                throw new BootException($"{what} at {start:x}h, {length:x}h bytes, overlaps {placement.What} at {placement.Start:x}h");
            }
        }

        placements.Add(new(what, start, length));
    }

    /// <summary>Takes the lowest aligned free range from <paramref name="floor"/> up that ends at or below <paramref name="ceiling"/>.</summary>
    public ulong TakeLowest(string what, ulong length, ulong alignment, ulong floor, ulong ceiling) =>
        TryTakeLowest(what, length, alignment, floor, ceiling, out ulong start)
            ? start
            : throw new BootException($"no room for {what}: {length:x}h bytes aligned to {alignment:x}h between {floor:x}h and {ceiling:x}h ({DescribeRam()})");

    /// <summary>As <see cref="TakeLowest"/>, without the exception.</summary>
    public bool TryTakeLowest(string what, ulong length, ulong alignment, ulong floor, ulong ceiling, out ulong start)
    {
        foreach (E820Entry entry in map)
        {
            if (entry.Type != E820Type.Usable)
            {
                continue;
            }

            start = Math.Max(entry.Start, floor);
            while (TryAlignUp(start, alignment, out start) && Fits(start, length, Math.Min(entry.End, ceiling)))
            {
                ulong candidate = start;
                int blocking = placements.FindIndex(p => Overlap(p, candidate, length));
                if (blocking < 0)
                {
                    placements.Add(new(what, start, length));
                    return true;
                }

                start = placements[blocking].Start + placements[blocking].Length;
            }
        }

        start = 0;
        return false;
    }

    /// <summary>Takes the highest aligned free range that ends at or below <paramref name="ceiling"/>.</summary>
    public bool TryTakeHighest(string what, ulong length, ulong alignment, ulong floor, ulong ceiling, out ulong start)
    {
        for (int i = map.Count - 1; i >= 0; i--)
        {
            if (map[i].Type != E820Type.Usable)
            {
                continue;
            }

            ulong bottom = Math.Max(map[i].Start, floor);
            ulong end = Math.Min(map[i].End, ceiling);
            while (end > bottom && end - bottom >= length)
            {
                start = (end - length) & ~(alignment - 1);
                if (start < bottom)
                {
                    break;
                }

                ulong candidate = start;
                int blocking = placements.FindIndex(p => Overlap(p, candidate, length));
                if (blocking < 0)
                {
                    placements.Add(new(what, start, length));
                    return true;
                }

                end = placements[blocking].Start;
            }
        }

        start = 0;
        return false;
    }

    /// <summary>Places and writes a structure of the loader's own.</summary>
    public ulong Put(string what, ReadOnlySpan<byte> bytes, ulong alignment, ulong floor, ulong ceiling)
    {
        ulong start = TakeLowest(what, (ulong)bytes.Length, alignment, floor, ceiling);
        memory.Write(start, bytes);
        return start;
    }

    /// <summary>The usable ranges, for messages.</summary>
    public string DescribeRam() => "usable RAM: " + string.Join(", ",
        map.Where(e => e.Type == E820Type.Usable).Select(e => $"{e.Start:x}h-{e.End - 1:x}h"));

    private bool IsRam(ulong start, ulong length)
    {
        foreach (E820Entry entry in map)
        {
            if (entry.Type == E820Type.Usable && start >= entry.Start && start <= entry.End && length <= entry.End - start)
            {
                return true;
            }
        }

        return false;
    }

    private static bool Fits(ulong start, ulong length, ulong end) => start <= end && length <= end - start;

    private static bool TryAlignUp(ulong value, ulong alignment, out ulong aligned)
    {
        aligned = (value + alignment - 1) & ~(alignment - 1);
        return aligned >= value;
    }

    private static bool Overlap(BootPlacement placement, ulong start, ulong length) =>
        placement.Length != 0 && length != 0 && start < placement.Start + placement.Length && placement.Start < start + length;
}
