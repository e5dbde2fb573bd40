using System.Buffers.Binary;
using Emulator;

namespace Debugging.Tests;

/// <summary>
/// A machine of RAM, one vCPU and six instructions, enough for a debugger to step, stop and watch. It is in 64-bit mode
/// with four levels of page tables: the program at <see cref="Code"/>, data at <see cref="Data"/>, a user page at
/// <see cref="UserPage"/>, and the pair of top-level tables that page table isolation makes.
/// </summary>
internal sealed class FakeMachine : IMachineControl
{
    public const ulong Code = 0xFFFF_FFFF_8100_0000;
    public const ulong Data = 0xFFFF_FFFF_8120_0000;
    public const ulong UserPage = 0x40_0000;
    public const ulong KernelTables = 0x10000;
    public const ulong UserTables = 0x11000;
    public const ulong CodePhysical = 0x4_0000;
    public const ulong DataPhysical = 0x6_0000;
    public const ulong UserPhysical = 0x8_0000;
    public const ulong Crash = Code + 0x20;

    /// <summary>nop; iret.</summary>
    public const ulong Handler = Code + 0x30;

    /// <summary>Bytes of RAM.</summary>
    public const int Size = 0x10_0000;

    /// <summary>nop; inc rax; mov [rbx],rax; mov rcx,[rbx]; nop; jmp to the start. At 20h: hlt, which here is the reset.</summary>
    private static readonly byte[] Loop = [0x90, 0x48, 0xFF, 0xC0, 0x48, 0x89, 0x03, 0x48, 0x8B, 0x0B, 0x90, 0xEB, 0xF3];

    private readonly byte[] ram = new byte[Size];
    private readonly HashSet<ulong> breakpoints = [];
    private Watchpoint[] watchpoints = [];
    private VcpuState vcpu = InitialVcpu();
    private volatile bool pause;
    private volatile bool interrupt;
    private ulong interrupted;

    public FakeMachine()
    {
        Loop.CopyTo(ram, (int)CodePhysical);
        ram[CodePhysical + 0x20] = 0xF4;
        ram[CodePhysical + 0x21] = 0x90;
        ram[CodePhysical + 0x30] = 0x90;
        ram[CodePhysical + 0x31] = 0xCF;
        foreach (ulong top in new[] { KernelTables, UserTables })
        {
            Table(top, 0, 0x14000);
        }

        // The user's tables do not map the kernel: the retry has something to find.
        Table(KernelTables, 511, 0x12000);
        Table(0x12000, 510, 0x13000);
        Table(0x13000, 8, 0x15000);
        Table(0x13000, 9, 0x16000);
        Table(0x14000, 0, 0x17000);
        Table(0x17000, 2, 0x18000);
        Table(0x15000, 0, CodePhysical);
        Table(0x16000, 0, DataPhysical);
        Table(0x16000, 1, DataPhysical + 0x1000);
        Table(0x18000, 0, UserPhysical);
        "kernel data"u8.CopyTo(ram.AsSpan((int)DataPhysical + 0x100));
        "user data"u8.CopyTo(ram.AsSpan((int)UserPhysical));
    }

    /// <summary>Instructions executed since the last <see cref="Run"/> began, seen from other threads.</summary>
    public int Runs { get; private set; }

    public int PauseRequests { get; private set; }

    public IReadOnlyCollection<ulong> Breakpoints => breakpoints;

    public IReadOnlyCollection<Watchpoint> Watchpoints => watchpoints;

    public IReadOnlyList<PhysicalRange> Ram { get; } = [new(0, Size)];

    public IReadOnlyList<VcpuState> Vcpus => [vcpu];

    public int CurrentVcpu => 0;

    public ulong InstructionCount { get; private set; }

    public MachineExit? StopCause { get; set; }

    public ExceptionJournal? Journal { get; } = new();

    public int ReadPhysical(ulong address, Span<byte> destination)
    {
        if (address >= Size)
        {
            return 0;
        }

        int count = (int)Math.Min((ulong)destination.Length, Size - address);
        ram.AsSpan((int)address, count).CopyTo(destination);
        return count;
    }

    public bool IsUntouched(ulong address) => false;

    public int WritePhysical(ulong address, ReadOnlySpan<byte> source)
    {
        if (address >= Size)
        {
            return 0;
        }

        int count = (int)Math.Min((ulong)source.Length, Size - address);
        source[..count].CopyTo(ram.AsSpan((int)address));
        return count;
    }

