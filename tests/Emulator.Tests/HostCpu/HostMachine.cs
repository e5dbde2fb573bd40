using System.Runtime.CompilerServices;
using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Emulator.Tests.HostCpu;

/// <summary>
/// The host CPU as an executor: loads a complete user-level state, executes the instruction, stores the state. Whoever
/// calls it has made sure that the instruction does not fault. One fixed mapping below 2 GiB holds code, state and window,
/// so that every register can be loaded and stored by absolute address.
/// </summary>
internal sealed unsafe class HostMachine : IInstructionExecutor, IDisposable
{
    /// <summary>Bytes of the data window: two pages.</summary>
    internal const int WindowSize = 8192;

    // Before the window: room for a signal frame, should one come while the stack pointer is the instruction's.
    private const int StateOffset = 4096, InstructionOffset = 2048, LandingOffset = 2048 + 128, WindowOffset = 0x20000;
    private const int HostRsp = 512 + UserState.FxOffset, HostMxcsr = HostRsp + 8, HostFcw = HostRsp + 16, Landed = HostRsp + 24;

    private readonly HostCode memory = new(0x40000);
    private readonly byte* start;
    private readonly nint enter;
    private readonly int leave;

    internal HostMachine()
    {
        start = memory.Start;
        Assert.True((ulong)start < 0x7FF00000, "The host has no memory below 2 GiB for the oracle.");
        (byte[] code, leave) = Assemble();
        enter = memory.Add(code);
        Assert.True(code.Length < InstructionOffset);

        var landing = new Assembler(64);
        landing.mov(__dword_ptr[(ulong)start + StateOffset + Landed], 1);
        landing.jmp((ulong)start + (ulong)leave);
        Write(landing, LandingOffset);
    }

    /// <summary>Where the window stands.</summary>
    internal ulong WindowAddress => (ulong)start + WindowOffset;

    /// <summary>Where instructions stand.</summary>
    internal ulong InstructionAddress => (ulong)start + InstructionOffset;

    /// <summary>The only address a branch may go to.</summary>
    internal ulong BranchTarget => (ulong)start + LandingOffset;

    public ExecutionOutcome Execute(ReadOnlySpan<byte> code, ref UserState state, Span<byte> window)
    {
        Assert.Equal(InstructionAddress, state.Rip);
        byte* instruction = start + InstructionOffset;
        code.CopyTo(new Span<byte>(instruction, 16));
        instruction[code.Length] = 0xE9;
        *(int*)(instruction + code.Length + 1) = leave - (InstructionOffset + code.Length + 5);
        window.CopyTo(new Span<byte>(start + WindowOffset, WindowSize));
        var block = (UserState*)(start + StateOffset);
        *block = state;
        *(int*)(start + StateOffset + Landed) = 0;

        ((delegate* unmanaged<void>)enter)();

        state = *block;
        state.Rip = *(int*)(start + StateOffset + Landed) == 0 ? InstructionAddress + (ulong)code.Length : BranchTarget;
        new Span<byte>(start + WindowOffset, WindowSize).CopyTo(window);
        return ExecutionOutcome.Retired;
    }

    public void Dispose() => memory.Dispose();

    private (byte[] Code, int Leave) Assemble()
    {
        ulong state = (ulong)start + StateOffset;
        AssemblerRegister64[] registers = [rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15];
        AssemblerRegister64[] saved = [rbx, rbp, r12, r13, r14, r15];
        var c = new Assembler(64);
        foreach (AssemblerRegister64 register in saved)
        {
            c.push(register);
        }

        c.mov(__qword_ptr[state + HostRsp], rsp);
        c.stmxcsr(__dword_ptr[state + HostMxcsr]);
        c.fnstcw(__word_ptr[state + HostFcw]);
        c.fxrstor64(__[state + UserState.FxOffset]);
        c.push(__qword_ptr[state + 128]);
        c.popfq();
        for (int i = 0; i < 16; i++)
        {
            c.mov(registers[i], __qword_ptr[state + (8 * (ulong)i)]);
        }

        c.jmp((ulong)start + InstructionOffset);
        Label end = c.CreateLabel();
        c.Label(ref end);
        for (int i = 0; i < 16; i++)
        {
            c.mov(__qword_ptr[state + (8 * (ulong)i)], registers[i]);
        }

        c.mov(rsp, __qword_ptr[state + HostRsp]);
        c.pushfq();
        c.pop(__qword_ptr[state + 128]);
        c.cld();
        c.fxsave64(__[state + UserState.FxOffset]);
        c.fninit();
        c.fldcw(__word_ptr[state + HostFcw]);
        c.ldmxcsr(__dword_ptr[state + HostMxcsr]);
        foreach (AssemblerRegister64 register in saved.Reverse())
        {
            c.pop(register);
        }

        c.ret();
        using var stream = new MemoryStream();
        AssemblerResult result = c.Assemble(new StreamCodeWriter(stream), (ulong)start, BlockEncoderOptions.ReturnNewInstructionOffsets);
        return (stream.ToArray(), (int)result.GetLabelRIP(end) - (int)(ulong)start);
    }

    private void Write(Assembler assembler, int offset)
    {
        using var stream = new MemoryStream();
        assembler.Assemble(new StreamCodeWriter(stream), (ulong)start + (ulong)offset);
        stream.ToArray().CopyTo(new Span<byte>(start + offset, 64));
        Unsafe.InitBlock(start + offset + stream.Length, 0xCC, 16);
    }
}
