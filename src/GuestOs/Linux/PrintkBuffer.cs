using System.Buffers.Binary;
using System.Diagnostics.CodeAnalysis;

namespace GuestOs.Linux;

/// <summary>
/// The kernel log of Linux 3.5 to 5.9 (kernel/printk/printk.c, <c>struct printk_log</c>): records of varying length one
/// after another; one of length 0 sends the reader back to the start.
/// </summary>
internal static class PrintkBuffer
{
    /// <summary>log_buf_len is at most 2 GiB.</summary>
    public const uint MaxBufferBytes = 1U << 31;

    /// <summary>Records walked over; the largest buffer anyone configures holds fewer.</summary>
    public const ulong MaxWalked = 1 << 20;

    private const int MaxHeaderBytes = 64;

    public static bool TryRead(KernelMemory memory, [NotNullWhen(true)] out PrintkLog? log, [NotNullWhen(false)] out string? whyNot)
    {
        log = null;
        VmCoreInfo info = memory.Info;
        if (!info.TryGetSymbol("log_buf", out ulong bufferAt) || !info.TryGetSymbol("log_buf_len", out ulong lengthAt)
            || !info.TryGetSymbol("log_first_idx", out ulong firstAt) || !info.TryGetSymbol("log_next_idx", out ulong nextAt)
            || !info.TryGetSize("printk_log", out int header) || !info.TryGetOffset("printk_log.ts_nsec", out int time)
            || !info.TryGetOffset("printk_log.len", out int total) || !info.TryGetOffset("printk_log.text_len", out int textLength))
        {
            whyNot = "VMCOREINFO lacks a member of the kernel log";
            return false;
        }

        // After text_len: dict_len, facility, then flags and level in one byte.
        if (header is < 16 or > MaxHeaderBytes || time > header - 8 || total > header - 2 || textLength > header - 6)
        {
            whyNot = "VMCOREINFO's members of printk_log lie outside of it";
            return false;
        }

        if (!memory.TryRead(bufferAt, out ulong buffer) || !memory.TryRead(lengthAt, out uint length)
            || !memory.TryRead(firstAt, out uint first) || !memory.TryRead(nextAt, out uint next))
        {
            whyNot = "the kernel log cannot be read";
            return false;
        }

        if (length > MaxBufferBytes || first >= length || next > length)
        {
            whyNot = $"the kernel log claims {length} bytes, from {first} to {next}";
            return false;
        }

        log = Walk(memory, buffer, length, first, next, (header, time, total, textLength));
        whyNot = null;
        return true;
    }

    private static PrintkLog Walk(KernelMemory memory, ulong buffer, uint length, uint first, uint next, (int Size, int Time, int Total, int Text) layout)
    {
        var records = new Queue<PrintkRecord>();
        int unreadable = 0, textLeft = PrintkLog.MaxTextBytes;
        bool wrapped = false;
        uint at = first;
        Span<byte> header = stackalloc byte[layout.Size];
        ulong sequence = 0;
        while (at != next && sequence < MaxWalked)
        {
            bool fits = length - at >= layout.Size;
            if (fits && memory.Read(buffer + at, header) != header.Length)
            {
                unreadable++;
                break;
            }

            uint total = fits ? BinaryPrimitives.ReadUInt16LittleEndian(header[layout.Total..]) : 0u;
            if (total == 0)
            {
                // Once round is all there is; a second time, or with nothing beyond, the indexes are nonsense.
                if (wrapped || next >= first)
                {
                    break;
                }

                wrapped = true;
                at = 0;
                continue;
            }

            int textLength = BinaryPrimitives.ReadUInt16LittleEndian(header[layout.Text..]);
            if (total < layout.Size || total > length - at || textLength > total - layout.Size || textLength > textLeft)
            {
                unreadable++;
                break;
            }

            var text = new byte[textLength];
            if (memory.Read(buffer + at + (uint)layout.Size, text) == textLength)
            {
                records.Enqueue(new PrintkRecord(
                    sequence,
                    BinaryPrimitives.ReadUInt64LittleEndian(header[layout.Time..]),
                    header[layout.Text + 4],
                    (byte)(header[layout.Text + 5] >> 5),
                    null,
                    GuestText.Decode(text)));
                textLeft -= textLength;
            }
            else
            {
                unreadable++;
            }

            if (records.Count > PrintkLog.MaxRecords)
            {
                records.Dequeue();
            }

            sequence++;
            at += total;

            // Past the newest record there is only what an older round left.
            if ((wrapped || next > first) && at > next)
            {
                break;
            }
        }

        return new PrintkLog([.. records], unreadable);
    }
}