    public void SetVcpu(int index, VcpuState state)
    {
        if ((state.Cr0 & 0x8000_0001) == 0x8000_0000)
        {
            throw new ArgumentException("CR0.PG without CR0.PE is no state a CPU can be in", nameof(state));
        }

        vcpu = state;
    }

    public void RequestPause()
    {
        PauseRequests++;
        pause = true;
    }

    public void SetBreakpoints(IReadOnlyCollection<ulong> addresses)
    {
        breakpoints.Clear();
        breakpoints.UnionWith(addresses);
    }

    public void SetWatchpoints(IReadOnlyCollection<Watchpoint> replacements) => watchpoints = [.. replacements];

    /// <summary>An interrupt comes before the next instruction.</summary>
    public void Interrupt() => interrupt = true;

    /// <summary>Puts the vCPU elsewhere, as if it had run there.</summary>
    public void Change(Func<VcpuState, VcpuState> change) => vcpu = change(vcpu);

    public MachineExit Run(ulong instructions = ulong.MaxValue)
    {
        // Forgets a request made before it runs: what a machine may do, and its owner must cope with.
        pause = false;
        Runs++;
        for (ulong done = 0; done < instructions; done++)
        {
            if (pause)
            {
                return Stop(MachineExitKind.Paused);
            }

            if (done > 0 && breakpoints.Contains(vcpu.Rip))
            {
                return Stop(MachineExitKind.Breakpoint);
            }

            if (Execute() is { } exit)
            {
                return exit;
            }
        }

        return Stop(MachineExitKind.Stepped);
    }

    private static VcpuState InitialVcpu()
    {
        byte[] fx = new byte[512];
        BinaryPrimitives.WriteUInt16LittleEndian(fx, 0x37F);
        BinaryPrimitives.WriteUInt32LittleEndian(fx.AsSpan(24), 0x1F80);

        // Two values on the x87 stack, TOP = 6: ST0 = 1.0 in register 6, ST1 = 0 in register 7.
        BinaryPrimitives.WriteUInt16LittleEndian(fx.AsSpan(2), 6 << 11);
        fx[4] = 0b1100_0000;
        BinaryPrimitives.WriteUInt64LittleEndian(fx.AsSpan(32), 0x8000_0000_0000_0000);
        BinaryPrimitives.WriteUInt16LittleEndian(fx.AsSpan(40), 0x3FFF);
        fx.AsSpan(160 + 16, 16).Fill(0x11);

        SegmentState code = new(0x10, 0xA09B, 0xFFFF_FFFF, 0);
        SegmentState data = new(0x18, 0xC093, 0xFFFF_FFFF, 0);
        return new VcpuState
        {
            Gpr = [0x1000, 0x2222, 0x3333, Data, 0xFFFF_C900_0000_0000, 0x5555, 0x6666, 0x7777, 8, 9, 10, 11, 12, 13, 14, 15],
            Rip = Code,
            Rflags = 0x246,
            Segments =
            [
                data, code, data, data, data with { Base = 0x7FFF_0000_1000 }, data with { Base = 0xFFFF_8880_0000_0000 },
                new(0, 0, 0, 0), new(0x40, 0x8B, 0x206F, 0xFFFF_FE00_0000_3000),
            ],
            Gdtr = new TableState(0xFFFF_FE00_0000_1000, 0x7F),
            Idtr = new TableState(0xFFFF_FE00_0000_0000, 0xFFF),
            Cr0 = 0x8005_0033,
            Cr2 = 0xDEAD_BEEF,
            Cr3 = KernelTables,
            Cr4 = 0x0030_06F0,
            Cr8 = 0,
            Efer = 0xD01,
            Xcr0 = 3,
            Dr = [1, 2, 3, 4, 0, 0, 0xFFFF_0FF0, 0x400],
            Fx = fx,
            Msrs = new SortedDictionary<uint, ulong> { [0x1B] = 0xFEE0_0900, [0xC000_0082] = 0xFFFF_FFFF_8180_0000, [0xC000_0102] = 0x1234_5678 },
            Halted = false,
            InterruptShadow = 0,
            NmiBlocked = false,
            NmiPending = false,
        };
    }

