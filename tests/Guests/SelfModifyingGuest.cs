using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Guests;

/// <summary>Code that changes code: every change must be seen by the next execution of what was changed.</summary>
public static class SelfModifyingGuest
{
    private const ulong Scratch = 0x20_0000;

    /// <summary>A second linear address of <see cref="Scratch"/>'s page.</summary>
    private const ulong Alias = 0x60_0000;

    /// <summary>Makes it.</summary>
    public static Guest Create()
    {
        var program = new LongModeProgram("smc");
        program.Tables[1024 + (int)(Alias >> 21)] = Scratch | 0x87;
        InsideABlock(program);
        TheInstructionItself(program);
        ALoopPatchesACallee(program);
        AcrossAPage(program);
        ThroughAnAlias(program);
        ByStringMove(program);
        DataBesideCode(program);
        return program.ToGuest("self-modifying code", "");
    }

    /// <summary>The store changes the immediate of the very next instruction.</summary>
    private static void InsideABlock(LongModeProgram program)
    {
        Assembler a = program.Code;
        Label patched = a.CreateLabel();
        a.lea(rbx, __[patched]);
        a.mov(__dword_ptr[rbx + 1], 0x1234_5678);
        a.Label(ref patched);
        a.db(0xB8, 0, 0, 0, 0); // mov eax,0
        program.Expect(rax, 0x1234_5678);

        // The same, some instructions further in the same block, twice over in a loop.
        Label again = a.CreateLabel(), late = a.CreateLabel();
        a.mov(ecx, 2);
        a.xor(edx, edx);
        a.Label(ref again);
        a.lea(rbx, __[late]);
        a.mov(__byte_ptr[rbx + 2], cl); // add edx,cl
        a.nop();
        a.nop();
        a.Label(ref late);
        a.db(0x83, 0xC2, 0x40); // add edx,40h
        a.dec(ecx);
        a.jnz(again);
        program.Expect(rdx, 3);
    }

    /// <summary>An instruction that overwrites itself still does what it was; the next time it is what it has become.</summary>
    private static void TheInstructionItself(LongModeProgram program)
    {
        Assembler a = program.Code;
        Label self = a.CreateLabel(), done = a.CreateLabel();
        a.xor(ecx, ecx);
        a.mov(rax, 0x90C1_FFC1_FF90_9090); // nop nop nop, inc ecx, inc ecx, nop
        a.lea(rbx, __[self]);
        a.xor(edx, edx);
        Label round = a.CreateLabel();
        a.Label(ref round);
        a.inc(edx);
        a.Label(ref self);
        a.db(0x48, 0x89, 0x83, 0, 0, 0, 0, 0x90); // mov [rbx+0],rax in its long form, and a nop: eight bytes
        a.cmp(edx, 2);
        a.jb(round);
        a.jmp(done);
        a.Label(ref done);
        a.nop();
        program.Expect(rcx, 2);
        program.Expect(rdx, 2);
    }

    /// <summary>A callee is patched before each of 1000 calls: no call may run an old one.</summary>
    private static void ALoopPatchesACallee(LongModeProgram program)
    {
        Assembler a = program.Code;
        Label next = a.CreateLabel();
        a.mov(ebx, (uint)Scratch);
        a.mov(__byte_ptr[rbx], 0xB8); // mov eax,imm32; ret
        a.mov(__byte_ptr[rbx + 5], 0xC3);
        a.xor(ecx, ecx);
        a.xor(edx, edx);
        a.Label(ref next);
        a.mov(__dword_ptr[rbx + 1], ecx);
        a.call(rbx);
        a.add(edx, eax);
        a.inc(ecx);
        a.cmp(ecx, 1000);
        a.jb(next);
        program.Expect(rdx, 499_500);
    }

