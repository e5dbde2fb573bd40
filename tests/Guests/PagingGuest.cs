using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Guests;

/// <summary>
/// Pages of all three sizes and every reason for a page fault, with error code and CR2: SDM vol. 3A §4.6 (access rights),
/// §4.7 (exceptions), §4.8 (accessed and dirty), §4.10 (TLB).
/// </summary>
public static class PagingGuest
{
    private const int PageFault = 14;

    // The second GiB is the test area: first 2 MiB in 4 KiB pages, then large ones. The third GiB is one page.
    private const ulong Area = 0x4000_0000, Table = 0x20_0000, Directory = 0x20_1000, Frames = 0x21_0000;
    private const ulong LargePage = Area + 0x20_0000, LargeReadOnly = Area + 0x40_0000, LargeReserved = Area + 0x60_0000;
    private const ulong DirectoryReadOnly = Area + 0x80_0000, DirectorySupervisor = Area + 0xA0_0000, DirectoryNoExecute = Area + 0xC0_0000;
    private const ulong GiantPage = 0x8000_0000;
    private const ulong NoExecute = 1UL << 63;

    // Pages of the table, by index.
    private const int UserWrite = 0, UserRead = 1, KernelWrite = 2, KernelRead = 3, Absent = 4, UserNoExecute = 5, Reserved = 6,
        UserCode = 7, KernelCode = 8, KernelNoExecute = 9, Fresh = 10, Remapped = 11, LastOfPair = 12, MissingOfPair = 13, GlobalPage = 14;

    private static readonly ulong[] Entries =
    [
        7, 5, 3, 1, 0, 7 | NoExecute, 7 | (1UL << 51), 7, 3, 3 | NoExecute, 7, 7, 7, 0, 0x107,
    ];

    /// <summary>Makes it.</summary>
    public static Guest Create()
    {
        var program = new LongModeProgram("paging");
        Assembler a = program.Code;

        // The kernel's own memory is for the kernel only; SMEP and SMAP would find it otherwise.
        for (int page = 0; page < 4 * 512; page++)
        {
            program.Tables[1024 + page] &= ~4UL;
        }

        program.Tables[512 + 1] = Directory | 7;
        program.Tables[512 + 2] = 0x83; // 1 GiB at 0
        var table = new ulong[512];
        for (int i = 0; i < Entries.Length; i++)
        {
            table[i] = Entries[i] == 0 ? 0 : Entries[i] | (Frames + ((ulong)i << 12));
        }

        var directory = new ulong[512];
        directory[0] = Table | 7;
        directory[1] = 0x40_0087;
        directory[2] = 0x40_0085;
        directory[3] = 0x40_2087; // bit 13: reserved in a 2 MiB page
        directory[4] = Table | 5;
        directory[5] = Table | 3;
        directory[6] = Table | 7 | NoExecute;
        program.Image.Data(Table, DescriptorTable.Bytes(table));
        program.Image.Data(Directory, DescriptorTable.Bytes(directory));

        // What is in the pages: user code that does one thing and traps back; kernel code that returns.
        program.Image.Code(64, Frames + (UserCode << 12), 0x200, WriteUserCode);
        program.Image.Data(Frames + (KernelCode << 12), [0xC3]);
        program.Image.Data(Frames + (KernelNoExecute << 12), [0xC3]);
        program.Image.Data(Frames + (UserNoExecute << 12), [0xC3]);

        Supervisor(program);
        WriteProtect(program);
        User(program);
        LargePages(program);
        CombinedRights(program);
        AccessedAndDirty(program);
        Translations(program);
        PageCrossing(program);
        NoExecuteDisabled(program);
        ExecutionAndAccessPrevention(program);
        a.nop();
        return program.ToGuest("page sizes, rights, fault codes, accessed and dirty bits", "");
    }

    private static ulong Page(int index) => Area + ((ulong)index << 12);

    private static ulong EntryAt(int index) => Table + ((ulong)index * 8);

    /// <summary>At fixed offsets: 0 read [rbx], 10h write, 20h jump; each is followed by int 80h.</summary>
    private static void WriteUserCode(Assembler a)
    {
        a.mov(rax, __qword_ptr[rbx]);
        a.@int(0x80);
        a.db(new byte[16 - 5]);
        a.mov(__qword_ptr[rbx], rax);
        a.@int(0x80);
        a.db(new byte[16 - 5]);
        a.jmp(rbx);
    }

