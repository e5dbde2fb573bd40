using GdbStub.Agents;
using GdbStub.Targets;

namespace Debugging.X86;

/// <summary>What a register's bits are taken from.</summary>
internal enum RegisterSource
{
    Gpr,
    Rip,
    Eflags,
    Selector,
    SegmentBase,
    SegmentLimit,
    SegmentAttributes,
    St,
    FpuControl,
    Xmm,
    Mxcsr,
    OrigRax,
    Cr,
    Efer,
    Xcr0,
    Dr,
    TableBase,
    TableLimit,
    Msr,
    LinearPc,
}

/// <summary>
/// One description for every mode the CPU can be in, so that the g packet never changes its size. The names of the first
/// four features, and the registers they must have, are gdb's ("i386 Features" in its manual); the last is ours.
/// </summary>
internal static class X86Description
{
    private static readonly List<(RegisterSource Source, uint Index)> SourceList = [];

    /// <summary>The description.</summary>
    public static readonly TargetDescription Instance = Build();

    /// <summary>Where each register comes from, by its number.</summary>
    public static readonly (RegisterSource Source, uint Index)[] Sources = [.. SourceList];

    /// <summary>A register by its name.</summary>
    public static RegisterInfo Register(string name) => Instance.Registers.First(register => register.Name == name);

    private static TargetDescription Build() => new(
        "i386:x86-64", "x86_64-unknown-linux", 8, bigEndian: false,
        [
            new RegisterFeature("org.gnu.gdb.i386.core", [X86Flags.Eflags], Core()),
            new RegisterFeature("org.gnu.gdb.i386.sse", SseTypes(), Sse()),
            new RegisterFeature("org.gnu.gdb.i386.linux", [], [Add(new("orig_rax", 64, "int", "system"), RegisterSource.OrigRax)]),
            new RegisterFeature("org.gnu.gdb.i386.segments", [],
            [
                // Of no group gdb leaves them out of "info registers", and the kernel's per-CPU data is where gs_base points.
                Add(Numbered(new("fs_base", 64, "int", "general"), 58), RegisterSource.SegmentBase, 4),
                Add(Numbered(new("gs_base", 64, "int", "general"), 59), RegisterSource.SegmentBase, 5),
            ]),
            new RegisterFeature("org.gdbstub.x86.system", X86Flags.SystemTypes, SystemRegisters()),
        ],
        "rip", ["rbp", "rsp", "rip"])
    {
        LongDouble = LongDoubleFormat.Extended80,
    };

    private static RegisterInfo Add(RegisterInfo register, RegisterSource source, uint index = 0)
    {
        SourceList.Add((source, index));
        return register;
    }

    /// <summary>Numbers of the general registers in debug information, by their encoding. Source: System V ABI, AMD64 supplement, figure 3.36.</summary>
    private static ReadOnlySpan<byte> DwarfGeneral => [0, 2, 1, 3, 7, 6, 4, 5, 8, 9, 10, 11, 12, 13, 14, 15];

    private static RegisterInfo Numbered(RegisterInfo register, int number) => register with { DwarfNumber = number, EhFrameNumber = number };

    private static List<RegisterInfo> Core()
    {
        // gdb's order; the index is the ISA's encoding.
        (string Name, uint Index)[] general =
        [
            ("rax", 0), ("rbx", 3), ("rcx", 1), ("rdx", 2), ("rsi", 6), ("rdi", 7), ("rbp", 5), ("rsp", 4),
            ("r8", 8), ("r9", 9), ("r10", 10), ("r11", 11), ("r12", 12), ("r13", 13), ("r14", 14), ("r15", 15),
        ];
        List<RegisterInfo> registers = [];
        foreach ((string name, uint index) in general)
        {
            string? generic = name switch
            {
                "rbp" => "fp",
                "rsp" => "sp",
                "rdi" => "arg1",
                "rsi" => "arg2",
                "rdx" => "arg3",
                "rcx" => "arg4",
                "r8" => "arg5",
                "r9" => "arg6",
                _ => null,
            };
            registers.Add(Add(
                Numbered(new(name, 64, name is "rbp" or "rsp" ? "data_ptr" : "int64", "general", Generic: generic), DwarfGeneral[(int)index]), RegisterSource.Gpr, index));
        }

        registers.Add(Add(Numbered(new("rip", 64, "code_ptr", "general", Generic: "pc"), 16), RegisterSource.Rip));
        registers.Add(Add(Numbered(new("eflags", 32, X86Flags.Eflags.Id, "general", "rflags", "flags"), 49), RegisterSource.Eflags));
        foreach ((string name, uint index) in new[] { ("cs", 1u), ("ss", 2u), ("ds", 3u), ("es", 0u), ("fs", 4u), ("gs", 5u) })
        {
            registers.Add(Add(Numbered(new(name, 32, "int32", "general"), 50 + (int)index), RegisterSource.Selector, index));
        }

        for (uint i = 0; i < 8; i++)
        {
            registers.Add(Add(Numbered(new($"st{i}", 80, "i387_ext", "float"), 33 + (int)i), RegisterSource.St, i));
        }

        string[] control = ["fctrl", "fstat", "ftag", "fiseg", "fioff", "foseg", "fooff", "fop"];
        for (uint i = 0; i < control.Length; i++)
        {
            registers.Add(Add(new(control[i], 32, "int", "float"), RegisterSource.FpuControl, i));
        }

        return registers;
    }

