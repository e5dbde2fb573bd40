using System.Buffers.Binary;

namespace GuestOs.Linux.Symbols;

/// <summary>
/// ORC: for every instruction of a kernel or a module, how to find its caller. Two tables side by side, ascending: places
/// (each counted from where it stands itself) and entries. Written at build time by objtool (Documentation/arch/x86/orc-unwinder.rst).
/// </summary>
internal sealed class OrcTable
{
    /// <summary>Rows of a kernel or a module. Debian's kernel has 370,000.</summary>
    public const int MaxRows = 1 << 22;

    private readonly ulong placesAt;
    private readonly byte[] places;
    private readonly byte[] entries;
    private readonly OrcLayout layout;

    private OrcTable(ulong placesAt, byte[] places, byte[] entries, OrcLayout layout)
    {
        this.placesAt = placesAt;
        this.places = places;
        this.entries = entries;
        this.layout = layout;
    }

    public int Count => places.Length / 4;

    /// <summary>How entries are read, for a module's tables too.</summary>
    public OrcLayout Layout => layout;

    /// <summary>The kernel's own table.</summary>
    public static OrcTable? Read(KernelMemory memory, SymbolTable symbols, Btf? types, ProblemLog problems)
    {
        if (!symbols.TryGetAddress("__start_orc_unwind_ip", out ulong placesAt) || !symbols.TryGetAddress("__stop_orc_unwind_ip", out ulong placesEnd)
            || !symbols.TryGetAddress("__start_orc_unwind", out ulong entriesAt) || !symbols.TryGetAddress("__stop_orc_unwind", out ulong entriesEnd))
        {
            problems.Add("ORC: the kernel has none, or its symbols do not tell where");
            return null;
        }

        byte[]? places = KernelBytes.Read(memory, placesAt, placesEnd, MaxRows * 4);
        byte[]? entries = KernelBytes.Read(memory, entriesAt, entriesEnd, MaxRows * OrcLayout.EntryBytes);
        if (places is null || entries is null || places.Length / 4 != entries.Length / OrcLayout.EntryBytes)
        {
            problems.Add("ORC: the tables cannot be read, or are not of one length");
            return null;
        }

        return new OrcTable(placesAt, places, entries, OrcLayout.Of(types, memory.Info.Release, entries));
    }

    /// <summary>A module's table; null when it cannot be read.</summary>
    public static OrcTable? Read(KernelMemory memory, ulong placesAt, ulong entriesAt, uint count, OrcLayout layout)
    {
        if (count is 0 or > MaxRows)
        {
            return null;
        }

        byte[]? places = KernelBytes.Read(memory, placesAt, placesAt + (count * 4UL), MaxRows * 4);
        byte[]? entries = KernelBytes.Read(memory, entriesAt, entriesAt + (count * (ulong)OrcLayout.EntryBytes), MaxRows * OrcLayout.EntryBytes);
        return places is null || entries is null ? null : new OrcTable(placesAt, places, entries, layout);
    }

    /// <summary>Where a row begins to hold.</summary>
    public ulong PlaceOf(int index) => unchecked(placesAt + ((ulong)index * 4) + (ulong)(long)BinaryPrimitives.ReadInt32LittleEndian(places.AsSpan(index * 4)));

    public OrcRow this[int index] => layout.Read(entries.AsSpan(index * OrcLayout.EntryBytes, OrcLayout.EntryBytes));

    /// <summary>Two rows that say the same.</summary>
    public bool IsSame(int one, int other) =>
        entries.AsSpan(one * OrcLayout.EntryBytes, OrcLayout.EntryBytes).SequenceEqual(entries.AsSpan(other * OrcLayout.EntryBytes, OrcLayout.EntryBytes));

    /// <summary>The last row that begins at or before an address; −1 when there is none.</summary>
    public int IndexOf(ulong address)
    {
        int low = 0, high = Count;
        while (low < high)
        {
            int middle = (low + high) >>> 1;
            if (PlaceOf(middle) <= address)
            {
                low = middle + 1;
            }
            else
            {
                high = middle;
            }
        }

        return low - 1;
    }
}