    private MachineExit? Execute()
    {
        if (interrupt)
        {
            interrupt = false;
            Journal!.Record(InstructionCount, 0, JournalKind.Interrupt, 0x20, 0, VcpuGlance.Of(vcpu, 0));
            interrupted = vcpu.Rip;
            vcpu = vcpu with { Rip = Handler };
            InstructionCount++;
            return null;
        }

        // The program's page: the fetch needs no more of a page walk than that.
        int at = (int)(CodePhysical + (vcpu.Rip & 0xFFF));
        ulong[] gpr = vcpu.Gpr;
        ulong data = gpr[3] - Data + DataPhysical;
        ulong next = vcpu.Rip;
        WatchKind? access = null;
        switch (ram[at])
        {
            case 0x90:
                next += 1;
                break;

            case 0xCF:
                next = interrupted;
                break;

            case 0xF4:
                return Stop(MachineExitKind.Reset, ResetCause.KeyboardController);

            case 0xEB:
                next += 2 + (ulong)(sbyte)ram[at + 1];
                break;

            default:
                next += 3;
                if (ram[at + 1] == 0xFF)
                {
                    gpr = [.. gpr];
                    gpr[0]++;
                }
                else if (ram[at + 1] == 0x89)
                {
                    BinaryPrimitives.WriteUInt64LittleEndian(ram.AsSpan((int)data), gpr[0]);
                    access = WatchKind.Write;
                }
                else
                {
                    gpr = [.. gpr];
                    gpr[1] = BinaryPrimitives.ReadUInt64LittleEndian(ram.AsSpan((int)data));
                    access = WatchKind.Read;
                }

                break;
        }

        vcpu = vcpu with { Gpr = gpr, Rip = next };
        InstructionCount++;
        foreach (Watchpoint watch in watchpoints)
        {
            if (access is not null && (watch.Kind == access || watch.Kind == WatchKind.Access)
                && watch.Address < gpr[3] + 8 && gpr[3] < watch.Address + watch.Length)
            {
                return Stop(MachineExitKind.Watchpoint) with { WatchAddress = Math.Max(watch.Address, gpr[3]), Watch = watch.Kind };
            }
        }

        return null;
    }

    private MachineExit Stop(MachineExitKind kind, ResetCause? reset = null)
    {
        var exit = new MachineExit(kind, 0, InstructionCount, reset);
        StopCause = exit;
        return exit;
    }

    private void Table(ulong table, int index, ulong target)
    {
        const ulong presentWritableUser = 7;
        BinaryPrimitives.WriteUInt64LittleEndian(ram.AsSpan((int)table + (index * 8)), target | presentWritableUser);
    }
}

/// <summary>The same RAM and registers through another door: what an archive of the machine would show.</summary>
internal sealed class CopiedView(FakeMachine machine) : IMutableMachineView
{
    private readonly byte[] ram = Copy(machine);
    private VcpuState vcpu = machine.Vcpus[0];

    public IReadOnlyList<PhysicalRange> Ram { get; } = machine.Ram;

    public IReadOnlyList<VcpuState> Vcpus => [vcpu];

    public int CurrentVcpu => 0;

    public ulong InstructionCount { get; } = machine.InstructionCount;

    public MachineExit? StopCause { get; } = machine.StopCause;

    public int ReadPhysical(ulong address, Span<byte> destination) => FlatRam.Read(ram, address, destination);

    public bool IsUntouched(ulong address) => false;

    public int WritePhysical(ulong address, ReadOnlySpan<byte> source) => FlatRam.Write(ram, address, source);

    public void SetVcpu(int index, VcpuState state) => vcpu = state;

    private static byte[] Copy(FakeMachine machine)
    {
        byte[] ram = new byte[FakeMachine.Size];
        machine.ReadPhysical(0, ram);
        return ram;
    }
}

/// <summary>Bytes as RAM from address 0 on: what lies behind them is not read and not written.</summary>
internal static class FlatRam
{
    public static int Read(byte[] ram, ulong address, Span<byte> destination)
    {
        int count = address >= (ulong)ram.Length ? 0 : (int)Math.Min((ulong)destination.Length, (ulong)ram.Length - address);
        ram.AsSpan((int)Math.Min(address, (ulong)ram.Length), count).CopyTo(destination);
        return count;
    }

    public static int Write(byte[] ram, ulong address, ReadOnlySpan<byte> source)
    {
        int count = address >= (ulong)ram.Length ? 0 : (int)Math.Min((ulong)source.Length, (ulong)ram.Length - address);
        source[..count].CopyTo(ram.AsSpan((int)Math.Min(address, (ulong)ram.Length)));
        return count;
    }
}
