using System.Buffers.Binary;

namespace Emulator.Boot;

/// <summary>vCPU states a guest can begin in.</summary>
public static class EntryState
{
    /// <summary>Lowest address for the loaders' own structures: above the real-mode vectors and the BIOS data area.</summary>
    internal const ulong StructureFloor = 0x9000;

    private const ushort PresentData16 = 0x0093;
    private const ushort PresentCode16 = 0x009B;
    private const ushort FlatCode32 = 0xC09B;
    private const ushort FlatData32 = 0xC093;
    private const ushort FlatCode64 = 0xA09B;

    /// <summary>
    /// A processor after power-up, as SDM vol. 3A table 10-1 (table 9-1 in older editions) lists it; the x87 and SSE state
    /// is the one FNINIT and a first LDMXCSR leave, which is what firmware hands over. <paramref name="signature"/> is
    /// CPUID leaf 1's EAX, found in EDX. Of the MSRs only the PAT is set.
    /// </summary>
    public static VcpuState PowerOn(uint signature = 0)
    {
        var gpr = new ulong[16];
        gpr[2] = signature;
        var data = new SegmentState(0, PresentData16, 0xFFFF, 0);
        return new VcpuState
        {
            Gpr = gpr,
            Rip = 0xFFF0,
            Rflags = 2,
            Segments =
            [
                data, new SegmentState(0xF000, PresentCode16, 0xFFFF, 0xFFFF_0000), data, data, data, data,
                new SegmentState(0, 0x0082, 0xFFFF, 0), new SegmentState(0, 0x008B, 0xFFFF, 0),
            ],
            Gdtr = new TableState(0, 0xFFFF),
            Idtr = new TableState(0, 0xFFFF),
            Cr0 = 0x6000_0010,
            Cr2 = 0,
            Cr3 = 0,
            Cr4 = 0,
            Cr8 = 0,
            Efer = 0,
            Xcr0 = 1,
            Dr = [0, 0, 0, 0, 0, 0, 0xFFFF_0FF0, 0x400],
            Fx = InitialFx(),
            Msrs = new SortedDictionary<uint, ulong> { [0x277] = 0x0007_0406_0007_0406 },
            Halted = false,
            InterruptShadow = 0,
            NmiBlocked = false,
            NmiPending = false,
        };
    }

    /// <summary>
    /// 16-bit real mode with the caches on, entered at a physical address below 1 MiB: CS is 0 when the address fits an
    /// offset, else the address's paragraph. All other segments are 0.
    /// </summary>
    internal static VcpuState Real(ulong entry, ulong stackPointer)
    {
        VcpuState reset = PowerOn();
        ulong segment = entry <= 0xFFFF ? 0 : entry >> 4;
        var segments = (SegmentState[])reset.Segments.Clone();
        segments[1] = new SegmentState((ushort)segment, PresentCode16, 0xFFFF, segment << 4);
        reset.Gpr[4] = stackPointer;
        return reset with { Rip = entry - (segment << 4), Segments = segments, Cr0 = 0x10, Idtr = new TableState(0, 0x3FF) };
    }

    /// <summary>32-bit protected mode, flat segments 08h and 10h, paging off. TR is as the PVH protocol wants it.</summary>
    internal static VcpuState Protected(BootSpace space, ulong entry)
    {
        Span<byte> table = stackalloc byte[24];
        BinaryPrimitives.WriteUInt64LittleEndian(table[8..], 0x00CF_9B00_0000_FFFF);
        BinaryPrimitives.WriteUInt64LittleEndian(table[16..], 0x00CF_9300_0000_FFFF);
        ulong gdt = space.Put("descriptor table", table, 16, StructureFloor, E820.ConventionalEnd);

        var code = new SegmentState(0x08, FlatCode32, 0xFFFF_FFFF, 0);
        var data = new SegmentState(0x10, FlatData32, 0xFFFF_FFFF, 0);
        VcpuState reset = PowerOn();
        return reset with
        {
            Rip = entry,
            Segments = [data, code, data, data, data, data, reset.Segments[6], new SegmentState(0, 0x008B, 0x67, 0)],
            Gdtr = new TableState(gdt, 23),
            Idtr = new TableState(0, 0),
            Cr0 = 0x11,
        };
    }

    /// <summary>
    /// 64-bit mode with segments 10h and 18h (the Linux protocol's __BOOT_CS and __BOOT_DS) and the first 4 GiB mapped to
    /// themselves in 2 MiB pages. IA32_EFER has LME and LMA; the kernel turns NX on itself.
    /// </summary>
    internal static VcpuState Long(BootSpace space, ulong entry)
    {
        Span<byte> table = stackalloc byte[32];
        BinaryPrimitives.WriteUInt64LittleEndian(table[16..], 0x00AF_9B00_0000_FFFF);
        BinaryPrimitives.WriteUInt64LittleEndian(table[24..], 0x00CF_9300_0000_FFFF);
        ulong gdt = space.Put("descriptor table", table, 16, StructureFloor, E820.ConventionalEnd);
        ulong root = space.TakeLowest("page tables", 6 * 4096, 4096, StructureFloor, E820.ConventionalEnd);
        space.Memory.Write(root, IdentityTables(root));

        var code = new SegmentState(0x10, FlatCode64, 0xFFFF_FFFF, 0);
        var data = new SegmentState(0x18, FlatData32, 0xFFFF_FFFF, 0);
        VcpuState reset = PowerOn();
        return reset with
        {
            Rip = entry,
            Segments = [data, code, data, data, data, data, reset.Segments[6], reset.Segments[7]],
            Gdtr = new TableState(gdt, 31),
            Idtr = new TableState(0, 0),
            Cr0 = 0x8000_0011,
            Cr3 = root,
            Cr4 = 0x20,
            Efer = 0x500,
        };
    }

    /// <summary>One PML4, one table of 1 GiB entries, four directories of 2 MiB pages: present and writable.</summary>
    private static byte[] IdentityTables(ulong root)
    {
        var tables = new byte[6 * 4096];
        BinaryPrimitives.WriteUInt64LittleEndian(tables, (root + 0x1000) | 3);
        for (int gib = 0; gib < 4; gib++)
        {
            BinaryPrimitives.WriteUInt64LittleEndian(tables.AsSpan(0x1000 + (gib * 8)), (root + 0x2000 + ((ulong)gib * 0x1000)) | 3);
        }

        for (int page = 0; page < 4 * 512; page++)
        {
            BinaryPrimitives.WriteUInt64LittleEndian(tables.AsSpan(0x2000 + (page * 8)), ((ulong)page << 21) | 0x83);
        }

        return tables;
    }

    private static byte[] InitialFx()
    {
        var fx = new byte[512];
        BinaryPrimitives.WriteUInt16LittleEndian(fx, 0x037F);
        BinaryPrimitives.WriteUInt32LittleEndian(fx.AsSpan(24), 0x1F80);
        BinaryPrimitives.WriteUInt32LittleEndian(fx.AsSpan(28), 0xFFFF);
        return fx;
    }
}
