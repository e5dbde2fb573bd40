using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Guests;

/// <summary>The ways in: each prints a line and leaves with a value of its own.</summary>
public static class HelloGuests
{
    private const ulong Start = 0x10_0000;
    private const ulong TextAt = 0x10_1000;

    /// <summary>Multiboot: checks the magic number and the flags a loader must set, prints its command line.</summary>
    public static Guest Multiboot()
    {
        var image = new MemoryImage();
        image.Data(TextAt, ConsoleCode.Text("multiboot: "));
        image.Data(TextAt + 0x100, ConsoleCode.Text("\n"));
        image.Code(32, Start, 0x1000, a =>
        {
            Label bad = a.CreateLabel();
            a.mov(esp, 0x11_0000);
            a.cmp(eax, 0x2BAD_B002);
            a.jne(bad);
            a.mov(ecx, __dword_ptr[ebx]);
            a.and(ecx, 0x45); // memory sizes, command line, memory map
            a.cmp(ecx, 0x45);
            a.jne(bad);
            a.mov(edi, __dword_ptr[ebx + 48]);
            a.cmp(__dword_ptr[edi], 20); // the first entry's size
            a.jne(bad);
            a.mov(esi, (uint)TextAt);
            ConsoleCode.PrintLoop(a);
            a.mov(esi, __dword_ptr[ebx + 16]);

            // QEMU puts the kernel's file name in front: only the last word is printed.
            Label scan = a.CreateLabel(), ended = a.CreateLabel(), next = a.CreateLabel();
            a.mov(edi, esi);
            a.Label(ref scan);
            a.mov(al, __byte_ptr[edi]);
            a.inc(edi);
            a.test(al, al);
            a.jz(ended);
            a.cmp(al, 0x20);
            a.jne(next);
            a.mov(esi, edi);
            a.Label(ref next);
            a.jmp(scan);
            a.Label(ref ended);
            a.nop();
            ConsoleCode.PrintLoop(a);
            a.mov(esi, (uint)TextAt + 0x100);
            ConsoleCode.PrintLoop(a);
            ConsoleCode.Exit(a, 0x2A);
            a.Label(ref bad);
            a.nop();
            ConsoleCode.Exit(a, 1);
        });
        return new Guest
        {
            Name = "multiboot",
            Purpose = "Multiboot entry, information and command line",
            Format = GuestFormat.Multiboot,
            Image = image.ToMultibootElf(Start, Start, 0x2_0000),
            CommandLine = "hello",
            Output = "multiboot: hello\n",
            ExitValue = 0x2A,
        };
    }

    /// <summary>PVH: checks the start info, prints its command line.</summary>
    public static Guest Pvh()
    {
        var image = new MemoryImage();
        image.Data(TextAt, ConsoleCode.Text("pvh: "));
        image.Data(TextAt + 0x100, ConsoleCode.Text("\n"));
        image.Code(32, Start, 0x1000, a =>
        {
            Label bad = a.CreateLabel();
            a.mov(esp, 0x9000);
            a.cmp(__dword_ptr[ebx], 0x336E_C578);
            a.jne(bad);
            a.cmp(__dword_ptr[ebx + 4], 1); // version with a memory map
            a.jne(bad);
            a.cmp(__dword_ptr[ebx + 48], 0);
            a.je(bad);
            a.mov(eax, cr0);
            a.and(eax, unchecked((int)0x8000_0001));
            a.cmp(eax, 1);
            a.jne(bad);
            a.mov(esi, (uint)TextAt);
            ConsoleCode.PrintLoop(a);
            a.mov(esi, __dword_ptr[ebx + 24]);
            ConsoleCode.PrintLoop(a);
            a.mov(esi, (uint)TextAt + 0x100);
            ConsoleCode.PrintLoop(a);
            ConsoleCode.Exit(a, 0x2B);
            a.Label(ref bad);
            a.nop();
            ConsoleCode.Exit(a, 1);
        });
        return new Guest
        {
            Name = "pvh",
            Purpose = "PVH entry, start info and command line",
            Format = GuestFormat.Pvh,
            Image = image.ToPvhElf(Start, Start),
            CommandLine = "hello",
            Output = "pvh: hello\n",
            ExitValue = 0x2B,
        };
    }

