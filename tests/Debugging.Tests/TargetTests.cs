using System.Buffers.Binary;
using System.Diagnostics.CodeAnalysis;
using Debugging.Commands;
using Emulator;
using GdbStub.Targets;

namespace Debugging.Tests;

public sealed class TargetTests
{
    // gdb's i386 and amd64 code demands these, in this order (gdb manual, "i386 Features"); the sizes are the architecture's.
    [Fact]
    public void The_description_has_what_gdb_demands()
    {
        TargetDescription description = Open(new FakeMachine()).Description;
        string[] core =
        [
            "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "rip", "eflags",
            "cs", "ss", "ds", "es", "fs", "gs", "st0", "st1", "st2", "st3", "st4", "st5", "st6", "st7",
            "fctrl", "fstat", "ftag", "fiseg", "fioff", "foseg", "fooff", "fop",
        ];
        Assert.Equal(core, description.Features[0].Registers.Select(register => register.Name));
        Assert.Equal([.. Enumerable.Range(0, 16).Select(i => $"xmm{i}"), "mxcsr"], description.Features[1].Registers.Select(register => register.Name));
        Assert.Equal(["orig_rax"], description.Features[2].Registers.Select(register => register.Name));
        Assert.Equal(["fs_base", "gs_base"], description.Features[3].Registers.Select(register => register.Name));
        Assert.All(description.Features[3].Registers, register => Assert.Equal("int", register.Type));

        // 17 of 8, 7 of 4, 8 of 10, 8 of 4; 16 of 16 and 4; 8; 2 of 8.
        Assert.Equal(136 + 28 + 80 + 32 + 260 + 8, description.Registers.Single(register => register.Name == "fs_base").Offset);
        Assert.Equal(description.Registers.Count, description.Registers.Select(register => register.Name).Distinct().Count());
    }

    [Theory]
    [InlineData("rax", "0010000000000000")]
    [InlineData("rsp", "000000000" + "0c9ffff")]
    [InlineData("eflags", "46020000")]
    [InlineData("cs", "10000000")]
    [InlineData("st0", "0000000000000080ff3f")]
    [InlineData("fstat", "00300000")]
    [InlineData("ftag", "ff4f0000")]
    [InlineData("fs_base", "00100000ff7f0000")]
    [InlineData("cr2", "efbeadde00000000")]
    [InlineData("cr8", "0000000000000000")]
    [InlineData("dr6", "f00fffff00000000")]
    [InlineData("idtr_limit", "ff0f0000")]
    [InlineData("tr_base", "0030000000feffff")]
    [InlineData("cs_attr", "9ba00000")]
    [InlineData("ldtr_limit", "00000000")]
    [InlineData("xcr0", "0300000000000000")]
    [InlineData("k_gs_base", "7856341200000000")]
    public void A_register_reads_as_the_vCPU_has_it(string name, string value) => Assert.Equal(value, Read(Open(new FakeMachine()), name));

    [Fact]
    public void An_MSR_the_vCPU_does_not_keep_is_unknown_and_cannot_be_written()
    {
        using IDebugTarget target = Open(new FakeMachine());
        Assert.Null(Read(target, "star"));
        Assert.Equal("star cannot be written", Write(target, "star", 1)?.Text);
        Assert.Equal("linear_pc cannot be written", Write(target, "linear_pc", 1)?.Text);
    }

