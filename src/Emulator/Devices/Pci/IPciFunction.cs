namespace Emulator.Devices.Pci;

/// <summary>One function on the PCI bus: its 256 bytes of configuration space.</summary>
internal interface IPciFunction
{
    /// <summary>Reads the byte at <paramref name="offset"/> (0–255).</summary>
    byte ReadConfiguration(int offset);

    /// <summary>Writes the byte at <paramref name="offset"/>; read-only bits stay.</summary>
    void WriteConfiguration(int offset, byte value);
}
