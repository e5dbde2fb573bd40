namespace Emulator.Devices;

/// <summary>
/// A device with 8-bit registers. A wider access becomes one byte cycle a register, lowest port first, as the ISA bus
/// does it (IBM PC AT Technical Reference, "I/O Channel", 16-bit accesses to 8-bit devices).
/// </summary>
public abstract class BytePortDevice : IPortDevice
{
    /// <inheritdoc/>
    public uint ReadPort(ushort offset, int size)
    {
        uint value = ReadRegister(offset);
        for (int i = 1; i < size; i++)
        {
            value |= (uint)ReadRegister(offset + i) << (8 * i);
        }

        return value;
    }

    /// <inheritdoc/>
    public void WritePort(ushort offset, int size, uint value)
    {
        for (int i = 0; i < size; i++)
        {
            WriteRegister(offset + i, (byte)(value >> (8 * i)));
        }
    }

    /// <summary>Reads the register at <paramref name="offset"/> ports from the device's first.</summary>
    private protected abstract byte ReadRegister(int offset);

    /// <summary>Writes the register at <paramref name="offset"/> ports from the device's first.</summary>
    private protected abstract void WriteRegister(int offset, byte value);
}
