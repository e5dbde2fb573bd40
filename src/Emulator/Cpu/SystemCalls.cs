namespace Emulator.Cpu;

/// <summary>SYSCALL, SYSRET, SYSENTER, SYSEXIT (SDM vol. 2; MSRs in vol. 4).</summary>
internal static unsafe class SystemCalls
{
    internal static Step Syscall(CpuState* s, Op* op)
    {
        Vcpu cpu = Vcpu.Of(s);
        // Intel CPUs have SYSCALL in 64-bit code only.
        if ((s->Efer & ControlRegisters.EferSce) == 0 || !cpu.IsLong)
        {
            return Fault.Raise(s, Fault.InvalidOpcode);
        }

        s->Gpr[1] = op->NextRip;
        s->Gpr[11] = s->Rflags & ~Flags.Rf;
        s->Rflags = (s->Rflags & ~cpu.Msrs.Fmask & ~(Flags.Rf | Flags.Vm)) | Flags.Fixed;
        ushort selector = (ushort)(cpu.Msrs.Star >> 32);
        SetFlat(s, SegmentIndex.Cs, (ushort)(selector & ~3), 0xA09B);
        SetFlat(s, SegmentIndex.Ss, (ushort)((selector & ~3) + 8), 0xC093);
        s->Rip = cpu.Msrs.Lstar;
        Enter(cpu, 0);
        return Step.Branch;
    }

    internal static Step Sysret(CpuState* s, Op* op)
    {
        Vcpu cpu = Vcpu.Of(s);
        if ((s->Efer & ControlRegisters.EferSce) == 0 || !cpu.IsLong)
        {
            return Fault.Raise(s, Fault.InvalidOpcode);
        }

        bool wide = op->OperandSize == 8;
        if (s->Cpl != 0 || (wide && !Vcpu.IsCanonical(s->Gpr[1])))
        {
            return Fault.Protection(s);
        }

        ushort selector = (ushort)(cpu.Msrs.Star >> 48);
        s->Rflags = (s->Gpr[11] & 0x3C_7FD7) | Flags.Fixed;
        SetFlat(s, SegmentIndex.Cs, (ushort)((selector + (wide ? 16 : 0)) | 3), wide ? (ushort)0xA0FB : (ushort)0xC0FB);
        SetFlat(s, SegmentIndex.Ss, (ushort)((selector + 8) | 3), 0xC0F3);
        s->Rip = wide ? s->Gpr[1] : (uint)s->Gpr[1];
        Enter(cpu, 3);
        return Step.Branch;
    }

    internal static Step Sysenter(CpuState* s, Op* op)
    {
        Vcpu cpu = Vcpu.Of(s);
        if (!cpu.IsProtected || (cpu.Msrs.SysenterCs & 0xFFFC) == 0)
        {
            return Fault.Protection(s);
        }

        bool longMode = cpu.IsLongModeActive;
        ushort selector = (ushort)(cpu.Msrs.SysenterCs & 0xFFFC);
        s->Rflags &= ~(Flags.Vm | Flags.If | Flags.Rf);
        SetFlat(s, SegmentIndex.Cs, selector, longMode ? (ushort)0xA09B : (ushort)0xC09B);
        SetFlat(s, SegmentIndex.Ss, (ushort)(selector + 8), 0xC093);
        s->Gpr[4] = longMode ? cpu.Msrs.SysenterEsp : (uint)cpu.Msrs.SysenterEsp;
        s->Rip = longMode ? cpu.Msrs.SysenterEip : (uint)cpu.Msrs.SysenterEip;
        Enter(cpu, 0);
        return Step.Branch;
    }

    internal static Step Sysexit(CpuState* s, Op* op)
    {
        Vcpu cpu = Vcpu.Of(s);
        bool wide = op->OperandSize == 8;
        if (!cpu.IsProtected || s->Cpl != 0 || (cpu.Msrs.SysenterCs & 0xFFFC) == 0
            || (wide && (!Vcpu.IsCanonical(s->Gpr[1]) || !Vcpu.IsCanonical(s->Gpr[2]))))
        {
            return Fault.Protection(s);
        }

        ushort selector = (ushort)(cpu.Msrs.SysenterCs & 0xFFFC);
        SetFlat(s, SegmentIndex.Cs, (ushort)((selector + (wide ? 32 : 16)) | 3), wide ? (ushort)0xA0FB : (ushort)0xC0FB);
        SetFlat(s, SegmentIndex.Ss, (ushort)((selector + (wide ? 40 : 24)) | 3), 0xC0F3);
        s->Gpr[4] = wide ? s->Gpr[1] : (uint)s->Gpr[1];
        s->Rip = wide ? s->Gpr[2] : (uint)s->Gpr[2];
        Enter(cpu, 3);
        return Step.Branch;
    }

    private static void SetFlat(CpuState* s, int index, ushort selector, ushort attributes) =>
        s->Seg(index) = new Segment { Selector = selector, Attributes = attributes, Limit = uint.MaxValue, Base = 0 };

    private static void Enter(Vcpu cpu, byte cpl)
    {
        cpu.State->Cpl = cpl;
        cpu.ModeChanged();
        cpu.CodeModeChanged();
    }
}
