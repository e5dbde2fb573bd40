using Iced.Intel;
using static Guests.LongModeProgram;
using static Iced.Intel.AssemblerRegisters;

namespace Guests;

/// <summary>
/// Exceptions and interrupts: what is pushed, where, and the ways between privilege levels and modes. SDM vol. 3A
/// chapter 6 (§6.14 for 64-bit mode), vol. 2 for the instructions.
/// </summary>
public static class ExceptionsGuest
{
    private const uint Star = 0xC000_0081, Lstar = 0xC000_0082, Fmask = 0xC000_0084, SysenterCs = 0x174, SysenterEsp = 0x175, SysenterEip = 0x176;

    // Code for other bitnesses, at fixed addresses in the extra area.
    private const ulong CompatInto = Extra, CompatUser = Extra + 0x40, CompatBack = Extra + 0x80, CompatInt = Extra + 0xC0, Code16Source = Extra + 0x100;
    private const ulong Code16At = 0x8000, FarPointer = Extra + 0x200;

    /// <summary>No table has an entry for this linear address.</summary>
    private const ulong Unmapped = 0x80_0000_0000;

    private const ulong NotCanonical = 0x8000_0000_0000;

    /// <summary>Makes it.</summary>
    public static Guest Create()
    {
        var program = new LongModeProgram("exceptions");
        program.SetGate(8, DescriptorTable.Gate(Stub(8), ist: 2));
        program.SetGate(0x50, DescriptorTable.Gate(Stub(0x50), ist: 7));
        program.SetGate(0x51, DescriptorTable.Gate(Stub(0x51), present: false));
        program.SetGate(0x52, DescriptorTable.Gate(Stub(0x52), ist: 1));
        program.SetGate(0x53, DescriptorTable.Gate(Stub(0x53), type: 0xF));
        WriteOtherCode(program.Image);
        DivideDebugBreakpoint(program);
        InvalidOpcode(program);
        DeviceNotAvailable(program);
        GeneralProtection(program);
        Segments(program);
        FloatingPoint(program);
        Frames(program);
        DoubleFault(program);
        InvalidTss(program);
        FromRing3(program);
        Compatibility(program);
        InterruptReturn(program);
        SystemCall(program);
        SystemEnter(program);
        return program.ToGuest("exceptions, error codes, stacks, privilege changes", "");
    }

    private static void WriteOtherCode(MemoryImage image)
    {
        image.Code(32, CompatInto, 0x40, c =>
        {
            c.mov(al, 0x7F);
            c.add(al, 1);
            c.into();
        });
        image.Code(32, CompatUser, 0x40, c =>
        {
            c.mov(ebx, 0x8765_4321);
            c.inc(ebx); // 43h here, a REX prefix in 64-bit code
            c.@int(0x80);
        });
        image.Code(32, CompatBack, 0x40, c =>
        {
            c.mov(ebx, 0x1357_9BDF);
            c.jmp(__fword_ptr[(long)FarPointer]);
        });
        image.Code(32, CompatInt, 0x40, c => c.@int(0x80));
        image.Code(16, Code16Source, 0x40, c =>
        {
            c.mov(bx, 0x2468);
            c.@int(0x80);
        });
        image.Data(FarPointer, new byte[16]);
    }

    private static void DivideDebugBreakpoint(LongModeProgram program)
    {
        Assembler a = program.Code;
        a.xor(edx, edx);
        a.mov(eax, 1);
        a.xor(ecx, ecx);
        program.ExpectException(0, 0, () => a.div(ecx));
        program.Expect(rax, 1);
        a.mov(rax, long.MinValue);
        a.cqo();
        a.mov(rcx, -1L);
        program.ExpectException(0, 0, () => a.idiv(rcx));
        a.mov(eax, 0x1000);
        a.mov(cl, 0x10);
        program.ExpectException(0, 0, () => a.div(cl));

        // TF set by POPF takes effect after the instruction that follows it.
        a.xor(eax, eax);
        a.mov(dr6, rax);
        program.ExpectException(
            1, 0,
            () =>
            {
                a.pushfq();
                a.or(__dword_ptr[rsp], 0x100);
                a.popfq();
                a.mov(ebx, 0x77);
            },
            trap: true);
        program.Expect(rbx, 0x77);
        program.ExpectMemory(Rflags, 0x100, 0x100);
        a.mov(rax, dr6);
        a.and(eax, 0x4000); // BS
        program.Expect(rax, 0x4000);
        a.pushfq();
        a.pop(rax);
        a.and(eax, 0x100);
        program.Expect(rax, 0); // the gate cleared it

        program.UnlessTcg(() => program.ExpectException(1, 0, a.int1, trap: true));
        program.ExpectException(3, 0, a.int3, trap: true);
        program.ExpectException(3, 0, () => a.db(0xCD, 3), trap: true);
        program.ExpectException(0x80, 0, () => a.@int(0x80), trap: true);
        program.ExpectException(0xFF, 0, () => a.@int(0xFF), trap: true);
    }

