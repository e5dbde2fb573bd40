using Emulator.Boot;
using Emulator.Cpu.Thunks;

namespace Emulator.Cpu;

// Control registers, reset, and the vCPU as a plain record.
internal sealed unsafe partial class Vcpu
{
    internal Msrs Msrs { get; }

    /// <summary>CPUs of the machine, for CPUID's topology.</summary>
    internal int CpuCount { get; init; } = 1;

    /// <summary>The published time.</summary>
    internal ulong Now => clock.Now;

    /// <summary>Instructions retired: this vCPU's time.</summary>
    internal ulong Count
    {
        get => State->InstructionCount;
        set => State->InstructionCount = value;
    }

    internal bool TrySetCr0(ulong value)
    {
        CpuState* s = State;
        value |= ControlRegisters.Et;
        if (value >> 32 != 0
            || ((value & ControlRegisters.Pg) != 0 && (value & ControlRegisters.Pe) == 0)
            || ((value & ControlRegisters.Nw) != 0 && (value & ControlRegisters.Cd) == 0))
        {
            return false;
        }

        ulong changed = value ^ s->Cr0;
        if ((changed & ControlRegisters.Pg) != 0 && !TryTurnPaging((value & ControlRegisters.Pg) != 0))
        {
            return false;
        }

        s->Cr0 = value & (0xE005_003F);
        if ((changed & ControlRegisters.Pe) != 0 && (value & ControlRegisters.Pe) != 0)
        {
            s->Cpl = 0;
        }

        if ((changed & (ControlRegisters.Pg | ControlRegisters.Wp | ControlRegisters.Pe)) != 0)
        {
            FlushTlb(keepGlobal: false);
        }

        ModeChanged();
        CodeModeChanged();
        if ((changed & (ControlRegisters.Pg | ControlRegisters.Pe)) != 0)
        {
            ModeSwitched?.Invoke();
        }

        return true;
    }

    private bool TryTurnPaging(bool on)
    {
        CpuState* s = State;
        if (!on)
        {
            // 64-bit code cannot turn paging off.
            if (IsLong)
            {
                return false;
            }

            s->Efer &= ~ControlRegisters.EferLma;
            return true;
        }

        if ((s->Efer & ControlRegisters.EferLme) != 0)
        {
            if ((s->Cr4 & ControlRegisters.Pae) == 0 || s->Seg(SegmentIndex.Cs).Long)
            {
                return false;
            }

            s->Efer |= ControlRegisters.EferLma;
        }

        return true;
    }

    internal bool TrySetCr3(ulong value)
    {
        if (IsLongModeActive && value >> Paging.PhysicalBits != 0)
        {
            return false;
        }

        State->Cr3 = value;
        FlushTlb(keepGlobal: (State->Cr4 & ControlRegisters.Pge) != 0);
        return true;
    }

    internal bool TrySetCr4(ulong value)
    {
        CpuState* s = State;
        if ((value & ~ControlRegisters.Cr4Offered) != 0 || (IsLongModeActive && (value & ControlRegisters.Pae) == 0))
        {
            return false;
        }

        const ulong Flushing = ControlRegisters.Pse | ControlRegisters.Pae | ControlRegisters.Pge | ControlRegisters.Smep | ControlRegisters.Smap;
        bool flush = ((value ^ s->Cr4) & Flushing) != 0;
        s->Cr4 = value;
        if (flush)
        {
            FlushTlb(keepGlobal: false);
        }

        ModeChanged();
        CodeModeChanged();
        return true;
    }

    internal bool TrySetEfer(ulong value)
    {
        CpuState* s = State;
        bool changesLongMode = ((value ^ s->Efer) & ControlRegisters.EferLme) != 0;
        if ((value & ~ControlRegisters.EferOffered) != 0 || (changesLongMode && Paging.Enabled(s)))
        {
            return false;
        }

        bool changesNx = ((value ^ s->Efer) & ControlRegisters.EferNxe) != 0;
        s->Efer = (value & ~ControlRegisters.EferLma) | (s->Efer & ControlRegisters.EferLma);
        if (changesNx)
        {
            FlushTlb(keepGlobal: false);
        }

        CodeModeChanged();
        if (changesLongMode)
        {
            ModeSwitched?.Invoke();
        }

        return true;
    }

    /// <summary>Power-on state (SDM vol. 3A table 9-1); the machine puts what a boot protocol wants over it.</summary>
    internal void PowerOn()
    {
        Load(EntryState.PowerOn(CpuIdentity.Signature));
        Msrs.Reset();
        WaitsForStartUp = false;
        Attention = 0;
    }

    private void InitReset()
    {
        SortedDictionary<uint, ulong> kept = Msrs.Save();
        ulong cacheBits = State->Cr0 & (ControlRegisters.Cd | ControlRegisters.Nw);
        VcpuState powerOn = EntryState.PowerOn(CpuIdentity.Signature);
        Load(powerOn with { Msrs = kept, Cr0 = cacheBits | ControlRegisters.Et });
    }

