namespace Emulator.Memory;

/// <summary>
/// Which guest-physical addresses are RAM, and which byte of it: what a live machine, a frozen one and an archive must
/// answer alike. See <see cref="PhysicalLayout"/>.
/// </summary>
public static class RamMap
{
    /// <summary>The ranges in which <paramref name="size"/> bytes of RAM appear, ascending.</summary>
    public static IReadOnlyList<PhysicalRange> Ranges(ulong size)
    {
        ulong low = Math.Min(size, PhysicalLayout.LowRamLimit);
        List<PhysicalRange> ranges = [new(0, Math.Min(low, PhysicalLayout.VgaStart))];
        if (low > PhysicalLayout.VgaEnd)
        {
            ranges.Add(new(PhysicalLayout.VgaEnd, low - PhysicalLayout.VgaEnd));
        }

        if (size > low)
        {
            ranges.Add(new(PhysicalLayout.HighRamStart, size - low));
        }

        return ranges;
    }

    /// <summary>The bytes of RAM that appear in exactly these ranges; false when no machine of ours has such.</summary>
    public static bool TrySize(IReadOnlyList<PhysicalRange> ranges, out ulong size)
    {
        ArgumentNullException.ThrowIfNull(ranges);
        size = 0;
        if (ranges.Count > 0)
        {
            PhysicalRange last = ranges[^1];
            size = last.Start >= PhysicalLayout.HighRamStart ? PhysicalLayout.LowRamLimit + last.Length : last.Start + last.Length;
        }

        return size != 0 && size <= GuestMemory.MaximumSize && Ranges(size).SequenceEqual(ranges);
    }

    /// <summary>
    /// The offset into RAM of a guest-physical address, and how many bytes from there on are contiguous in both; false
    /// when no RAM shows there.
    /// </summary>
    public static bool TryFind(ulong size, ulong address, out ulong offset, out ulong contiguous)
    {
        ulong low = Math.Min(size, PhysicalLayout.LowRamLimit);
        ulong end;
        if (address < low)
        {
            offset = address;
            end = address < PhysicalLayout.VgaStart ? Math.Min(low, PhysicalLayout.VgaStart)
                : address < PhysicalLayout.VgaEnd ? 0 : low;
        }
        else
        {
            offset = address - PhysicalLayout.HighRamStart + low;
            end = address >= PhysicalLayout.HighRamStart && size > low ? size : 0;
        }

        contiguous = end > offset ? end - offset : 0;
        return contiguous != 0;
    }
}
