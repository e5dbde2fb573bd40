using Iced.Intel;
using static Guests.LongModeProgram;
using static Iced.Intel.AssemblerRegisters;

namespace Guests;

/// <summary>
/// PIT, PIC, local APIC timer, I/O APIC and HPET, measured against a TSC of 1 GHz: Intel 8254 and 8259A data sheets, SDM
/// vol. 3A chapter 11 (APIC), 82093AA data sheet, IA-PC HPET specification 1.0a.
/// </summary>
public static class TimersGuest
{
    private const ulong Apic = 0xFEE0_0000, IoApic = 0xFEC0_0000, Hpet = 0xFED0_0000;
    private const byte PicVector = 0x20, ApicVector = 0x30, IoApicVector = 0x31, IpiVector = 0x32, SpuriousVector = 0x3F;
    private const uint Millisecond = 1_000_000;

    // Each handler counts and notes the TSC.
    private const ulong PicTicks = Own, ApicTicks = Own + 0x10, IoApicTicks = Own + 0x20, IpiTicks = Own + 0x30, OneShot = Own + 0x40, HpetPeriod = Own + 0x48;

    private const ulong Handlers = Extra;

    /// <summary>Makes it.</summary>
    public static Guest Create()
    {
        var program = new LongModeProgram("timers");
        WriteHandler(program, 0, PicVector, PicTicks, fromApic: false);
        WriteHandler(program, 1, ApicVector, ApicTicks, fromApic: true);
        WriteHandler(program, 2, IoApicVector, IoApicTicks, fromApic: true);
        WriteHandler(program, 3, IpiVector, IpiTicks, fromApic: true);
        WriteHandler(program, 4, SpuriousVector, Own + 0x50, fromApic: false);
        SetUpControllers(program);
        program.Print("timers: pit\n");
        PeriodicPit(program);
        OneShotPit(program);
        PitCounter(program);
        MaskedPit(program);
        program.Print("timers: apic\n");
        SelfInterrupt(program);
        OneShotApic(program);
        PeriodicApic(program);
        TaskPriority(program);
        Deadline(program);
        program.Print("timers: io-apic\n");
        PitThroughIoApic(program);
        program.Print("timers: hpet\n");
        HpetCounter(program);
        HpetComparator(program);
        return program.ToGuest("timers and interrupt controllers against the TSC", "timers: pit\ntimers: apic\ntimers: io-apic\ntimers: hpet\n", gigahertz: true);
    }

    private static void WriteHandler(LongModeProgram program, int index, byte vector, ulong ticks, bool fromApic)
    {
        ulong at = Handlers + ((ulong)index * 0x80);
        program.SetGate(vector, DescriptorTable.Gate(at));
        program.Image.Code(64, at, 0x80, h =>
        {
            h.push(rax);
            h.push(rdx);
            h.inc(__qword_ptr[(long)ticks]);
            h.rdtsc();
            h.shl(rdx, 32);
            h.or(rax, rdx);
            h.mov(__qword_ptr[(long)ticks + 8], rax);
            if (fromApic)
            {
                h.mov(edx, (uint)Apic + 0xB0); // EOI
                h.mov(__dword_ptr[rdx], 0);
            }
            else if (vector == PicVector)
            {
                h.mov(al, 0x20);
                h.@out(0x20, al);
            }

            h.pop(rdx);
            h.pop(rax);
            h.iretq();
        });
    }

    /// <summary>PIC at 20h/28h, all masked; local APIC on, with the PIC on LINT0 (virtual wire).</summary>
    private static void SetUpControllers(LongModeProgram program)
    {
        Assembler a = program.Code;
        foreach ((byte port, byte value) in ((byte, byte)[])[
            (0x20, 0x11), (0xA0, 0x11), (0x21, PicVector), (0xA1, 0x28), (0x21, 4), (0xA1, 2), (0x21, 1), (0xA1, 1), (0x21, 0xFF), (0xA1, 0xFF)])
        {
            Out(a, port, value);
        }

        WriteApic(a, 0xF0, 0x100 | SpuriousVector);
        WriteApic(a, 0x80, 0);
        WriteApic(a, 0x350, 0x700);
        WriteApic(a, 0x360, 0x400);
        WriteApic(a, 0x320, 0x1_0000);
    }

