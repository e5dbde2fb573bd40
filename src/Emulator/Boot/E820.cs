using Emulator.Memory;

namespace Emulator.Boot;

/// <summary>What a range of physical memory is, with the numbers of the ACPI specification (6.4, §15 "System Address Map Interfaces").</summary>
public enum E820Type : uint
{
    /// <summary>RAM the guest may use.</summary>
    Usable = 1,

    /// <summary>Not for the guest.</summary>
    Reserved = 2,

    /// <summary>ACPI tables; RAM once they are read.</summary>
    AcpiReclaimable = 3,

    /// <summary>ACPI non-volatile storage.</summary>
    AcpiNvs = 4,

    /// <summary>Broken RAM.</summary>
    Unusable = 5,
}

/// <summary>An entry of the memory map.</summary>
/// <param name="Start">First address.</param>
/// <param name="Length">Bytes.</param>
/// <param name="Type">What it is.</param>
public readonly record struct E820Entry(ulong Start, ulong Length, E820Type Type)
{
    /// <summary>The address after the last.</summary>
    public ulong End => Start + Length;
}

/// <summary>The memory map a PC's firmware would report for our <see cref="PhysicalLayout"/>.</summary>
public static class E820
{
    /// <summary>Conventional memory ends here: the last KiB below 640 KiB is where a BIOS keeps its extended data area.</summary>
    public const ulong ConventionalEnd = 0x9FC00;

    /// <summary>First address of extended memory.</summary>
    public const ulong ExtendedStart = 0x10_0000;

    /// <summary>
    /// The map of a machine with <paramref name="ramBytes"/> of RAM (a multiple of 4 KiB, at least 1 MiB): ascending, not
    /// overlapping, neighbours of one type merged. <paramref name="reserved"/> entries override what is beneath them,
    /// later ones override earlier ones. Throws <see cref="BootException"/> when the amount is not one, and when the map
    /// gets longer than <see cref="BootLimits.MemoryMapEntries"/>.
    /// </summary>
    public static IReadOnlyList<E820Entry> Build(ulong ramBytes, IEnumerable<E820Entry>? reserved = null)
    {
        if (ramBytes < ExtendedStart || ramBytes % GuestMemory.PageSize != 0 || ramBytes > 1UL << 46)
        {
            throw new BootException($"{ramBytes} bytes of RAM: a multiple of 4096 from 1 MiB to 64 TiB is needed");
        }

        List<E820Entry> map =
        [
            new(0, ConventionalEnd, E820Type.Usable),
            new(ConventionalEnd, PhysicalLayout.VgaStart - ConventionalEnd, E820Type.Reserved),
            new(PhysicalLayout.AcpiTables, ExtendedStart - PhysicalLayout.AcpiTables, E820Type.Reserved),
        ];
        ulong lowEnd = Math.Min(ramBytes, PhysicalLayout.LowRamLimit);
        if (lowEnd > ExtendedStart)
        {
            map.Add(new(ExtendedStart, lowEnd - ExtendedStart, E820Type.Usable));
        }

        if (ramBytes > PhysicalLayout.LowRamLimit)
        {
            map.Add(new(PhysicalLayout.HighRamStart, ramBytes - PhysicalLayout.LowRamLimit, E820Type.Usable));
        }

        foreach (E820Entry entry in reserved ?? [])
        {
            if (entry.Length == 0 || entry.Start > ulong.MaxValue - entry.Length)
            {
                throw new BootException($"memory map entry {entry.Start:x}h+{entry.Length:x}h is empty or wraps around");
            }

            Override(map, entry);
        }

        Merge(map);
        return map.Count <= BootLimits.MemoryMapEntries
            ? map
            : throw new BootException($"the memory map has {map.Count} entries; {BootLimits.MemoryMapEntries} is the limit");
    }

    private static void Override(List<E820Entry> map, E820Entry entry)
    {
        for (int i = map.Count - 1; i >= 0; i--)
        {
            E820Entry old = map[i];
            if (old.End <= entry.Start || old.Start >= entry.End)
            {
                continue;
            }

            map.RemoveAt(i);
            if (old.End > entry.End)
            {
                map.Insert(i, new(entry.End, old.End - entry.End, old.Type));
            }

            if (old.Start < entry.Start)
            {
                map.Insert(i, new(old.Start, entry.Start - old.Start, old.Type));
            }
        }

        int place = map.FindIndex(other => other.Start > entry.Start);
        map.Insert(place < 0 ? map.Count : place, entry);
    }

    private static void Merge(List<E820Entry> map)
    {
        for (int i = map.Count - 1; i > 0; i--)
        {
            if (map[i - 1].End == map[i].Start && map[i - 1].Type == map[i].Type)
            {
                map[i - 1] = map[i - 1] with { Length = map[i - 1].Length + map[i].Length };
                map.RemoveAt(i);
            }
        }
    }
}
