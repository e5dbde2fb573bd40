namespace Emulator.Cpu;

/// <summary>Bits of CR0, CR4 and EFER (SDM vol. 3A §2.2.1, §2.5).</summary>
internal static class ControlRegisters
{
    internal const ulong Pe = 1, Mp = 2, Em = 4, Ts = 8, Et = 0x10, Ne = 0x20, Wp = 0x1_0000, Am = 0x4_0000, Nw = 0x2000_0000, Cd = 0x4000_0000, Pg = 0x8000_0000;

    internal const ulong Vme = 1, Pvi = 2, Tsd = 4, De = 8, Pse = 0x10, Pae = 0x20, Mce = 0x40, Pge = 0x80, Pce = 0x100,
        OsFxsr = 0x200, OsXmmExcept = 0x400, Umip = 0x800, La57 = 0x1000, FsGsBase = 0x1_0000, OsXsave = 0x4_0000,
        Smep = 0x10_0000, Smap = 0x20_0000;

    /// <summary>The CR4 bits this CPU has; setting any other raises #GP.</summary>
    internal const ulong Cr4Offered = Tsd | De | Pse | Pae | Mce | Pge | OsFxsr | OsXmmExcept | Umip | FsGsBase | OsXsave | Smep | Smap;

    internal const ulong EferSce = 1, EferLme = 0x100, EferLma = 0x400, EferNxe = 0x800;

    internal const ulong EferOffered = EferSce | EferLme | EferLma | EferNxe;
}
