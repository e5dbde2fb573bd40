using System.Runtime.InteropServices;

namespace Emulator;

/// <summary>
/// The one place in this assembly that calls the host for memory: everything else sees addresses. Linux on x86-64
/// (mmap(2), mprotect(2), madvise(2)); another host gets its own version of this file.
/// </summary>
internal static unsafe partial class HostMemory
{
    private const int ProtectNone = 0;
    private const int ProtectRead = 1;
    private const int ProtectWrite = 2;
    private const int ProtectExecute = 4;
    private const int MapPrivate = 0x2;
    private const int MapAnonymous = 0x20;
    private const int Map32Bit = 0x40;
    private const int MapNoReserve = 0x4000;
    private const int AdviseDontNeed = 4;

    /// <summary>
    /// Takes <paramref name="length"/> bytes of address space, aligned to <paramref name="alignment"/> (a power of two),
    /// that cost nothing and fault when touched. Throws <see cref="OutOfMemoryException"/>.
    /// </summary>
    public static byte* Reserve(nuint length, nuint alignment)
    {
        byte* start = Map(length + alignment, ProtectNone, MapPrivate | MapAnonymous | MapNoReserve);
        byte* aligned = (byte*)(((nuint)start + alignment - 1) & ~(alignment - 1));
        nuint before = (nuint)(aligned - start);
        if (before != 0)
        {
            Release(start, before);
        }

        Release(aligned + length, alignment - before);
        return aligned;
    }

    /// <summary>Makes reserved bytes usable; they read as zeros. Throws <see cref="OutOfMemoryException"/>.</summary>
    public static void Commit(byte* start, nuint length)
    {
        if (MemoryProtect(start, length, ProtectRead | ProtectWrite) != 0)
        {
            throw Failed("mprotect", length);
        }
    }

    /// <summary>Gives the contents back to the host; the bytes stay usable and read as zeros.</summary>
    public static void Discard(byte* start, nuint length)
    {
        if (MemoryAdvise(start, length, AdviseDontNeed) != 0)
        {
            throw Failed("madvise", length);
        }
    }

    /// <summary>Gives the address space back.</summary>
    public static void Release(byte* start, nuint length)
    {
        if (MemoryUnmap(start, length) != 0)
        {
            throw Failed("munmap", length);
        }
    }

    /// <summary>Zeros that fault when written.</summary>
    public static byte* MapReadOnly(nuint length) => Map(length, ProtectRead, MapPrivate | MapAnonymous | MapNoReserve);

    /// <summary>Room for emitted code: below 2 GiB, where a 32-bit displacement reaches all of it, if the host has room there.</summary>
    public static byte* MapCode(nuint length)
    {
        const int Protection = ProtectRead | ProtectWrite | ProtectExecute;
        byte* start = MemoryMap(null, length, Protection, MapPrivate | MapAnonymous | Map32Bit, -1, 0);
        return start != (byte*)-1 ? start : Map(length, Protection, MapPrivate | MapAnonymous);
    }

    private static byte* Map(nuint length, int protection, int flags)
    {
        byte* start = MemoryMap(null, length, protection, flags, -1, 0);
        return start == (byte*)-1 ? throw Failed("mmap", length) : start;
    }

    private static OutOfMemoryException Failed(string call, nuint length) =>
        new($"The host refused memory: {call} of {length} bytes failed, errno {Marshal.GetLastPInvokeError()}.");

    [LibraryImport("libc", EntryPoint = "mmap", SetLastError = true)]
    private static partial byte* MemoryMap(void* address, nuint length, int protection, int flags, int file, long offset);

    [LibraryImport("libc", EntryPoint = "munmap", SetLastError = true)]
    private static partial int MemoryUnmap(void* address, nuint length);

    [LibraryImport("libc", EntryPoint = "mprotect", SetLastError = true)]
    private static partial int MemoryProtect(void* address, nuint length, int protection);

    [LibraryImport("libc", EntryPoint = "madvise", SetLastError = true)]
    private static partial int MemoryAdvise(void* address, nuint length, int advice);
}
