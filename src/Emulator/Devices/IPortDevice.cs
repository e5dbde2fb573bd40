namespace Emulator.Devices;

/// <summary>A device in the I/O port space. It knows offsets from its first port; the bus knows addresses.</summary>
public interface IPortDevice
{
    /// <summary>Reads <paramref name="size"/> bytes (1, 2 or 4), zero-extended.</summary>
    uint ReadPort(ushort offset, int size);

    /// <summary>Writes the low <paramref name="size"/> bytes (1, 2 or 4) of <paramref name="value"/>.</summary>
    void WritePort(ushort offset, int size, uint value);
}