    private static void InvalidOpcode(LongModeProgram program)
    {
        Assembler a = program.Code;
        program.ExpectException(6, 0, a.ud2);
        program.ExpectException(6, 0, () => a.db(0xCE)); // into
        program.ExpectException(6, 0, () => a.db(0x06)); // push es
        program.ExpectException(6, 0, () => a.db(0x27)); // daa
        program.ExpectException(6, 0, () => a.db(0xD6)); // salc
        program.ExpectException(6, 0, () => a.db(0xF0, 0x01, 0xC8)); // lock add eax,ecx
        program.ExpectException(6, 0, () => a.db(0xF0, 0x90)); // lock nop
        program.ExpectException(6, 0, () => a.db(0x0F, 0x20, 0xC8)); // mov rax,cr1
        program.ExpectException(6, 0, () => a.db(0x8E, 0xC8)); // mov cs,eax
        program.ExpectException(6, 0, () => a.db(0x0F, 0xFF, 0xC0)); // ud0
    }

    private static void DeviceNotAvailable(LongModeProgram program)
    {
        Assembler a = program.Code;
        SetCr0(a, 3, true); // TS
        program.ExpectException(7, 0, a.fnop);
        program.ExpectException(7, 0, a.wait);
        program.ExpectException(7, 0, () => a.movaps(xmm0, xmm1));
        program.UnlessTcg(() => program.ExpectException(7, 0, a.emms));
        a.clts();
        a.fnop();
        a.movaps(xmm0, xmm1);
        SetCr0(a, 2, true); // EM
        program.ExpectException(7, 0, a.fnop);
        program.ExpectException(6, 0, () => a.movaps(xmm0, xmm1));
        SetCr0(a, 2, false);
        SetCr4(a, 9, false); // OSFXSR
        program.ExpectException(6, 0, () => a.movaps(xmm0, xmm1));
        SetCr4(a, 9, true);
        a.movaps(xmm0, xmm1);
    }

    private static void GeneralProtection(LongModeProgram program)
    {
        Assembler a = program.Code;
        a.mov(rbx, NotCanonical);
        program.ExpectException(13, 0, () => a.mov(rax, __qword_ptr[rbx]));
        program.ExpectException(13, 0, () => a.mov(__qword_ptr[rbx], rax));
        a.mov(ebx, (uint)Own + 8);
        program.ExpectException(13, 0, () => a.cmpxchg16b(__xmmword_ptr[rbx]));
        a.mov(rbx, 1UL << 32);
        program.ExpectException(13, 0, () => a.mov(dr7, rbx));
        a.mov(eax, 0x10);
        program.ExpectException(13, 0x10, () => a.ltr(ax)); // not a TSS
        a.mov(eax, Tss);
        program.ExpectException(13, Tss, () => a.ltr(ax)); // busy: it is loaded
        program.UnlessTcg(() =>
        {
            a.mov(rcx, cr0);
            a.mov(rbx, rcx);
            a.btr(rbx, 0); // paging without protection
            program.ExpectException(13, 0, () => a.mov(cr0, rbx));
            a.mov(rbx, cr4);
            a.btr(rbx, 5); // no PAE in long mode
            program.ExpectException(13, 0, () => a.mov(cr4, rbx));
            a.mov(rbx, cr4);
            a.bts(rbx, 31);
            program.ExpectException(13, 0, () => a.mov(cr4, rbx));
            a.mov(ecx, 0xC000_0100); // FS base
            a.mov(edx, 0x8000);
            a.xor(eax, eax);
            program.ExpectException(13, 0, a.wrmsr);
            a.mov(ecx, 0x1234_5678);
            program.ExpectException(13, 0, a.rdmsr);
            program.ExpectException(13, 0, a.wrmsr);
            a.mov(ebx, (uint)Own + 8);
            program.ExpectException(13, 0, () => a.movaps(xmm0, __xmmword_ptr[rbx]));
            program.ExpectException(13, 0, () => a.db(Enumerable.Repeat((byte)0x66, 15).Append((byte)0x90).ToArray())); // 16 bytes long

            // A stack that is not canonical is #SS.
            a.mov(r12, rsp);
            a.mov(rbp, NotCanonical);
            program.ExpectException(12, 0, () => a.mov(rax, __qword_ptr[rbp]));
        });
    }

