using System.Buffers.Binary;
using Emulator;
using Emulator.Cpu;

namespace Snapshots.Kdump;

/// <summary>
/// A CPU as QEMU's dump-guest-memory describes it (struct QEMUCPUState, version 1, owner QEMU, type 0): 440 bytes. crash
/// finds a relocated kernel by its CR3 and IDT where there is no VMCOREINFO, as in a panic early in boot.
/// </summary>
internal static class QemuNote
{
    /// <summary>Bytes of the descriptor.</summary>
    public const int Size = 440;

    /// <summary>Bytes of the descriptor before KERNEL_GS_BASE was added to it (QEMU 5.2).</summary>
    public const int SmallestSize = 432;

    private const int SegmentsOffset = 152;
    private const int SegmentSize = 24;
    private const int ControlRegistersOffset = 392;
    private const uint KernelGsBase = 0xC000_0102;

    /// <summary>Fills a descriptor of zeros.</summary>
    public static void Write(Span<byte> descriptor, VcpuState cpu)
    {
        BinaryPrimitives.WriteInt32LittleEndian(descriptor, 1);
        BinaryPrimitives.WriteInt32LittleEndian(descriptor[4..], Size);
        const int rax = 0, rcx = 1, rdx = 2, rbx = 3, rsp = 4, rbp = 5, rsi = 6, rdi = 7;
        ulong[] gpr = cpu.Gpr;
        ReadOnlySpan<ulong> registers =
        [
            gpr[rax], gpr[rbx], gpr[rcx], gpr[rdx], gpr[rsi], gpr[rdi], gpr[rsp], gpr[rbp], .. gpr.AsSpan(8, 8), cpu.Rip, cpu.Rflags,
        ];
        Put(descriptor[8..], registers);
        ReadOnlySpan<int> order =
        [
            SegmentIndex.Cs, SegmentIndex.Ds, SegmentIndex.Es, SegmentIndex.Fs, SegmentIndex.Gs, SegmentIndex.Ss,
            SegmentIndex.Ldtr, SegmentIndex.Tr,
        ];
        for (int i = 0; i < order.Length; i++)
        {
            SegmentState segment = cpu.Segments[order[i]];

            // The attributes stand where a descriptor's second word has them.
            Segment(descriptor, i, segment.Selector, segment.Limit, (uint)segment.Attributes << 8, segment.Base);
        }

        Segment(descriptor, 8, 0, cpu.Gdtr.Limit, 0, cpu.Gdtr.Base);
        Segment(descriptor, 9, 0, cpu.Idtr.Limit, 0, cpu.Idtr.Base);
        Put(descriptor[ControlRegistersOffset..], [cpu.Cr0, 0, cpu.Cr2, cpu.Cr3, cpu.Cr4, cpu.Msrs.GetValueOrDefault(KernelGsBase)]);
    }

    /// <summary>The registers out of a descriptor of at least <see cref="SmallestSize"/> bytes. It does not tell EFER: that follows from the rest.</summary>
    public static VcpuState Read(ReadOnlySpan<byte> descriptor)
    {
        ulong[] registers = new ulong[18];
        for (int i = 0; i < registers.Length; i++)
        {
            registers[i] = BinaryPrimitives.ReadUInt64LittleEndian(descriptor[(8 + (8 * i))..]);
        }

        var segments = new SegmentState[8];
        ReadOnlySpan<int> order =
        [
            SegmentIndex.Cs, SegmentIndex.Ds, SegmentIndex.Es, SegmentIndex.Fs, SegmentIndex.Gs, SegmentIndex.Ss,
            SegmentIndex.Ldtr, SegmentIndex.Tr,
        ];
        for (int i = 0; i < order.Length; i++)
        {
            ReadOnlySpan<byte> segment = descriptor[(SegmentsOffset + (i * SegmentSize))..];
            segments[order[i]] = new SegmentState(
                (ushort)BinaryPrimitives.ReadUInt32LittleEndian(segment),
                (ushort)((BinaryPrimitives.ReadUInt32LittleEndian(segment[8..]) >> 8) & 0xF0FF),
                BinaryPrimitives.ReadUInt32LittleEndian(segment[4..]),
                BinaryPrimitives.ReadUInt64LittleEndian(segment[16..]));
        }

        ulong[] control = new ulong[5];
        for (int i = 0; i < control.Length; i++)
        {
            control[i] = BinaryPrimitives.ReadUInt64LittleEndian(descriptor[(ControlRegistersOffset + (8 * i))..]);
        }

        ulong kernelGs = descriptor.Length >= Size ? BinaryPrimitives.ReadUInt64LittleEndian(descriptor[(ControlRegistersOffset + 40)..]) : 0;

        // QEMU describes 64-bit machines so; a CPU of one that pages with PAE is in long mode.
        bool longMode = (control[0] & (1UL << 31)) != 0 && (control[4] & (1 << 5)) != 0;
        return UnknownVcpu.RealMode with
        {
            Gpr =
            [
                registers[0], registers[2], registers[3], registers[1], registers[6], registers[7], registers[4], registers[5], .. registers.AsSpan(8, 8),
            ],
            Rip = registers[16],
            Rflags = registers[17],
            Segments = segments,
            Gdtr = Table(descriptor, 8),
            Idtr = Table(descriptor, 9),
            Cr0 = control[0],
            Cr2 = control[2],
            Cr3 = control[3],
            Cr4 = control[4],
            Efer = longMode ? UnknownVcpu.LongMode.Efer : 0,
            Msrs = new SortedDictionary<uint, ulong> { [KernelGsBase] = kernelGs },
        };
    }

    private static TableState Table(ReadOnlySpan<byte> descriptor, int index)
    {
        ReadOnlySpan<byte> segment = descriptor[(SegmentsOffset + (index * SegmentSize))..];
        return new TableState(
            BinaryPrimitives.ReadUInt64LittleEndian(segment[16..]), (ushort)BinaryPrimitives.ReadUInt32LittleEndian(segment[4..]));
    }

    private static void Segment(Span<byte> descriptor, int index, uint selector, uint limit, uint flags, ulong start)
    {
        Span<byte> segment = descriptor[(SegmentsOffset + (index * SegmentSize))..];
        BinaryPrimitives.WriteUInt32LittleEndian(segment, selector);
        BinaryPrimitives.WriteUInt32LittleEndian(segment[4..], limit);
        BinaryPrimitives.WriteUInt32LittleEndian(segment[8..], flags);
        BinaryPrimitives.WriteUInt64LittleEndian(segment[16..], start);
    }

    private static void Put(Span<byte> destination, ReadOnlySpan<ulong> values)
    {
        for (int i = 0; i < values.Length; i++)
        {
            BinaryPrimitives.WriteUInt64LittleEndian(destination[(8 * i)..], values[i]);
        }
    }
}