    // Tags by SDM vol. 1 figure 8-7 and table 8-3 classes: valid 0, zero 1, special (infinity, NaN, denormal, unnormal) 2, empty 3.
    [Theory]
    [InlineData(0x8000_0000_0000_0000, 0x3FFF, 0)]
    [InlineData(0x8000_0000_0000_0000, 0xBFFF, 0)]
    [InlineData(0, 0, 1)]
    [InlineData(0, 0x8000, 1)]
    [InlineData(0x8000_0000_0000_0000, 0x7FFF, 2)]
    [InlineData(0xC000_0000_0000_0000, 0xFFFF, 2)]
    [InlineData(0x0000_0000_0000_0001, 0, 2)]
    [InlineData(0x4000_0000_0000_0000, 0x3FFF, 2)]
    public void The_tag_word_tells_what_is_in_a_register(ulong fraction, ushort exponent, int tag)
    {
        var machine = new FakeMachine();
        machine.Change(vcpu =>
        {
            // TOP 0: ST0 is physical register 0; all others empty.
            BinaryPrimitives.WriteUInt16LittleEndian(vcpu.Fx.AsSpan(2), 0);
            vcpu.Fx[4] = 1;
            BinaryPrimitives.WriteUInt64LittleEndian(vcpu.Fx.AsSpan(32), fraction);
            BinaryPrimitives.WriteUInt16LittleEndian(vcpu.Fx.AsSpan(40), exponent);
            return vcpu;
        });
        Assert.Equal($"{0xFC | tag:x2}ff0000", Read(Open(machine), "ftag"));
    }

    [Theory]
    [InlineData("rbx", 0x1122334455667788)]
    [InlineData("r15", 1)]
    [InlineData("eflags", 0x202)]
    [InlineData("cs", 0x33)]
    [InlineData("fs_base", 0x7000)]
    [InlineData("gs_base", 0x8000)]
    [InlineData("cs_limit", 0xFFFF)]
    [InlineData("fctrl", 0x27F)]
    [InlineData("ftag", 0xFFFF)]
    [InlineData("fop", 0x7FF)]
    [InlineData("fioff", 0x12345678)]
    [InlineData("mxcsr", 0x1FA0)]
    [InlineData("cr2", 7)]
    [InlineData("cr4", 0x20)]
    [InlineData("efer", 0x500)]
    [InlineData("dr0", 0x1234)]
    [InlineData("gdtr_base", 0x5000)]
    [InlineData("idtr_limit", 0x7FF)]
    [InlineData("tr", 0x48)]
    [InlineData("lstar", 0x4321)]
    public void A_register_that_was_written_reads_so_and_no_other_changes(string name, ulong value)
    {
        using IDebugTarget target = Open(new FakeMachine());
        Dictionary<string, string?> before = target.Description.Registers.ToDictionary(register => register.Name, register => Read(target, register.Name));
        Assert.Null(Write(target, name, value));
        foreach (RegisterInfo register in target.Description.Registers)
        {
            string? expected = before[register.Name];
            if (register.Name == name)
            {
                byte[] bytes = new byte[16];
                BinaryPrimitives.WriteUInt64LittleEndian(bytes, value);
                expected = Convert.ToHexStringLower(bytes.AsSpan(0, register.Size));
            }

            Assert.Equal(expected, Read(target, register.Name));
        }
    }

    [Fact]
    public void Writing_all_registers_back_changes_nothing_and_offends_nobody()
    {
        using IDebugTarget target = Open(new FakeMachine());
        RegisterValue[] all = [.. target.Description.Registers.Where(register => Read(target, register.Name) is not null)
            .Select(register => new RegisterValue(register.Number, Convert.FromHexString(Read(target, register.Name)!)))];
        Assert.Null(target.Writer!.WriteRegisters(1, all));
    }

    [Fact]
    public void A_state_no_CPU_can_be_in_is_refused_whole()
    {
        using IDebugTarget target = Open(new FakeMachine());
        RegisterValue[] values = [Value(target, "rax", 9), Value(target, "cr0", 0x8000_0000)];
        Assert.Contains("CR0.PG without CR0.PE", target.Writer!.WriteRegisters(1, values)!.Text, StringComparison.Ordinal);
        Assert.Equal("0010000000000000", Read(target, "rax"));
    }

    [Fact]
    public void Sending_a_halted_vCPU_elsewhere_wakes_it()
    {
        var machine = new FakeMachine();
        machine.Change(vcpu => vcpu with { Halted = true });
        using IDebugTarget target = Open(machine);
        Write(target, "rax", 1);
        Assert.True(machine.Vcpus[0].Halted);
        Write(target, "rip", FakeMachine.Code + 1);
        Assert.False(machine.Vcpus[0].Halted);
    }

