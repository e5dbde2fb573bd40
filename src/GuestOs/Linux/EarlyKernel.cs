using System.Buffers.Binary;
using System.Globalization;
using System.Text;
using Emulator;
using Emulator.Memory;

namespace GuestOs.Linux;

/// <summary>
/// A kernel too young for a VMCOREINFO (written at its subsys initcalls) that has a log all the same: a panic for want
/// of a timer or of memory comes then, and no error store listens yet. Looked for only where a vCPU's own page tables
/// map the kernel image, so that what an earlier boot left in RAM is out of reach. The log's first message,
/// <c>Linux version …</c>, stands at the start of the text ring, and printk's static ring buffer points there; its layout
/// is that of 5.10 to at least 6.12 (kernel/printk/printk_ringbuffer.h, DEFINE_PRINTKRB).
/// </summary>
internal static class EarlyKernel
{
    /// <summary>The kernel image's mapping is at most 1 GiB.</summary>
    public const ulong MaxMapBytes = 1UL << 30;

    /// <summary>Bytes of it that are mapped and looked at; a distribution's kernel has about 64 MiB.</summary>
    public const ulong MaxImageBytes = 256UL << 20;

    /// <summary>First messages tried; each costs a search of the image. A sound kernel has one.</summary>
    public const int MaxBanners = 8;

    /// <summary>Pointers to a first message tried. A sound kernel has two: the ring buffer's, and log_buf.</summary>
    public const int MaxPointers = 1024;

    private const ulong LargePage = 0x20_0000;
    private const int IdBytes = 8;

    // Where the text ring's pointer stands: behind a descriptor ring without and with last_finalized_seq.
    private static readonly int[] TextRings = [48, 40];

    public static LinuxKernel? Find(IMachineView view)
    {
        foreach (VcpuState vcpu in view.Vcpus)
        {
            if ((vcpu.Cr0 & 0x8000_0000) != 0 && (vcpu.Efer & 0x400) != 0 && Find(view, PagingRegisters.Of(vcpu)) is { } kernel)
            {
                return kernel;
            }
        }

        return null;
    }

    private static LinuxKernel? Find(IMachineView view, PagingRegisters registers)
    {
        List<(ulong Address, ulong Physical, int Length)> map = Mapped(view, registers);
        foreach ((ulong banner, string release) in Banners(view, map).Take(MaxBanners))
        {
            var pointer = new byte[8];
            BinaryPrimitives.WriteUInt64LittleEndian(pointer, banner);
            foreach (ulong at in Search(view, map, pointer).Take(MaxPointers))
            {
                if (TryRing(view, registers, at, release) is { } kernel)
                {
                    return kernel;
                }
            }
        }

        return null;
    }

    private static List<(ulong Address, ulong Physical, int Length)> Mapped(IMachineView view, PagingRegisters registers)
    {
        var map = new List<(ulong Address, ulong Physical, int Length)>();
        ulong bytes = 0;
        for (ulong offset = 0; offset < MaxMapBytes && bytes < MaxImageBytes;)
        {
            ulong address = KernelMemory.ImageMap + offset;
            bool mapped = PageWalker.TryTranslate(view, registers, address, out PageTranslation page);
            ulong size = !mapped ? LargePage - (address % LargePage) : page.PageSize >= LargePage ? LargePage : GuestMemory.PageSize;
            offset += size;
            if (!mapped)
            {
                continue;
            }

            // Pages that follow one another are searched in one piece.
            if (map.Count > 0 && map[^1] is var last && last.Address + (ulong)last.Length == address
                && last.Physical + (ulong)last.Length == page.Physical && last.Length < (int)LargePage)
            {
                map[^1] = last with { Length = last.Length + (int)size };
            }
            else
            {
                map.Add((address, page.Physical, (int)size));
            }

            bytes += size;
        }

        return map;
    }

    // The first message's block: its descriptor's id, then the text. Ids begin one round below zero, of 32 or of 62 bits.
    private static IEnumerable<(ulong Address, string Release)> Banners(IMachineView view, List<(ulong Address, ulong Physical, int Length)> map)
    {
        var head = new byte[IdBytes + 128];
        foreach (ulong hit in Search(view, map, "Linux version "u8.ToArray()))
        {
            ulong start = hit - IdBytes;
            if (hit % IdBytes != 0 || !TryPhysical(map, start, out ulong physical) || view.ReadPhysical(physical, head) < head.Length)
            {
                continue;
            }

            ulong id = BinaryPrimitives.ReadUInt64LittleEndian(head);
            ulong round = (id >> 32) == 0 ? (1UL << 32) - id : (1UL << 62) - id;
            string text = Encoding.ASCII.GetString(head, IdBytes + 14, 80);
            int space = text.IndexOf(' ', StringComparison.Ordinal);
            if (ulong.IsPow2(round) && round is >= 1 << 5 and <= 1 << 21 && space is > 0 and <= 64 && char.IsAsciiDigit(text[0])
                && !text.AsSpan(0, space).ContainsAnyExceptInRange('!', '~'))
            {
                yield return (start, text[..space]);
            }
        }
    }