    /// <summary>Mode 2, 11932 counts of 1193182 Hz: 10.000151 ms.</summary>
    private static void PeriodicPit(LongModeProgram program)
    {
        Assembler a = program.Code;
        Clear(a, PicTicks);
        Out(a, 0x43, 0x34);
        Out(a, 0x40, 11932 & 0xFF);
        Out(a, 0x40, 11932 >> 8);
        Out(a, 0x21, 0xFE);
        WaitFor(a, PicTicks, 1);
        a.mov(rbx, __qword_ptr[(long)PicTicks + 8]);
        WaitFor(a, PicTicks, 11);
        a.mov(rcx, __qword_ptr[(long)PicTicks + 8]);
        a.sub(rcx, rbx);
        program.ExpectRange(rcx, 99_900_000, 100_100_000);
    }

    /// <summary>Mode 0 interrupts once, after 1193 counts: 999.8 µs.</summary>
    private static void OneShotPit(LongModeProgram program)
    {
        Assembler a = program.Code;
        Out(a, 0x43, 0x30);
        Out(a, 0x40, 1193 & 0xFF);
        a.cli();
        Clear(a, PicTicks);
        ReadTsc(a);
        a.mov(rbx, rax);
        Out(a, 0x40, 1193 >> 8);
        WaitFor(a, PicTicks, 1);
        a.mov(rcx, __qword_ptr[(long)PicTicks + 8]);
        a.sub(rcx, rbx);
        program.ExpectRange(rcx, 980_000, 1_020_000);
        Spin(a, 3 * Millisecond);
        program.ExpectMemory(PicTicks, 1);
    }

    /// <summary>The latched counter of a running mode 2, and the status the read-back command gives.</summary>
    private static void PitCounter(LongModeProgram program)
    {
        Assembler a = program.Code;
        Out(a, 0x21, 0xFF);
        Out(a, 0x43, 0x34);
        Out(a, 0x40, 0xFF);
        Out(a, 0x40, 0xFF);
        Spin(a, Millisecond);
        Latch(a);
        a.mov(ebx, eax);
        Spin(a, Millisecond);
        Latch(a);
        a.sub(ebx, eax);
        program.ExpectRange(rbx, 1180, 1210);
        Out(a, 0x43, 0xE2); // status of counter 0
        a.@in(al, 0x40);
        a.and(eax, 0x7F);
        program.Expect(rax, 0x34); // the count is loaded, both bytes, mode 2, binary
    }

    /// <summary>A masked request waits in the IRR; the same tick more than once is still one.</summary>
    private static void MaskedPit(LongModeProgram program)
    {
        Assembler a = program.Code;
        Out(a, 0x43, 0x34);
        Out(a, 0x40, 11932 & 0xFF);
        Out(a, 0x40, 11932 >> 8);
        Clear(a, PicTicks);
        a.sti();
        Spin(a, 25 * Millisecond);
        a.cli();
        program.ExpectMemory(PicTicks, 0);
        Out(a, 0x20, 0x0A);
        a.@in(al, 0x20);
        a.and(eax, 1);
        program.Expect(rax, 1);
        Out(a, 0x21, 0xFE);
        a.sti();
        a.nop();
        a.nop();
        a.nop();
        a.cli();
        program.ExpectMemory(PicTicks, 1);
        Out(a, 0x21, 0xFF);
    }

    private static void SelfInterrupt(LongModeProgram program)
    {
        Assembler a = program.Code;
        Clear(a, IpiTicks);
        a.cli();
        WriteApic(a, 0x310, 0);
        WriteApic(a, 0x300, 0x4_0000 | IpiVector);
        Spin(a, 10_000);
        program.ExpectMemory(IpiTicks, 0);
        a.mov(rbx, Apic + 0x200 + (IpiVector / 32 * 0x10));
        a.mov(eax, __dword_ptr[rbx]);
        a.and(eax, 1 << (IpiVector & 31));
        program.Expect(rax, 1 << (IpiVector & 31));
        a.sti();
        a.nop();
        a.nop();
        a.cli();
        program.ExpectMemory(IpiTicks, 1);
    }

    /// <summary>One-shot: once, and twice as late for twice the count, however it is divided.</summary>
    private static void OneShotApic(LongModeProgram program)
    {
        Assembler a = program.Code;
        MeasureApic(program, divide: 0xB, count: 1_000_000);
        a.mov(__qword_ptr[(long)OneShot], rcx);
        Spin(a, 3 * Millisecond);
        program.ExpectMemory(ApicTicks, 1);
        a.mov(rbx, Apic + 0x390);
        a.mov(eax, __dword_ptr[rbx]);
        program.Expect(rax, 0);
        foreach ((uint divide, uint count) in ((uint, uint)[])[(0xB, 2_000_000), (0x3, 125_000), (0x0, 1_000_000)])
        {
            MeasureApic(program, divide, count);
            ExpectRatio(program, 200, 2);
        }
    }

