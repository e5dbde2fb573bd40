using System.Runtime.CompilerServices;
using Emulator.Cpu;
using Emulator.Devices;
using Emulator.Memory;
using Emulator.Time;

namespace Emulator.Tests.HostCpu;

/// <summary>
/// The interpreter with nothing around it: one vCPU at CPL 3 in 64-bit mode, with page tables that show the code page and
/// the window at the very addresses they have on the host.
/// </summary>
internal sealed unsafe class InterpreterExecutor : IInstructionExecutor, IMachineSignals, IDisposable
{
    private const ulong Tables = 0x10000, CodePage = 0x40000, WindowPages = 0x50000;
    private const int MaxTurns = 64;

    private readonly GuestMemory memory = new(1 << 20);
    private readonly PhysicalSpace space;
    private readonly Vcpu cpu;
    private readonly ulong codeAddress;
    private ulong nextTable = Tables + 0x1000;
    private bool faulted;

    internal InterpreterExecutor(HostMachine host)
    {
        codeAddress = host.InstructionAddress;
        space = new PhysicalSpace(memory, new IoBus());
        cpu = new Vcpu(0, space, new VirtualClock(), this, new RandomSource(1));
        cpu.Journal = (vector, _, _) =>
        {
            faulted = true;
            LastVector = vector;
        };
        Map(codeAddress & ~0xFFFUL, CodePage);
        for (ulong offset = 0; offset < HostMachine.WindowSize; offset += 4096)
        {
            Map(host.WindowAddress + offset, WindowPages + offset);
        }
    }

    /// <summary>The exception that came last.</summary>
    internal int LastVector { get; private set; }

    public ExecutionOutcome Execute(ReadOnlySpan<byte> code, ref UserState user, Span<byte> window)
    {
        space.Write(CodePage + (codeAddress & 0xFFF), code);
        cpu.Blocks.Clear();
        space.Write(WindowPages, window);
        Load(user);
        faulted = false;
        int turns = 0;
        do
        {
            ulong until = cpu.State->InstructionCount + 1;
            for (int tries = 0; cpu.State->InstructionCount < until; tries++)
            {
                VcpuExit exit = cpu.Run(until, skipBreakpoint: true);
                Assert.True(tries < 4, $"The vCPU does not run: {exit} at {cpu.State->Rip:x}.");
            }
        }
        while (!faulted && cpu.State->Rip == codeAddress && ++turns < MaxTurns);
        Store(ref user);
        space.Read(WindowPages, window);
        return faulted ? ExecutionOutcome.Faulted : ExecutionOutcome.Retired;
    }

    public void Dispose()
    {
        cpu.Dispose();
        memory.Dispose();
    }

    void IMachineSignals.RequestReset(ResetCause cause) => faulted = true;

    void IMachineSignals.RequestPowerOff() => faulted = true;

    void IMachineSignals.RequestExit(int code) => faulted = true;

    void IMachineSignals.PvPanic(byte events) => faulted = true;

    void IMachineSignals.ErstRecordWritten() => faulted = true;

    private void Load(in UserState user)
    {
        CpuState* s = cpu.State;
        for (int i = 0; i < 16; i++)
        {
            s->Gpr[i] = user.Gpr[i];
        }

        s->Rflags = user.Rflags;
        s->Rip = user.Rip;
        fixed (byte* fx = user.Fx)
        {
            Unsafe.CopyBlock(s->Fx, fx, 512);
        }

        s->Cpl = 3;
        s->Halted = 0;
        s->InterruptShadow = 0;
        s->Cr0 = ControlRegisters.Pe | ControlRegisters.Mp | ControlRegisters.Ne | ControlRegisters.Wp | ControlRegisters.Pg;
        s->Cr3 = Tables;
        s->Cr4 = ControlRegisters.Pae | ControlRegisters.OsFxsr | ControlRegisters.OsXmmExcept;
        s->Efer = ControlRegisters.EferLme | ControlRegisters.EferLma | ControlRegisters.EferNxe;
        s->IdtrLimit = 0;
        for (int i = SegmentIndex.Es; i <= SegmentIndex.Gs; i++)
        {
            // DPL 3, present, writable data with D/B, or code with L.
            s->Seg(i) = new Segment { Selector = 0x2B, Attributes = i == SegmentIndex.Cs ? (ushort)0xA0FB : (ushort)0xC0F3, Limit = uint.MaxValue };
        }

        cpu.FlushTlb(keepGlobal: false);
        cpu.CodeModeChanged();
        cpu.ModeChanged();
    }

    private void Store(ref UserState user)
    {
        CpuState* s = cpu.State;
        for (int i = 0; i < 16; i++)
        {
            user.Gpr[i] = s->Gpr[i];
        }

        user.Rflags = s->Rflags;
        user.Rip = s->Rip;
        fixed (byte* fx = user.Fx)
        {
            Unsafe.CopyBlock(fx, s->Fx, 512);
        }
    }

    private void Map(ulong linear, ulong physical)
    {
        ulong table = Tables;
        for (int shift = 39; shift > 12; shift -= 9)
        {
            ulong at = table + (((linear >> shift) & 511) * 8);
            ulong entry = space.ReadTable64(at);
            if ((entry & 1) == 0)
            {
                entry = nextTable | 7;
                nextTable += 0x1000;
                space.WriteTable64(at, entry);
            }

            table = entry & ~0xFFFUL;
        }

        space.WriteTable64(table + (((linear >> 12) & 511) * 8), physical | 0x67);
    }
}
