using Emulator;

namespace GuestOs.Linux.Symbols;

/// <summary>Registers of a thread of execution, as far as they are known. A sleeping task has left most of them behind.</summary>
public sealed class KernelRegisters
{
    /// <summary>Places in <see cref="TryGet"/>: as in an instruction's encoding, RAX RCX RDX RBX RSP RBP RSI RDI R8 to R15, then RIP.</summary>
    public const int Rbx = 3, Rsp = 4, Rbp = 5, R12 = 12, R13 = 13, R14 = 14, R15 = 15, Rip = 16;

    /// <summary>Number of registers.</summary>
    public const int Count = 17;

    private readonly ulong[] values = new ulong[Count];
    private uint known;

    /// <summary>All registers unknown.</summary>
    public KernelRegisters()
    {
    }

    /// <summary>All registers of a vCPU.</summary>
    public KernelRegisters(VcpuState vcpu)
    {
        ArgumentNullException.ThrowIfNull(vcpu);
        vcpu.Gpr.AsSpan(0, 16).CopyTo(values);
        values[Rip] = vcpu.Rip;
        known = (1u << Count) - 1;
    }

    private KernelRegisters(KernelRegisters other)
    {
        other.values.CopyTo(values, 0);
        known = other.known;
    }

    /// <summary>The next instruction; 0 when not known.</summary>
    public ulong Pc => values[Rip];

    /// <summary>The stack pointer; 0 when not known.</summary>
    public ulong Sp => values[Rsp];

    /// <summary>A register's value; false when it is not known.</summary>
    public bool TryGet(int register, out ulong value)
    {
        bool isKnown = (uint)register < Count && (known & (1u << register)) != 0;
        value = isKnown ? values[register] : 0;
        return isKnown;
    }

    /// <inheritdoc/>
    public override string ToString() => $"pc {Pc:x16} sp {Sp:x16}";

    internal KernelRegisters Copy() => new(this);

    internal void Set(int register, ulong value)
    {
        values[register] = value;
        known |= 1u << register;
    }

    internal void Forget(int register)
    {
        values[register] = 0;
        known &= ~(1u << register);
    }

    /// <summary>Where a function was called from, ORC knows its stack pointer, its frame pointer and its place, and no other register.</summary>
    internal void KeepFrame()
    {
        for (int i = 0; i < Count; i++)
        {
            if (i is not (Rsp or Rbp or Rip))
            {
                Forget(i);
            }
        }
    }
}
