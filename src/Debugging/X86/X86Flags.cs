using GdbStub.Targets;

namespace Debugging.X86;

/// <summary>Registers of named bits, so that a debugger prints words. Source: SDM vol. 1 §3.4.3 and §10.2.3, vol. 3A §2.5, §2.6, §11.4.4 and §18.2.</summary>
internal static class X86Flags
{
    /// <summary>EFLAGS, under the name gdb's i386 code expects.</summary>
    public static readonly FlagsType Eflags = Flags("i386_eflags", 4,
        "CF:0 PF:2 AF:4 ZF:6 SF:7 TF:8 IF:9 DF:10 OF:11 IOPL:12-13 NT:14 RF:16 VM:17 AC:18 VIF:19 VIP:20 ID:21");

    /// <summary>MXCSR.</summary>
    public static readonly FlagsType Mxcsr = Flags("i386_mxcsr", 4,
        "IE:0 DE:1 ZE:2 OE:3 UE:4 PE:5 DAZ:6 IM:7 DM:8 ZM:9 OM:10 UM:11 PM:12 RC:13-14 FZ:15");

    /// <summary>The types of the system registers.</summary>
    public static readonly RegisterType[] SystemTypes =
    [
        Flags("x86_cr0", 8, "PE:0 MP:1 EM:2 TS:3 ET:4 NE:5 WP:16 AM:18 NW:29 CD:30 PG:31"),
        Flags("x86_cr3", 8, "PCID:0-11 PDBR:12-63"),
        Flags("x86_cr4", 8,
            "VME:0 PVI:1 TSD:2 DE:3 PSE:4 PAE:5 MCE:6 PGE:7 PCE:8 OSFXSR:9 OSXMMEXCPT:10 UMIP:11 LA57:12 VMXE:13 SMXE:14 "
            + "FSGSBASE:16 PCIDE:17 OSXSAVE:18 SMEP:20 SMAP:21 PKE:22 CET:23 PKS:24"),
        Flags("x86_efer", 8, "SCE:0 LME:8 LMA:10 NXE:11 SVME:12 LMSLE:13 FFXSR:14 TCE:15"),
        Flags("x86_xcr0", 8, "X87:0 SSE:1 AVX:2 BNDREGS:3 BNDCSR:4 OPMASK:5 ZMM_HI256:6 HI16_ZMM:7 PKRU:9"),
        Flags("x86_apic_base", 8, "BSP:8 EXTD:10 EN:11"),
        Flags("x86_dr6", 8, "B0:0 B1:1 B2:2 B3:3 BD:13 BS:14 BT:15 RTM:16"),
        Flags("x86_dr7", 8,
            "L0:0 G0:1 L1:2 G1:3 L2:4 G2:5 L3:6 G3:7 LE:8 GE:9 RTM:11 GD:13 "
            + "RW0:16-17 LEN0:18-19 RW1:20-21 LEN1:22-23 RW2:24-25 LEN2:26-27 RW3:28-29 LEN3:30-31"),
    ];

    /// <summary>One of <see cref="SystemTypes"/>.</summary>
    public static FlagsType Type(string id) => (FlagsType)SystemTypes.First(type => type.Id == id);

    private static FlagsType Flags(string id, int size, string bits)
    {
        var fields = new List<(string, int, int)>();
        foreach (string field in bits.Split(' '))
        {
            string[] parts = field.Split(':', '-');
            fields.Add((parts[0], int.Parse(parts[1], null), int.Parse(parts[^1], null)));
        }

        return new FlagsType(id, size, fields);
    }
}
