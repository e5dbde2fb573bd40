namespace Emulator.Cpu;

/// <summary>IN and OUT, with the I/O permission bitmap (SDM vol. 1 chapter 19).</summary>
internal static unsafe class PortIo
{
    internal static Step In(CpuState* s, Op* op)
    {
        Vcpu cpu = Vcpu.Of(s);
        ushort port = op->Data != 0 ? (ushort)s->Gpr[2] : (ushort)(byte)op->Imm;
        if (!TryPermit(cpu, port, op->OperandSize))
        {
            return Step.Fault;
        }

        Registers.Write(s, Registers.Rax, op->OperandSize, Read(cpu, op, port, op->OperandSize));
        return Step.Next;
    }

    internal static Step Out(CpuState* s, Op* op)
    {
        Vcpu cpu = Vcpu.Of(s);
        ushort port = op->Data != 0 ? (ushort)s->Gpr[2] : (ushort)(byte)op->Imm;
        if (!TryPermit(cpu, port, op->OperandSize))
        {
            return Step.Fault;
        }

        Write(cpu, op, port, op->OperandSize, (uint)Registers.Read(s, Registers.Rax, op->OperandSize));
        return Step.Next;
    }

    internal static uint Read(Vcpu cpu, Op* op, ushort port, int size)
    {
        cpu.PublishTime(op);
        cpu.LeaveBlock();
        return cpu.Space.Bus.ReadPort(port, size);
    }

    internal static void Write(Vcpu cpu, Op* op, ushort port, int size, uint value)
    {
        cpu.PublishTime(op);
        cpu.LeaveBlock();
        cpu.Space.Bus.WritePort(port, size, value);
    }

    internal static bool TryPermit(Vcpu cpu, ushort port, int size)
    {
        CpuState* s = cpu.State;
        bool virtual8086 = (s->Rflags & Flags.Vm) != 0;
        if (!cpu.IsProtected || (!virtual8086 && s->Cpl <= (int)((s->Rflags & Flags.IoplMask) >> 12)))
        {
            return true;
        }

        ref Segment tr = ref s->Seg(SegmentIndex.Tr);
        if ((tr.Type & 8) == 0 || tr.Limit < 103)
        {
            return cpu.Fail(Fault.GeneralProtection, 0);
        }

        if (!cpu.TryLoadAs(tr.Base + 102, 2, AccessMode.Supervisor, out ulong map))
        {
            return false;
        }

        ulong at = map + (ulong)(port / 8);
        if (at + 1 > tr.Limit)
        {
            return cpu.Fail(Fault.GeneralProtection, 0);
        }

        if (!cpu.TryLoadAs(tr.Base + at, 2, AccessMode.Supervisor, out ulong bits))
        {
            return false;
        }

        ulong mask = ((1UL << size) - 1) << (port & 7);
        return (bits & mask) == 0 || cpu.Fail(Fault.GeneralProtection, 0);
    }
}
