using System.Buffers.Binary;
using System.IO.Hashing;
using System.Text;

namespace Snapshots.Tests;

/// <summary>
/// An archive's bytes, to be changed with intent: <see cref="Reseal"/> computes every checksum again, as somebody who
/// wants to fool the reader would. Written from docs/archive-format.md, not with the reader's code.
/// </summary>
internal sealed class SealedArchive
{
    public SealedArchive(byte[] bytes) => Bytes = bytes;

    public byte[] Bytes { get; set; }

    public int Bitmaps => (1 + Int(432)) * 4096;

    public int Descriptors => Bitmaps + (Int(436) * 4096);

    /// <summary>Offset of the descriptor (payload behind 16 bytes) of our note of a type.</summary>
    public int Note(int type)
    {
        for (int at = Int(4096 + 48); ; at += 12 + Padded(Int(at)) + Padded(Int(at + 4)))
        {
            if (Int(at + 8) == type && Encoding.ASCII.GetString(Bytes, at + 12, 8) == "GdbStub\0")
            {
                return at + 20;
            }
        }
    }

    public void Put(int offset, int value) => BinaryPrimitives.WriteInt32LittleEndian(Bytes.AsSpan(offset), value);

    public void PutLong(int offset, long value) => BinaryPrimitives.WriteInt64LittleEndian(Bytes.AsSpan(offset), value);

    public int Int(int offset) => BinaryPrimitives.ReadInt32LittleEndian(Bytes.AsSpan(offset));

    public long Long(int offset) => BinaryPrimitives.ReadInt64LittleEndian(Bytes.AsSpan(offset));

    /// <summary>Replaces text by text of the same length in the payload of one of our notes.</summary>
    public void Replace(int type, string old, string replacement)
    {
        Assert.Equal(old.Length, replacement.Length);
        int note = Note(type);
        int at = Bytes.AsSpan(note, Int(note - 16)).IndexOf(Encoding.UTF8.GetBytes(old));
        Assert.True(at >= 0, $"note {type} does not contain {old}");
        Encoding.UTF8.GetBytes(replacement).CopyTo(Bytes, note + at);
    }

    public void Reseal()
    {
        int layout = Note(3);
        foreach (int type in (int[])[1, 2])
        {
            int note = Note(type);
            PutLong(note + 8, (long)XxHash3.HashToUInt64(Bytes.AsSpan(note + 16, Int(note - 16) - 16)));
        }

        var head = new XxHash3();
        head.Append(Bytes.AsSpan(0, layout - 20));
        head.Append(Bytes.AsSpan(layout + 80, Descriptors - layout - 80));
        PutLong(layout + 16 + 56, (long)head.GetCurrentHashAsUInt64());
        PutLong(layout + 8, (long)XxHash3.HashToUInt64(Bytes.AsSpan(layout + 16, 64)));
    }

    /// <summary>Computes the checksum of the page with descriptor number <paramref name="index"/> again.</summary>
    public void ResealPage(int index, long frame)
    {
        int descriptor = Descriptors + (index * 24);
        byte[] record = new byte[32];
        BinaryPrimitives.WriteInt64LittleEndian(record, frame);
        Bytes.AsSpan(descriptor, 16).CopyTo(record.AsSpan(8));
        ulong block = XxHash3.HashToUInt64(Bytes.AsSpan((int)Long(descriptor), Int(descriptor + 8)));
        BinaryPrimitives.WriteUInt64LittleEndian(record.AsSpan(24), block);
        PutLong(descriptor + 16, (long)XxHash3.HashToUInt64(record));
    }

    private static int Padded(int size) => (size + 3) & ~3;
}
