using System.Buffers.Binary;
using System.Text;

namespace GuestOs.Tests;

/// <summary>
/// A printk ring buffer as Linux 5.10 and later fill it: ids and positions count up for ever, text blocks carry their
/// descriptor's id and move to the ring's start when they do not fit at its end, the oldest are pushed out.
/// </summary>
internal sealed class RingWriter(int countBits, int sizeBits)
{
    private const ulong IdMask = ulong.MaxValue >> 2;

    private readonly ulong count = 1UL << countBits;
    private readonly ulong size = 1UL << sizeBits;
    private readonly List<(ulong Id, ulong Begin, ulong Next)> live = [];
    private readonly Dictionary<ulong, ulong> sequences = [];
    private ulong head = (0UL - (1UL << countBits) - 1) & IdMask;
    private ulong position = 0UL - (1UL << sizeBits);
    private ulong written;

    public byte[] Descriptors { get; } = new byte[24 << countBits];

    public byte[] Infos { get; } = new byte[88 << countBits];

    public byte[] Data { get; } = new byte[1 << sizeBits];

    /// <summary>Where the text ring goes: beside the rest, or anywhere the kernel maps.</summary>
    public ulong? DataAt { get; set; }

    public uint CountBits { get; set; } = (uint)countBits;

    public uint SizeBits { get; set; } = (uint)sizeBits;

    public ulong? Head { get; set; }

    public ulong? Tail { get; set; }

    public ulong LastId => head;

    public void Add(string text, byte facility = 0, byte level = 6, ulong nanoseconds = 0, uint caller = 1, int state = 2)
    {
        head = (head + 1) & IdMask;
        ulong id = head;
        byte[] bytes = Encoding.UTF8.GetBytes(text);
        ulong begin = 3, next = 3;
        if (bytes.Length > 0)
        {
            ulong block = ((ulong)bytes.Length + 8 + 7) & ~7UL;
            begin = position;
            next = begin + block;
            ulong at = begin & (size - 1);
            if (begin / size != next / size)
            {
                Put64(Data, (int)at, id);
                next = (next & ~(size - 1)) + block;
                at = 0;
            }

            position = next;
            Put64(Data, (int)at, id);
            bytes.CopyTo(Data, (int)at + 8);
            live.RemoveAll(old => old.Begin != 3 && next - old.Begin > size);
        }

        live.RemoveAll(old => ((id - old.Id) & IdMask) >= count);
        live.Add((id, begin, next));
        int index = (int)(id & (count - 1));
        Put64(Descriptors, index * 24, ((ulong)state << 62) | id);
        Put64(Descriptors, (index * 24) + 8, begin);
        Put64(Descriptors, (index * 24) + 16, next);
        Put64(Infos, index * 88, written);
        Put64(Infos, (index * 88) + 8, nanoseconds);
        BinaryPrimitives.WriteUInt16LittleEndian(Infos.AsSpan((index * 88) + 16), (ushort)bytes.Length);
        Infos[(index * 88) + 18] = facility;
        Infos[(index * 88) + 19] = (byte)(level << 5);
        BinaryPrimitives.WriteUInt32LittleEndian(Infos.AsSpan((index * 88) + 20), caller);
        sequences[id] = written++;
    }

    /// <summary>Ids that begin one round below zero of 32 bits, as the kernel's unsigned int makes them, instead of 62.</summary>
    public bool ShortIds
    {
        init => head = value ? (1UL << 32) - (1UL << countBits) - 1 : head;
    }

    /// <summary>Messages still whole in the ring, oldest first, as sequence numbers.</summary>
    public IEnumerable<ulong> LiveSequences => live.Select(entry => sequences[entry.Id]);

    public int IndexOf(ulong id) => (int)(id & (count - 1));

    public void WriteTo(SyntheticKernel kernel, GuestImage image)
    {
        ulong ring = kernel.LogAt + 0x40, descs = kernel.LogAt + 0x1000;
        ulong infos = descs + (((ulong)Descriptors.Length + 0xFFF) & ~0xFFFUL);
        ulong data = DataAt ?? infos + (((ulong)Infos.Length + 0xFFF) & ~0xFFFUL);
        image.Write64(kernel.Physical(kernel.LogAt), ring);
        image.Write32(kernel.Physical(ring), CountBits);
        image.Write64(kernel.Physical(ring + 8), descs);
        image.Write64(kernel.Physical(ring + 16), infos);
        image.Write64(kernel.Physical(ring + 24), Head ?? head);
        image.Write64(kernel.Physical(ring + 32), Tail ?? (live.Count > 0 ? live[0].Id : head));
        image.Write32(kernel.Physical(ring + 48), SizeBits);
        image.Write64(kernel.Physical(ring + 56), data);
        image.Write(kernel.Physical(descs), Descriptors);
        image.Write(kernel.Physical(infos), Infos);
        image.Write(kernel.Physical(data), Data);
    }

    private static void Put64(byte[] bytes, int at, ulong value) => BinaryPrimitives.WriteUInt64LittleEndian(bytes.AsSpan(at), value);
}
