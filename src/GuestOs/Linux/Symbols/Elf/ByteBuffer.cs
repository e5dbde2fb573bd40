using System.Buffers.Binary;

namespace GuestOs.Linux.Symbols.Elf;

/// <summary>Bytes written one after another, little-endian, as ELF and DWARF want them.</summary>
internal sealed class ByteBuffer(int expected)
{
    private byte[] bytes = new byte[Math.Max(expected, 256)];
    private int length;

    public int Length => length;

    public ReadOnlyMemory<byte> Written => bytes.AsMemory(0, length);

    public void U8(byte value)
    {
        if (length == bytes.Length)
        {
            Grow(1);
        }

        bytes[length++] = value;
    }

    public void U16(ushort value)
    {
        BinaryPrimitives.WriteUInt16LittleEndian(Next(2), value);
        length += 2;
    }

    public void U32(uint value)
    {
        BinaryPrimitives.WriteUInt32LittleEndian(Next(4), value);
        length += 4;
    }

    public void U64(ulong value)
    {
        BinaryPrimitives.WriteUInt64LittleEndian(Next(8), value);
        length += 8;
    }

    /// <summary>An unsigned LEB128.</summary>
    public void Unsigned(ulong value)
    {
        while (value >= 0x80)
        {
            U8((byte)(value | 0x80));
            value >>= 7;
        }

        U8((byte)value);
    }

    /// <summary>A signed LEB128.</summary>
    public void Signed(long value)
    {
        while (value is < -64 or > 63)
        {
            U8((byte)(value | 0x80));
            value >>= 7;
        }

        U8((byte)(value & 0x7F));
    }

    public void Bytes(ReadOnlySpan<byte> source)
    {
        source.CopyTo(Next(source.Length));
        length += source.Length;
    }

    /// <summary>A text and the zero byte that ends it; returns where it begins.</summary>
    public int Text(ReadOnlySpan<byte> text)
    {
        int at = length;
        Bytes(text);
        U8(0);
        return at;
    }

    /// <summary>Fills up to a multiple of <paramref name="alignment"/>.</summary>
    public void Align(int alignment)
    {
        while (length % alignment != 0)
        {
            U8(0);
        }
    }

    public void Patch32(int at, uint value) => BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(at), value);

    private Span<byte> Next(int count)
    {
        if (bytes.Length - length < count)
        {
            Grow(count);
        }

        return bytes.AsSpan(length, count);
    }

    private void Grow(int count) => Array.Resize(ref bytes, Math.Max(length + count, bytes.Length * 2));
}