    private static void MeasureApic(LongModeProgram program, uint divide, uint count)
    {
        Assembler a = program.Code;
        a.cli();
        Clear(a, ApicTicks);
        WriteApic(a, 0x3E0, divide);
        WriteApic(a, 0x320, ApicVector);
        ReadTsc(a);
        a.mov(rbx, rax);
        WriteApic(a, 0x380, count);
        WaitFor(a, ApicTicks, 1);
        a.mov(rcx, __qword_ptr[(long)ApicTicks + 8]);
        a.sub(rcx, rbx);
    }

    private static void PeriodicApic(LongModeProgram program)
    {
        Assembler a = program.Code;
        Clear(a, ApicTicks);
        WriteApic(a, 0x3E0, 0xB);
        WriteApic(a, 0x320, 0x2_0000 | ApicVector);
        WriteApic(a, 0x380, 1_000_000);
        WaitFor(a, ApicTicks, 1);
        a.mov(rbx, __qword_ptr[(long)ApicTicks + 8]);
        WaitFor(a, ApicTicks, 11);
        a.mov(rcx, __qword_ptr[(long)ApicTicks + 8]);
        a.sub(rcx, rbx);
        ExpectRatio(program, 1000, 5);

        // Masked it runs on; stopped by a count of zero it does not.
        WriteApic(a, 0x320, 0x3_0000 | ApicVector);
        Clear(a, ApicTicks);
        a.sti();
        Spin(a, 5 * Millisecond);
        a.cli();
        program.ExpectMemory(ApicTicks, 0);
        a.mov(rbx, Apic + 0x390);
        a.mov(eax, __dword_ptr[rbx]);
        program.ExpectRange(rax, 1, 1_000_000);
        WriteApic(a, 0x380, 0);
        WriteApic(a, 0x320, 0x2_0000 | ApicVector);
        a.sti();
        Spin(a, 5 * Millisecond);
        a.cli();
        program.ExpectMemory(ApicTicks, 0);
    }

    /// <summary>CR8 holds back vectors of its class and below.</summary>
    private static void TaskPriority(LongModeProgram program)
    {
        Assembler a = program.Code;
        Clear(a, ApicTicks);
        a.mov(eax, ApicVector >> 4);
        a.mov(cr8, rax);
        WriteApic(a, 0x320, ApicVector);
        WriteApic(a, 0x380, 1000);
        a.sti();
        Spin(a, 2 * Millisecond);
        program.ExpectMemory(ApicTicks, 0);
        a.mov(rbx, Apic + 0x80);
        a.mov(eax, __dword_ptr[rbx]);
        program.Expect(rax, ApicVector & 0xF0);
        a.mov(eax, (ApicVector >> 4) - 1);
        a.mov(cr8, rax);
        a.nop();
        a.nop();
        program.ExpectMemory(ApicTicks, 1);
        a.cli();
        a.xor(eax, eax);
        a.mov(cr8, rax);
    }

    private static void Deadline(LongModeProgram program)
    {
        Assembler a = program.Code;
        Label absent = a.CreateLabel();
        a.mov(eax, 1);
        a.cpuid();
        a.bt(ecx, 24);
        a.jnc(absent);
        Clear(a, ApicTicks);
        WriteApic(a, 0x320, 0x4_0000 | ApicVector);
        a.mfence();
        ReadTsc(a);
        a.lea(rbx, __[rax + Millisecond]);
        WriteDeadline(a);
        WaitFor(a, ApicTicks, 1);
        a.mov(rcx, __qword_ptr[(long)ApicTicks + 8]);
        a.sub(rcx, rbx);
        program.ExpectRange(rcx, 0, 20_000);
        a.mov(ecx, 0x6E0);
        a.rdmsr();
        a.shl(rdx, 32);
        a.or(rax, rdx);
        program.Expect(rax, 0);

        // In the past: at once. Zero: never.
        Clear(a, ApicTicks);
        a.mov(ebx, 1);
        WriteDeadline(a);
        a.sti();
        Spin(a, 10_000);
        a.cli();
        program.ExpectMemory(ApicTicks, 1);
        ReadTsc(a);
        a.lea(rbx, __[rax + Millisecond]);
        WriteDeadline(a);
        a.xor(ebx, ebx);
        WriteDeadline(a);
        a.sti();
        Spin(a, 2 * Millisecond);
        a.cli();
        program.ExpectMemory(ApicTicks, 1);
        a.Label(ref absent);
        a.nop();
        WriteApic(a, 0x320, 0x1_0000);
    }

