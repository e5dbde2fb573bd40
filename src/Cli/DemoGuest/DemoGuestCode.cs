using System.Text;
using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Cli.DemoGuest;

/// <summary>
/// The demo guest's instructions. Functions keep a frame pointer, so that a debugger without any information walks the
/// stack. Arguments come in RDI and RSI, results in RAX; RBX, RBP and R12–R15 belong to the caller.
/// </summary>
internal sealed partial class DemoGuestCode
{
    public const ulong EntryAddress = 0x10_0000, KernelAddress = 0x10_0100, TextsAddress = 0x10_1000, DataAddress = 0x10_2000;
    public const ulong End = 0x11_0000;

    // Zeroed memory behind the file's bytes.
    private const ulong StartInfo = DataAddress, LogEnd = DataAddress + 8, ErstTable = DataAddress + 0x10, ErstBuffer = DataAddress + 0x18;
    private const ulong Idt = DataAddress + 0x100, IdtRegister = DataAddress + 0x400;
    private const ulong Log = 0x10_3000, LogLimit = Log + 0xF00;
    private const ulong PageTables = 0x10_8000, StackTop = End - 16;

    private const ulong BadPointer = 0x5EAD_0000_1000;

    private readonly Assembler a = new(64);
    private readonly List<(string Name, Label Label)> functions = [];
    private readonly List<byte> texts = [.. DescriptorTable()];
    private readonly Label say, keep, sayNumber, panic, pageFault, task, findTable, erst, findStore, showOldReport, writeReport, powerOff;

    public DemoGuestCode()
    {
        say = a.CreateLabel();
        keep = a.CreateLabel();
        sayNumber = a.CreateLabel();
        panic = a.CreateLabel();
        pageFault = a.CreateLabel();
        task = a.CreateLabel();
        findTable = a.CreateLabel();
        erst = a.CreateLabel();
        findStore = a.CreateLabel();
        showOldReport = a.CreateLabel();
        writeReport = a.CreateLabel();
        powerOff = a.CreateLabel();
        WriteMain();
        WriteTask();
        WritePageFault();
        WritePanic();
        WriteSay();
        WriteKeep();
        WriteSayNumber();
        WriteFindTable();
        WriteErst();
        WriteFindStore();
        WriteShowOldReport();
        WriteReport();
        WritePowerOff();
    }

    /// <summary>The 64-bit code, for <see cref="KernelAddress"/>.</summary>
    public Assembler Assembler => a;

    /// <summary>Functions in the order of their addresses.</summary>
    public IReadOnlyList<(string Name, Label Label)> Functions => functions;

    /// <summary>The strings, for <see cref="TextsAddress"/>.</summary>
    public byte[] Texts => [.. texts];

    /// <summary>The 32-bit entry, for <see cref="EntryAddress"/>: maps 4 GiB and goes to 64-bit mode. EBX is the PVH start info.</summary>
    public static Assembler Entry()
    {
        var e = new Assembler(32);
        Label directories = e.CreateLabel(), pages = e.CreateLabel();
        e.cli();
        e.cld();
        e.mov(esp, (uint)StackTop);
        e.mov(__dword_ptr[(long)StartInfo], ebx);
        e.mov(__dword_ptr[(long)PageTables], (uint)PageTables + 0x1003);
        e.mov(edi, (uint)PageTables + 0x1000);
        e.mov(eax, (uint)PageTables + 0x2003);
        e.mov(ecx, 4);
        e.Label(ref directories);
        e.mov(__dword_ptr[edi], eax);
        e.add(edi, 8);
        e.add(eax, 0x1000);
        e.dec(ecx);
        e.jnz(directories);
        e.mov(edi, (uint)PageTables + 0x2000);
        e.mov(eax, 0x83);
        e.mov(ecx, 4 * 512);
        e.Label(ref pages);
        e.mov(__dword_ptr[edi], eax);
        e.add(edi, 8);
        e.add(eax, 0x20_0000);
        e.dec(ecx);
        e.jnz(pages);
        e.mov(eax, (uint)PageTables);
        e.mov(cr3, eax);
        e.mov(eax, 0x20);
        e.mov(cr4, eax);
        e.mov(ecx, 0xC000_0080);
        e.rdmsr();
        e.or(eax, 0x100);
        e.wrmsr();
        e.mov(eax, 0x8001_0011);
        e.mov(cr0, eax);
        e.lgdt(__fword_ptr[(long)TextsAddress + 24]);
        e.xor(ebp, ebp);
        e.jmp((ushort)8, (uint)KernelAddress);
        return e;
    }

    private void WriteMain()
    {
        Label fresh = a.CreateLabel();
        Begin("demo_main");
        a.mov(eax, 0x10);
        a.mov(ds, ax);
        a.mov(es, ax);
        a.mov(ss, ax);
        a.mov(__qword_ptr[(long)LogEnd], (int)Log);

        // The only gate there is: page fault.
        a.lea(rax, __[pageFault]);
        a.mov(__word_ptr[(long)Idt + (14 * 16)], ax);
        a.mov(__word_ptr[(long)Idt + (14 * 16) + 2], 8);
        a.mov(__word_ptr[(long)Idt + (14 * 16) + 4], 0x8E00);
        a.shr(eax, 16);
        a.mov(__word_ptr[(long)Idt + (14 * 16) + 6], ax);
        a.mov(__word_ptr[(long)IdtRegister], (15 * 16) - 1);
        a.mov(__qword_ptr[(long)IdtRegister + 2], (int)Idt);
        a.lidt(__tbyte_ptr[(long)IdtRegister]);

        Say("demo: this is GdbStub's own demonstration guest, not Linux\ndemo: 64-bit mode, command line: ");
        a.mov(eax, __dword_ptr[(long)StartInfo]);
        a.mov(rdi, __qword_ptr[rax + 24]);
        a.call(say);
        Say("\n");
        a.call(findStore);
        a.test(rax, rax);
        a.jz(fresh);
        a.call(showOldReport);
        a.call(powerOff);
        a.Label(ref fresh);
        a.nop();
        Say("demo: starting a task that will fail\n");
        a.mov(rdi, BadPointer);
        a.call(task);
        Stop();
    }

