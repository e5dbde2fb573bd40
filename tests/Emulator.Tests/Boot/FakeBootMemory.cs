using System.Buffers.Binary;
using Emulator.Boot;

namespace Emulator.Tests.Boot;

/// <summary>Sparse RAM that remembers what was written; unwritten bytes read as CCh, so that a missing Clear shows.</summary>
internal sealed class FakeBootMemory : IBootMemory
{
    private readonly Dictionary<ulong, byte[]> pages = [];

    public void Write(ulong address, ReadOnlySpan<byte> bytes)
    {
        for (int i = 0; i < bytes.Length;)
        {
            ulong at = address + (ulong)i;
            int chunk = Math.Min(bytes.Length - i, 4096 - (int)(at & 4095));
            bytes.Slice(i, chunk).CopyTo(Page(at).AsSpan((int)(at & 4095)));
            i += chunk;
        }
    }

    public void Clear(ulong address, ulong length)
    {
        for (ulong at = address; at < address + length;)
        {
            ulong chunk = Math.Min(address + length - at, 4096 - (at & 4095));
            Page(at).AsSpan((int)(at & 4095), (int)chunk).Clear();
            at += chunk;
        }
    }

    public byte[] Read(ulong address, int length)
    {
        var bytes = new byte[length];
        for (int i = 0; i < length; i++)
        {
            bytes[i] = pages.TryGetValue((address + (ulong)i) >> 12, out byte[]? page) ? page[(address + (ulong)i) & 4095] : (byte)0xCC;
        }

        return bytes;
    }

    public uint Read32(ulong address) => BinaryPrimitives.ReadUInt32LittleEndian(Read(address, 4));

    public ulong Read64(ulong address) => BinaryPrimitives.ReadUInt64LittleEndian(Read(address, 8));

    public string ReadString(ulong address)
    {
        var bytes = new List<byte>();
        for (ulong at = address; Read(at, 1)[0] is not 0 and byte value; at++)
        {
            bytes.Add(value);
        }

        return System.Text.Encoding.UTF8.GetString([.. bytes]);
    }

    private byte[] Page(ulong address)
    {
        if (!pages.TryGetValue(address >> 12, out byte[]? page))
        {
            page = new byte[4096];
            page.AsSpan().Fill(0xCC);
            pages.Add(address >> 12, page);
        }

        return page;
    }
}