    private static void Segments(LongModeProgram program)
    {
        Assembler a = program.Code;
        a.mov(eax, NotPresentData);
        program.ExpectException(11, NotPresentData, () => a.mov(ds, ax));
        program.ExpectException(11, NotPresentData, () => a.mov(fs, ax));
        program.ExpectException(12, NotPresentData, () => a.mov(ss, ax));
        a.mov(eax, 0xFFF8);
        program.ExpectException(13, 0xFFF8, () => a.mov(ds, ax)); // beyond the table
        a.mov(eax, 0xFFFB);
        program.ExpectException(13, 0xFFF8, () => a.mov(es, ax)); // the RPL is not in the error code
        a.mov(eax, 0x0C);
        program.ExpectException(13, 0x0C, () => a.mov(gs, ax)); // a local table that is not there
        a.mov(eax, Tss);
        program.ExpectException(13, Tss, () => a.mov(ds, ax)); // a system segment
        a.mov(eax, Code64);
        program.ExpectException(13, Code64, () => a.mov(ss, ax)); // code as a stack
        a.xor(eax, eax);
        a.mov(ds, ax); // null is allowed
        a.mov(ss, ax); // here for SS, too
        a.mov(rax, __qword_ptr[(long)Own]);
        a.push(rax);
        a.pop(rax);
        a.mov(eax, Data);
        a.mov(ds, ax);
        a.mov(ss, ax);

        // Far jumps.
        FarJumpFaults(program, 0, 13, 0);
        FarJumpFaults(program, Data, 13, Data);
        FarJumpFaults(program, 0xFFF8, 13, 0xFFF8);
        FarJumpFaults(program, UserCode64 & ~3, 13, UserCode64 & ~3); // outer privilege
        program.ExpectException(11, null, () => a.@int(0x51));
        program.ExpectGateErrorCode(0x51, external: false);
    }

    private static void FarJumpFaults(LongModeProgram program, int selector, int vector, int error)
    {
        Assembler a = program.Code;
        a.mov(__dword_ptr[(long)FarPointer], (uint)Main);
        a.mov(__word_ptr[(long)FarPointer + 4], (ushort)selector);
        program.ExpectException(vector, (ulong)error, () => a.jmp(__fword_ptr[(long)FarPointer]));
    }

    private static void FloatingPoint(LongModeProgram program)
    {
        Assembler a = program.Code;
        a.fninit();
        a.mov(__dword_ptr[(long)Own], 0x037B); // divide by zero unmasked
        a.fldcw(__word_ptr[(long)Own]);
        a.fld1();
        a.fldz();
        a.fdivp(st1, st0); // noted only
        program.ExpectException(16, 0, a.wait); // reported by the next waiting instruction
        program.UnlessTcg(() => program.ExpectException(16, 0, a.fld1));
        a.fnstsw(ax);
        a.and(eax, 0x80FF);
        program.Expect(rax, 0x8084); // B, ES, ZE
        a.fninit();
        a.wait();
        program.UnlessTcg(() =>
        {
            a.mov(__dword_ptr[(long)Own], 0x1D80); // divide by zero unmasked
            a.ldmxcsr(__dword_ptr[(long)Own]);
            a.mov(eax, 1);
            a.cvtsi2ss(xmm0, eax);
            a.xorps(xmm1, xmm1);
            program.ExpectException(19, 0, () => a.divss(xmm0, xmm1));
            a.cvtss2si(eax, xmm0);
            program.Expect(rax, 1); // the destination is as it was
            SetCr4(a, 10, false); // OSXMMEXCPT
            program.ExpectException(6, 0, () => a.divss(xmm0, xmm1));
            SetCr4(a, 10, true);
            a.mov(__dword_ptr[(long)Own], 0x1F80);
            a.ldmxcsr(__dword_ptr[(long)Own]);
        });
    }