    /// <summary>The PIT is on pin 2, as every PC's interrupt override says.</summary>
    private static void PitThroughIoApic(LongModeProgram program)
    {
        Assembler a = program.Code;
        WriteIoApic(a, 2, IoApicVector);
        Clear(a, IoApicTicks);
        Out(a, 0x43, 0x34);
        Out(a, 0x40, 11932 & 0xFF);
        Out(a, 0x40, 11932 >> 8);
        WaitFor(a, IoApicTicks, 1);
        a.mov(rbx, __qword_ptr[(long)IoApicTicks + 8]);
        WaitFor(a, IoApicTicks, 6);
        a.mov(rcx, __qword_ptr[(long)IoApicTicks + 8]);
        a.sub(rcx, rbx);
        program.ExpectRange(rcx, 49_900_000, 50_100_000);
        WriteIoApic(a, 2, 0x1_0000 | IoApicVector);
        Clear(a, IoApicTicks);
        a.sti();
        Spin(a, 25 * Millisecond);
        a.cli();
        program.ExpectMemory(IoApicTicks, 0);

        // The HPET may come in on the same pin: the PIT's output goes high once more, unheard, and stays there.
        Out(a, 0x43, 0x30);
        Out(a, 0x40, 100);
        Out(a, 0x40, 0);
        Spin(a, Millisecond);
    }

    private static void HpetCounter(LongModeProgram program)
    {
        Assembler a = program.Code;
        a.mov(rbx, Hpet);
        a.mov(rax, __qword_ptr[rbx]);
        a.shr(rax, 32);
        a.mov(__qword_ptr[(long)HpetPeriod], rax);
        program.ExpectRange(rax, 100_000, 100_000_000); // femtoseconds; 100 ns at most
        a.mov(__qword_ptr[rbx + 0x10], 0);
        a.mov(__qword_ptr[rbx + 0xF0], 0);
        Spin(a, 10_000);
        a.mov(rax, __qword_ptr[rbx + 0xF0]);
        program.Expect(rax, 0); // halted
        a.mov(__qword_ptr[rbx + 0x10], 1);
        a.mov(r8, __qword_ptr[rbx + 0xF0]);
        Spin(a, 2 * Millisecond);
        a.mov(rax, __qword_ptr[rbx + 0xF0]);
        a.sub(rax, r8);
        a.mul(__qword_ptr[(long)HpetPeriod]);
        a.mov(ecx, 1_000_000);
        a.div(rcx);
        program.ExpectRange(rax, 1_980_000, 2_020_000);
    }

    /// <summary>Comparator 0 on the first I/O APIC pin it offers: once, then each millisecond.</summary>
    private static void HpetComparator(LongModeProgram program)
    {
        Assembler a = program.Code;
        a.mov(rax, __qword_ptr[rbx + 0x100]);
        a.shr(rax, 32);
        a.bsf(r8d, eax); // the pin
        a.lea(ecx, __[r8 * 2 + 0x10]);
        a.mov(rdx, IoApic);
        a.inc(ecx);
        a.mov(__dword_ptr[rdx], ecx);
        a.mov(__dword_ptr[rdx + 0x10], 0);
        a.dec(ecx);
        a.mov(__dword_ptr[rdx], ecx);
        a.mov(__dword_ptr[rdx + 0x10], IoApicVector);

        // Milliseconds in counts.
        a.mov(rax, 1_000_000_000_000);
        a.xor(edx, edx);
        a.div(__qword_ptr[(long)HpetPeriod]);
        a.mov(r9, rax);

        Clear(a, IoApicTicks);
        a.mov(rbx, Hpet);
        a.mov(rcx, r8);
        a.shl(rcx, 9);
        a.or(rcx, 4); // edge, interrupt on
        a.mov(__qword_ptr[rbx + 0x100], rcx);
        a.mov(rax, __qword_ptr[rbx + 0xF0]);
        a.add(rax, r9);
        ReadTscTo(a, r10);
        a.mov(__qword_ptr[rbx + 0x108], rax);
        WaitFor(a, IoApicTicks, 1);
        a.mov(rdx, __qword_ptr[(long)IoApicTicks + 8]);
        a.sub(rdx, r10);
        program.ExpectRange(rdx, 980_000, 1_020_000);
        a.sti();
        Spin(a, 3 * Millisecond);
        a.cli();
        program.ExpectMemory(IoApicTicks, 1);

        Clear(a, IoApicTicks);
        a.mov(__qword_ptr[rbx + 0x10], 0);
        a.mov(__qword_ptr[rbx + 0xF0], 0);
        a.or(rcx, 0x48); // periodic, the accumulator is set by the next writes
        a.mov(__qword_ptr[rbx + 0x100], rcx);
        a.mov(__qword_ptr[rbx + 0x108], r9);
        a.mov(__qword_ptr[rbx + 0x108], r9);
        a.mov(__qword_ptr[rbx + 0x10], 1);
        WaitFor(a, IoApicTicks, 1);
        a.mov(r10, __qword_ptr[(long)IoApicTicks + 8]);
        WaitFor(a, IoApicTicks, 6);
        a.mov(rdx, __qword_ptr[(long)IoApicTicks + 8]);
        a.sub(rdx, r10);
        program.ExpectRange(rdx, 4_950_000, 5_050_000);
        a.mov(__qword_ptr[rbx + 0x10], 0);
        a.cli();
    }

