using System.Globalization;
using Emulator;

namespace Cli.Pages;

/// <summary>A CPU's registers under the names and in the order people know from a kernel's own report.</summary>
internal static class RegisterText
{
    private static readonly string[] General = ["rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"];
    private static readonly string[] Segments = ["es", "cs", "ss", "ds", "fs", "gs", "ldtr", "tr"];
    private static readonly (int Bit, string Name)[] Flags =
        [(0, "CF"), (2, "PF"), (4, "AF"), (6, "ZF"), (7, "SF"), (8, "TF"), (9, "IF"), (10, "DF"), (11, "OF"), (14, "NT"), (16, "RF"), (17, "VM"), (18, "AC"), (21, "ID")];

    private static readonly (uint Number, string Name)[] Named =
    [
        (0xC000_0102, "kernel_gs_base"), (0xC000_0081, "star"), (0xC000_0082, "lstar"), (0xC000_0084, "sfmask"), (0x174, "sysenter_cs"), (0x1B, "apic_base"),
    ];

    /// <summary>Name and value of every register that has 64 bits or less, in order.</summary>
    public static IEnumerable<(string Name, ulong Value)> All(VcpuState vcpu)
    {
        yield return ("rip", vcpu.Rip);
        yield return ("rflags", vcpu.Rflags);
        for (int i = 0; i < General.Length; i++)
        {
            yield return (General[i], vcpu.Gpr[i]);
        }

        yield return ("cr0", vcpu.Cr0);
        yield return ("cr2", vcpu.Cr2);
        yield return ("cr3", vcpu.Cr3);
        yield return ("cr4", vcpu.Cr4);
        yield return ("efer", vcpu.Efer);
        for (int i = 0; i < Segments.Length; i++)
        {
            yield return (Segments[i], vcpu.Segments[i].Selector);
        }

        yield return ("fs_base", vcpu.Segments[4].Base);
        yield return ("gs_base", vcpu.Segments[5].Base);
        foreach ((uint number, string name) in Named)
        {
            if (vcpu.Msrs.TryGetValue(number, out ulong value))
            {
                yield return (name, value);
            }
        }
    }

    /// <summary>The flags by name.</summary>
    public static string FlagNames(ulong rflags) => string.Join(' ', Flags.Where(flag => (rflags >> flag.Bit & 1) != 0).Select(flag => flag.Name));

    /// <summary>In which mode a CPU runs.</summary>
    public static string Mode(VcpuState vcpu)
    {
        ushort code = vcpu.Segments[1].Attributes;
        int ring = (vcpu.Segments[2].Attributes >> 5) & 3;
        string bits = (vcpu.Cr0 & 1) == 0 ? "real mode"
            : (vcpu.Efer & 0x400) != 0 && (code & 0x2000) != 0 ? "64-bit"
            : (code & 0x4000) != 0 ? "32-bit" : "16-bit";
        return (vcpu.Cr0 & 1) == 0 ? bits : string.Create(CultureInfo.InvariantCulture, $"{bits}, ring {ring}");
    }
}