    /// <summary>In 64-bit mode the frame is aligned and always has SS:RSP; an IST entry moves the stack whatever the privilege.</summary>
    private static void Frames(LongModeProgram program)
    {
        Assembler a = program.Code;
        for (uint misalignment = 0; misalignment < 16; misalignment += 5)
        {
            a.mov(rsp, KernelStackTop - 0x100 - misalignment);
            program.ExpectException(0x80, 0, () => a.@int(0x80), trap: true);
            program.ExpectMemory(Rsp, KernelStackTop - 0x100 - misalignment);
            program.ExpectMemory(Frame, ((KernelStackTop - 0x100 - misalignment) & ~15UL) - 40);
            program.ExpectMemory(Ss, Data);
            program.ExpectMemory(Cs, Code64);
        }

        a.mov(rsp, KernelStackTop - 0x100);
        program.ExpectException(0x52, 0, () => a.@int(0x52), trap: true);
        program.ExpectMemory(Frame, Ist1Top - 40);
        program.ExpectMemory(Rsp, KernelStackTop - 0x100);
        a.mov(rsp, KernelStackTop);

        // An interrupt gate clears IF, a trap gate does not.
        foreach ((byte vector, ulong flag) in ((byte, ulong)[])[(0x80, 0), (0x53, 0x200)])
        {
            program.SetGate(vector, DescriptorTable.Gate(Stub(vector), dpl: 3, type: flag == 0 ? 0xE : 0xF));
            program.ExpectException(
                vector, 0,
                () =>
                {
                    a.push(0x202);
                    a.popfq();
                    a.@int(vector);
                },
                trap: true);
            a.pushfq();
            a.pop(rbx);
            a.cli();
            a.and(ebx, 0x200);
            program.Expect(rbx, flag);
            program.ExpectMemory(Rflags, 0x200, 0x200);
        }
    }

    private static void DoubleFault(LongModeProgram program)
    {
        Assembler a = program.Code;

        // #PF whose gate is not present: #NP on the way makes it a double fault, on its own stack.
        a.and(__byte_ptr[(long)Idt + (14 * 16) + 5], 0x7F);
        a.mov(rbx, Unmapped);
        program.Catch(() => a.mov(rax, __qword_ptr[rbx]));
        a.or(__byte_ptr[(long)Idt + (14 * 16) + 5], 0x80);
        program.ExpectMemory(Vector, 8);
        program.ExpectMemory(ErrorCode, 0);
        program.ExpectMemory(Frame, Ist2Top - 40);
        program.ExpectMemory(Cr2, Unmapped);

        // Two contributory ones: #GP, then #NP.
        a.and(__byte_ptr[(long)Idt + (13 * 16) + 5], 0x7F);
        a.mov(rbx, NotCanonical);
        program.Catch(() => a.mov(rax, __qword_ptr[rbx]));
        a.or(__byte_ptr[(long)Idt + (13 * 16) + 5], 0x80);
        program.ExpectMemory(Vector, 8);
        program.ExpectMemory(Frame, Ist2Top - 40);

        // A benign one, #UD, then #NP: only the second is reported, with the gate's number and EXT.
        a.and(__byte_ptr[(long)Idt + (6 * 16) + 5], 0x7F);
        program.Catch(a.ud2);
        a.or(__byte_ptr[(long)Idt + (6 * 16) + 5], 0x80);
        program.ExpectMemory(Vector, 11);
        program.ExpectGateErrorCode(6, external: true);

        // All gates are back.
        a.mov(rbx, Unmapped);
        program.ExpectException(14, 0, () => a.mov(rax, __qword_ptr[rbx]), Unmapped);
    }

