using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Guests;

/// <summary>
/// A Multiboot guest in 64-bit mode that checks things and says which check failed. Checks are numbered from 1 in the
/// order they are written; a failing one prints its number, what was found and what was wanted, and leaves with value 2.
/// R14 and R15 belong to the checks and to the exception handler; the handler leaves all other registers alone.
/// </summary>
internal sealed class LongModeProgram
{
    // Selectors, laid out so that SYSCALL/SYSRET (STAR) and SYSENTER/SYSEXIT find what they compute.
    public const ushort Code64 = 0x08, Data = 0x10, UserCode32 = 0x1B, UserData = 0x23, UserCode64 = 0x2B, UserData2 = 0x33;
    public const ushort Code32 = 0x38, Code16 = 0x40, Data16 = 0x48, Tss = 0x50, NotPresentData = 0x60, ShortTss = 0x68, UserCode16 = 0x7B;

    public const ulong Entry = 0x10_0000, PageTables = 0x10_8000;
    public const ulong Main = 0x12_0000, Extra = 0x14_0000;
    public const ulong KernelStackTop = 0x16_0000, TssStackTop = 0x16_2000, Ist1Top = 0x16_4000, Ist2Top = 0x16_6000, UserStackTop = 0x16_8000;

    /// <summary>What the handler saw of the last exception, and where it goes on.</summary>
    public const ulong Vector = 0x10_7000, ErrorCode = Vector + 8, Rip = Vector + 16, Cs = Vector + 24, Rflags = Vector + 32,
        Rsp = Vector + 40, Ss = Vector + 48, Cr2 = Vector + 56, Frame = Vector + 64, Count = Vector + 72,
        ResumeAt = Vector + 80, ResumeStack = Vector + 88;

    /// <summary>Variables for a guest's own use: 64 quadwords.</summary>
    public const ulong Own = Vector + 0x100;

    public const ulong Idt = 0x10_5000, TssAt = 0x10_6400, Gdt = 0x10_6000;

    private const ulong Library = 0x10_2000, Stubs = 0x10_3000, Texts = 0x11_0000;

    /// <summary>Room for 16 digits.</summary>
    private const string Blank = "                ";

    private readonly MemoryImage image = new();
    private readonly Dictionary<int, (ulong Low, ulong High)> gates = [];
    private readonly List<byte> texts = [];
    private readonly Assembler a = new(64);
    private readonly string name;
    private ulong print, fail;
    private int check;

    public LongModeProgram(string name)
    {
        this.name = name;
        WriteLibrary();
    }

    /// <summary>The program's code, entered at privilege 0 with interrupts off.</summary>
    public Assembler Code => a;

    /// <summary>The image, for further blocks.</summary>
    public MemoryImage Image => image;

    /// <summary>The page directory tables' entries can be changed before <see cref="ToGuest"/>: PML4, PDPT, then four directories.</summary>
    public ulong[] Tables { get; } = IdentityTables();

    /// <summary>The address of vector <paramref name="vector"/>'s common stub.</summary>
    public static ulong Stub(int vector) => Stubs + ((ulong)vector * 16);

    /// <summary>Replaces a gate; without it each vector has an interrupt gate to its stub, of DPL 0 but for 3, 4 and 80h.</summary>
    public void SetGate(int vector, (ulong Low, ulong High) gate) => gates[vector] = gate;

    /// <summary>Prints to COM1.</summary>
    public void Print(string text)
    {
        ulong at = Texts + (ulong)texts.Count;
        texts.AddRange(ConsoleCode.Text(text));
        a.push(rax);
        a.push(rdx);
        a.push(rsi);
        a.mov(esi, (uint)at);
        a.call(print);
        a.pop(rsi);
        a.pop(rdx);
        a.pop(rax);
    }

    /// <summary>Checks a register, which may not be R14 or R15.</summary>
    public void Expect(AssemblerRegister64 register, ulong value)
    {
        a.mov(r15, value);
        ExpectR15(register);
    }

