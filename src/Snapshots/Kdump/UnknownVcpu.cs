using Emulator;

namespace Snapshots.Kdump;

/// <summary>A CPU of which a dump tells little or nothing: what stands for the rest.</summary>
internal static class UnknownVcpu
{
    /// <summary>No segment.</summary>
    public static SegmentState NoSegment { get; } = new(0, 0, 0, 0);

    /// <summary>All registers zero, no paging: addresses are physical.</summary>
    public static VcpuState RealMode { get; } = new()
    {
        Gpr = new ulong[16],
        Rip = 0,
        Rflags = 2,
        Segments = [NoSegment, NoSegment, NoSegment, NoSegment, NoSegment, NoSegment, NoSegment, NoSegment],
        Gdtr = new TableState(0, 0),
        Idtr = new TableState(0, 0),
        Cr0 = 0x10,
        Cr2 = 0,
        Cr3 = 0,
        Cr4 = 0,
        Cr8 = 0,
        Efer = 0,
        Xcr0 = 1,
        Dr = [0, 0, 0, 0, 0, 0, 0xFFFF_0FF0, 0x400],
        Fx = InitialFx(),
        Msrs = [],
        Halted = false,
        InterruptShadow = 0,
        NmiBlocked = false,
        NmiPending = false,
    };

    /// <summary>As a 64-bit Linux kernel runs: PE MP ET NE WP AM PG, PAE and what goes with it, SCE LME LMA NXE.</summary>
    public static VcpuState LongMode { get; } = RealMode with
    {
        Segments = [NoSegment, Code(0x10), Data(0x18), NoSegment, NoSegment, NoSegment, NoSegment, NoSegment],
        Cr0 = 0x8005_0033,
        Cr4 = 0x6B0,
        Efer = 0xD01,
    };

    /// <summary>A 64-bit code segment of the selector's privilege.</summary>
    public static SegmentState Code(ulong selector) => new((ushort)selector, (ushort)(0xA09B | ((selector & 3) << 5)), 0xFFFF_FFFF, 0);

    /// <summary>A data segment of the selector's privilege; a null selector has none.</summary>
    public static SegmentState Data(ulong selector) =>
        selector == 0 ? NoSegment : new((ushort)selector, (ushort)(0xC093 | ((selector & 3) << 5)), 0xFFFF_FFFF, 0);

    // The x87 control word and MXCSR as FNINIT and a reset leave them.
    private static byte[] InitialFx()
    {
        byte[] image = new byte[512];
        image[0] = 0x7F;
        image[1] = 0x03;
        image[24] = 0x80;
        image[25] = 0x1F;
        return image;
    }
}