    private static void InvalidTss(LongModeProgram program)
    {
        Assembler a = program.Code;
        a.mov(eax, ShortTss);
        a.ltr(ax);
        program.ExpectException(10, ShortTss, () => a.@int(0x50)); // IST7 lies beyond the limit
        a.and(__byte_ptr[(long)Gdt + Tss + 5], 0xFD); // no longer busy
        a.mov(eax, Tss);
        a.ltr(ax);
        a.mov(eax, 0);
        a.str(ax);
        program.Expect(rax, Tss);
    }

    private static void FromRing3(LongModeProgram program)
    {
        Assembler a = program.Code;
        program.ExpectUserException(0x80, 0, () => a.@int(0x80), trap: true);
        program.ExpectUserException(3, 0, a.int3, trap: true);
        program.ExpectUserException(13, null, () => a.@int(0x81));
        program.ExpectGateErrorCode(0x81, external: false);
        program.ExpectUserException(6, 0, a.ud2);
        program.ExpectUserException(13, 0, a.hlt);
        program.ExpectUserException(13, 0, a.cli);
        program.ExpectUserException(13, 0, a.sti);
        program.ExpectUserException(13, 0, a.clts);
        program.ExpectUserException(13, 0, a.swapgs);
        program.ExpectUserException(13, 0, a.rdmsr);
        program.ExpectUserException(13, 0, a.wrmsr);
        program.ExpectUserException(13, 0, a.invd);
        program.ExpectUserException(13, 0, a.wbinvd);
        program.ExpectUserException(13, 0, a.sysretq);
        program.ExpectUserException(13, 0, () => a.@in(al, 0x80));
        program.ExpectUserException(13, 0, () => a.@out(0x80, al));
        program.ExpectUserException(13, 0, () => a.mov(rax, cr0));
        program.ExpectUserException(13, 0, () => a.mov(cr3, rax));
        program.ExpectUserException(13, 0, () => a.mov(rax, dr7));
        program.ExpectUserException(13, 0, () => a.lgdt(__tbyte_ptr[(long)TssAt + 0x80]));
        program.ExpectUserException(13, 0, () => a.lidt(__tbyte_ptr[(long)TssAt + 0x90]));
        program.ExpectUserException(13, 0, () => a.lmsw(ax));
        program.ExpectUserException(13, 0, () => a.ltr(ax));
        program.ExpectUserException(13, 0, () => a.lldt(ax));
        program.ExpectUserException(13, 0, () => a.invlpg(__byte_ptr[rax]));

        // IOPL 3 opens ports and the interrupt flag.
        program.ExpectUserException(0x80, 0, () =>
        {
            a.cli();
            a.@out(0x80, al);
            a.@int(0x80);
        }, trap: true, flags: 0x3002);

        // POPF in ring 3 changes neither IF nor IOPL, and does not complain.
        program.ExpectUserException(0x80, 0, () =>
        {
            a.push(0x3AD7);
            a.popfq();
            a.@int(0x80);
        }, trap: true);
        program.ExpectMemory(Rflags, 0x3FD7 & ~0x100UL, 0x08D7);

        SetCr4(a, 2, true); // TSD
        program.ExpectUserException(13, 0, a.rdtsc);
        a.rdtsc();
        SetCr4(a, 2, false);

        Label noUmip = a.CreateLabel();
        a.mov(eax, 7);
        a.xor(ecx, ecx);
        a.cpuid();
        a.bt(ecx, 2);
        a.jnc(noUmip);
        program.ExpectUserException(0x80, 0, () =>
        {
            a.smsw(eax);
            a.@int(0x80);
        }, trap: true);
        SetCr4(a, 11, true);
        program.ExpectUserException(13, 0, () => a.smsw(eax));
        program.ExpectUserException(13, 0, () => a.str(eax));
        program.ExpectUserException(13, 0, () => a.sldt(eax));
        program.ExpectUserException(13, 0, () => a.sgdt(__tbyte_ptr[(long)Own]));
        program.ExpectUserException(13, 0, () => a.sidt(__tbyte_ptr[(long)Own]));
        SetCr4(a, 11, false);
        a.Label(ref noUmip);
        a.nop();

        program.UnlessTcg(() =>
        {
            SetCr0(a, 18, true); // AM
            a.mov(ebx, (uint)Own + 1);
            program.ExpectUserException(17, 0, () => a.mov(eax, __dword_ptr[rbx]), flags: 0x4_0002);
            program.ExpectUserException(0x80, 0, () =>
            {
                a.mov(eax, __dword_ptr[rbx]); // without EFLAGS.AC nothing happens
                a.@int(0x80);
            }, trap: true);
            SetCr0(a, 18, false);
        });
    }