    /// <summary>RCX, in hundredths of the one-shot's time.</summary>
    private static void ExpectRatio(LongModeProgram program, uint percent, uint tolerance)
    {
        Assembler a = program.Code;
        a.imul(rax, rcx, 100);
        a.xor(edx, edx);
        a.div(__qword_ptr[(long)OneShot]);
        program.ExpectRange(rax, percent - tolerance, percent + tolerance);
    }

    /// <summary>Halts with interrupts on until a count is reached; leaves them off.</summary>
    private static void WaitFor(Assembler a, ulong ticks, int count)
    {
        Label again = a.CreateLabel(), done = a.CreateLabel();
        a.Label(ref again);
        a.cli();
        a.cmp(__qword_ptr[(long)ticks], count);
        a.jae(done);
        a.sti();
        a.hlt();
        a.jmp(again);
        a.Label(ref done);
        a.nop();
    }

    /// <summary>Busy for some nanoseconds of the TSC. Clobbers RAX, RDX, R11.</summary>
    private static void Spin(Assembler a, uint nanoseconds)
    {
        Label again = a.CreateLabel();
        ReadTsc(a);
        a.lea(r11, __[rax + nanoseconds]);
        a.Label(ref again);
        a.pause();
        ReadTsc(a);
        a.cmp(rax, r11);
        a.jb(again);
    }

    private static void ReadTsc(Assembler a)
    {
        a.rdtsc();
        a.shl(rdx, 32);
        a.or(rax, rdx);
    }

    private static void ReadTscTo(Assembler a, AssemblerRegister64 register)
    {
        a.push(rax);
        ReadTsc(a);
        a.mov(register, rax);
        a.pop(rax);
    }

    private static void Latch(Assembler a)
    {
        Out(a, 0x43, 0);
        a.@in(al, 0x40);
        a.movzx(ecx, al);
        a.@in(al, 0x40);
        a.movzx(eax, al);
        a.shl(eax, 8);
        a.or(eax, ecx);
    }

    private static void Clear(Assembler a, ulong ticks) => a.mov(__qword_ptr[(long)ticks], 0);

    private static void Out(Assembler a, byte port, int value)
    {
        a.mov(al, (byte)value);
        a.@out(port, al);
    }

    private static void WriteApic(Assembler a, uint register, uint value)
    {
        a.mov(edx, (uint)Apic + register);
        a.mov(__dword_ptr[rdx], value);
    }

    private static void WriteIoApic(Assembler a, uint pin, uint low)
    {
        a.mov(edx, (uint)IoApic);
        a.mov(__dword_ptr[rdx], 0x11 + (pin * 2));
        a.mov(__dword_ptr[rdx + 0x10], 0);
        a.mov(__dword_ptr[rdx], 0x10 + (pin * 2));
        a.mov(__dword_ptr[rdx + 0x10], low);
    }

    private static void WriteDeadline(Assembler a)
    {
        a.mov(ecx, 0x6E0);
        a.mov(eax, ebx);
        a.mov(rdx, rbx);
        a.shr(rdx, 32);
        a.wrmsr();
    }
}