    private static void Supervisor(LongModeProgram program)
    {
        Read(program, UserWrite);
        Read(program, UserRead);
        Read(program, KernelRead);
        Write(program, UserWrite);
        Write(program, KernelWrite);
        ReadFaults(program, Absent, 0);
        WriteFaults(program, Absent, 2);
        ExecuteFaults(program, Absent, 0x10);
        WriteFaults(program, UserRead, 3);
        WriteFaults(program, KernelRead, 3);
        ExecuteFaults(program, KernelNoExecute, 0x11);
        ExecuteFaults(program, UserNoExecute, 0x11);
        program.Code.mov(rbx, Page(Reserved));
        ReservedFaults(program, 9, () => program.Code.mov(rax, __qword_ptr[rbx]), Page(Reserved));
        ReservedFaults(program, 0xB, () => program.Code.mov(__qword_ptr[rbx], rax), Page(Reserved));
        program.Code.mov(rbx, Page(KernelCode));
        program.Code.call(rbx);
    }

    /// <summary>With CR0.WP clear the kernel writes where it may only read; not where nothing is.</summary>
    private static void WriteProtect(LongModeProgram program)
    {
        Assembler a = program.Code;
        a.mov(rax, cr0);
        a.btr(rax, 16);
        a.mov(cr0, rax);
        Write(program, UserRead);
        Write(program, KernelRead);
        WriteFaults(program, Absent, 2);
        a.mov(rax, cr0);
        a.bts(rax, 16);
        a.mov(cr0, rax);
        WriteFaults(program, KernelRead, 3);
    }

    private static void User(LongModeProgram program)
    {
        UserDoes(program, 0x00, UserWrite, null);
        UserDoes(program, 0x10, UserWrite, null);
        UserDoes(program, 0x00, UserRead, null);
        UserDoes(program, 0x10, UserRead, 7);
        UserDoes(program, 0x00, KernelWrite, 5);
        UserDoes(program, 0x10, KernelWrite, 7);
        UserDoes(program, 0x00, Absent, 4);
        UserDoes(program, 0x10, Absent, 6);
        UserDoes(program, 0x20, Absent, 0x14);
        UserDoes(program, 0x20, UserNoExecute, 0x15);
        UserDoes(program, 0x20, KernelCode, 0x15);
        UserDoes(program, 0x00, Reserved, 0xD, reserved: true);
    }

    private static void LargePages(LongModeProgram program)
    {
        Assembler a = program.Code;

        // 2 MiB at 4 MiB: the same bytes through the identity map, first and last quadword.
        foreach (ulong offset in (ulong[])[0, 0x12_3458, 0x1F_FFF8])
        {
            a.mov(rbx, LargePage + offset);
            a.mov(rcx, 0x40_0000 + offset);
            a.mov(rax, 0x5151_0000_0000_0000 | offset);
            a.mov(__qword_ptr[rbx], rax);
            a.mov(rdx, __qword_ptr[rcx]);
            program.Expect(rdx, 0x5151_0000_0000_0000 | offset);
        }

        a.mov(rbx, LargeReadOnly + 0x1000);
        program.ExpectException(PageFault, 3, () => a.mov(__qword_ptr[rbx], rax), LargeReadOnly + 0x1000);
        a.mov(rbx, LargeReserved + 0x10);
        ReservedFaults(program, 9, () => a.mov(rax, __qword_ptr[rbx]), LargeReserved + 0x10);

        // 1 GiB at 0.
        a.mov(rbx, GiantPage + 0x40_0000);
        a.mov(rax, __qword_ptr[rbx]);
        program.Expect(rax, 0x5151_0000_0000_0000);
        a.mov(rbx, GiantPage + 0x52_3458);
        a.mov(rax, __qword_ptr[rbx]);
        program.Expect(rax, 0x5151_0000_0012_3458);
        SetEntry(program, LongModeProgram.PageTables + 0x1000 + 16, 0x83 | 0x4000_0000 | 0x2000, GiantPage); // bit 13: reserved
        a.mov(rbx, GiantPage);
        ReservedFaults(program, 9, () => a.mov(rax, __qword_ptr[rbx]), GiantPage);
        SetEntry(program, LongModeProgram.PageTables + 0x1000 + 16, 0x83, GiantPage);

        // The top level has no large pages.
        SetEntry(program, LongModeProgram.PageTables + 8, (LongModeProgram.PageTables + 0x1000) | 0x87, 1UL << 39);
        a.mov(rbx, 1UL << 39);
        ReservedFaults(program, 9, () => a.mov(rax, __qword_ptr[rbx]), 1UL << 39);
        SetEntry(program, LongModeProgram.PageTables + 8, 0, 1UL << 39);
    }

