using System.Buffers.Binary;
using System.Diagnostics.CodeAnalysis;
using GdbStub.Targets;

namespace GdbStub.Tests.Example;

/// <summary>
/// An emulator of another architecture as the library's users would write theirs, no larger than it must be: a 32-bit RISC-V
/// with 4 KiB of memory that knows ADDI and JAL. docs/library.md walks through it.
/// </summary>
internal sealed class TinyRiscv : ITargetProvider, IDebugTarget, ITargetWriter, IRunControl, IBreakpoints
{
    private const int MemorySize = 4096, Thread = 1, RegisterCount = 33, Pc = 32;

    private static readonly string[] Names =
    [
        "zero", "ra", "sp", "gp", "tp", "t0", "t1", "t2", "fp", "s1", "a0", "a1", "a2", "a3", "a4", "a5", "a6", "a7",
        "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11", "t3", "t4", "t5", "t6", "pc",
    ];

    private readonly byte[] memory = new byte[MemorySize];
    private readonly uint[] registers = new uint[RegisterCount];
    private readonly HashSet<ulong> breakpoints = [];
    private ITargetEvents? session;
    private StopReport stop = new(Thread, StopReason.Signal, StopReport.Trap);
    private volatile bool stopWanted;

    /// <param name="program">Its code, at address 0.</param>
    public TinyRiscv(params ReadOnlySpan<uint> program)
    {
        for (int i = 0; i < program.Length; i++)
        {
            BinaryPrimitives.WriteUInt32LittleEndian(memory.AsSpan(4 * i), program[i]);
        }
    }

    // What it is: gdb's names of the architecture, the feature and its registers.
    public TargetDescription Description { get; } = new(
        "riscv:rv32", "riscv32-unknown-linux", pointerSize: 4, bigEndian: false,
        [
            new RegisterFeature("org.gnu.gdb.riscv.cpu", [],
                [.. Names.Select(name => new RegisterInfo(name, 32, name == "pc" ? "code_ptr" : "int32", "general", Generic: name is "pc" or "sp" or "fp" ? name : null))]),
        ],
        programCounter: "pc", expedited: ["pc", "sp"]);

    public IReadOnlyList<TargetThread> Threads { get; } = [new TargetThread(Thread, "hart 0", "", 0)];

    public StopReport CurrentStop => stop;

    // What it can: each ability is an interface, here all on the one object; null would be answered for.
    public ITargetWriter? Writer => this;

    public IRunControl? RunControl => this;

    public IBreakpoints? Breakpoints => this;

    public IMonitor? Monitor => null;

    public TargetError Unsupported(TargetAbility ability) => new(TargetError.NotPermitted, "everything is there");

    // One machine, one debugger.
    public bool TryOpen(ITargetEvents events, [NotNullWhen(true)] out IDebugTarget? target, [NotNullWhen(false)] out string? refusal)
    {
        target = session is null ? this : null;
        refusal = target is null ? "another debugger has this machine" : null;
        session ??= events;
        return target is not null;
    }

    public void Dispose()
    {
        stopWanted = true;
        breakpoints.Clear();
        session = null;
    }

    public bool TryReadRegister(int thread, int register, Span<byte> value)
    {
        BinaryPrimitives.WriteUInt32LittleEndian(value, registers[register]);
        return true;
    }

    public int ReadMemory(int thread, ulong address, Span<byte> destination)
    {
        int count = (int)Math.Min((ulong)destination.Length, MemorySize - Math.Min(address, MemorySize));
        memory.AsSpan((int)Math.Min(address, MemorySize), count).CopyTo(destination);
        return count;
    }

    public int WriteMemory(int thread, ulong address, ReadOnlySpan<byte> source)
    {
        int count = (int)Math.Min((ulong)source.Length, MemorySize - Math.Min(address, MemorySize));
        source[..count].CopyTo(memory.AsSpan((int)Math.Min(address, MemorySize)));
        return count;
    }

    public TargetError? WriteRegisters(int thread, IReadOnlyList<RegisterValue> values)
    {
        foreach (RegisterValue value in values)
        {
            registers[value.Register] = BinaryPrimitives.ReadUInt32LittleEndian(value.Value.Span);
        }

        registers[0] = 0;
        return null;
    }

    public TargetError? Insert(TargetBreakpoint breakpoint)
    {
        if (breakpoint.Kind > BreakpointKind.Hardware)
        {
            return new TargetError(TargetError.Invalid, "this machine has no watchpoints");
        }

        breakpoints.Add(breakpoint.Address);
        return null;
    }

    public TargetError? Remove(TargetBreakpoint breakpoint)
    {
        breakpoints.Remove(breakpoint.Address);
        return null;
    }

    public TargetError? Resume(IReadOnlyList<ThreadAction> actions)
    {
        bool step = actions[0].Kind == ResumeKind.Step;
        stopWanted = false;
        _ = Task.Run(() => Run(step));
        return null;
    }

    public void RequestStop() => stopWanted = true;

    private void Run(bool step)
    {
        // The instruction at which it stands is executed whatever is set there.
        Execute();
        while (!step && !stopWanted && !breakpoints.Contains(registers[Pc]))
        {
            Execute();
        }

        stop = step ? new StopReport(Thread, StopReason.Signal, StopReport.Trap)
            : breakpoints.Contains(registers[Pc]) ? new StopReport(Thread, StopReason.SoftwareBreakpoint, StopReport.Trap)
            : new StopReport(Thread, StopReason.Signal, StopReport.Interrupt);
        session?.Stopped(stop);
    }

    private void Execute()
    {
        uint code = BinaryPrimitives.ReadUInt32LittleEndian(memory.AsSpan((int)(registers[Pc] % MemorySize) & ~3));
        uint to = (code >> 7) & 31;
        uint next = registers[Pc] + 4;
        switch (code & 0x7F)
        {
            case 0x13:
                registers[to] = registers[(code >> 15) & 31] + (uint)((int)code >> 20);
                break;

            case 0x6F:
                registers[to] = next;
                next = registers[Pc] + ((uint)((int)code >> 31 << 20) | (code & 0xFF000) | ((code >> 9) & 0x800) | ((code >> 20) & 0x7FE));
                break;
        }

        registers[0] = 0;
        registers[Pc] = next;
    }
}