    [Theory]
    [InlineData(FakeMachine.Data + 0x100, 11, "kernel data")]
    [InlineData(FakeMachine.UserPage, 9, "user data")]
    [InlineData(FakeMachine.Data + 0x1FFC, 8, "\0\0\0\0")]
    [InlineData(0x1000, 4, null)]
    [InlineData(0x0000_8000_0000_0000, 4, null)]
    public void Memory_is_read_by_virtual_address_up_to_the_first_hole(ulong address, int length, string? expected)
    {
        byte[] bytes = new byte[length];
        int read = Open(new FakeMachine()).ReadMemory(1, address, bytes);
        Assert.Equal(expected ?? "", System.Text.Encoding.Latin1.GetString(bytes, 0, read));
    }

    [Fact]
    public void The_kernel_is_readable_while_stopped_in_user_mode_under_page_table_isolation()
    {
        var machine = new FakeMachine();
        machine.Change(vcpu => vcpu with { Cr3 = FakeMachine.UserTables });
        using IDebugTarget target = Open(machine);
        byte[] bytes = new byte[11];
        Assert.Equal(11, target.ReadMemory(1, FakeMachine.Data + 0x100, bytes));
        Assert.Equal("kernel data"u8, bytes);
        Assert.Equal(4, target.Writer!.WriteMemory(1, FakeMachine.Data, "abcd"u8));

        // Only kernel addresses, and only where the register says that there is a pair.
        machine.Change(vcpu => vcpu with { Cr3 = 0x12000 });
        using IDebugTarget other = Open(machine);
        Assert.Equal(0, other.ReadMemory(1, FakeMachine.UserPage, bytes));
    }

    [Fact]
    public void Before_paging_addresses_are_physical_and_the_next_instruction_is_found_through_its_segment()
    {
        var machine = new FakeMachine();
        machine.Change(vcpu => vcpu with
        {
            Cr0 = 0x10,
            Efer = 0,
            Rip = 0xFFF0,
            Segments = [vcpu.Segments[0], new SegmentState(0xF000, 0x9B, 0xFFFF, 0xFFFF_0000), .. vcpu.Segments[2..]],
        });
        using IDebugTarget target = Open(machine);
        byte[] bytes = new byte[9];
        Assert.Equal(9, target.ReadMemory(1, FakeMachine.UserPhysical, bytes));
        Assert.Equal("user data"u8, bytes);
        Assert.Equal("f0ffffff00000000", Read(target, "linear_pc"));
        Assert.Equal("real mode", target.Threads[0].State);
    }

    [Theory]
    [InlineData(MachineExitKind.Reset, 6)]
    [InlineData(MachineExitKind.ReportWithoutReset, 6)]
    [InlineData(MachineExitKind.Paused, 5)]
    [InlineData(MachineExitKind.PowerOff, 5)]
    public void A_captured_crash_stands_as_an_abort(MachineExitKind kind, byte signal)
    {
        var machine = new FakeMachine { StopCause = new MachineExit(kind, 0, 0) };
        Assert.Equal(new StopReport(1, StopReason.Signal, signal), Open(machine).CurrentStop);
        machine.StopCause = null;
        Assert.Equal(5, Open(machine).CurrentStop.Signal);
    }

