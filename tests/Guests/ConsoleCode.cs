using System.Text;
using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Guests;

/// <summary>Fragments of code for any of the three bitnesses: printing to COM1, leaving by port F4h.</summary>
internal static class ConsoleCode
{
    /// <summary>COM1's data register; its line status register is five further.</summary>
    public const ushort Com1 = 0x3F8;

    /// <summary>Where QEMU's isa-debug-exit is put.</summary>
    public const byte ExitPort = 0xF4;

    /// <summary>Text with the zero it is printed up to.</summary>
    public static byte[] Text(string text) => [.. Encoding.ASCII.GetBytes(text), 0];

    /// <summary>
    /// Prints the text at (R|E)SI up to a zero. Clobbers (E)AX, EDX, SI. 16-bit code needs DS = 0. The direction flag must be clear.
    /// </summary>
    public static void PrintLoop(Assembler a)
    {
        Label next = a.CreateLabel(), wait = a.CreateLabel(), done = a.CreateLabel();
        a.Label(ref next);
        a.lodsb();
        a.test(al, al);
        a.jz(done);
        a.mov(ah, al);
        a.mov(dx, Com1 + 5);
        a.Label(ref wait);
        a.@in(al, dx);
        a.test(al, 0x20);
        a.jz(wait);
        a.mov(dx, Com1);
        a.mov(al, ah);
        a.@out(dx, al);
        a.jmp(next);
        a.Label(ref done);
        a.nop();
    }

    /// <summary>Writes port F4h; on a machine without it, stops.</summary>
    public static void Exit(Assembler a, byte value)
    {
        a.mov(al, value);
        a.@out(ExitPort, al);
        Stop(a);
    }

    /// <summary>Stops for good.</summary>
    public static void Stop(Assembler a)
    {
        Label here = a.CreateLabel();
        a.cli();
        a.Label(ref here);
        a.hlt();
        a.jmp(here);
    }
}
