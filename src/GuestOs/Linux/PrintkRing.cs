using System.Buffers.Binary;
using System.Diagnostics.CodeAnalysis;

namespace GuestOs.Linux;

/// <summary>
/// The printk ring buffer of Linux 5.10 and later (kernel/printk/printk_ringbuffer.h): a ring of descriptors and, beside
/// it, of message infos, both indexed by the low bits of a descriptor's id; and a ring of text blocks, each starting with
/// its descriptor's id. Positions only ever grow; their low bits index the ring.
/// </summary>
internal sealed class PrintkRing
{
    /// <summary>2^26 descriptors belong to the largest log_buf_len the kernel takes.</summary>
    public const int MaxCountBits = 26;

    /// <summary>log_buf_len is at most 2 GiB.</summary>
    public const int MaxSizeBits = 31;

    /// <summary>Sizes of the kernel's structures read in one piece.</summary>
    public const int MaxStructureBytes = 512;

    // A descriptor's state is in its top two bits: reserved 0, committed 1, finalized 2, reusable 3.
    private const ulong IdMask = ulong.MaxValue >> 2;
    private const ulong NoText = 3;
    private const int IdBytes = 8;

    private readonly KernelMemory memory;
    private int descSize, stateAt, beginAt, nextAt, infoSize, seqAt, timeAt, lengthAt, callerAt;
    private int countBits, sizeBits;
    private ulong descs, infos, text, head, tail;
    private int textLeft = PrintkLog.MaxTextBytes;

    private PrintkRing(KernelMemory memory) => this.memory = memory;

    private enum Outcome
    {
        Read,
        NotThere,
        Lost,
    }

    public static bool TryRead(KernelMemory memory, [NotNullWhen(true)] out PrintkLog? log, [NotNullWhen(false)] out string? whyNot)
    {
        log = null;
        var ring = new PrintkRing(memory);
        whyNot = ring.Open();
        if (whyNot is not null)
        {
            return false;
        }

        ulong count = ((ring.head - ring.tail) & IdMask) + 1;
        count = Math.Min(count, Math.Min(1UL << ring.countBits, PrintkLog.MaxRecords));
        var records = new List<PrintkRecord>();
        int unreadable = 0;
        for (ulong back = count; back-- > 0;)
        {
            switch (ring.TryReadRecord((ring.head - back) & IdMask, out PrintkRecord record))
            {
                case Outcome.Read:
                    records.Add(record);
                    break;
                case Outcome.Lost:
                    unreadable++;
                    break;
                default:
                    break;
            }
        }

        log = new PrintkLog(records, unreadable);
        return true;
    }

    private string? Open()
    {
        VmCoreInfo info = memory.Info;
        ulong ring = 0;
        if (info.TryGetSymbol("prb", out ulong pointer) ? !memory.TryRead(pointer, out ring) : !info.TryGetSymbol("printk_rb_static", out ring))
        {
            return "the pointer prb cannot be read";
        }

        if (!info.TryGetOffset("printk_ringbuffer.desc_ring", out int descRing) || !info.TryGetOffset("printk_ringbuffer.text_data_ring", out int dataRing)
            || !info.TryGetOffset("prb_desc_ring.count_bits", out int countBitsAt) || !info.TryGetOffset("prb_desc_ring.descs", out int descsAt)
            || !info.TryGetOffset("prb_desc_ring.infos", out int infosAt) || !info.TryGetOffset("prb_desc_ring.head_id", out int headAt)
            || !info.TryGetOffset("prb_desc_ring.tail_id", out int tailAt) || !info.TryGetOffset("prb_data_ring.size_bits", out int sizeBitsAt)
            || !info.TryGetOffset("prb_data_ring.data", out int dataAt) || !info.TryGetSize("prb_desc", out descSize)
            || !info.TryGetOffset("prb_desc.state_var", out stateAt) || !info.TryGetOffset("prb_desc.text_blk_lpos", out int blockAt)
            || !info.TryGetOffset("prb_data_blk_lpos.begin", out int begin) || !info.TryGetOffset("prb_data_blk_lpos.next", out int next)
            || !info.TryGetSize("printk_info", out infoSize) || !info.TryGetOffset("printk_info.seq", out seqAt)
            || !info.TryGetOffset("printk_info.ts_nsec", out timeAt) || !info.TryGetOffset("printk_info.text_len", out lengthAt)
            || !info.TryGetOffset("printk_info.caller_id", out callerAt))
        {
            return "VMCOREINFO lacks a member of the printk ring buffer";
        }

        int counter = info.TryGetOffset("atomic_long_t.counter", out int at) ? at : 0;
        stateAt += counter;
        beginAt = blockAt + begin;
        nextAt = blockAt + next;
        if (descSize > MaxStructureBytes || infoSize > MaxStructureBytes
            || Math.Max(stateAt, Math.Max(beginAt, nextAt)) > descSize - 8
            || Math.Max(seqAt, Math.Max(timeAt, Math.Max(lengthAt, callerAt - 4))) > infoSize - 8)
        {
            return "VMCOREINFO's members of prb_desc or printk_info lie outside of them";
        }

        ulong desc = ring + (ulong)descRing, data = ring + (ulong)dataRing;
        if (!memory.TryRead(desc + (ulong)countBitsAt, out uint counts) || !memory.TryRead(desc + (ulong)descsAt, out descs)
            || !memory.TryRead(desc + (ulong)infosAt, out infos) || !memory.TryRead(desc + (ulong)(headAt + counter), out head)
            || !memory.TryRead(desc + (ulong)(tailAt + counter), out tail) || !memory.TryRead(data + (ulong)sizeBitsAt, out uint sizes)
            || !memory.TryRead(data + (ulong)dataAt, out text))
        {
            return "the printk ring buffer cannot be read";
        }

        if (counts is 0 or > MaxCountBits || sizes is < 3 or > MaxSizeBits)
        {
            return $"the printk ring buffer claims 2^{counts} messages and 2^{sizes} bytes of text";
        }

        countBits = (int)counts;
        sizeBits = (int)sizes;
        return null;
    }