    [Theory]
    [InlineData("phys 0x80000 9", "0000000000080000  75 73 65 72 20 64 61 74 61                       user data\n")]
    [InlineData("phys 524288 2", "0000000000080000  75 73                                            us\n")]
    [InlineData("ph 0x80000 1", "0000000000080000  75                                               u\n")]
    [InlineData("phys 0xfffff 2", "00000000000fffff  00                                               .\nno RAM at 0x100000\n")]
    [InlineData("phys", "usage: phys ADDRESS LENGTH, with a length of 1 to 65536\n")]
    [InlineData("phys 0 0", "usage: phys ADDRESS LENGTH, with a length of 1 to 65536\n")]
    [InlineData("phys 0 0xffffffffffffffff", "usage: phys ADDRESS LENGTH, with a length of 1 to 65536\n")]
    [InlineData("phys zz 1", "'zz' is no number in C's notation, no register like $rip, and no symbol that is known here\n")]
    [InlineData("phys $cr3+0x60100-0x10000 11", "0000000000060100  6b 65 72 6e 65 6c 20 64 61 74 61                 kernel data\n")]
    [InlineData("phys $xmm0 1", "'$xmm0' is no number in C's notation, no register like $rip, and no symbol that is known here\n")]
    [InlineData("phys 1+ 1", "'1+' is no sum of numbers\n")]
    [InlineData("walk $star", "'$star' is no number in C's notation, no register like $rip, and no symbol that is known here\n")]
    [InlineData("dmesg", "[    0.000000] Linux version\n")]
    [InlineData("echo  a b ", "vCPU 0: a b\n")]
    [InlineData("help phys", "phys ADDRESS LENGTH    physical memory, in hexadecimal\n")]
    [InlineData("nothing", "there is no command 'nothing'; 'monitor help' lists them\n")]
    [InlineData("e", "vCPU 0: \n")]
    [InlineData("reset", "this machine cannot be started again from here; only the debugger that controls a live machine can\n")]
    public void A_monitor_command_answers(string command, string output)
    {
        var options = new DebugOptions { Guest = new Guest(), Commands = [new MonitorCommand("echo", "TEXT", "says it", (context, text) => $"vCPU {context.Vcpu}: {text}\n")] };
        Assert.Equal(output, Open(new FakeMachine(), options).Monitor!.Execute(1, command));
    }

    [Fact]
    public void Monitor_help_lists_every_command_with_its_help()
    {
        string help = Open(new FakeMachine()).Monitor!.Execute(1, "help");
        foreach (string name in new[]
        {
            "help", "info", "where", "dmesg", "panic", "regs", "journal", "code", "phys", "walk", "maps", "devices", "nmi", "power", "step", "fork", "reset", "quit",
        })
        {
            Assert.Contains(help.Split('\n'), line => line.StartsWith(name + " ", StringComparison.Ordinal) && line.Length > 30);
        }

        Assert.Equal(help, Open(new FakeMachine()).Monitor!.Execute(1, ""));
    }

    [Fact]
    public void Monitor_info_tells_what_machine_it_is()
    {
        var machine = new FakeMachine { StopCause = new MachineExit(MachineExitKind.Reset, 0, 5, ResetCause.TripleFault) };
        string info = Open(machine, new DebugOptions { Guest = new Guest() }).Monitor!.Execute(1, "info");
        Assert.Equal(
            "stopped: a reset was asked for by a triple fault\ntime: 0 ns since power-on\nram: 0x0-0xfffff (1024 KiB)\n"
            + "vcpu 0* rip=0xffffffff81000000 cr3=0x10000 64-bit, ring 0\nguest: a test\n",
            info);
    }

    [Fact]
    public void Monitor_walk_shows_each_table_entry()
    {
        IDebugTarget target = Open(new FakeMachine());
        Assert.Equal(
            """
            0xffffffff81000123: 4-level paging, cr3 0x10000
              PML4[511] at 0x10ff8 = 0x0000000000012007 present writable user
              PDPT[510] at 0x12ff0 = 0x0000000000013007 present writable user
              PD  [  8] at 0x13040 = 0x0000000000015007 present writable user
              PT  [  0] at 0x15000 = 0x0000000000040007 present writable user
            rwx user, 4 KiB page, physical 0x40123 (RAM)

            """,
            target.Monitor!.Execute(1, "walk 0xffffffff81000123"));
        Assert.Contains("not mapped, as everything from 0x8000000000 to 0xffffffffff", target.Monitor.Execute(1, "walk 0x8000000000"), StringComparison.Ordinal);
        Assert.Contains("not an address of this space", target.Monitor.Execute(1, "walk 0x800000000000"), StringComparison.Ordinal);
        Assert.StartsWith("usage", target.Monitor.Execute(1, "walk"), StringComparison.Ordinal);
        Assert.StartsWith("0xffffffff81000004: 4-level", target.Monitor.Execute(1, "walk $pc+4"), StringComparison.Ordinal);
    }