    /// <summary>Checks a register against a code address.</summary>
    public void Expect(AssemblerRegister64 register, Label value)
    {
        a.lea(r15, __[value]);
        ExpectR15(register);
    }

    /// <summary>Checks a quadword in memory.</summary>
    public void ExpectMemory(ulong address, ulong value)
    {
        a.mov(r14, __qword_ptr[(long)address]);
        Expect(r14, value);
    }

    /// <summary>Checks some bits of a quadword in memory.</summary>
    public void ExpectMemory(ulong address, ulong mask, ulong value)
    {
        a.mov(r14, __qword_ptr[(long)address]);
        a.mov(r15, mask);
        a.and(r14, r15);
        Expect(r14, value);
    }

    /// <summary>Checks that a quadword in memory is a code address.</summary>
    public void ExpectMemory(ulong address, Label value)
    {
        a.mov(r14, __qword_ptr[(long)address]);
        Expect(r14, value);
    }

    /// <summary>Checks that the carry flag says "in range": low ≤ register ≤ high, unsigned.</summary>
    public void ExpectRange(AssemblerRegister64 register, ulong low, ulong high)
    {
        check++;
        Label bad = a.CreateLabel(), ok = a.CreateLabel();
        a.mov(r15, low);
        a.cmp(register, r15);
        a.jb(bad);
        a.mov(r15, high);
        a.cmp(register, r15);
        a.jbe(ok);
        a.Label(ref bad);
        Fail(register);
        a.Label(ref ok);
        a.nop();
    }

    /// <summary>A check that fails whenever it is reached.</summary>
    public void Unreachable()
    {
        check++;
        a.xor(r15d, r15d);
        Fail(rax);
    }

    /// <summary>
    /// Runs code that must raise an exception, and goes on here at privilege 0 on the same stack. The address saved is that
    /// of the first instruction of <paramref name="faulting"/>, with <paramref name="trap"/> that after its last, or <paramref name="rip"/>.
    /// </summary>
    public void ExpectException(int vector, ulong? errorCode, Action faulting, ulong? cr2 = null, bool trap = false, ulong? rip = null)
    {
        Label at = a.CreateLabel(), after = a.CreateLabel();
        Catch(() =>
        {
            a.Label(ref at);
            faulting();
            if (trap)
            {
                a.Label(ref after);
                a.nop();
            }
        });
        ExpectMemory(Vector, (ulong)vector);
        if (errorCode is { } error)
        {
            ExpectMemory(ErrorCode, error);
        }

        if (rip is { } saved)
        {
            ExpectMemory(Rip, saved);
        }
        else
        {
            ExpectMemory(Rip, trap ? after : at);
        }

        if (cr2 is { } address)
        {
            ExpectMemory(Cr2, address);
        }
    }

    /// <summary>
    /// Checks the error code that names a gate: the vector in place of a selector's index, bit 1, and bit 0 when the
    /// event was not the program's own. TCG shifts the vector one too far.
    /// </summary>
    public void ExpectGateErrorCode(int vector, bool external) =>
        UnlessTcg(() => ExpectMemory(ErrorCode, ((ulong)vector << 3) | 2 | (external ? 1UL : 0)));

    /// <summary>Runs code that must raise an exception; what it was is left to the checks that follow.</summary>
    public void Catch(Action code)
    {
        Label resume = a.CreateLabel();
        a.lea(r15, __[resume]);
        a.mov(__qword_ptr[(long)ResumeAt], r15);
        a.mov(__qword_ptr[(long)ResumeStack], rsp);
        a.mov(__qword_ptr[(long)Vector], -1);
        code();
        Unreachable();
        a.Label(ref resume);
        a.nop();
    }

