namespace Emulator.Devices;

/// <summary>A device in the physical address space. It knows offsets from its first byte; the bus knows addresses.</summary>
public interface IMmioDevice
{
    /// <summary>Reads <paramref name="size"/> bytes (1, 2, 4 or 8), zero-extended.</summary>
    ulong ReadMmio(ulong offset, int size);

    /// <summary>Writes the low <paramref name="size"/> bytes (1, 2, 4 or 8) of <paramref name="value"/>.</summary>
    void WriteMmio(ulong offset, int size, ulong value);
}
