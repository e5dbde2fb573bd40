using System.Runtime.InteropServices;

namespace Emulator;

/// <summary>
/// Memory of the host that holds code we emit: readable, writable and executable. It only grows; disposing gives all of
/// it back, so nothing may run in it any more.
/// </summary>
internal sealed unsafe class HostCode : IDisposable
{
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
        start = HostMemory.MapCode(size);
    }

    ~HostCode() => Dispose();

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
            HostMemory.Release(start, size);
            start = null;
        }

        GC.SuppressFinalize(this);
    }
}