    /// <summary>
    /// Goes on in ring 3 at the code that <paramref name="code"/> writes, on the user stack. Getting back is an exception's business.
    /// R13 and R14 are used. Needs pages the user may reach.
    /// </summary>
    public void InRing3(Action code, ushort codeSelector = UserCode64, ulong flags = 2, ulong stack = UserStackTop)
    {
        Label target = a.CreateLabel();
        a.push(UserData);
        a.mov(r14, stack);
        a.push(r14);
        a.push((int)flags);
        a.push(codeSelector);
        a.lea(r14, __[target]);
        a.push(r14);
        a.iretq();
        a.Label(ref target);
        code();
    }

    /// <summary>
    /// As <see cref="ExpectException"/>, in ring 3: the exception must come in on the TSS's stack with the user's stack saved.
    /// Privilege and flags are those of 64-bit user code with interrupts off unless <paramref name="flags"/> says otherwise.
    /// </summary>
    public void ExpectUserException(int vector, ulong? errorCode, Action faulting, bool trap = false, ulong flags = 2)
    {
        Label at = a.CreateLabel(), after = a.CreateLabel();
        Catch(() => InRing3(
            () =>
            {
                a.nop();
                a.Label(ref at);
                faulting();
                if (trap)
                {
                    a.Label(ref after);
                    a.nop();
                }
            },
            flags: flags));
        ExpectMemory(Vector, (ulong)vector);
        if (errorCode is { } error)
        {
            ExpectMemory(ErrorCode, error);
        }

        ExpectMemory(Rip, trap ? after : at);
        ExpectMemory(Cs, UserCode64);
        ExpectMemory(Ss, UserData);
        ExpectMemory(Rsp, UserStackTop);
        ExpectMemory(Frame, TssStackTop - 40);
    }

    /// <summary>
    /// Leaves out what QEMU's TCG, which knows itself by CPUID leaf 4000_0000h, does not do as the manuals say.
    /// </summary>
    public void UnlessTcg(Action code)
    {
        Label skip = a.CreateLabel();
        a.push(rax);
        a.push(rbx);
        a.push(rcx);
        a.push(rdx);
        a.mov(eax, 0x4000_0000);
        a.cpuid();
        a.cmp(ebx, 0x5447_4354); // "TCGT"
        a.pop(rdx);
        a.pop(rcx);
        a.pop(rbx);
        a.pop(rax);
        a.je(skip);
        code();
        a.Label(ref skip);
        a.nop();
    }

    /// <summary>The page tables, the interrupt table and all code as a Multiboot kernel.</summary>
    public Guest ToGuest(string purpose, string output, bool gigahertz = false)
    {
        Print($"{name}: ok\n");
        ConsoleCode.Exit(a, 0);
        image.Code(a, Main, (int)(Extra - Main));
        image.Data(Texts, [.. texts]);
        image.Data(PageTables, DescriptorTable.Bytes(Tables));
        WriteTables();
        WriteEntry();
        return new Guest
        {
            Name = name,
            Purpose = purpose,
            Format = GuestFormat.Multiboot,
            Image = image.ToMultibootElf(Entry, Entry, 0x6_0000),
            Output = output + $"{name}: ok\n",
            ExitValue = 0,
            NeedsGigahertzTsc = gigahertz,
        };
    }

    private void ExpectR15(AssemblerRegister64 register)
    {
        check++;
        Label ok = a.CreateLabel();
        a.cmp(register, r15);
        a.je(ok);
        Fail(register);
        a.Label(ref ok);
        a.nop();
    }

    /// <summary>R15 holds what was wanted.</summary>
    private void Fail(AssemblerRegister64 actual)
    {
        a.mov(rsi, actual);
        a.mov(edi, (uint)check);
        a.jmp(fail);
    }

