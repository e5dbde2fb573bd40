using System.Globalization;
using System.Text;

namespace GuestOs.Tests;

/// <summary>
/// Writes what a Linux kernel keeps in RAM and the readers look for: VMCOREINFO, page tables, the log. From the published
/// formats, with Debian 6.1's offsets; addresses are made up.
/// </summary>
internal sealed class SyntheticKernel
{
    public const ulong ImageMap = 0xFFFF_FFFF_8000_0000;
    public const ulong DirectMap = 0xFFFF_8880_0000_0000;
    public const string Release = "6.1.0-56-cloud-amd64";
    public const string BuildId = "3b43fad5034874490492495d552c0af6a5fab235";

    private const ulong ImageBytes = 0x400_0000;
    private readonly GuestImage image;
    private readonly ulong swapper;

    public SyntheticKernel(GuestImage image, ulong physicalStart = 0x0600_0000, ulong kaslr = 0x15E0_0000, bool la57 = false)
    {
        this.image = image;
        Kaslr = kaslr;
        La57 = la57;
        Text = 0xFFFF_FFFF_8100_0000 + kaslr;
        PhysicalBase = (long)physicalStart - (long)(Text - ImageMap);
        swapper = Text + 0x200_0000;
        LogAt = Text + 0x210_0000;
        VmCoreInfoAt = physicalStart + ImageBytes + 0x10_0000;
        WritePageTables();
        image.Write(Physical(Text), [0x55]);
    }

    public ulong Kaslr { get; }

    public bool La57 { get; }

    /// <summary>_stext.</summary>
    public ulong Text { get; }

    public long PhysicalBase { get; }

    public ulong Cr3 => Physical(swapper);

    /// <summary>Where the log's structures begin.</summary>
    public ulong LogAt { get; }

    public ulong VmCoreInfoAt { get; set; }

    /// <summary>Where SYSCALL lands.</summary>
    public ulong SystemCallEntry => Text + 0xA0_0040;

    public ulong Physical(ulong address) => address >= ImageMap ? (ulong)((long)(address - ImageMap) + PhysicalBase) : address - DirectMap;

    /// <summary>Tables of a process in user mode under page table isolation: of the kernel only the page SYSCALL lands on.</summary>
    public ulong WriteUserTables(ulong at)
    {
        ulong entry = SystemCallEntry;
        image.Write64(at + (8 * 511), (at + 0x1000) | 3);
        image.Write64(at + 0x1000 + (8 * 510), (at + 0x2000) | 3);
        image.Write64(at + 0x2000 + (8 * ((entry >> 21) & 511)), (at + 0x3000) | 3);
        image.Write64(at + 0x3000 + (8 * ((entry >> 12) & 511)), (Physical(entry) & ~0xFFFUL) | 1);
        return at;
    }

    public string VmCoreInfoText(string? log = null)
    {
        var text = new StringBuilder();
        text.Append(CultureInfo.InvariantCulture, $"OSRELEASE={Release}\nBUILD-ID={BuildId}\nPAGESIZE=4096\n");
        text.Append(CultureInfo.InvariantCulture, $"SYMBOL(init_uts_ns)={Text + 0x1BF9B60:x}\nOFFSET(uts_namespace.name)=0\n");
        text.Append(CultureInfo.InvariantCulture, $"SYMBOL(swapper_pg_dir)={swapper:x}\nSYMBOL(_stext)={Text:x}\n");
        text.Append("SIZE(page)=64\nLENGTH(zone.free_area)=11\nNUMBER(PG_lru)=4\nNUMBER(PAGE_BUDDY_MAPCOUNT_VALUE)=-129\n");
        text.Append(log ?? RingVmCoreInfo());
        text.Append(CultureInfo.InvariantCulture, $"NUMBER(phys_base)={PhysicalBase}\nNUMBER(pgtable_l5_enabled)={(La57 ? 1 : 0)}\n");
        text.Append(CultureInfo.InvariantCulture, $"KERNELOFFSET={Kaslr:x}\nNUMBER(KERNEL_IMAGE_SIZE)=1073741824\nNUMBER(sme_mask)=0\n");
        return text.ToString();
    }

    public SyntheticKernel WithVmCoreInfo(string? text = null)
    {
        image.Write(VmCoreInfoAt, Encoding.ASCII.GetBytes((text ?? VmCoreInfoText()) + "\0"));
        return this;
    }

    /// <summary>The kernel with this log, and its VMCOREINFO.</summary>
    public SyntheticKernel WithLog(params (byte Facility, byte Level, string Text)[] messages) => WithEarlyLog(messages).WithVmCoreInfo();

    /// <summary>The kernel with this log, before it has written a VMCOREINFO.</summary>
    public SyntheticKernel WithEarlyLog(params (byte Facility, byte Level, string Text)[] messages)
    {
        var ring = new RingWriter(10, 16);
        foreach ((byte facility, byte level, string text) in messages)
        {
            ring.Add(text, facility, level);
        }

        ring.WriteTo(this, image);
        return this;
    }

    public string RingVmCoreInfo() => string.Create(CultureInfo.InvariantCulture, $"""
        SYMBOL(prb)={LogAt:x}
        SIZE(printk_ringbuffer)=88
        OFFSET(printk_ringbuffer.desc_ring)=0
        OFFSET(printk_ringbuffer.text_data_ring)=48
        SIZE(prb_desc_ring)=48
        OFFSET(prb_desc_ring.count_bits)=0
        OFFSET(prb_desc_ring.descs)=8
        OFFSET(prb_desc_ring.infos)=16
        OFFSET(prb_desc_ring.head_id)=24
        OFFSET(prb_desc_ring.tail_id)=32
        SIZE(prb_desc)=24
        OFFSET(prb_desc.state_var)=0
        OFFSET(prb_desc.text_blk_lpos)=8
        SIZE(prb_data_blk_lpos)=16
        OFFSET(prb_data_blk_lpos.begin)=0
        OFFSET(prb_data_blk_lpos.next)=8
        SIZE(printk_info)=88
        OFFSET(printk_info.seq)=0
        OFFSET(printk_info.ts_nsec)=8
        OFFSET(printk_info.text_len)=16
        OFFSET(printk_info.caller_id)=20
        SIZE(prb_data_ring)=32
        OFFSET(prb_data_ring.size_bits)=0
        OFFSET(prb_data_ring.data)=8
        SIZE(atomic_long_t)=8
        OFFSET(atomic_long_t.counter)=0

        """);

    private void WritePageTables()
    {
        ulong top = Cr3, upper = top + 0x1000, middle = top + 0x2000, direct = top + 0x3000, extra = top + 0x4000;
        ulong level4 = top;
        if (La57)
        {
            // Kernel addresses in the upper half of 57 bits: the last entry; the direct map below keeps to the same table.
            image.Write64(top + (8 * 511), extra | 3);
            level4 = extra;
        }

        image.Write64(level4 + (8 * 511), upper | 3);
        image.Write64(level4 + (8 * ((DirectMap >> 39) & 511)), direct | 3);
        image.Write64(upper + (8 * 510), middle | 3);
        for (ulong offset = 0; offset < ImageBytes; offset += 0x20_0000)
        {
            ulong address = Text + offset;
            image.Write64(middle + (8 * ((address >> 21) & 511)), Physical(address) | 0x83);
        }

        image.Write64(direct, 0x83);
    }
}