    private static RegisterType[] SseTypes() =>
    [
        new VectorType("v4f", "ieee_single", 4),
        new VectorType("v2d", "ieee_double", 2),
        new VectorType("v16i8", "int8", 16),
        new VectorType("v8i16", "int16", 8),
        new VectorType("v4i32", "int32", 4),
        new VectorType("v2i64", "int64", 2),
        new UnionType("vec128",
        [
            ("v4_float", "v4f"), ("v2_double", "v2d"), ("v16_int8", "v16i8"), ("v8_int16", "v8i16"),
            ("v4_int32", "v4i32"), ("v2_int64", "v2i64"), ("uint128", "uint128"),
        ]),
        X86Flags.Mxcsr,
    ];

    private static List<RegisterInfo> Sse()
    {
        List<RegisterInfo> registers = [];
        for (uint i = 0; i < 16; i++)
        {
            registers.Add(Add(Numbered(new($"xmm{i}", 128, "vec128", "vector"), 17 + (int)i), RegisterSource.Xmm, i));
        }

        registers.Add(Add(Numbered(new("mxcsr", 32, X86Flags.Mxcsr.Id, "vector"), 64), RegisterSource.Mxcsr));
        return registers;
    }

    private static List<RegisterInfo> SystemRegisters()
    {
        List<RegisterInfo> registers = [];
        void Wide(string name, string type, RegisterSource source, uint index = 0) =>
            registers.Add(Add(new(name, 64, type, "system"), source, index));
        void Narrow(string name, RegisterSource source, uint index) =>
            registers.Add(Add(new(name, 32, "uint32", "system"), source, index));

        Wide("k_gs_base", "data_ptr", RegisterSource.Msr, 0xC000_0102);
        Wide("cr0", "x86_cr0", RegisterSource.Cr, 0);
        Wide("cr2", "int64", RegisterSource.Cr, 2);
        Wide("cr3", "x86_cr3", RegisterSource.Cr, 3);
        Wide("cr4", "x86_cr4", RegisterSource.Cr, 4);
        Wide("cr8", "int64", RegisterSource.Cr, 8);
        Wide("efer", "x86_efer", RegisterSource.Efer);
        Wide("xcr0", "x86_xcr0", RegisterSource.Xcr0);
        Wide("linear_pc", "code_ptr", RegisterSource.LinearPc);
        for (uint i = 0; i < 4; i++)
        {
            Wide($"dr{i}", "data_ptr", RegisterSource.Dr, i);
        }

        Wide("dr6", "x86_dr6", RegisterSource.Dr, 6);
        Wide("dr7", "x86_dr7", RegisterSource.Dr, 7);
        Wide("gdtr_base", "data_ptr", RegisterSource.TableBase, 0);
        Narrow("gdtr_limit", RegisterSource.TableLimit, 0);
        Wide("idtr_base", "data_ptr", RegisterSource.TableBase, 1);
        Narrow("idtr_limit", RegisterSource.TableLimit, 1);
        Narrow("ldtr", RegisterSource.Selector, 6);
        Narrow("tr", RegisterSource.Selector, 7);
        string[] segments = ["es", "cs", "ss", "ds", "fs", "gs", "ldtr", "tr"];
        for (uint i = 0; i < segments.Length; i++)
        {
            if (segments[i] is not ("fs" or "gs"))
            {
                Wide($"{segments[i]}_base", "data_ptr", RegisterSource.SegmentBase, i);
            }

            Narrow($"{segments[i]}_limit", RegisterSource.SegmentLimit, i);
            Narrow($"{segments[i]}_attr", RegisterSource.SegmentAttributes, i);
        }

        // Names and numbers: SDM vol. 4, "Model-Specific Registers".
        foreach ((string name, string type, uint number) in new[]
        {
            ("star", "int64", 0xC000_0081), ("lstar", "code_ptr", 0xC000_0082), ("cstar", "code_ptr", 0xC000_0083),
            ("sfmask", "int64", 0xC000_0084), ("tsc", "int64", 0x10u), ("tsc_aux", "int64", 0xC000_0103),
            ("apic_base", "x86_apic_base", 0x1Bu), ("pat", "int64", 0x277u),
            ("sysenter_cs", "int64", 0x174u), ("sysenter_esp", "data_ptr", 0x175u), ("sysenter_eip", "code_ptr", 0x176u),
        })
        {
            Wide(name, type, RegisterSource.Msr, number);
        }

        return registers;
    }
}