    /// <summary>A right must be given at every level.</summary>
    private static void CombinedRights(LongModeProgram program)
    {
        Assembler a = program.Code;
        a.mov(rbx, DirectoryReadOnly);
        program.ExpectException(PageFault, 3, () => a.mov(__qword_ptr[rbx], rax), DirectoryReadOnly);
        a.mov(rbx, DirectoryNoExecute + (KernelCode << 12));
        program.ExpectException(PageFault, 0x11, () => a.jmp(rbx), DirectoryNoExecute + (KernelCode << 12), false, DirectoryNoExecute + (KernelCode << 12));
        UserDoesAt(program, 0x00, DirectorySupervisor, 5);
        UserDoesAt(program, 0x00, DirectoryReadOnly, null);
        UserDoesAt(program, 0x10, DirectoryReadOnly, 7);
    }

    private static void AccessedAndDirty(LongModeProgram program)
    {
        Assembler a = program.Code;
        ulong fresh = Entries[Fresh] | (Frames + (Fresh << 12));
        for (int round = 0; round < 2; round++)
        {
            // Again after the bits are taken back and the translation is dropped.
            SetEntry(program, EntryAt(Fresh), fresh, Page(Fresh));
            program.ExpectMemory(EntryAt(Fresh), 0x60, 0);
            a.mov(rbx, Page(Fresh));
            a.mov(rax, __qword_ptr[rbx]);
            program.ExpectMemory(EntryAt(Fresh), 0x60, 0x20);
            a.mov(__byte_ptr[rbx + 5], al);
            program.ExpectMemory(EntryAt(Fresh), 0x60, 0x60);
        }

        // A locked read-modify-write on a fresh page sets both at once.
        SetEntry(program, EntryAt(Fresh), fresh, Page(Fresh));
        a.mov(rbx, Page(Fresh));
        a.@lock.inc(__qword_ptr[rbx]);
        program.ExpectMemory(EntryAt(Fresh), 0x60, 0x60);
        program.ExpectMemory(Directory, 0x60, 0x20); // the table above: accessed only

        // Large pages carry them in the directory and in the table above.
        SetEntry(program, Directory + 8, 0x40_0087, LargePage);
        a.mov(rbx, LargePage);
        a.mov(rax, __qword_ptr[rbx]);
        program.ExpectMemory(Directory + 8, 0x60, 0x20);
        a.mov(__qword_ptr[rbx], rax);
        program.ExpectMemory(Directory + 8, 0x60, 0x60);
        SetEntry(program, LongModeProgram.PageTables + 0x1000 + 16, 0x83, GiantPage);
        a.mov(rbx, GiantPage + 0x40_0000);
        a.mov(rax, __qword_ptr[rbx]);
        program.ExpectMemory(LongModeProgram.PageTables + 0x1000 + 16, 0x60, 0x20);
        a.mov(__qword_ptr[rbx], rax);
        program.ExpectMemory(LongModeProgram.PageTables + 0x1000 + 16, 0x60, 0x60);

        // A write that faults leaves the dirty bit alone.
        SetEntry(program, EntryAt(Fresh), fresh & ~2UL, Page(Fresh));
        WriteFaults(program, Fresh, 3);
        program.ExpectMemory(EntryAt(Fresh), 0x40, 0);
        SetEntry(program, EntryAt(Fresh), fresh, Page(Fresh));
    }

