using System.Buffers.Binary;
using System.Text;

namespace Emulator.Boot;

/// <summary>
/// One table under construction: little-endian fields in order after the common header, whose length and checksum are
/// filled in at the end. Source: ACPI Specification 6.4 §5.2.6 "System Description Table Header".
/// </summary>
internal sealed class AcpiTableWriter
{
    /// <summary>Bytes of the common header.</summary>
    public const int HeaderSize = 36;

    private const int LengthOffset = 4, ChecksumOffset = 9;

    private readonly List<byte> bytes = [];

    public AcpiTableWriter(string signature, byte revision)
    {
        Text(signature, 4).DWord(0).Byte(revision).Byte(0);
        Text("GDBSTB", 6).Text("GDBSTUB", 8).DWord(1).Text("GSTB", 4).DWord(1);
    }

    /// <summary>Bytes so far.</summary>
    public int Length => bytes.Count;

    public AcpiTableWriter Byte(byte value)
    {
        bytes.Add(value);
        return this;
    }

    public AcpiTableWriter Word(ushort value) => Byte((byte)value).Byte((byte)(value >> 8));

    public AcpiTableWriter DWord(uint value) => Word((ushort)value).Word((ushort)(value >> 16));

    public AcpiTableWriter QWord(ulong value) => DWord((uint)value).DWord((uint)(value >> 32));

    /// <summary>ASCII, padded with zeros (signatures and the OEM's fields are never shorter than their field but the OEM's).</summary>
    public AcpiTableWriter Text(string value, int length)
    {
        bytes.AddRange(Encoding.ASCII.GetBytes(value));
        return Zeros(length - value.Length);
    }

    public AcpiTableWriter Raw(ReadOnlySpan<byte> value)
    {
        foreach (byte item in value)
        {
            bytes.Add(item);
        }

        return this;
    }

    public AcpiTableWriter Zeros(int count)
    {
        for (int i = 0; i < count; i++)
        {
            bytes.Add(0);
        }

        return this;
    }

    /// <summary>A generic address structure in port space (ACPI 6.4 §5.2.3.2).</summary>
    public AcpiTableWriter PortRegister(ushort port, byte bits) => Byte(1).Byte(bits).Byte(0).Byte(AccessSize(bits)).QWord(port);

    /// <summary>A generic address structure in memory.</summary>
    public AcpiTableWriter MemoryRegister(ulong address, byte bits) => Byte(0).Byte(bits).Byte(0).Byte(AccessSize(bits)).QWord(address);

    /// <summary>The finished table.</summary>
    public byte[] Finish()
    {
        byte[] table = bytes.ToArray();
        BinaryPrimitives.WriteUInt32LittleEndian(table.AsSpan(LengthOffset), (uint)table.Length);
        table[ChecksumOffset] = Checksum(table);
        return table;
    }

    /// <summary>The byte that makes the sum of all bytes zero.</summary>
    public static byte Checksum(ReadOnlySpan<byte> table)
    {
        byte sum = 0;
        foreach (byte value in table)
        {
            sum += value;
        }

        return (byte)-sum;
    }

    private static byte AccessSize(byte bits) => bits switch { 8 => 1, 16 => 2, 32 => 3, 64 => 4, _ => 0 };
}
