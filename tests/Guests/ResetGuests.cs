using Emulator;
using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Guests;

/// <summary>One guest for each way a PC is reset. Each says which it takes; a machine that survives it leaves with value 1.</summary>
public static class ResetGuests
{
    private const ulong Start = 0x10_0000;
    private const ulong TextAt = 0x10_1000;
    private const ulong TablesAt = 0x10_1800;
    private const ulong RealCodeAt = 0x10_2000;

    /// <summary>The i8042's command FEh: pulse the reset line.</summary>
    public static Guest KeyboardController() => Make("reset-i8042", ResetCause.KeyboardController, a =>
    {
        Label wait = a.CreateLabel();
        a.Label(ref wait);
        a.@in(al, 0x64);
        a.test(al, 2);
        a.jnz(wait);
        a.mov(al, 0xFE);
        a.@out(0x64, al);
    });

    /// <summary>System control port A, bit 0.</summary>
    public static Guest Port92() => Make("reset-port92", ResetCause.Port92, a =>
    {
        a.@in(al, 0x92);
        a.and(al, 0xFE);
        a.@out(0x92, al);
        a.or(al, 1);
        a.@out(0x92, al);
    });

    /// <summary>The reset control register: 02h, then 06h.</summary>
    public static Guest PortCf9() => Make("reset-cf9", ResetCause.PortCf9, a =>
    {
        a.mov(dx, 0xCF9);
        a.mov(al, 2);
        a.@out(dx, al);
        a.mov(al, 6);
        a.@out(dx, al);
    });

    /// <summary>The reset register of the FADT: an I/O port and the value to write.</summary>
    public static Guest AcpiRegister(ushort port, byte value) => Make("reset-acpi", ResetCause.AcpiResetRegister, a =>
    {
        a.mov(dx, port);
        a.mov(al, value);
        a.@out(dx, al);
    });

    /// <summary>An empty interrupt table and a breakpoint.</summary>
    public static Guest TripleFault() => Make("reset-triple", ResetCause.TripleFault, a =>
    {
        a.lidt(__fword_ptr[(long)TablesAt + 0x40]);
        a.int3();
    });

    /// <summary>Back to real mode and F000:FFF0.</summary>
    public static Guest ResetVector() => Make("reset-vector", ResetCause.ResetVector, a =>
    {
        a.mov(esi, (uint)RealCodeAt);
        a.mov(edi, 0x8000);
        a.mov(ecx, 0x100);
        a.rep.movsb();
        a.lgdt(__fword_ptr[(long)TablesAt + 0x30]);
        a.lidt(__fword_ptr[(long)TablesAt + 0x48]);
        a.jmp((ushort)0x18, 0x8000);
    });

    private static Guest Make(string name, ResetCause cause, Action<Assembler> reset)
    {
        var image = new MemoryImage();
        image.Data(TextAt, ConsoleCode.Text($"{name}: now\n"));
        image.Data(TextAt + 0x100, ConsoleCode.Text("still here\n"));
        image.Data(TablesAt, DescriptorTable.Bytes(
            0, 0x00CF_9B00_0000_FFFF, 0x00CF_9300_0000_FFFF,
            0x0000_9B00_0000_FFFF, 0x0000_9300_0000_FFFF)); // 16-bit, limit FFFFh, base 0
        image.Data(TablesAt + 0x30, [0x27, 0, .. BitConverter.GetBytes((uint)TablesAt)]);
        image.Data(TablesAt + 0x40, [0, 0, 0, 0, 0, 0]);
        image.Data(TablesAt + 0x48, [0xFF, 3, 0, 0, 0, 0]);
        image.Code(16, RealCodeAt, 0x100, a =>
        {
            a.mov(ax, 0x20);
            a.mov(ds, ax);
            a.mov(es, ax);
            a.mov(ss, ax);
            a.mov(eax, cr0);
            a.and(al, 0xFE);
            a.mov(cr0, eax);
            a.jmp((ushort)0xF000, (ushort)0xFFF0);
        });
        image.Code(32, Start, 0x1000, a =>
        {
            Label spin = a.CreateLabel();
            a.cli();
            a.cld();
            a.mov(esp, 0x11_0000);
            a.mov(esi, (uint)TextAt);
            ConsoleCode.PrintLoop(a);
            reset(a);
            a.mov(ecx, 100_000_000); // a reset may take a while elsewhere
            a.Label(ref spin);
            a.dec(ecx);
            a.jnz(spin);
            a.mov(esi, (uint)TextAt + 0x100);
            ConsoleCode.PrintLoop(a);
            ConsoleCode.Exit(a, 1);
        });
        return new Guest
        {
            Name = name,
            Purpose = $"reset by {cause}",
            Format = GuestFormat.Multiboot,
            Image = image.ToMultibootElf(Start, Start, 0x2_0000),
            Output = $"{name}: now\n",
            Reset = cause,
        };
    }
}