    /// <summary>INVLPG, a CR3 write and a CR4.PGE change each make a changed entry count.</summary>
    private static void Translations(LongModeProgram program)
    {
        Assembler a = program.Code;
        a.mov(rbx, Frames + (UserWrite << 12));
        a.mov(__qword_ptr[rbx + 0x20], 0x1111);
        a.mov(rbx, Frames + (Fresh << 12));
        a.mov(__qword_ptr[rbx + 0x20], 0x2222);
        a.mov(rbx, Page(Remapped));
        SetEntry(program, EntryAt(Remapped), (Frames + (UserWrite << 12)) | 7, Page(Remapped));
        a.mov(rax, __qword_ptr[rbx + 0x20]);
        program.Expect(rax, 0x1111);

        a.mov(rcx, EntryAt(Remapped));
        a.mov(rax, (Frames + (Fresh << 12)) | 7);
        a.mov(__qword_ptr[rcx], rax);
        a.mov(rax, cr3);
        a.mov(cr3, rax);
        a.mov(rax, __qword_ptr[rbx + 0x20]);
        program.Expect(rax, 0x2222);

        // A global page outlives a CR3 write or not, as the CPU likes; it does not outlive CR4.PGE.
        a.mov(rax, cr4);
        a.bts(rax, 7);
        a.mov(cr4, rax);
        SetEntry(program, EntryAt(GlobalPage), (Frames + (UserWrite << 12)) | 0x107, Page(GlobalPage));
        a.mov(rbx, Page(GlobalPage));
        a.mov(rax, __qword_ptr[rbx + 0x20]);
        program.Expect(rax, 0x1111);
        a.mov(rcx, EntryAt(GlobalPage));
        a.mov(rax, (Frames + (Fresh << 12)) | 0x107);
        a.mov(__qword_ptr[rcx], rax);
        a.mov(rax, cr4);
        a.btr(rax, 7);
        a.mov(cr4, rax);
        a.mov(rax, __qword_ptr[rbx + 0x20]);
        program.Expect(rax, 0x2222);

        // A page taken away by a table higher up.
        SetEntry(program, Directory + 8, 0, LargePage);
        a.mov(rbx, LargePage);
        program.ExpectException(PageFault, 0, () => a.mov(rax, __qword_ptr[rbx]), LargePage);
        SetEntry(program, Directory + 8, 0x40_0087, LargePage);
    }

    /// <summary>An access over the edge of a page faults at the next page's first byte and changes nothing before it.</summary>
    private static void PageCrossing(LongModeProgram program)
    {
        Assembler a = program.Code;
        ulong edge = Page(MissingOfPair) - 3;
        a.mov(rbx, edge);
        a.mov(__word_ptr[rbx], 0x7777);
        a.mov(rax, -1L);
        program.ExpectException(PageFault, 2, () => a.mov(__qword_ptr[rbx], rax), Page(MissingOfPair));
        a.movzx(eax, __word_ptr[rbx]);
        program.Expect(rax, 0x7777);
        program.ExpectException(PageFault, 0, () => a.mov(rax, __qword_ptr[rbx]), Page(MissingOfPair));

        // Over an edge inside one frame after the other: both parts arrive.
        a.mov(rbx, LargePage + 0xFFD);
        a.mov(rax, 0x1122_3344_5566_7788);
        a.mov(__qword_ptr[rbx], rax);
        a.mov(rax, __qword_ptr[rbx]);
        program.Expect(rax, 0x1122_3344_5566_7788);
    }

    /// <summary>Without EFER.NXE bit 63 is reserved, and a fetch says nothing of being one.</summary>
    private static void NoExecuteDisabled(LongModeProgram program)
    {
        Assembler a = program.Code;
        SwitchNoExecute(a, on: false);
        a.mov(rbx, Page(KernelNoExecute));
        ReservedFaults(program, 9, () => a.mov(rax, __qword_ptr[rbx]), Page(KernelNoExecute));
        ExecuteFaults(program, Absent, 0);
        SwitchNoExecute(a, on: true);
        Read(program, KernelNoExecute);
    }

    private static void SwitchNoExecute(Assembler a, bool on)
    {
        a.mov(ecx, 0xC000_0080);
        a.rdmsr();
        if (on)
        {
            a.bts(eax, 11);
        }
        else
        {
            a.btr(eax, 11);
        }

        a.wrmsr();
        a.mov(rax, cr3);
        a.mov(cr3, rax);
    }

    private static void ExecutionAndAccessPrevention(LongModeProgram program)
    {
        Assembler a = program.Code;
        a.mov(rbx, Page(UserWrite));
        a.mov(__byte_ptr[rbx], 0xC3);
        a.call(rbx);

        a.mov(rax, cr4);
        a.bts(rax, 20); // SMEP
        a.mov(cr4, rax);
        ExecuteFaults(program, UserWrite, 0x11);
        Read(program, UserWrite);
        a.mov(rbx, Page(KernelCode));
        a.call(rbx);

        a.mov(rax, cr4);
        a.bts(rax, 21); // SMAP
        a.mov(cr4, rax);
        ReadFaults(program, UserWrite, 1);
        WriteFaults(program, UserWrite, 3);
        a.stac();
        Read(program, UserWrite);
        Write(program, UserWrite);
        a.clac();
        ReadFaults(program, UserWrite, 1);
        Read(program, KernelWrite);
        UserDoes(program, 0x00, UserWrite, null); // a user's own access is not the kernel's
        a.mov(rax, cr4);
        a.btr(rax, 20);
        a.btr(rax, 21);
        a.mov(cr4, rax);
        Read(program, UserWrite);
        ExecuteFaults(program, UserNoExecute, 0x11);
    }

