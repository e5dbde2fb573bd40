namespace Emulator.Devices.Pci;

/// <summary>
/// Configuration mechanism #1: the address at CF8h, the data at CFCh, and bus 0 behind them. The byte port CF9h in the
/// middle is the reset control register. Source: PCI Local Bus Specification 3.0 §3.2.2.3.2.
/// </summary>
internal sealed class PciConfiguration : IPortDevice
{
    /// <summary>First port.</summary>
    public const ushort Port = 0xCF8;

    /// <summary>Ports.</summary>
    public const int PortCount = 8;

    private const uint EnableBit = 0x8000_0000, AddressBits = 0x80FF_FFFC;

    private readonly ResetControl resetControl;
    private readonly HostBridge hostBridge = new();
    private readonly IPciFunction?[] functions = new IPciFunction?[256];
    private uint address;

    public PciConfiguration(ResetControl resetControl)
    {
        this.resetControl = resetControl;
        functions[0] = hostBridge;
    }

    public uint ReadPort(ushort offset, int size)
    {
        if (offset < 4)
        {
            return offset == 0 && size == 4 ? address : offset == 1 && size == 1 ? resetControl.Read() : Ones(size);
        }

        IPciFunction? function = Selected();
        if (function is null)
        {
            return Ones(size);
        }

        uint value = 0;
        for (int i = 0; i < size; i++)
        {
            value |= (uint)function.ReadConfiguration(Register(offset) + i & 0xFF) << (8 * i);
        }

        return value;
    }

    public void WritePort(ushort offset, int size, uint value)
    {
        if (offset < 4)
        {
            if (offset == 0 && size == 4)
            {
                address = value & AddressBits;
            }
            else if (offset == 1 && size == 1)
            {
                resetControl.Write((byte)value);
            }

            return;
        }

        IPciFunction? function = Selected();
        for (int i = 0; function is not null && i < size; i++)
        {
            function.WriteConfiguration(Register(offset) + i & 0xFF, (byte)(value >> (8 * i)));
        }
    }

    /// <summary>Plugs a function into bus 0.</summary>
    public void Attach(int device, int function, IPciFunction implementation)
    {
        int index = (device << 3) | function;
        if (functions[index] is not null)
        {
            throw new ArgumentException($"00:{device:x2}.{function} is taken");
        }

        functions[index] = implementation;
    }

    public void Reset()
    {
        address = 0;
        hostBridge.Reset();
    }

    public PciConfigurationState Save() => new(Address: address, HostBridge: hostBridge.Save());

    public void Load(PciConfigurationState state)
    {
        address = state.Address;
        hostBridge.Load(state.HostBridge);
    }

    private IPciFunction? Selected() =>
        (address & EnableBit) != 0 && (address >> 16 & 0xFF) == 0 ? functions[(address >> 8) & 0xFF] : null;

    private int Register(int offset) => (int)(address & 0xFC) + (offset & 3);

    private static uint Ones(int size) => size >= 4 ? uint.MaxValue : (1U << (8 * size)) - 1;
}

/// <summary>Saved state of PCI configuration space.</summary>
public sealed record PciConfigurationState(uint Address, byte[] HostBridge);