    private static LinuxKernel? TryRing(IMachineView view, PagingRegisters registers, ulong pointer, string release)
    {
        var bytes = new byte[64];
        foreach (int textRing in TextRings)
        {
            ulong ring = pointer - 8 - (ulong)textRing;
            if (PageWalker.ReadLinear(view, registers, ring, bytes) < bytes.Length)
            {
                continue;
            }

            uint countBits = BinaryPrimitives.ReadUInt32LittleEndian(bytes);
            uint sizeBits = BinaryPrimitives.ReadUInt32LittleEndian(bytes.AsSpan(textRing));
            if (countBits is < 5 or > PrintkRing.MaxCountBits || sizeBits <= countBits || sizeBits > PrintkRing.MaxSizeBits
                || BinaryPrimitives.ReadUInt64LittleEndian(bytes.AsSpan(8)) < KernelMemory.ImageMap
                || BinaryPrimitives.ReadUInt64LittleEndian(bytes.AsSpan(16)) < KernelMemory.ImageMap)
            {
                continue;
            }

            VmCoreInfo? info = VmCoreInfo.Reconstruct(Description(release, ring, textRing));
            return info is null ? null : new LinuxKernel(new KernelMemory(view, info, registers), true);
        }

        return null;
    }

    private static string Description(string release, ulong ring, int textRing) => string.Create(CultureInfo.InvariantCulture, $"""
        OSRELEASE={release}
        SYMBOL(printk_rb_static)={ring:x}
        OFFSET(printk_ringbuffer.desc_ring)=0
        OFFSET(printk_ringbuffer.text_data_ring)={textRing}
        OFFSET(prb_desc_ring.count_bits)=0
        OFFSET(prb_desc_ring.descs)=8
        OFFSET(prb_desc_ring.infos)=16
        OFFSET(prb_desc_ring.head_id)=24
        OFFSET(prb_desc_ring.tail_id)=32
        SIZE(prb_desc)=24
        OFFSET(prb_desc.state_var)=0
        OFFSET(prb_desc.text_blk_lpos)=8
        OFFSET(prb_data_blk_lpos.begin)=0
        OFFSET(prb_data_blk_lpos.next)=8
        SIZE(printk_info)=88
        OFFSET(printk_info.seq)=0
        OFFSET(printk_info.ts_nsec)=8
        OFFSET(printk_info.text_len)=16
        OFFSET(printk_info.caller_id)=20
        OFFSET(prb_data_ring.size_bits)=0
        OFFSET(prb_data_ring.data)=8
        """);

    private static IEnumerable<ulong> Search(IMachineView view, List<(ulong Address, ulong Physical, int Length)> map, byte[] wanted)
    {
        var buffer = new byte[(int)LargePage];
        foreach ((ulong address, ulong physical, int length) in map)
        {
            if (NeverWritten(view, physical, length))
            {
                continue;
            }

            int read = Math.Clamp(view.ReadPhysical(physical, buffer.AsSpan(0, length)), 0, length);
            for (int from = 0; from < read;)
            {
                int at = buffer.AsSpan(from, read - from).IndexOf(wanted);
                if (at < 0)
                {
                    break;
                }

                yield return address + (ulong)(from + at);
                from += at + 1;
            }
        }
    }

    private static bool NeverWritten(IMachineView view, ulong physical, int length)
    {
        for (int offset = 0; offset < length; offset += GuestMemory.PageSize)
        {
            if (!view.IsUntouched(physical + (ulong)offset))
            {
                return false;
            }
        }

        return true;
    }

    private static bool TryPhysical(List<(ulong Address, ulong Physical, int Length)> map, ulong address, out ulong physical)
    {
        foreach ((ulong start, ulong first, int length) in map)
        {
            if (address - start < (ulong)length)
            {
                physical = first + (address - start);
                return true;
            }
        }

        physical = 0;
        return false;
    }
}