    [Fact]
    public void Monitor_code_shows_instructions_as_the_mode_has_them()
    {
        var machine = new FakeMachine();
        IDebugTarget target = Open(machine);
        Assert.Equal(
            """
            64-bit code
            > 0xffffffff81000000: 90  nop
              0xffffffff81000001: 48ffc0  inc %rax
              0xffffffff81000004: 488903  mov %rax,(%rbx)

            """,
            target.Monitor!.Execute(1, "code $pc 3"));
        Assert.Equal("no memory at 0x0\n", target.Monitor.Execute(1, "code 0"));
        Assert.StartsWith("usage", target.Monitor.Execute(1, "code 0 1 2"), StringComparison.Ordinal);

        // The same bytes in real mode, in a segment: 16-bit code without REX, whose jumps count from the segment's base.
        SegmentState[] segments = [.. machine.Vcpus[0].Segments];
        segments[1] = new SegmentState(0x4000, 0x9B, 0xFFFF, 0x4_0000);
        machine.Change(vcpu => vcpu with { Cr0 = 0x10, Efer = 0, Rip = 0x0A, Segments = segments });
        string code = Open(machine).Monitor!.Execute(1, "code 0x40001 8");
        Assert.StartsWith("16-bit code, segment at 0x40000\n  0x40001: 48  dec %ax\n  0x40002: ffc0  inc %ax\n", code, StringComparison.Ordinal);
        Assert.EndsWith("\n> 0x4000a: 90  nop\n  0x4000b: ebf3  jmp 0x0\n", code, StringComparison.Ordinal);
    }

    [Fact]
    public void Monitor_maps_joins_what_is_alike()
    {
        IDebugTarget target = Open(new FakeMachine());
        Assert.Equal(
            """
            0000000000400000-0000000000400fff rwx user        4 KiB 0x80000
            ffffffff81000000-ffffffff81000fff rwx user        4 KiB 0x40000
            ffffffff81200000-ffffffff81201fff rwx user        8 KiB 0x60000

            """,
            target.Monitor!.Execute(1, "maps"));
        Assert.Equal("nothing is mapped there\n", target.Monitor.Execute(1, "maps 0x500000 0x600000"));
    }

    [Fact]
    public void Tables_that_lead_in_circles_end_a_list_of_maps()
    {
        var machine = new FakeMachine();

        // Each entry of the top table leads to the top table, at every level.
        byte[] table = new byte[4096];
        for (int i = 0; i < table.Length; i += 8)
        {
            BinaryPrimitives.WriteUInt64LittleEndian(table.AsSpan(i), FakeMachine.KernelTables | 7);
        }

        machine.WritePhysical(FakeMachine.KernelTables, table);
        Assert.Contains("there is more: 'monitor maps 0x", Open(machine).Monitor!.Execute(1, "maps"), StringComparison.Ordinal);
    }

    [Fact]
    public void Regions_are_the_stretches_that_are_mapped_alike()
    {
        IDebugTarget target = Open(new FakeMachine());
        Assert.Equal(
            new MemoryRegion(FakeMachine.Data, FakeMachine.Data + 0x1FFF, MemoryAccess.Read | MemoryAccess.Write | MemoryAccess.Execute),
            target.Regions!.Find(1, FakeMachine.Data + 0x10));
        MemoryRegion hole = target.Regions.Find(1, FakeMachine.Data + 0x2000);
        Assert.Equal((FakeMachine.Data + 0x2000, MemoryAccess.None), (hole.Start, hole.Access));
        Span<ulong> dirty = stackalloc ulong[4];
        Assert.Equal(2, target.Regions.DirtyPages(1, FakeMachine.Data, FakeMachine.Data + 0xFFFF, dirty));
        Assert.Equal(FakeMachine.Data + 0x1000, dirty[1]);
    }