    /// <summary>A boot sector that stays in real mode and wants DL = 80h or a floppy's 0.</summary>
    public static Guest BootSector()
    {
        var image = new MemoryImage();
        image.Data(0x7D00, ConsoleCode.Text("bootsector: real mode\n"));
        image.Code(16, 0x7C00, 0x100, a =>
        {
            a.cli();
            a.cld();
            a.xor(ax, ax);
            a.mov(ds, ax);
            a.mov(ss, ax);
            a.mov(sp, 0x7C00);
            a.mov(si, 0x7D00);
            ConsoleCode.PrintLoop(a);
            ConsoleCode.Exit(a, 0x2C);
        });
        return new Guest
        {
            Name = "bootsector",
            Purpose = "a flat binary in real mode",
            Format = GuestFormat.BootSector,
            Image = image.ToBootSector(),
            Output = "bootsector: real mode\n",
            ExitValue = 0x2C,
        };
    }

    /// <summary>A boot sector that goes from real to protected to long mode and prints in each.</summary>
    public static Guest ThreeModes()
    {
        const ulong protectedAt = 0x7C60, longAt = 0x7CF0, tablesAt = 0x7D40;
        const uint pageTables = 0x1000;
        var image = new MemoryImage();
        image.Data(tablesAt, [.. DescriptorTable.Bytes(
            0, 0x00CF_9B00_0000_FFFF, 0x00CF_9300_0000_FFFF, 0x00AF_9B00_0000_FFFF), 31, 0, (byte)(tablesAt & 0xFF), (byte)(tablesAt >> 8), 0, 0]);
        image.Data(0x7D80, ConsoleCode.Text("modes: real"));
        image.Data(0x7D90, ConsoleCode.Text(" protected"));
        image.Data(0x7DA0, ConsoleCode.Text(" long\n"));
        image.Code(16, 0x7C00, 0x60, a =>
        {
            a.cli();
            a.cld();
            a.xor(ax, ax);
            a.mov(ds, ax);
            a.mov(ss, ax);
            a.mov(sp, 0x7C00);
            a.mov(si, 0x7D80);
            ConsoleCode.PrintLoop(a);
            a.lgdt(__word_ptr[(long)tablesAt + 32]);
            a.mov(eax, cr0);
            a.or(eax, 1);
            a.mov(cr0, eax);
            a.jmp((ushort)0x08, (uint)protectedAt);
        });
        image.Code(32, protectedAt, (int)(longAt - protectedAt), a =>
        {
            a.mov(eax, 0x10);
            a.mov(ds, ax);
            a.mov(es, ax);
            a.mov(ss, ax);
            a.mov(esi, 0x7D90);
            ConsoleCode.PrintLoop(a);
            a.mov(edi, pageTables);
            a.xor(eax, eax);
            a.mov(ecx, 0xC00);
            a.rep.stosd();
            a.mov(__dword_ptr[pageTables], pageTables + 0x1003);
            a.mov(__dword_ptr[pageTables + 0x1000], pageTables + 0x2003);
            a.mov(__dword_ptr[pageTables + 0x2000], 0x83);
            a.mov(eax, pageTables);
            a.mov(cr3, eax);
            a.mov(eax, 0x20);
            a.mov(cr4, eax);
            a.mov(ecx, 0xC000_0080);
            a.rdmsr();
            a.or(eax, 0x100);
            a.wrmsr();
            a.mov(eax, cr0);
            a.or(eax, 0x8000_0000);
            a.mov(cr0, eax);
            a.jmp((ushort)0x18, (uint)longAt);
        });
        image.Code(64, longAt, (int)(tablesAt - longAt), a =>
        {
            a.mov(esi, 0x7DA0);
            ConsoleCode.PrintLoop(a);
            ConsoleCode.Exit(a, 0x2D);
        });
        return new Guest
        {
            Name = "modes",
            Purpose = "real to protected to long mode",
            Format = GuestFormat.BootSector,
            Image = image.ToBootSector(),
            Output = "modes: real protected long\n",
            ExitValue = 0x2D,
        };
    }
}
