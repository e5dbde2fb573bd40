namespace Emulator;

/// <summary>A segment register with its hidden part; attributes as in SDM vol. 3C §24.4.1 (type, S, DPL, P, AVL, L, D/B, G), limit in bytes.</summary>
public sealed record SegmentState(ushort Selector, ushort Attributes, uint Limit, ulong Base);

/// <summary>A descriptor table register.</summary>
public sealed record TableState(ulong Base, ushort Limit);

/// <summary>
/// Every register of one vCPU as a plain record: what debuggers read, archives keep and a machine starts from.
/// A new field of the vCPU forces a decision here, because the vCPU fills this by naming every field.
/// </summary>
public sealed record VcpuState
{
    /// <summary>RAX RCX RDX RBX RSP RBP RSI RDI R8–R15.</summary>
    public required ulong[] Gpr { get; init; }

    /// <summary>The next instruction.</summary>
    public required ulong Rip { get; init; }

    /// <summary>RFLAGS.</summary>
    public required ulong Rflags { get; init; }

    /// <summary>ES CS SS DS FS GS LDTR TR.</summary>
    public required SegmentState[] Segments { get; init; }

    /// <summary>GDTR.</summary>
    public required TableState Gdtr { get; init; }

    /// <summary>IDTR.</summary>
    public required TableState Idtr { get; init; }

    /// <summary>CR0.</summary>
    public required ulong Cr0 { get; init; }

    /// <summary>CR2.</summary>
    public required ulong Cr2 { get; init; }

    /// <summary>CR3.</summary>
    public required ulong Cr3 { get; init; }

    /// <summary>CR4.</summary>
    public required ulong Cr4 { get; init; }

    /// <summary>CR8: the local APIC's task priority.</summary>
    public required ulong Cr8 { get; init; }

    /// <summary>IA32_EFER.</summary>
    public required ulong Efer { get; init; }

    /// <summary>XCR0.</summary>
    public required ulong Xcr0 { get; init; }

    /// <summary>DR0–DR3, 0, 0, DR6, DR7.</summary>
    public required ulong[] Dr { get; init; }

    /// <summary>The 512-byte FXSAVE64 image: x87, MMX, MXCSR, XMM.</summary>
    public required byte[] Fx { get; init; }

    /// <summary>Model-specific registers by number, in ascending order, as the vCPU lists them (EFER excepted).</summary>
    public required SortedDictionary<uint, ulong> Msrs { get; init; }

    /// <summary>Halted by HLT.</summary>
    public required bool Halted { get; init; }

    /// <summary>0, 1 after STI, 2 after MOV SS.</summary>
    public required byte InterruptShadow { get; init; }

    /// <summary>NMIs are blocked until IRET.</summary>
    public required bool NmiBlocked { get; init; }

    /// <summary>An NMI is waiting.</summary>
    public required bool NmiPending { get; init; }

    /// <summary>Current privilege level.</summary>
    public int Cpl => (Segments[2].Attributes >> 5) & 3;
}
