namespace Emulator.Memory;

/// <summary>
/// The guest's RAM as 4 KiB pages behind a two-level table, copy-on-write, so that a freeze costs the same for any
/// size. Addresses here are offsets into RAM; <see cref="PhysicalLayout"/> knows where they appear to the guest.
/// </summary>
public sealed unsafe class GuestMemory : IDisposable
{
    /// <summary>Bytes in a page.</summary>
    public const int PageSize = 4096;

    /// <summary>Reserves room for <paramref name="size"/> bytes (a multiple of 4 KiB); nothing is allocated until it is written.</summary>
    public GuestMemory(ulong size) => throw new NotImplementedException();

    /// <summary>Bytes of RAM.</summary>
    public ulong Size { get; }

    /// <summary>Pages private to the present plus pages kept for snapshots: what the guest costs the host.</summary>
    public long AllocatedPages => throw new NotImplementedException();

    /// <summary>
    /// Raised by <see cref="Freeze"/>, <see cref="Restore"/> and <see cref="Clear"/>: every host address handed out
    /// for writing (all three: for writing; the last two: for reading as well) is void.
    /// </summary>
    public Action<bool>? HostAddressesRevoked { get; set; }

    /// <summary>Host address of a page for reading; a never-written page reads as the shared zero page.</summary>
    public byte* ReadPage(ulong page) => throw new NotImplementedException();

    /// <summary>Host address of a page for writing in place: allocated or copied first if it must be.</summary>
    public byte* WritePage(ulong page) => throw new NotImplementedException();

    /// <summary>True when the page was never written.</summary>
    public bool IsUntouched(ulong page) => throw new NotImplementedException();

    /// <summary>Shares every page with the snapshot returned. Its cost does not depend on the size of RAM.</summary>
    public MemorySnapshot Freeze() => throw new NotImplementedException();

    /// <summary>Makes the contents those of <paramref name="snapshot"/>, again copy-on-write.</summary>
    public void Restore(MemorySnapshot snapshot) => throw new NotImplementedException();

    /// <summary>Makes all of RAM untouched.</summary>
    public void Clear() => throw new NotImplementedException();

    /// <inheritdoc/>
    public void Dispose() => throw new NotImplementedException();
}

/// <summary>RAM as it was at a freeze. Readable from any thread while the guest runs on; release it to give its pages back.</summary>
public sealed unsafe class MemorySnapshot : IDisposable
{
    internal MemorySnapshot() { }

    /// <summary>Bytes of RAM.</summary>
    public ulong Size { get; }

    /// <summary>Host address of a page; valid until <see cref="Dispose"/>.</summary>
    public byte* ReadPage(ulong page) => throw new NotImplementedException();

    /// <summary>True when the page was never written before the freeze.</summary>
    public bool IsUntouched(ulong page) => throw new NotImplementedException();

    /// <inheritdoc/>
    public void Dispose() => throw new NotImplementedException();
}
