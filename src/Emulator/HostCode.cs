using System.ComponentModel;
using System.Runtime.InteropServices;

namespace Emulator;

/// <summary>
/// Memory of the host that holds code we emit: anonymous, readable, writable and executable, below 2 GiB where the
/// kernel grants it. It only grows; disposing gives all of it back, so nothing may run in it any more.
/// Linux on x86-64 (mmap(2)); another host gets its own branch here.
/// </summary>
internal sealed unsafe partial class HostCode : IDisposable
{
    private const int ReadWriteExecute = 1 | 2 | 4, PrivateAnonymous = 0x02 | 0x20, Below2GiB = 0x40;

    private readonly nuint size;
    private byte* start;
    private nuint used;

    /// <param name="size">Bytes of address space; pages are committed as they are used.</param>
    internal HostCode(nuint size)
    {
        if (!OperatingSystem.IsLinux() || RuntimeInformation.ProcessArchitecture != Architecture.X64)
        {
            throw new PlatformNotSupportedException("The emulator runs parts of the guest's code on the host CPU: the host must be Linux on x86-64.");
        }

        this.size = size;
        void* mapped = Map(null, size, ReadWriteExecute, PrivateAnonymous | Below2GiB, -1, 0);
        if ((nint)mapped == -1)
        {
            mapped = Map(null, size, ReadWriteExecute, PrivateAnonymous, -1, 0);
        }

        if ((nint)mapped == -1)
        {
            throw new Win32Exception(Marshal.GetLastPInvokeError(), "The host refuses executable memory (mmap with PROT_WRITE and PROT_EXEC).");
        }

        start = (byte*)mapped;
    }

    /// <summary>First byte of the mapping.</summary>
    internal byte* Start => start;

    /// <summary>Copies code in, 16-byte aligned, and gives its address.</summary>
    internal nint Add(ReadOnlySpan<byte> code)
    {
        nuint offset = (used + 15) & ~(nuint)15;
        if ((nuint)code.Length > size - Math.Min(size, offset))
        {
            throw new InvalidOperationException("The arena for emitted code is full.");
        }

        code.CopyTo(new Span<byte>(start + offset, code.Length));
        used = offset + (nuint)code.Length;
        return (nint)(start + offset);
    }

    public void Dispose()
    {
        if (start != null)
        {
            _ = Unmap(start, size);
            start = null;
        }

        GC.SuppressFinalize(this);
    }

    ~HostCode() => Dispose();

    [LibraryImport("libc", EntryPoint = "mmap", SetLastError = true)]
    private static partial void* Map(void* address, nuint length, int protection, int flags, int descriptor, nint offset);

    [LibraryImport("libc", EntryPoint = "munmap")]
    private static partial int Unmap(void* address, nuint length);
}
