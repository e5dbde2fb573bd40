using System.Buffers.Binary;

namespace Emulator.Devices.Pci;

/// <summary>
/// The host bridge at 00:00.0, an 82441FX by its name: guests look for a host bridge to believe in the bus, and for
/// nothing in it. Source: Intel 82441FX (PMC) data sheet (order number 290549) §3.2; PCI Local Bus Specification 3.0 §6.1.
/// </summary>
internal sealed class HostBridge : IPciFunction
{
    private const int Command = 0x04, LatencyTimer = 0x0D, FirstAttributeMap = 0x59, LastAttributeMap = 0x5F;

    private readonly byte[] registers = new byte[256];

    public HostBridge() => Reset();

    public byte ReadConfiguration(int offset) => registers[offset];

    public void WriteConfiguration(int offset, byte value)
    {
        switch (offset)
        {
            case Command:
                // Memory access and bus master are hardwired on; parity error response can be set.
                registers[offset] = (byte)((value & 0x40) | 6);
                break;
            case LatencyTimer:
                registers[offset] = (byte)(value & 0xF8);
                break;
            case >= FirstAttributeMap and <= LastAttributeMap:
                registers[offset] = (byte)(value & 0x33);
                break;
        }
    }

    public void Reset()
    {
        registers.AsSpan().Clear();
        BinaryPrimitives.WriteUInt16LittleEndian(registers, 0x8086);
        BinaryPrimitives.WriteUInt16LittleEndian(registers.AsSpan(2), 0x1237);
        registers[Command] = 6;
        registers[0x07] = 0x02;
        registers[0x08] = 0x02;
        registers[0x0B] = 0x06;
    }

    public byte[] Save() => (byte[])registers.Clone();

    public void Load(byte[] state) => state.AsSpan(0, registers.Length).CopyTo(registers);
}
