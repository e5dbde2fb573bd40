using Emulator;
using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Guests;

/// <summary>
/// Writes every byte of its RAM but its own, with another pattern each time it is booted: it counts its boots in CMOS
/// byte 50h. The first two boots end with a panic report on the pvpanic port and a reset by the i8042; the third
/// (and any when the count is beyond) sets the count back to 0 and leaves.
/// What it wrote on boot n (0, 1, 2) is the byte (n + 1) × 11h.
/// </summary>
public static class ScribbleGuest
{
    /// <summary>The guest's own bytes: what it does not overwrite. Everything else of usable RAM below 3 GiB is.</summary>
    public const ulong OwnStart = 0x10_0000, OwnEnd = 0x10_8000;

    private const ulong TextAt = 0x10_1000;

    /// <summary>Makes it.</summary>
    public static Guest Create()
    {
        var image = new MemoryImage();
        image.Data(TextAt, ConsoleCode.Text("scribble: boot 0\n"));
        image.Data(TextAt + 0x100, ConsoleCode.Text("scribble: done\n"));
        image.Code(32, OwnStart, 0x1000, a =>
        {
            Label last = a.CreateLabel(), count = a.CreateLabel();
            a.cli();
            a.cld();
            a.mov(esp, (uint)OwnEnd - 0x100);
            a.mov(ebp, __dword_ptr[ebx + 8]); // mem_upper, before it is overwritten
            a.mov(al, 0x50);
            a.@out(0x70, al);
            a.@in(al, 0x71);
            a.cmp(al, 3);
            a.jb(count);
            a.xor(al, al);
            a.Label(ref count);
            a.movzx(ebx, al);
            a.add(__byte_ptr[(long)TextAt + 15], bl);
            a.mov(esi, (uint)TextAt);
            ConsoleCode.PrintLoop(a);

            a.lea(eax, __[ebx + 1]);
            a.imul(eax, eax, 0x1111_1111);
            a.xor(edi, edi);
            a.mov(ecx, 0x9_FC00 / 4);
            a.rep.stosd();
            a.mov(edi, (uint)OwnEnd);
            a.mov(ecx, ebp);
            a.sub(ecx, (uint)(OwnEnd - OwnStart) / 1024);
            a.shl(ecx, 8);
            a.rep.stosd();

            a.mov(al, 0x50);
            a.@out(0x70, al);
            a.cmp(ebx, 2);
            a.je(last);
            a.lea(eax, __[ebx + 1]);
            a.@out(0x71, al);
            a.mov(dx, 0x505);
            a.mov(al, 1);
            a.@out(dx, al);
            a.mov(al, 0xFE);
            a.@out(0x64, al);
            ConsoleCode.Stop(a);

            a.Label(ref last);
            a.xor(al, al);
            a.@out(0x71, al);
            a.mov(esi, (uint)TextAt + 0x100);
            ConsoleCode.PrintLoop(a);
            ConsoleCode.Exit(a, 0);
        });
        return new Guest
        {
            Name = "scribble",
            Purpose = "overwrites all RAM after each reboot: what was frozen must not change",
            Format = GuestFormat.Multiboot,
            Image = image.ToMultibootElf(OwnStart, OwnStart, 0x1000),
            Output = "scribble: boot 0\nscribble: boot 1\nscribble: boot 2\nscribble: done\n",
            ExitValue = 0,
            Reset = ResetCause.KeyboardController,
        };
    }
}