    private void WriteTask()
    {
        Begin("demo_task", task);
        a.mov(__qword_ptr[rdi], 42);
        Return();
    }

    private void WritePageFault()
    {
        // The error code goes first, so that the frame below looks like a call from where the fault was.
        Label handler = a.CreateLabel(), entry = pageFault;
        a.Label(ref entry);
        functions.Add(("demo_page_fault_entry", entry));
        a.add(rsp, 8);
        a.jmp(handler);
        Begin("demo_page_fault", handler);
        Say("demo: page fault at ");
        a.mov(rdi, cr2);
        a.call(sayNumber);
        Say(", rip ");
        a.mov(rdi, __qword_ptr[rbp + 8]);
        a.call(sayNumber);
        Say("\n");
        a.call(panic);
    }

    private void WritePanic()
    {
        Begin("demo_panic", panic);
        // A record's lines bear level and time, as a kernel's log does; the console shows neither.
        a.mov(edi, (uint)Text("<0>[    0.000000] "));
        a.call(keep);
        Say("Kernel panic - not syncing: demo guest: a task followed a bad pointer\n");
        a.call(writeReport);
        a.mov(dx, 0x505); // pvpanic
        a.mov(al, 1);
        a.@out(dx, al);
        Say("demo: resetting by the keyboard controller\n");
        a.mov(al, 0xFE);
        a.@out(0x64, al);
        Stop();
    }

    /// <summary>Null, 64-bit code, data; then what LGDT takes.</summary>
    private static byte[] DescriptorTable() =>
    [
        .. new byte[8], 0xFF, 0xFF, 0, 0, 0, 0x9B, 0xAF, 0, 0xFF, 0xFF, 0, 0, 0, 0x93, 0xCF, 0,
        23, 0, .. BitConverter.GetBytes((uint)TextsAddress), 0, 0,
    ];

    /// <summary>Prints the text at RDI to COM1 and keeps it in the log.</summary>
    private void WriteSay()
    {
        Label next = a.CreateLabel(), wait = a.CreateLabel(), done = a.CreateLabel();
        Begin("demo_say", say);
        a.push(rdi);
        a.call(keep);
        a.pop(rdi);
        a.Label(ref next);
        a.mov(cl, __byte_ptr[rdi]);
        a.inc(rdi);
        a.test(cl, cl);
        a.jz(done);
        a.mov(dx, 0x3FD);
        a.Label(ref wait);
        a.@in(al, dx);
        a.test(al, 0x20);
        a.jz(wait);
        a.mov(dx, 0x3F8);
        a.mov(al, cl);
        a.@out(dx, al);
        a.jmp(next);
        a.Label(ref done);
        Return();
    }

    /// <summary>Keeps the text at RDI in the log alone.</summary>
    private void WriteKeep()
    {
        Label next = a.CreateLabel(), done = a.CreateLabel();
        Begin("demo_keep", keep);
        a.Label(ref next);
        a.mov(cl, __byte_ptr[rdi]);
        a.inc(rdi);
        a.test(cl, cl);
        a.jz(done);
        a.mov(rsi, __qword_ptr[(long)LogEnd]);
        a.cmp(rsi, (int)LogLimit);
        a.jae(done);
        a.mov(__byte_ptr[rsi], cl);
        a.inc(__qword_ptr[(long)LogEnd]);
        a.jmp(next);
        a.Label(ref done);
        Return();
    }

    /// <summary>Says RDI as 16 hexadecimal digits.</summary>
    private void WriteSayNumber()
    {
        Label next = a.CreateLabel(), digit = a.CreateLabel();
        Begin("demo_say_number", sayNumber);
        a.sub(rsp, 32);
        a.mov(__byte_ptr[rsp + 16], 0);
        a.mov(ecx, 15);
        a.Label(ref next);
        a.mov(eax, edi);
        a.and(eax, 15);
        a.add(al, 0x30);
        a.cmp(al, 0x39);
        a.jbe(digit);
        a.add(al, 39);
        a.Label(ref digit);
        a.mov(__byte_ptr[rsp + rcx], al);
        a.shr(rdi, 4);
        a.dec(ecx);
        a.jns(next);
        a.mov(rdi, rsp);
        a.call(say);
        Return();
    }

    private void Begin(string name) => Begin(name, a.CreateLabel());

    private void Begin(string name, Label label)
    {
        a.Label(ref label);
        functions.Add((name, label));
        a.push(rbp);
        a.mov(rbp, rsp);
    }

    private void Return()
    {
        a.leave();
        a.ret();
    }

    private void Stop()
    {
        Label here = a.CreateLabel();
        a.Label(ref here);
        a.cli();
        a.hlt();
        a.jmp(here);
    }

    private void Say(string text)
    {
        a.mov(edi, (uint)Text(text));
        a.call(say);
    }

    private ulong Text(string text)
    {
        ulong at = TextsAddress + (ulong)texts.Count;
        texts.AddRange(Encoding.ASCII.GetBytes(text));
        texts.Add(0);
        return at;
    }
}
