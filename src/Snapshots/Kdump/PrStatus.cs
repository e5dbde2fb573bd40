using System.Buffers.Binary;
using Emulator;
using Emulator.Cpu;

namespace Snapshots.Kdump;

/// <summary>
/// A CPU's general registers as struct elf_prstatus of x86-64 Linux (include/linux/elfcore.h, asm/user_64.h): 336 bytes,
/// the process id at 32, 27 registers at 112. crash and drgn take the running task's registers from here.
/// </summary>
internal static class PrStatus
{
    /// <summary>Bytes of the descriptor.</summary>
    public const int Size = 336;

    private const int ProcessOffset = 32;
    private const int RegistersOffset = 112;

    /// <summary>Fills a descriptor of zeros.</summary>
    public static void Write(Span<byte> descriptor, VcpuState cpu, int process)
    {
        BinaryPrimitives.WriteInt32LittleEndian(descriptor[ProcessOffset..], process);
        const int rax = 0, rcx = 1, rdx = 2, rbx = 3, rsp = 4, rbp = 5, rsi = 6, rdi = 7;
        ulong[] gpr = cpu.Gpr;
        SegmentState[] segments = cpu.Segments;
        ReadOnlySpan<ulong> registers =
        [
            gpr[15], gpr[14], gpr[13], gpr[12], gpr[rbp], gpr[rbx], gpr[11], gpr[10], gpr[9], gpr[8],
            gpr[rax], gpr[rcx], gpr[rdx], gpr[rsi], gpr[rdi],
            ulong.MaxValue, // orig_rax: not in a system call
            cpu.Rip, segments[SegmentIndex.Cs].Selector, cpu.Rflags, gpr[rsp], segments[SegmentIndex.Ss].Selector,
            segments[SegmentIndex.Fs].Base, segments[SegmentIndex.Gs].Base,
            segments[SegmentIndex.Ds].Selector, segments[SegmentIndex.Es].Selector,
            segments[SegmentIndex.Fs].Selector, segments[SegmentIndex.Gs].Selector,
        ];
        for (int i = 0; i < registers.Length; i++)
        {
            BinaryPrimitives.WriteUInt64LittleEndian(descriptor[(RegistersOffset + (8 * i))..], registers[i]);
        }
    }

    /// <summary>
    /// The registers out of a descriptor of <see cref="Size"/> bytes. What it does not tell is as a 64-bit kernel has it:
    /// flat segments, paging on; the page tables are not known and CR3 is 0.
    /// </summary>
    public static VcpuState Read(ReadOnlySpan<byte> descriptor, out int process)
    {
        process = BinaryPrimitives.ReadInt32LittleEndian(descriptor[ProcessOffset..]);
        ulong[] user = new ulong[27];
        for (int i = 0; i < user.Length; i++)
        {
            user[i] = BinaryPrimitives.ReadUInt64LittleEndian(descriptor[(RegistersOffset + (8 * i))..]);
        }

        // r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi orig_rax rip cs eflags rsp ss fs_base gs_base ds es fs gs
        return UnknownVcpu.LongMode with
        {
            Gpr =
            [
                user[10], user[11], user[12], user[5], user[19], user[4], user[13], user[14],
                user[9], user[8], user[7], user[6], user[3], user[2], user[1], user[0],
            ],
            Rip = user[16],
            Rflags = user[18],
            Segments =
            [
                UnknownVcpu.Data(user[24]), UnknownVcpu.Code(user[17]), UnknownVcpu.Data(user[20]), UnknownVcpu.Data(user[23]),
                UnknownVcpu.Data(user[25]) with { Base = user[21] }, UnknownVcpu.Data(user[26]) with { Base = user[22] },
                UnknownVcpu.NoSegment, UnknownVcpu.NoSegment,
            ],
        };
    }
}
