using System.Runtime.CompilerServices;

namespace Emulator;

/// <summary>
/// The registers of a vCPU that are looked at most, by value: filling one allocates nothing, so a debugger's condition can
/// be decided, and an event noted, where instructions are executed. <see cref="VcpuState"/> has all registers.
/// </summary>
public struct VcpuGlance
{
    /// <summary>RAX RCX RDX RBX RSP RBP RSI RDI R8–R15.</summary>
    public GeneralRegisters Gpr;

    /// <summary>The next instruction.</summary>
    public ulong Rip;

    /// <summary>RFLAGS.</summary>
    public ulong Rflags;

    /// <summary>CR0.</summary>
    public ulong Cr0;

    /// <summary>CR2.</summary>
    public ulong Cr2;

    /// <summary>CR3.</summary>
    public ulong Cr3;

    /// <summary>CR4.</summary>
    public ulong Cr4;

    /// <summary>CR8.</summary>
    public ulong Cr8;

    /// <summary>IA32_EFER.</summary>
    public ulong Efer;

    /// <summary>IA32_APIC_BASE; 0 when it is not known.</summary>
    public ulong ApicBase;

    /// <summary>Bases of ES CS SS DS FS GS LDTR TR.</summary>
    public SegmentBases Bases;

    /// <summary>Selectors of ES CS SS DS FS GS LDTR TR.</summary>
    public SegmentSelectors Selectors;

    /// <summary>Attributes of CS, as in <see cref="SegmentState"/>.</summary>
    public ushort CsAttributes;

    /// <summary>Current privilege level.</summary>
    public byte Cpl;

    /// <summary>Halted by HLT.</summary>
    public bool Halted;

    /// <summary>True in 64-bit mode proper: EFER.LMA and CS.L.</summary>
    public readonly bool Is64Bit => (Efer & 0x400) != 0 && (CsAttributes & 0x2000) != 0;

    /// <summary>The address the next instruction is fetched from, in any mode.</summary>
    public readonly ulong LinearPc => Is64Bit ? Rip : (Bases[1] + Rip) & 0xFFFF_FFFF;

    /// <summary>The same registers out of a whole state.</summary>
    public static VcpuGlance Of(VcpuState state, ulong apicBase)
    {
        ArgumentNullException.ThrowIfNull(state);
        var glance = new VcpuGlance
        {
            Rip = state.Rip,
            Rflags = state.Rflags,
            Cr0 = state.Cr0,
            Cr2 = state.Cr2,
            Cr3 = state.Cr3,
            Cr4 = state.Cr4,
            Cr8 = state.Cr8,
            Efer = state.Efer,
            ApicBase = apicBase,
            CsAttributes = state.Segments[1].Attributes,
            Cpl = (byte)state.Cpl,
            Halted = state.Halted,
        };
        state.Gpr.AsSpan(0, 16).CopyTo(glance.Gpr);
        for (int i = 0; i < 8; i++)
        {
            glance.Bases[i] = state.Segments[i].Base;
            glance.Selectors[i] = state.Segments[i].Selector;
        }

        return glance;
    }
}

/// <summary>The sixteen general registers in the ISA's encoding order.</summary>
[InlineArray(16)]
public struct GeneralRegisters
{
    private ulong first;
}

/// <summary>A base for each segment register.</summary>
[InlineArray(8)]
public struct SegmentBases
{
    private ulong first;
}

/// <summary>A selector for each segment register.</summary>
[InlineArray(8)]
public struct SegmentSelectors
{
    private ushort first;
}