    /// <summary>An instruction lies across a page boundary; only its part in the second page changes, then only that in the first.</summary>
    private static void AcrossAPage(LongModeProgram program)
    {
        Assembler a = program.Code;
        a.mov(ebx, (uint)Scratch + 0x2FFD);
        a.mov(rax, 0xC3_1111_1111_B8);
        a.mov(__qword_ptr[rbx], rax); // B8 11 11 | 11 11 C3
        a.call(rbx);
        program.Expect(rax, 0x1111_1111);
        a.mov(__word_ptr[rbx + 3], 0x2222);
        a.call(rbx);
        program.Expect(rax, 0x2222_1111);
        a.mov(__word_ptr[rbx + 1], 0x3333);
        a.call(rbx);
        program.Expect(rax, 0x2222_3333);
        a.mov(__dword_ptr[rbx + 1], 0x4444_4444); // one store into both
        a.call(rbx);
        program.Expect(rax, 0x4444_4444);

        // A block that runs from one page into the next by falling through, and a change in the second.
        a.mov(ebx, (uint)Scratch + 0x4FF8);
        a.mov(rax, 0x9090_9090_9090_9090);
        a.mov(__qword_ptr[rbx], rax);
        a.mov(rax, 0xC3_0000_0007_B8);
        a.mov(__qword_ptr[rbx + 8], rax);
        a.call(rbx);
        program.Expect(rax, 7);
        a.mov(__byte_ptr[rbx + 9], 9);
        a.call(rbx);
        program.Expect(rax, 9);
    }

    /// <summary>The change goes through another linear address of the same page; CPUID serialises, as the SDM asks (vol. 3A §8.1.3).</summary>
    private static void ThroughAnAlias(LongModeProgram program)
    {
        Assembler a = program.Code;
        a.mov(rsi, Scratch + 0x800);
        a.mov(rdi, Alias + 0x800);
        a.mov(rax, 0xC3_0000_0001_B8);
        a.mov(__qword_ptr[rsi], rax);
        a.call(rsi);
        program.Expect(rax, 1);
        a.mov(__byte_ptr[rdi + 1], 2);
        a.xor(eax, eax);
        a.cpuid();
        a.call(rsi);
        program.Expect(rax, 2);
        a.call(rdi);
        program.Expect(rax, 2);
        a.mov(__byte_ptr[rsi + 1], 3);
        a.xor(eax, eax);
        a.cpuid();
        a.mov(rdi, Alias + 0x800);
        a.call(rdi);
        program.Expect(rax, 3);
    }

    /// <summary>REP MOVSB puts one function over another.</summary>
    private static void ByStringMove(LongModeProgram program)
    {
        Assembler a = program.Code;
        Label first = a.CreateLabel(), second = a.CreateLabel(), end = a.CreateLabel();
        a.mov(rdx, Scratch + 0x6000);
        foreach ((Label from, ulong result) in ((Label, ulong)[])[(first, 0x51), (second, 0x52), (first, 0x51)])
        {
            a.lea(rsi, __[from]);
            a.mov(rdi, rdx);
            a.mov(ecx, 6);
            a.rep.movsb();
            a.call(rdx);
            program.Expect(rax, result);
        }

        a.jmp(end);
        a.Label(ref first);
        a.mov(eax, 0x51);
        a.ret();
        a.Label(ref second);
        a.mov(eax, 0x52);
        a.ret();
        a.Label(ref end);
        a.nop();
    }

    /// <summary>A counter lies right beside the code that counts: neither disturbs the other.</summary>
    private static void DataBesideCode(LongModeProgram program)
    {
        Assembler a = program.Code;
        Label next = a.CreateLabel(), counter = a.CreateLabel(), end = a.CreateLabel();
        a.mov(ecx, 1000);
        a.Label(ref next);
        a.inc(__qword_ptr[counter]);
        a.dec(ecx);
        a.jnz(next);
        a.mov(rax, __qword_ptr[counter]);
        a.jmp(end);
        a.Label(ref counter);
        a.dq(0UL);
        a.Label(ref end);
        a.nop();
        program.Expect(rax, 1000);
    }
}