    private void WriteLibrary()
    {
        // print: the text at RSI. Placed first, so that the others know where it is.
        print = Library;
        image.Code(64, print, 0x80, l =>
        {
            ConsoleCode.PrintLoop(l);
            l.ret();
        });

        // fail: EDI number, RSI found, R15 wanted.
        ulong text = Library + 0x400;
        image.Data(text, ConsoleCode.Text($"{name}: check {Blank} failed: found {Blank} wanted {Blank}\n"));
        ulong hex = Library + 0x80;
        image.Code(64, hex, 0x80, l => // RAX as 16 digits to RBX
        {
            Label next = l.CreateLabel(), digit = l.CreateLabel();
            l.mov(ecx, 16);
            l.Label(ref next);
            l.rol(rax, 4);
            l.mov(edx, eax);
            l.and(edx, 15);
            l.add(dl, 0x30);
            l.cmp(dl, 0x39);
            l.jbe(digit);
            l.add(dl, 39);
            l.Label(ref digit);
            l.mov(__byte_ptr[rbx], dl);
            l.inc(rbx);
            l.dec(ecx);
            l.jnz(next);
            l.ret();
        });
        fail = Library + 0x100;
        ulong at = text + (ulong)name.Length + 8;
        image.Code(64, fail, 0x100, l =>
        {
            l.cli();
            l.cld();
            l.mov(rsp, KernelStackTop);
            l.mov(rax, rdi);
            l.mov(ebx, (uint)at);
            l.call(hex);
            l.mov(rax, rsi);
            l.mov(ebx, (uint)at + 31);
            l.call(hex);
            l.mov(rax, r15);
            l.mov(ebx, (uint)at + 55);
            l.call(hex);
            l.mov(esi, (uint)text);
            l.call(print);
            ConsoleCode.Exit(l, 2);
        });

        // The handler: it records the frame and goes on where the program said, on the stack it said, at privilege 0.
        ulong common = Library + 0x200;
        image.Code(64, common, 0x200, l =>
        {
            Label unexpected = l.CreateLabel();
            for (int slot = 0; slot < 7; slot++)
            {
                l.mov(r15, __qword_ptr[rsp + (slot * 8)]);
                l.mov(__qword_ptr[(long)Vector + (slot * 8)], r15);
            }

            l.mov(r15, cr2);
            l.mov(__qword_ptr[(long)Cr2], r15);
            l.lea(r15, __[rsp + 16]);
            l.mov(__qword_ptr[(long)Frame], r15);
            l.inc(__qword_ptr[(long)Count]);
            l.mov(r15, __qword_ptr[(long)ResumeAt]);
            l.test(r15, r15);
            l.jz(unexpected);
            l.mov(__qword_ptr[(long)ResumeAt], 0);
            l.mov(rsp, __qword_ptr[(long)ResumeStack]);
            l.mov(r14d, Data);
            l.mov(ss, r14w);
            l.jmp(r15);
            l.Label(ref unexpected);
            l.mov(r15, __qword_ptr[(long)Vector]); // "wanted" the vector, "found" the address, check EEEEh
            l.mov(rsi, __qword_ptr[(long)Rip]);
            l.mov(edi, 0xEEEE);
            l.jmp(fail);
        });
        for (int vector = 0; vector < 256; vector++)
        {
            image.Code(64, Stub(vector), 16, l =>
            {
                if (vector is not (8 or 10 or 11 or 12 or 13 or 14 or 17 or 21))
                {
                    l.push(0);
                }

                l.push(vector);
                l.jmp(common);
            });
        }
    }