    internal VcpuState Save()
    {
        CpuState* s = State;
        ulong[] gpr = new ulong[16];
        ulong[] dr = new ulong[8];
        for (int i = 0; i < 16; i++)
        {
            gpr[i] = s->Gpr[i];
        }

        for (int i = 0; i < 8; i++)
        {
            dr[i] = s->Dr[i];
        }

        var segments = new SegmentState[8];
        for (int i = 0; i < 8; i++)
        {
            ref Segment segment = ref s->Seg(i);
            segments[i] = new SegmentState(segment.Selector, segment.Attributes, segment.Limit, segment.Base);
        }

        return new VcpuState
        {
            Gpr = gpr,
            Rip = s->Rip,
            Rflags = s->Rflags,
            Segments = segments,
            Gdtr = new TableState(s->GdtrBase, s->GdtrLimit),
            Idtr = new TableState(s->IdtrBase, s->IdtrLimit),
            Cr0 = s->Cr0,
            Cr2 = s->Cr2,
            Cr3 = s->Cr3,
            Cr4 = s->Cr4,
            Cr8 = (ulong)Apic.TaskPriority >> 4,
            Efer = s->Efer,
            Xcr0 = s->Xcr0,
            Dr = dr,
            Fx = new ReadOnlySpan<byte>(s->Fx, 512).ToArray(),
            Msrs = Msrs.Save(),
            Halted = s->Halted != 0,
            InterruptShadow = s->InterruptShadow,
            NmiBlocked = nmiBlocked,
            NmiPending = (Attention & NmiPending) != 0,
        };
    }

    /// <summary>Takes over a state. Throws <see cref="ArgumentException"/> naming what no CPU can hold.</summary>
    internal void Load(VcpuState state)
    {
        Validate(state);
        CpuState* s = State;
        for (int i = 0; i < 16; i++)
        {
            s->Gpr[i] = state.Gpr[i];
        }

        for (int i = 0; i < 8; i++)
        {
            s->Dr[i] = state.Dr[i];
            SegmentState segment = state.Segments[i];
            s->Seg(i) = new Segment { Selector = segment.Selector, Attributes = segment.Attributes, Limit = segment.Limit, Base = segment.Base };
        }

        s->Rip = state.Rip;
        s->Rflags = (state.Rflags & 0x3F_7FD5) | Flags.Fixed;
        s->GdtrBase = state.Gdtr.Base;
        s->GdtrLimit = state.Gdtr.Limit;
        s->IdtrBase = state.Idtr.Base;
        s->IdtrLimit = state.Idtr.Limit;
        s->Cr0 = state.Cr0;
        s->Cr2 = state.Cr2;
        s->Cr3 = state.Cr3;
        s->Cr4 = state.Cr4;
        s->Efer = state.Efer;
        s->Xcr0 = state.Xcr0;
        state.Fx.CopyTo(new Span<byte>(s->Fx, 512));
        s->Mxcsr &= X87State.MxcsrMask;
        X87State.Summarize(s);
        s->Halted = state.Halted ? (byte)1 : (byte)0;
        s->InterruptShadow = state.InterruptShadow;
        s->Cpl = (state.Cr0 & ControlRegisters.Pe) == 0 ? (byte)0 : (state.Rflags & Flags.Vm) != 0 ? (byte)3 : (byte)state.Cpl;
        nmiBlocked = state.NmiBlocked;
        pendingDebug = 0;
        Attention = InterruptMaybe | (state.NmiPending ? NmiPending : 0);
        Msrs.Load(state.Msrs);
        if (Apic is not null)
        {
            Apic.TaskPriority = (byte)(state.Cr8 << 4);
        }

        FlushTlb(keepGlobal: false);
        DebugRegistersChanged();
        ModeChanged();
        CodeModeChanged();
    }

    private static void Validate(VcpuState state)
    {
        Demand(state.Gpr.Length == 16, "Gpr must have 16 values");
        Demand(state.Dr.Length == 8, "Dr must have 8 values");
        Demand(state.Segments.Length == 8, "Segments must have 8 entries");
        Demand(state.Fx.Length == 512, "Fx must have 512 bytes");
        Demand((state.Cr4 & ~ControlRegisters.Cr4Offered) == 0, $"CR4 {state.Cr4:x} has bits this CPU lacks");
        Demand((state.Efer & ~ControlRegisters.EferOffered) == 0, $"EFER {state.Efer:x} has bits this CPU lacks");
        Demand((state.Cr0 & ControlRegisters.Pg) == 0 || (state.Cr0 & ControlRegisters.Pe) != 0, "CR0.PG needs CR0.PE");
        bool longMode = (state.Efer & ControlRegisters.EferLme) != 0 && (state.Cr0 & ControlRegisters.Pg) != 0;
        Demand(longMode == ((state.Efer & ControlRegisters.EferLma) != 0), "EFER.LMA must be EFER.LME and CR0.PG");
        Demand(!longMode || (state.Cr4 & ControlRegisters.Pae) != 0, "long mode needs CR4.PAE");
        Demand((state.Xcr0 & ~3UL) == 0 && (state.Xcr0 & 1) != 0, "XCR0 must be 1 or 3");
        Demand(state.Cr8 < 16, "CR8 must be below 16");
        Demand(state.InterruptShadow <= 2, "InterruptShadow must be 0, 1 or 2");

        static void Demand(bool holds, string what)
        {
            if (!holds)
            {
                throw new ArgumentException(what, nameof(state));
            }
        }
    }
}
