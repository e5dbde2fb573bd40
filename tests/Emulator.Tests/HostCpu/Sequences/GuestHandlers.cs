using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Emulator.Tests.HostCpu.Sequences;

/// <summary>
/// Exception handlers of the guest around a sequence. Behind the stop table every vector halts at its stub. Behind the
/// resume table a page fault inside the region makes the page present and runs the instruction again, traps count and go
/// on, and anything else goes on at the end of the sequence.
/// </summary>
internal static class GuestHandlers
{
    /// <summary>Offsets in the page of variables: where other faults go on, and how many handlers have run.</summary>
    internal const int EndVariable = 0, CountVariable = 8;

    private const int ResumeOffset = 0x400;

    /// <summary>The page the handlers stand in.</summary>
    internal static byte[] Assemble(SequenceLayout layout, out ulong[] resume)
    {
        byte[] page = new byte[SequenceLayout.PageSize];
        page.AsSpan().Fill(0xCC);
        for (int vector = 0; vector < 32; vector++)
        {
            page[vector * 16] = 0xF4;
        }

        ulong variables = layout.Start + SequenceLayout.VariablesOffset;
        var c = new Assembler(64);
        Label fault = c.CreateLabel(), faultWithError = c.CreateLabel(), pageFault = c.CreateLabel(), trap = c.CreateLabel(), stop = c.CreateLabel();

        c.Label(ref trap);
        c.inc(__qword_ptr[variables + CountVariable]);
        c.iretq();

        c.Label(ref faultWithError);
        c.add(rsp, 8);
        c.Label(ref fault);
        c.inc(__qword_ptr[variables + CountVariable]);
        c.push(rax);
        c.mov(rax, __qword_ptr[variables + EndVariable]);
        c.cmp(rax, __qword_ptr[rsp + 8]);
        c.je(stop);
        c.mov(__qword_ptr[rsp + 8], rax);
        c.pop(rax);
        c.iretq();

        // The table's entries of one 2 MiB region are mapped where the region's handlers can reach them.
        c.Label(ref pageFault);
        c.push(rax);
        c.mov(rax, cr2);
        c.shr(rax, 12);
        c.sub(rax, (int)(layout.Start >> 12));
        c.cmp(rax, 512);
        c.jae(stop);
        c.or(__byte_ptr[(rax * 8) + (long)(layout.Start + SequenceLayout.PageTableOffset)], 7);
        c.mov(rax, cr2);
        c.invlpg(__[rax]);
        c.inc(__qword_ptr[variables + CountVariable]);
        c.pop(rax);
        c.add(rsp, 8);
        c.iretq();

        c.Label(ref stop);
        c.hlt();
        using var stream = new MemoryStream();
        AssemblerResult result = c.Assemble(new StreamCodeWriter(stream), layout.Handlers + ResumeOffset, BlockEncoderOptions.ReturnNewInstructionOffsets);
        stream.ToArray().CopyTo(page, ResumeOffset);
        resume = new ulong[32];
        for (int vector = 0; vector < 32; vector++)
        {
            Label label = vector switch
            {
                1 or 2 or 3 => trap,
                14 => pageFault,
                8 or (>= 10 and <= 13) or 17 => faultWithError,
                _ => fault,
            };
            resume[vector] = result.GetLabelRIP(label);
        }

        return page;
    }
}