    private static void Compatibility(LongModeProgram program)
    {
        Assembler a = program.Code;

        // Returning to ring 3 made DS null, which compatibility mode may not read through.
        a.mov(eax, Data);
        a.mov(ds, ax);

        // Into 32-bit code of ring 0 by a far return, back by a far jump.
        Label back = a.CreateLabel();
        a.lea(rax, __[back]);
        a.mov(__qword_ptr[(long)FarPointer], rax);
        a.mov(__word_ptr[(long)FarPointer + 4], Code64);
        a.push(Code32);
        a.push((int)CompatBack);
        a.db(0x48, 0xCB); // retfq
        a.Label(ref back);
        a.nop();
        program.Expect(rbx, 0x1357_9BDF);
        a.xor(eax, eax);
        a.mov(ax, cs);
        program.Expect(rax, Code64);

        // INTO traps there: the overflow is reported after the instruction.
        program.Catch(() =>
        {
            a.push(Code32);
            a.push((int)CompatInto);
            a.db(0x48, 0xCB); // retfq
        });
        program.ExpectMemory(Vector, 4);
        program.ExpectMemory(Rip, CompatInto + 5);
        program.ExpectMemory(Cs, Code32);
        program.Catch(() =>
        {
            a.push(Code32);
            a.push((int)CompatInt);
            a.db(0x48, 0xCB); // retfq
        });
        program.ExpectMemory(Vector, 0x80);
        program.ExpectMemory(Rip, CompatInt + 2);

        // 32-bit and 16-bit code of ring 3.
        program.Catch(() => Return(a, UserCode32, CompatUser, UserData, 0x15_0000));
        program.ExpectMemory(Vector, 0x80);
        program.Expect(rbx, 0x8765_4322);
        program.ExpectMemory(Cs, UserCode32);
        program.ExpectMemory(Ss, UserData);
        program.ExpectMemory(Rsp, 0x15_0000);
        program.ExpectMemory(Frame, TssStackTop - 40);
        program.ExpectMemory(Rip, CompatUser + 8);
        a.mov(esi, (uint)Code16Source);
        a.mov(edi, (uint)Code16At);
        a.mov(ecx, 0x40);
        a.rep.movsb();
        a.mov(ebx, 0x1111_1111);
        program.Catch(() => Return(a, UserCode16, Code16At, UserData, 0x15_0000));
        program.ExpectMemory(Vector, 0x80);
        program.Expect(rbx, 0x1111_2468);
        program.ExpectMemory(Cs, UserCode16);
        program.ExpectMemory(Rip, Code16At + 5);
        program.Catch(() => Return(a, Code16, Code16At, Data16, 0x15_0000));
        program.ExpectMemory(Cs, Code16);
        program.ExpectMemory(Ss, Data16);
    }