    private static void Read(LongModeProgram program, int page)
    {
        program.Code.mov(rbx, Page(page) + 8);
        program.Code.mov(rax, __qword_ptr[rbx]);
    }

    private static void Write(LongModeProgram program, int page)
    {
        program.Code.mov(rbx, Page(page) + 8);
        program.Code.mov(__qword_ptr[rbx], rax);
    }

    private static void ReadFaults(LongModeProgram program, int page, ulong error)
    {
        program.Code.mov(rbx, Page(page) + 8);
        program.ExpectException(PageFault, error, () => program.Code.mov(rax, __qword_ptr[rbx]), Page(page) + 8);
    }

    private static void WriteFaults(LongModeProgram program, int page, ulong error)
    {
        program.Code.mov(rbx, Page(page) + 8);
        program.ExpectException(PageFault, error, () => program.Code.mov(__qword_ptr[rbx], rax), Page(page) + 8);
    }

    /// <summary>A reserved bit is only looked at in a present entry, so bit 0 comes with bit 3; TCG leaves it out.</summary>
    private static void ReservedFaults(LongModeProgram program, ulong error, Action access, ulong address)
    {
        program.Catch(access);
        program.ExpectMemory(LongModeProgram.Vector, PageFault);
        program.ExpectMemory(LongModeProgram.Cr2, address);
        program.ExpectMemory(LongModeProgram.ErrorCode, ~1UL, error & ~1UL);
        program.UnlessTcg(() => program.ExpectMemory(LongModeProgram.ErrorCode, error));
    }

    /// <summary>The fault is at the target of the jump: RIP has arrived there.</summary>
    private static void ExecuteFaults(LongModeProgram program, int page, ulong error)
    {
        program.Code.mov(rbx, Page(page));
        program.ExpectException(PageFault, error, () => program.Code.jmp(rbx), Page(page), false, Page(page));
    }

    private static void UserDoes(LongModeProgram program, ulong what, int page, ulong? error, bool reserved = false) =>
        UserDoesAt(program, what, what == 0x20 ? Page(page) : Page(page) + 8, error, reserved);

    /// <summary>Runs one of the three pieces of user code with RBX at <paramref name="address"/>; null: it ends in int 80h.</summary>
    private static void UserDoesAt(LongModeProgram program, ulong what, ulong address, ulong? error, bool reserved = false)
    {
        Assembler a = program.Code;
        a.mov(rbx, address);
        ulong code = Page(UserCode) + what;
        program.Catch(() =>
        {
            a.push(LongModeProgram.UserData);
            a.mov(r14, Page(UserWrite) + 0x800);
            a.push(r14);
            a.push(2);
            a.push(LongModeProgram.UserCode64);
            a.mov(r14, code);
            a.push(r14);
            a.iretq();
        });
        program.ExpectMemory(LongModeProgram.Cs, LongModeProgram.UserCode64);
        program.ExpectMemory(LongModeProgram.Vector, error is null ? 0x80UL : PageFault);
        if (error is { } code2)
        {
            if (reserved)
            {
                program.ExpectMemory(LongModeProgram.ErrorCode, ~1UL, code2 & ~1UL);
                program.UnlessTcg(() => program.ExpectMemory(LongModeProgram.ErrorCode, code2));
            }
            else
            {
                program.ExpectMemory(LongModeProgram.ErrorCode, code2);
            }

            program.ExpectMemory(LongModeProgram.Cr2, address);
            program.ExpectMemory(LongModeProgram.Rip, what == 0x20 ? address : code);
        }
        else
        {
            program.ExpectMemory(LongModeProgram.Rip, code + 5);
        }
    }

    private static void SetEntry(LongModeProgram program, ulong entry, ulong value, ulong page)
    {
        Assembler a = program.Code;
        a.mov(rax, value);
        a.mov(rcx, entry);
        a.mov(__qword_ptr[rcx], rax);
        a.mov(rcx, page);
        a.invlpg(__byte_ptr[rcx]);
    }
}
