using System.Buffers.Binary;
using Emulator;
using GdbStub.Agents;
using GdbStub.Targets;

namespace Debugging.X86;

/// <summary>What a breakpoint's condition sees: a vCPU that stands at it, looked at without a copy of its whole state.</summary>
internal struct AgentContext(IMachineControl machine, int vcpu, VcpuGlance registers, ITargetEvents events) : IAgentContext
{
    private VcpuState? state;

    public readonly Span<long> Variables => [];

    public bool TryReadRegister(int register, out ulong value)
    {
        if (X86Registers.TryRead(registers, register, out value))
        {
            return true;
        }

        // The rare ones; the low 64 bits of what is wider.
        state ??= machine.Vcpus[vcpu];
        Span<byte> bytes = stackalloc byte[TargetDescription.MaxRegisterBits / 8];
        Span<byte> wide = bytes[..Math.Max(X86Description.Instance.Registers[register].Size, sizeof(ulong))];
        wide.Clear();
        if (!X86Registers.TryRead(state, machine.InstructionCount, register, wide[..X86Description.Instance.Registers[register].Size]))
        {
            return false;
        }

        value = BinaryPrimitives.ReadUInt64LittleEndian(wide);
        return true;
    }

    public readonly bool TryReadMemory(ulong address, Span<byte> destination) =>
        VirtualMemory.Read(machine, VirtualMemory.RegistersOf(registers), address, destination) == destination.Length;

    public readonly void Record(ulong address, ulong length)
    {
    }

    public readonly void Print(ReadOnlySpan<byte> text) => events.Output(text);
}