    [Fact]
    public void Physical_memory_is_read_and_written_by_its_own_addresses()
    {
        IDebugTarget target = Open(new FakeMachine());
        byte[] bytes = new byte[9];
        Assert.Equal(9, target.PhysicalMemory!.Read(FakeMachine.UserPhysical, bytes));
        Assert.Equal("user data"u8.ToArray(), bytes);
        Assert.Equal(4, target.PhysicalMemory.Write(FakeMachine.UserPhysical, "USER"u8));
        Assert.Equal(4, target.ReadMemory(1, FakeMachine.UserPage, bytes.AsSpan(0, 4)));
        Assert.Equal("USER"u8.ToArray(), bytes[..4]);
        Assert.Equal(0, target.PhysicalMemory.Read(FakeMachine.Size, bytes));
    }

    [Fact]
    public void The_time_stamp_counter_is_the_machines_time_and_what_it_is_ahead()
    {
        var machine = new FakeMachine();
        machine.Change(vcpu => vcpu with { Msrs = new SortedDictionary<uint, ulong>(vcpu.Msrs) { [0x10] = 0x100 } });
        machine.Run(5);
        Assert.Equal("0501000000000000", Read(Open(machine), "tsc"));
    }

    [Fact]
    public void Monitor_journal_tells_of_interrupts()
    {
        var machine = new FakeMachine();
        Assert.Equal("nothing has happened yet\n", Open(machine).Monitor!.Execute(1, "journal"));
        machine.Interrupt();
        machine.Run(3);
        string journal = Open(machine).Monitor!.Execute(1, "journal 5");
        Assert.StartsWith("#1 at 0 ns, vCPU 0: interrupt 20h, at 0010:ffffffff81000000, 64-bit, ring 0, cr3 10000\n", journal, StringComparison.Ordinal);
        Assert.Contains("rax 0000000000001000", journal, StringComparison.Ordinal);
        Assert.EndsWith("rip ffffffff81000000 rflags 00000246 [PF ZF IF IOPL=0] gs base ffff888000000000\n", journal, StringComparison.Ordinal);
    }

    [Fact]
    public void A_guest_nobody_knows_has_no_log() =>
        Assert.Equal("no kernel log was found in this machine's memory\n", Open(new FakeMachine()).Monitor!.Execute(1, "dmesg"));

    private static IDebugTarget Open(FakeMachine machine, DebugOptions? options = null)
    {
        Assert.True(new ImageTargetProvider(() => machine, options ?? new DebugOptions()).TryOpen(new NoEvents(), out IDebugTarget? target, out _));
        return target;
    }

    private static string? Read(IDebugTarget target, string name)
    {
        RegisterInfo register = target.Description.Registers.Single(one => one.Name == name);
        byte[] value = new byte[register.Size];
        return target.TryReadRegister(1, register.Number, value) ? Convert.ToHexStringLower(value) : null;
    }

    private static TargetError? Write(IDebugTarget target, string name, ulong value) => target.Writer!.WriteRegisters(1, [Value(target, name, value)]);

    private static RegisterValue Value(IDebugTarget target, string name, ulong value)
    {
        RegisterInfo register = target.Description.Registers.Single(one => one.Name == name);
        byte[] bytes = new byte[16];
        BinaryPrimitives.WriteUInt64LittleEndian(bytes, value);
        return new RegisterValue(register.Number, bytes.AsMemory(0, register.Size));
    }

    [SuppressMessage("Performance", "CA1812", Justification = "It is made above.")]
    private sealed class NoEvents : ITargetEvents
    {
        public void Stopped(StopReport report) => Assert.Fail("an image never runs");
    }

    private sealed class Guest : IGuestInformation
    {
        public string? KernelLog(IMachineView view) => "[    0.000000] Linux version\n";

        public string? Describe(IMachineView view) => "guest: a test\n";
    }
}
