using System.Buffers.Binary;
using System.Text;

namespace Emulator.Boot;

/// <summary>
/// ACPI machine language, as much as the DSDT needs: each method gives the bytes of one term.
/// Source: ACPI Specification 6.4 chapter 20 "AML" and §6.4 "Resource Data Types".
/// </summary>
internal static class AcpiAml
{
    private const byte ZeroOp = 0x00, OneOp = 0x01, NameOp = 0x08, BytePrefix = 0x0A, WordPrefix = 0x0B, DWordPrefix = 0x0C;
    private const byte ScopeOp = 0x10, BufferOp = 0x11, PackageOp = 0x12, ExtendedPrefix = 0x5B, DeviceOp = 0x82;

    // Address space descriptors: minimum and maximum are fixed, the bridge forwards what falls between.
    private const byte FixedWindow = 0x0C;

    /// <summary>Scope(name) { … }</summary>
    public static byte[] Scope(string name, params byte[][] terms) => [ScopeOp, .. Sized([.. Ascii(name), .. Join(terms)])];

    /// <summary>Device(name) { … }</summary>
    public static byte[] Device(string name, params byte[][] terms) =>
        [ExtendedPrefix, DeviceOp, .. Sized([.. Ascii(name), .. Join(terms)])];

    /// <summary>Name(name, value)</summary>
    public static byte[] Name(string name, byte[] value) => [NameOp, .. Ascii(name), .. value];

    /// <summary>Package() { … }</summary>
    public static byte[] Package(params byte[][] elements) => [PackageOp, .. Sized([(byte)elements.Length, .. Join(elements)])];

    /// <summary>An integer constant in its shortest form.</summary>
    public static byte[] Integer(uint value) => value switch
    {
        0 => [ZeroOp],
        1 => [OneOp],
        <= 0xFF => [BytePrefix, (byte)value],
        <= 0xFFFF => [WordPrefix, .. Word((ushort)value)],
        _ => [DWordPrefix, .. DWord(value)],
    };

    /// <summary>A string constant.</summary>
    public static byte[] Text(string value) => [0x0D, .. Ascii(value), 0];

    /// <summary>EisaId("PNP0501"): three letters of five bits each, four hexadecimal digits, big-endian.</summary>
    public static byte[] EisaId(string id)
    {
        uint packed = 0;
        for (int i = 0; i < 3; i++)
        {
            packed = (packed << 5) | (uint)(id[i] - '@');
        }

        packed = (packed << 16) | Convert.ToUInt32(id[3..], 16);
        return Integer(BinaryPrimitives.ReverseEndianness(packed));
    }

    /// <summary>ResourceTemplate() { … } with its end tag.</summary>
    public static byte[] ResourceTemplate(params byte[][] descriptors)
    {
        byte[] resources = [.. Join(descriptors), 0x79, 0x00];
        return [BufferOp, .. Sized([.. Integer((uint)resources.Length), .. resources])];
    }

    /// <summary>IO(Decode16, first, first, 1, count)</summary>
    public static byte[] Ports(ushort first, byte count) => [0x47, 1, .. Word(first), .. Word(first), 1, count];

    /// <summary>IRQNoFlags() { irq }: edge-triggered, active high.</summary>
    public static byte[] Irq(int irq) => [0x22, .. Word((ushort)(1 << irq))];

    /// <summary>Memory32Fixed(ReadWrite, address, length)</summary>
    public static byte[] FixedMemory(uint address, uint length) => [0x86, 9, 0, 1, .. DWord(address), .. DWord(length)];

    /// <summary>WordBusNumber: the buses behind a bridge.</summary>
    public static byte[] BusWindow(ushort first, ushort last) =>
        [0x88, 13, 0, 2, FixedWindow, 0, .. Word(0), .. Word(first), .. Word(last), .. Word(0), .. Word((ushort)(last - first + 1))];

    /// <summary>WordIO: ports a bridge forwards, ISA aliases and all.</summary>
    public static byte[] PortWindow(ushort first, ushort last) =>
        [0x88, 13, 0, 1, FixedWindow, 3, .. Word(0), .. Word(first), .. Word(last), .. Word(0), .. Word((ushort)(last - first + 1))];

    /// <summary>DWordMemory(…, ReadWrite): memory a bridge forwards.</summary>
    public static byte[] MemoryWindow(uint first, uint last) =>
        [0x87, 23, 0, 0, FixedWindow, 1, .. DWord(0), .. DWord(first), .. DWord(last), .. DWord(0), .. DWord(last - first + 1)];

    /// <summary>A package length that counts itself, then the contents (§20.2.4).</summary>
    private static byte[] Sized(byte[] contents)
    {
        int length = contents.Length;
        if (length + 1 < 0x40)
        {
            return [(byte)(length + 1), .. contents];
        }

        if (length + 2 < 0x1000)
        {
            length += 2;
            return [(byte)(0x40 | (length & 15)), (byte)(length >> 4), .. contents];
        }

        length += 3;
        return [(byte)(0x80 | (length & 15)), (byte)(length >> 4), (byte)(length >> 12), .. contents];
    }

    private static byte[] Join(byte[][] parts)
    {
        var all = new List<byte>();
        foreach (byte[] part in parts)
        {
            all.AddRange(part);
        }

        return all.ToArray();
    }

    private static byte[] Ascii(string text) => Encoding.ASCII.GetBytes(text);

    private static byte[] Word(ushort value) => [(byte)value, (byte)(value >> 8)];

    private static byte[] DWord(uint value) => [(byte)value, (byte)(value >> 8), (byte)(value >> 16), (byte)(value >> 24)];
}