    private Outcome TryReadRecord(ulong id, out PrintkRecord record)
    {
        record = default;
        ulong index = id & ((1UL << countBits) - 1);
        Span<byte> desc = stackalloc byte[descSize];
        Span<byte> info = stackalloc byte[infoSize];
        if (memory.Read(descs + (index * (ulong)descSize), desc) != descSize || memory.Read(infos + (index * (ulong)infoSize), info) != infoSize)
        {
            return Outcome.Lost;
        }

        ulong state = BinaryPrimitives.ReadUInt64LittleEndian(desc[stateAt..]);
        if ((state & IdMask) != id || state >> 62 is not (1 or 2))
        {
            return Outcome.NotThere;
        }

        int length = BinaryPrimitives.ReadUInt16LittleEndian(info[lengthAt..]);
        ulong begin = BinaryPrimitives.ReadUInt64LittleEndian(desc[beginAt..]);
        ulong next = BinaryPrimitives.ReadUInt64LittleEndian(desc[nextAt..]);
        if (!TryReadText(id, begin, next, length, out string message))
        {
            return Outcome.Lost;
        }

        // Facility, then flags in the low five bits and level in the high three, follow the length in every release.
        record = new PrintkRecord(
            BinaryPrimitives.ReadUInt64LittleEndian(info[seqAt..]),
            BinaryPrimitives.ReadUInt64LittleEndian(info[timeAt..]),
            info[lengthAt + 2],
            (byte)(info[lengthAt + 3] >> 5),
            BinaryPrimitives.ReadUInt32LittleEndian(info[callerAt..]),
            message);
        return Outcome.Read;
    }

    private bool TryReadText(ulong id, ulong begin, ulong next, int length, out string message)
    {
        message = "";
        if ((begin & 1) != 0)
        {
            return begin == NoText && next == NoText;
        }

        // A block that does not fit before the end of the ring leaves its id there and stands at the ring's start.
        ulong size = 1UL << sizeBits, mask = size - 1;
        ulong at, bytes;
        if (unchecked(next - begin - 1) < size && begin >> sizeBits == unchecked(next - 1) >> sizeBits)
        {
            at = begin & mask;
            bytes = unchecked(next - begin);
        }
        else if (unchecked(begin + size) >> sizeBits == next >> sizeBits)
        {
            at = 0;
            bytes = next & mask;
        }
        else
        {
            return false;
        }

        if ((begin | next) % IdBytes != 0 || bytes < IdBytes || (ulong)length > bytes - IdBytes || length > textLeft
            || !memory.TryRead(text + at, out ulong owner) || owner != id)
        {
            return false;
        }

        var buffer = new byte[length];
        if (memory.Read(text + at + IdBytes, buffer) != length)
        {
            return false;
        }

        textLeft -= length;
        message = GuestText.Decode(buffer);
        return true;
    }
}