    private void WriteTables()
    {
        var idt = new ulong[512];
        for (int vector = 0; vector < 256; vector++)
        {
            (idt[vector * 2], idt[(vector * 2) + 1]) = gates.TryGetValue(vector, out (ulong, ulong) gate)
                ? gate : DescriptorTable.Gate(Stub(vector), dpl: vector is 3 or 4 or 0x80 ? 3 : 0);
        }

        image.Data(Idt, DescriptorTable.Bytes(idt));
        (ulong tssLow, ulong tssHigh) = DescriptorTable.Tss(TssAt, 0x67);
        (ulong shortLow, ulong shortHigh) = DescriptorTable.Tss(TssAt, 0x53); // ends before IST7
        image.Data(Gdt, DescriptorTable.Bytes(
            0,
            0x00AF_9B00_0000_FFFF, 0x00CF_9300_0000_FFFF, // 08 10: kernel 64-bit code, data
            0x00CF_FB00_0000_FFFF, 0x00CF_F300_0000_FFFF, // 18 20: user 32-bit code, data
            0x00AF_FB00_0000_FFFF, 0x00CF_F300_0000_FFFF, // 28 30: user 64-bit code, data
            0x00CF_9B00_0000_FFFF, 0x000F_9B00_0000_FFFF, 0x000F_9300_0000_FFFF, // 38 40 48: kernel 32-bit, 16-bit code, 16-bit data
            tssLow, tssHigh, // 50
            0x00CF_1300_0000_FFFF, // 60: data, not present
            shortLow, shortHigh, // 68
            0x000F_FB00_0000_FFFF)); // 78: user 16-bit code
        var tss = new byte[0x68];
        BitConverter.GetBytes(TssStackTop).CopyTo(tss, 0x04);
        BitConverter.GetBytes(Ist1Top).CopyTo(tss, 0x24);
        BitConverter.GetBytes(Ist2Top).CopyTo(tss, 0x2C);
        BitConverter.GetBytes((ushort)0x68).CopyTo(tss, 0x66); // no I/O permission bitmap
        image.Data(TssAt, tss);
        image.Data(TssAt + 0x80, [0x7F, 0, .. BitConverter.GetBytes(Gdt)]);
        image.Data(TssAt + 0x90, [0xFF, 0x0F, .. BitConverter.GetBytes(Idt)]);
        image.Data(Vector, new byte[0x400]);
    }

    private void WriteEntry()
    {
        image.Code(32, Entry, 0x100, l =>
        {
            l.cli();
            l.cld();
            l.mov(esp, (uint)KernelStackTop);
            l.mov(al, 0xFF); // no interrupts until a guest asks for some
            l.@out(0x21, al);
            l.@out(0xA1, al);
            l.lgdt(__fword_ptr[(long)TssAt + 0x80]);
            l.mov(eax, (uint)PageTables);
            l.mov(cr3, eax);
            l.mov(eax, 0x620); // PAE, OSFXSR, OSXMMEXCPT
            l.mov(cr4, eax);
            l.mov(ecx, 0xC000_0080);
            l.rdmsr();
            l.or(eax, 0x901); // SCE, LME, NXE
            l.wrmsr();
            l.mov(eax, 0x8001_0033); // PG, WP, NE, ET, MP, PE
            l.mov(cr0, eax);
            l.jmp((ushort)Code64, (uint)Entry + 0x100);
        });
        image.Code(64, Entry + 0x100, 0x100, l =>
        {
            l.mov(eax, Data);
            l.mov(ds, ax);
            l.mov(es, ax);
            l.mov(ss, ax);
            l.xor(eax, eax);
            l.mov(fs, ax);
            l.mov(gs, ax);
            l.mov(rsp, KernelStackTop);
            l.lidt(__tbyte_ptr[(long)TssAt + 0x90]);
            l.lldt(ax);
            l.mov(eax, Tss);
            l.ltr(ax);
            l.fninit();
            l.jmp(Main);
        });
    }

    /// <summary>4 GiB in 2 MiB pages for everybody: a guest that wants less takes it away.</summary>
    private static ulong[] IdentityTables()
    {
        var tables = new ulong[6 * 512];
        tables[0] = (PageTables + 0x1000) | 7;
        for (int gib = 0; gib < 4; gib++)
        {
            tables[512 + gib] = (PageTables + 0x2000 + ((ulong)gib << 12)) | 7;
        }

        for (int page = 0; page < 4 * 512; page++)
        {
            tables[1024 + page] = ((ulong)page << 21) | 0x87;
        }

        return tables;
    }
}
