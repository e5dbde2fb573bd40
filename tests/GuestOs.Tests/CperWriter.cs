using System.Buffers.Binary;
using System.IO.Compression;
using System.Text;

namespace GuestOs.Tests;

/// <summary>Error records as UEFI appendix N and Linux's pstore lay them out.</summary>
internal static class CperWriter
{
    /// <summary>GUIDs as they stand in memory, first three fields little-endian.</summary>
    public static readonly byte[] Pstore = Convert.FromHexString("e374a5755250294b8a8ebe2c6490b89d");
    public static readonly byte[] PlainLog = Convert.FromHexString("4ee097c145d5704a9c17a5549419eb12");
    public static readonly byte[] CompressedLog = Convert.FromHexString("0787114fdd045540b5dd956d34ddfac6");
    public static readonly byte[] MachineCheck = Convert.FromHexString("beff08fee495e74bbc734096044a38fc");

    public static byte[] Record(byte[] section, ReadOnlySpan<byte> data, ulong id = 1, ulong seconds = 0, byte[]? creator = null)
    {
        var record = new byte[200 + data.Length];
        Span<byte> header = record;
        "CPER"u8.CopyTo(header);
        BinaryPrimitives.WriteUInt16LittleEndian(header[4..], 0x100);
        BinaryPrimitives.WriteUInt32LittleEndian(header[6..], 0xFFFF_FFFF);
        BinaryPrimitives.WriteUInt16LittleEndian(header[10..], 1);
        BinaryPrimitives.WriteUInt32LittleEndian(header[12..], 1);
        BinaryPrimitives.WriteUInt32LittleEndian(header[16..], 2);
        BinaryPrimitives.WriteUInt32LittleEndian(header[20..], (uint)record.Length);
        BinaryPrimitives.WriteUInt64LittleEndian(header[24..], seconds);
        (creator ?? Pstore).CopyTo(header[64..]);
        BinaryPrimitives.WriteUInt64LittleEndian(header[96..], id);
        Span<byte> descriptor = header[128..];
        BinaryPrimitives.WriteUInt32LittleEndian(descriptor, 200);
        BinaryPrimitives.WriteUInt32LittleEndian(descriptor[4..], (uint)data.Length);
        section.CopyTo(descriptor[16..]);
        data.CopyTo(header[200..]);
        return record;
    }

    public static byte[] Plain(string text) => Record(PlainLog, Encoding.UTF8.GetBytes(text));

    public static byte[] Compressed(string text) => Record(CompressedLog, Deflate(text));

    public static byte[] Deflate(string text)
    {
        using var bytes = new MemoryStream();
        using (var deflate = new DeflateStream(bytes, CompressionLevel.Optimal))
        {
            deflate.Write(Encoding.UTF8.GetBytes(text));
        }

        return bytes.ToArray();
    }

    public static byte[] Zlib(string text)
    {
        using var bytes = new MemoryStream();
        using (var zlib = new ZLibStream(bytes, CompressionLevel.Optimal))
        {
            zlib.Write(Encoding.UTF8.GetBytes(text));
        }

        return bytes.ToArray();
    }
}
