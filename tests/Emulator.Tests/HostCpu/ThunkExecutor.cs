using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Emulator.Cpu;
using Emulator.Cpu.Thunks;

namespace Emulator.Tests.HostCpu;

/// <summary>The thunks alone, called as <see cref="ThunkCompiler"/> asks its caller to.</summary>
internal sealed unsafe class ThunkExecutor(ulong windowAddress) : IInstructionExecutor, IDisposable
{
    private readonly ThunkCompiler compiler = new();
    private readonly CpuState* state = (CpuState*)NativeMemory.AlignedAlloc(CpuState.StateSize, 64);
    private readonly Sample operand = new();

    internal ThunkOutcome LastOutcome { get; private set; }

    public ExecutionOutcome Execute(ReadOnlySpan<byte> code, ref UserState user, Span<byte> window)
    {
        byte[] bytes = code.ToArray();
        var decoder = Iced.Intel.Decoder.Create(64, bytes, user.Rip);
        decoder.Decode(out operand.Instruction);
        if (!compiler.TryDescribe(operand.Instruction, bytes, out ThunkInfo info))
        {
            return ExecutionOutcome.NotCovered;
        }

        operand.State = user;
        ulong address = Comparison.MemoryAddress(operand);
        Load(user);
        Thunk* thunk = info.Thunk;
        Unsafe.InitBlock(state->Scratch, 0xA5, 1024);
        int offset = (int)(address - windowAddress);
        if (thunk->Memory is MemoryUse.Read or MemoryUse.ReadWrite)
        {
            window.Slice(offset, thunk->MemorySize).CopyTo(new Span<byte>(state->Scratch, thunk->MemorySize));
        }

        LastOutcome = thunk->Waits && X87State.Pending(state)
            ? ThunkOutcome.MathFault
            : thunk->Run(state, thunk, info.Operands, user.Rip, address);
        if (LastOutcome == ThunkOutcome.Done && thunk->Memory is MemoryUse.Write or MemoryUse.ReadWrite)
        {
            new Span<byte>(state->Scratch, thunk->MemorySize).CopyTo(window[offset..]);
        }

        Store(ref user);
        if (LastOutcome is not (ThunkOutcome.Done or ThunkOutcome.DoneWithoutStore))
        {
            return ExecutionOutcome.Faulted;
        }

        user.Rip += (ulong)code.Length;
        return ExecutionOutcome.Retired;
    }

    public void Dispose()
    {
        compiler.Dispose();
        NativeMemory.AlignedFree(state);
    }

    private void Load(in UserState user)
    {
        *state = default;
        state->Cr0 = 1;
        state->Rflags = user.Rflags;
        for (int i = 0; i < 16; i++)
        {
            state->Gpr[i] = user.Gpr[i];
        }

        fixed (byte* fx = user.Fx)
        {
            Unsafe.CopyBlock(state->Fx, fx, 512);
        }
    }

    private void Store(ref UserState user)
    {
        user.Rflags = state->Rflags;
        for (int i = 0; i < 16; i++)
        {
            user.Gpr[i] = state->Gpr[i];
        }

        fixed (byte* fx = user.Fx)
        {
            Unsafe.CopyBlock(fx, state->Fx, 512);
        }
    }
}