    private static void InterruptReturn(LongModeProgram program)
    {
        Assembler a = program.Code;
        Label target = a.CreateLabel();

        // Same privilege: RSP and flags are taken, too.
        a.push(Data);
        a.push((int)UserStackTop);
        a.push(0x8D7);
        a.push(Code64);
        a.lea(rax, __[target]);
        a.push(rax);
        a.iretq();
        program.Unreachable();
        a.Label(ref target);
        a.pushfq();
        a.pop(rbx);
        a.lea(rcx, __[rsp]);
        a.mov(rsp, KernelStackTop);
        a.cld();
        program.Expect(rcx, UserStackTop);
        program.Expect(rbx, 0x8D7);

        Label narrow = a.CreateLabel();
        a.sub(rsp, 24);
        a.lea(rax, __[narrow]);
        a.mov(__dword_ptr[rsp], eax);
        a.mov(__dword_ptr[rsp + 4], Code64);
        a.mov(__dword_ptr[rsp + 8], 2);
        a.mov(__dword_ptr[rsp + 12], (uint)KernelStackTop);
        a.mov(__dword_ptr[rsp + 16], Data);
        a.iretd();
        a.Label(ref narrow);
        a.nop();

        // Frames that no return may take.
        ReturnFaults(program, 13, 0, 0, Data, 2);
        ReturnFaults(program, 13, Data, Data, Data, 2);
        ReturnFaults(program, 13, UserData & ~3, UserCode64, UserData & ~3, 2); // the stack's privilege is not the code's
        ReturnFaults(program, 13, 0xFFF8, 0xFFF8, Data, 2);
        a.push(0x4002);
        a.popfq(); // NT: there are no nested tasks in this mode
        ReturnFaults(program, 13, 0, Code64, Data, 2);
        a.push(2);
        a.popfq();
    }

    private static void ReturnFaults(LongModeProgram program, int vector, ulong error, ushort code, ushort stack, int flags)
    {
        Assembler a = program.Code;
        a.push(stack);
        a.push((int)UserStackTop);
        a.push(flags);
        a.push(code);
        a.push((int)Main);
        program.ExpectException(vector, error, a.iretq);
        a.add(rsp, 40);
    }

    private static void SystemCall(LongModeProgram program)
    {
        Assembler a = program.Code;
        Label kernel = a.CreateLabel(), user = a.CreateLabel(), after = a.CreateLabel();
        WriteMsr(a, Star, 0x0018_0008_0000_0000);
        a.lea(rbx, __[kernel]);
        WriteMsrFromRbx(a, Lstar);
        WriteMsr(a, Fmask, 0x4_4701); // AC NT DF IF TF CF
        program.InRing3(
            () =>
            {
                a.stc();
                a.std();
                a.syscall();
                a.Label(ref after);
                a.ud2();
            },
            flags: 0x3202);
        a.Label(ref kernel);
        a.mov(rdx, rsp);
        a.pushfq();
        a.pop(rbp);
        a.mov(rsp, KernelStackTop);
        a.cld();
        program.Expect(rcx, after);
        program.Expect(r11, 0x3603);
        program.Expect(rbp, 0x3002);
        program.Expect(rdx, UserStackTop); // the stack is the user's until we change it
        ExpectSelectors(program, Code64, Data);

        // Back to 64-bit code.
        program.Catch(() =>
        {
            a.lea(rcx, __[user]);
            a.mov(r11d, 0x8D7);
            a.mov(rsp, UserStackTop);
            a.sysretq();
            a.Label(ref user);
            a.@int(0x80);
        });
        a.cld();
        program.ExpectMemory(Vector, 0x80);
        program.ExpectMemory(Cs, UserCode64);
        program.ExpectMemory(Ss, UserData);
        program.ExpectMemory(Rsp, UserStackTop);
        program.ExpectMemory(Rflags, 0x8D7);

        // And to 32-bit code; only ECX counts.
        program.Catch(() =>
        {
            a.mov(rcx, CompatUser | (0x5555UL << 32));
            a.mov(r11d, 2);
            a.sysret();
        });
        program.ExpectMemory(Vector, 0x80);
        program.ExpectMemory(Cs, UserCode32);
        program.ExpectMemory(Ss, UserData);
        program.ExpectMemory(Rip, CompatUser + 8);
        a.mov(rsp, KernelStackTop);

        a.mov(ecx, 0xC000_0080);
        a.rdmsr();
        a.btr(eax, 0); // SCE
        a.wrmsr();
        program.ExpectException(6, 0, a.syscall);
        program.ExpectException(6, 0, a.sysretq);
        a.mov(ecx, 0xC000_0080);
        a.rdmsr();
        a.bts(eax, 0);
        a.wrmsr();
    }

