namespace GdbStub.Targets;

/// <summary>What may be done with a piece of memory.</summary>
[Flags]
public enum MemoryAccess
{
    /// <summary>Nothing: it is not mapped.</summary>
    None = 0,

    /// <summary>Reading.</summary>
    Read = 1,

    /// <summary>Writing.</summary>
    Write = 2,

    /// <summary>Executing.</summary>
    Execute = 4,
}

/// <summary>A piece of an address space with the same properties everywhere, mapped or not.</summary>
/// <param name="Start">First address.</param>
/// <param name="Last">Last address, so that a region may reach the end of the address space.</param>
/// <param name="Access">What may be done there; <see cref="MemoryAccess.None"/> where nothing is mapped.</param>
/// <param name="Name">What it is, if that is known.</param>
public readonly record struct MemoryRegion(ulong Start, ulong Last, MemoryAccess Access, string? Name = null);

/// <summary>The address space of a thread, asked about one address at a time (lldb's qMemoryRegionInfo).</summary>
public interface IMemoryRegions
{
    /// <summary>
    /// The region, mapped or not, that contains <paramref name="address"/>. It need not be as large as it could be: a
    /// target may end it where looking further would take long, as long as asking on from its end gets to the last address.
    /// </summary>
    MemoryRegion Find(int thread, ulong address);

    /// <summary>Bytes of a page, the unit of <see cref="DirtyPages"/>; a power of two.</summary>
    int PageSize { get; }

    /// <summary>
    /// Fills <paramref name="pages"/> with the addresses, ascending, of pages from <paramref name="start"/> to
    /// <paramref name="last"/> that were written since the time the target compares with, and returns how many;
    /// -1 when the target does not know.
    /// </summary>
    int DirtyPages(int thread, ulong start, ulong last, Span<ulong> pages) => -1;
}

/// <summary>What gdb calls the kinds of memory.</summary>
public enum MemoryKind
{
    /// <summary>Read and written.</summary>
    Ram,

    /// <summary>Only read; gdb uses hardware breakpoints there.</summary>
    Rom,
}

/// <summary>A line of gdb's memory map.</summary>
public readonly record struct MemoryMapEntry(MemoryKind Kind, ulong Start, ulong Length);

/// <summary>
/// gdb's memory map (qXfer:memory-map), of addresses as memory packets take them. gdb refuses, without asking, to touch what is not in it: what is listed
/// must cover every address that may ever be mapped.
/// </summary>
public interface IMemoryMap
{
    /// <summary>The map; gdb asks once a connection.</summary>
    IReadOnlyList<MemoryMapEntry> Entries { get; }
}

/// <summary>
/// Memory that can be seen where it lies, so that searches, checksums and long reads copy nothing they need not. Where it
/// is offered it must agree with <see cref="IDebugTarget.ReadMemory"/>.
/// </summary>
public interface IDirectMemory
{
    /// <summary>
    /// Bytes from <paramref name="address"/> on, at least one and at most <paramref name="wanted"/>, valid until the target's next
    /// member is called; empty where nothing is, or where it cannot be seen this way.
    /// </summary>
    ReadOnlySpan<byte> Peek(int thread, ulong address, int wanted);
}

/// <summary>Physical memory, for clients that turned on <c>Qqemu.PhyMemMode</c>.</summary>
public interface IPhysicalMemory
{
    /// <summary>Reads; returns how many bytes there were before the first that is not there.</summary>
    int Read(ulong address, Span<byte> destination);

    /// <summary>Writes; returns the bytes written. Only called on a target that has a writer.</summary>
    int Write(ulong address, ReadOnlySpan<byte> source);
}
