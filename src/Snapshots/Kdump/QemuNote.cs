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