    /// <summary>In 64-bit mode Intel has these instructions and AMD has not (AMD64 manual vol. 3, SYSENTER): each as its vendor says.</summary>
    private static void SystemEnter(LongModeProgram program)
    {
        Assembler a = program.Code;
        Label amd = a.CreateLabel(), end = a.CreateLabel(), kernel = a.CreateLabel(), user = a.CreateLabel();
        WriteMsr(a, SysenterCs, Code64);
        WriteMsr(a, SysenterEsp, KernelStackTop - 0x40);
        a.lea(rbx, __[kernel]);
        WriteMsrFromRbx(a, SysenterEip);
        a.xor(eax, eax);
        a.cpuid();
        a.cmp(ebx, 0x756E_6547); // "Genu"
        a.jne(amd);

        program.InRing3(a.sysenter, flags: 0x3202);
        a.Label(ref kernel);
        a.mov(rdx, rsp);
        a.pushfq();
        a.pop(rbp);
        program.Expect(rdx, KernelStackTop - 0x40);
        a.and(ebp, 0x200);
        program.Expect(rbp, 0);
        ExpectSelectors(program, Code64, Data);
        program.Catch(() =>
        {
            a.lea(rdx, __[user]);
            a.mov(rcx, UserStackTop - 0x10);
            a.sysexitq();
            a.Label(ref user);
            a.@int(0x80);
        });
        program.ExpectMemory(Vector, 0x80);
        program.ExpectMemory(Cs, UserCode64);
        program.ExpectMemory(Ss, UserData2);
        program.ExpectMemory(Rsp, UserStackTop - 0x10);
        program.Catch(() =>
        {
            a.mov(rdx, CompatUser | (0x5555UL << 32));
            a.mov(rcx, UserStackTop);
            a.sysexit();
        });
        program.ExpectMemory(Vector, 0x80);
        program.ExpectMemory(Cs, UserCode32);
        program.ExpectMemory(Ss, UserData);
        program.ExpectMemory(Rip, 0xFFFF_FFFF, CompatUser + 8);
        program.UnlessTcg(() => program.ExpectMemory(Rip, CompatUser + 8));
        program.ExpectUserException(13, 0, a.sysexit);
        WriteMsr(a, SysenterCs, 0);
        program.ExpectUserException(13, 0, a.sysenter);
        program.ExpectException(13, 0, a.sysexit);
        a.jmp(end);

        a.Label(ref amd);
        a.nop();
        program.ExpectException(6, 0, a.sysenter);
        program.ExpectException(6, 0, a.sysexit);
        a.Label(ref end);
        a.nop();
        a.mov(rsp, KernelStackTop);
    }

    private static void ExpectSelectors(LongModeProgram program, ulong code, ulong stack)
    {
        Assembler a = program.Code;
        a.xor(eax, eax);
        a.mov(ax, cs);
        program.Expect(rax, code);
        a.mov(ax, ss);
        program.Expect(rax, stack);
    }

    private static void Return(Assembler a, ushort code, ulong rip, ushort stack, ulong stackPointer)
    {
        a.push(stack);
        a.push((int)stackPointer);
        a.push(2);
        a.push(code);
        a.push((int)rip);
        a.iretq();
    }

    private static void WriteMsr(Assembler a, uint number, ulong value)
    {
        a.mov(rbx, value);
        WriteMsrFromRbx(a, number);
    }

    private static void WriteMsrFromRbx(Assembler a, uint number)
    {
        a.mov(ecx, number);
        a.mov(eax, ebx);
        a.mov(rdx, rbx);
        a.shr(rdx, 32);
        a.wrmsr();
    }

    private static void SetCr0(Assembler a, byte bit, bool on)
    {
        a.mov(rax, cr0);
        SetBit(a, bit, on);
        a.mov(cr0, rax);
    }

    private static void SetCr4(Assembler a, byte bit, bool on)
    {
        a.mov(rax, cr4);
        SetBit(a, bit, on);
        a.mov(cr4, rax);
    }

    private static void SetBit(Assembler a, byte bit, bool on)
    {
        if (on)
        {
            a.bts(rax, bit);
        }
        else
        {
            a.btr(rax, bit);
        }
    }
}
