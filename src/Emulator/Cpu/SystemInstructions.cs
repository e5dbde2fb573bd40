namespace Emulator.Cpu;

/// <summary>Instructions that read and change the CPU itself (SDM vol. 2; privilege rules vol. 3A §5.9).</summary>
internal static unsafe class SystemInstructions
{
    internal static Step Cli(CpuState* s, Op* op)
    {
        if (!MayChangeInterrupts(s))
        {
            return Fault.Protection(s);
        }

        s->Rflags &= ~Flags.If;
        return Step.Next;
    }

    internal static Step Sti(CpuState* s, Op* op)
    {
        if (!MayChangeInterrupts(s))
        {
            return Fault.Protection(s);
        }

        if ((s->Rflags & Flags.If) == 0)
        {
            s->Rflags |= Flags.If;
            s->InterruptShadow = 1;
        }

        Vcpu.Of(s).LeaveBlock();
        return Step.Next;
    }

    internal static Step Halt(CpuState* s, Op* op)
    {
        if (s->Cpl != 0)
        {
            return Fault.Protection(s);
        }

        s->Halted = 1;
        Vcpu.Of(s).LeaveBlock();
        return Step.Next;
    }

    internal static Step PrivilegedNothing(CpuState* s, Op* op) => s->Cpl != 0 ? Fault.Protection(s) : Step.Next;

    internal static Step Cpuid(CpuState* s, Op* op)
    {
        (uint eax, uint ebx, uint ecx, uint edx) = CpuIdentity.Leaf(Vcpu.Of(s), (uint)s->Gpr[0], (uint)s->Gpr[1]);
        s->Gpr[0] = eax;
        s->Gpr[3] = ebx;
        s->Gpr[1] = ecx;
        s->Gpr[2] = edx;
        return Step.Next;
    }

    internal static Step ReadTimeStamp(CpuState* s, Op* op)
    {
        if ((s->Cr4 & ControlRegisters.Tsd) != 0 && s->Cpl != 0)
        {
            return Fault.Protection(s);
        }

        Vcpu cpu = Vcpu.Of(s);
        ulong value = cpu.PublishTime(op) + cpu.Msrs.TscOffset;
        s->Gpr[0] = (uint)value;
        s->Gpr[2] = value >> 32;
        return Step.Next;
    }

    internal static Step ReadTimeStampAndId(CpuState* s, Op* op)
    {
        Step step = ReadTimeStamp(s, op);
        if (step == Step.Next)
        {
            s->Gpr[1] = (uint)Vcpu.Of(s).Msrs.TscAux;
        }

        return step;
    }

    internal static Step ReadPerformanceCounter(CpuState* s, Op* op) => Fault.Protection(s);

    internal static Step ReadMsr(CpuState* s, Op* op)
    {
        Vcpu cpu = Vcpu.Of(s);
        cpu.PublishTime(op);
        cpu.LeaveBlock();
        if (s->Cpl != 0 || !cpu.Msrs.TryRead((uint)s->Gpr[1], out ulong value))
        {
            return Fault.Protection(s);
        }

        s->Gpr[0] = (uint)value;
        s->Gpr[2] = value >> 32;
        return Step.Next;
    }

    internal static Step WriteMsr(CpuState* s, Op* op)
    {
        Vcpu cpu = Vcpu.Of(s);
        cpu.PublishTime(op);
        cpu.LeaveBlock();
        ulong value = (uint)s->Gpr[0] | (s->Gpr[2] << 32);
        return s->Cpl == 0 && cpu.Msrs.TryWrite((uint)s->Gpr[1], value) ? Step.Next : Fault.Protection(s);
    }

    internal static Step ReadControl(CpuState* s, Op* op)
    {
        if (s->Cpl != 0)
        {
            return Fault.Protection(s);
        }

        ulong value;
        switch (op->Data)
        {
            case 0: value = s->Cr0; break;
            case 2: value = s->Cr2; break;
            case 3: value = s->Cr3; break;
            case 4: value = s->Cr4; break;
            case 8: value = (ulong)Vcpu.Of(s).Apic.TaskPriority >> 4; break;
            default: return Fault.Raise(s, Fault.InvalidOpcode);
        }

        Registers.Write(s, op->Dst, op->LinearShift == 0 ? 8 : 4, value);
        return Step.Next;
    }

    internal static Step WriteControl(CpuState* s, Op* op)
    {
        if (s->Cpl != 0)
        {
            return Fault.Protection(s);
        }

        Vcpu cpu = Vcpu.Of(s);
        ulong value = Registers.Read(s, op->Src, op->LinearShift == 0 ? 8 : 4);
        cpu.PublishTime(op);
        cpu.LeaveBlock();
        bool valid;
        switch (op->Data)
        {
            case 0: valid = cpu.TrySetCr0(value); break;
            case 2:
                s->Cr2 = value;
                valid = true;
                break;
            case 3: valid = cpu.TrySetCr3(value); break;
            case 4: valid = cpu.TrySetCr4(value); break;
            case 8:
                valid = value < 16;
                if (valid)
                {
                    cpu.Apic.TaskPriority = (byte)(value << 4);
                }

                break;
            default: return Fault.Raise(s, Fault.InvalidOpcode);
        }

        return valid ? Step.Next : Fault.Protection(s);
    }

    internal static Step ReadDebug(CpuState* s, Op* op)
    {
        if (!TryDebugRegister(s, op, out int index, out Step fault))
        {
            return fault;
        }

        Registers.Write(s, op->Dst, op->LinearShift == 0 ? 8 : 4, s->Dr[index]);
        return Step.Next;
    }

    internal static Step WriteDebug(CpuState* s, Op* op)
    {
        if (!TryDebugRegister(s, op, out int index, out Step fault))
        {
            return fault;
        }

        ulong value = Registers.Read(s, op->Src, op->LinearShift == 0 ? 8 : 4);
        if (index >= 6 && value >> 32 != 0)
        {
            return Fault.Protection(s);
        }

        s->Dr[index] = index switch
        {
            6 => (value & 0xE00F) | 0xFFFF_0FF0,
            7 => (value & 0xFFFF_2BFF) | 0x400,
            _ => value,
        };
        Vcpu.Of(s).DebugRegistersChanged();
        return Step.Next;
    }

    private static bool TryDebugRegister(CpuState* s, Op* op, out int index, out Step fault)
    {
        index = (int)op->Data;
        fault = Step.Next;
        if (s->Cpl != 0)
        {
            fault = Fault.Protection(s);
            return false;
        }

        if (index is 4 or 5)
        {
            if ((s->Cr4 & ControlRegisters.De) != 0)
            {
                fault = Fault.Raise(s, Fault.InvalidOpcode);
                return false;
            }

            index += 2;
        }

        if (index > 7)
        {
            fault = Fault.Raise(s, Fault.InvalidOpcode);
            return false;
        }

        if ((s->Dr[7] & 0x2000) != 0)
        {
            // General detect: the access itself traps, once.
            s->Dr[7] &= ~0x2000UL;
            s->Dr[6] |= 0x2000;
            fault = Fault.Raise(s, Fault.Debug);
            return false;
        }

        return true;
    }

    internal static Step LoadGdt(CpuState* s, Op* op)
    {
        if (!TryLoadTable(s, op, out ulong tableBase, out ushort limit))
        {
            return Step.Fault;
        }

        s->GdtrBase = tableBase;
        s->GdtrLimit = limit;
        return Step.Next;
    }

    internal static Step LoadIdt(CpuState* s, Op* op)
    {
        if (!TryLoadTable(s, op, out ulong tableBase, out ushort limit))
        {
            return Step.Fault;
        }

        s->IdtrBase = tableBase;
        s->IdtrLimit = limit;
        return Step.Next;
    }

    internal static Step StoreGdt(CpuState* s, Op* op) => StoreTable(s, op, s->GdtrBase, s->GdtrLimit);

    internal static Step StoreIdt(CpuState* s, Op* op) => StoreTable(s, op, s->IdtrBase, s->IdtrLimit);

    private static bool TryLoadTable(CpuState* s, Op* op, out ulong tableBase, out ushort limit)
    {
        tableBase = 0;
        limit = 0;
        if (s->Cpl != 0)
        {
            Fault.Protection(s);
            return false;
        }

        ulong linear = Operand.Linear(s, op);
        bool wide = op->LinearShift == 0;
        if (!Operand.TryLoad<ushort>(s, op, linear, out ulong limitValue)
            || !Operand.TryLoad(s, op, linear + 2, wide ? 8 : 4, out tableBase))
        {
            return false;
        }

        if (wide && !Vcpu.IsCanonical(tableBase))
        {
            Fault.Protection(s);
            return false;
        }

        tableBase &= op->OperandSize == 2 ? 0xFF_FFFF : ulong.MaxValue;
        limit = (ushort)limitValue;
        return true;
    }

    private static Step StoreTable(CpuState* s, Op* op, ulong tableBase, ushort limit)
    {
        if (UserModeInstructionPrevented(s))
        {
            return Fault.Protection(s);
        }

        ulong linear = Operand.Linear(s, op);
        return Operand.TryStore<ushort>(s, op, linear, limit)
            && Operand.TryStore(s, op, linear + 2, op->LinearShift == 0 ? 8 : 4, tableBase) ? Step.Next : Step.Fault;
    }

    private static bool UserModeInstructionPrevented(CpuState* s) => s->Cpl != 0 && (s->Cr4 & ControlRegisters.Umip) != 0;

    internal static Step LoadLdt(CpuState* s, Op* op) => LoadSystem(s, op, SegmentIndex.Ldtr);

    internal static Step LoadTask(CpuState* s, Op* op) => LoadSystem(s, op, SegmentIndex.Tr);

    private static Step LoadSystem(CpuState* s, Op* op, int index)
    {
        Vcpu cpu = Vcpu.Of(s);
        if (NeedsProtectedMode(cpu))
        {
            return Fault.Raise(s, Fault.InvalidOpcode);
        }

        if (s->Cpl != 0)
        {
            return Fault.Protection(s);
        }

        if (!TrySelectorOperand(s, op, out ushort selector))
        {
            return Step.Fault;
        }

        ref Segment target = ref s->Seg(index);
        if ((selector & ~3) == 0)
        {
            if (index == SegmentIndex.Tr)
            {
                return Fault.Protection(s);
            }

            target = new Segment { Selector = selector };
            return Step.Next;
        }

        uint error = (uint)selector & ~3u;
        if ((selector & 4) != 0)
        {
            return Fault.Protection(s, error);
        }

        if (!Descriptors.TryReadSystem(cpu, selector, error, Fault.GeneralProtection, out Descriptor descriptor))
        {
            return Step.Fault;
        }

        bool rightType = !descriptor.IsSegment
            && (index == SegmentIndex.Ldtr ? descriptor.Type == 2 : descriptor.Type == 9 || (descriptor.Type == 1 && !cpu.IsLongModeActive));
        if (!rightType)
        {
            return Fault.Protection(s, error);
        }

        if (!descriptor.Present)
        {
            return Fault.Raise(s, Fault.SegmentNotPresent, error);
        }

        target = descriptor.ToSegment(selector);
        if (index == SegmentIndex.Tr)
        {
            target.Attributes |= 2;
            Descriptors.SetTypeByte(cpu, selector, (byte)((descriptor.Low >> 40) | 2));
        }

        return Step.Next;
    }

    internal static Step StoreSystemSelector(CpuState* s, Op* op)
    {
        if (NeedsProtectedMode(Vcpu.Of(s)))
        {
            return Fault.Raise(s, Fault.InvalidOpcode);
        }

        return UserModeInstructionPrevented(s) ? Fault.Protection(s) : StoreWord(s, op, s->Seg((int)op->Data).Selector);
    }

    internal static Step StoreMachineStatus(CpuState* s, Op* op) =>
        UserModeInstructionPrevented(s) ? Fault.Protection(s) : StoreWord(s, op, s->Cr0);

    private static Step StoreWord(CpuState* s, Op* op, ulong value)
    {
        if (op->MemorySize != 0)
        {
            return Operand.TryStore<ushort>(s, op, Operand.Linear(s, op), value) ? Step.Next : Step.Fault;
        }

        Registers.Write(s, op->Dst, op->OperandSize, value);
        return Step.Next;
    }

    internal static Step LoadMachineStatus(CpuState* s, Op* op)
    {
        if (s->Cpl != 0)
        {
            return Fault.Protection(s);
        }

        if (!TrySelectorOperand(s, op, out ushort value))
        {
            return Step.Fault;
        }

        Vcpu cpu = Vcpu.Of(s);
        cpu.LeaveBlock();
        // LMSW can set PE but not clear it.
        ulong cr0 = (s->Cr0 & ~0xEUL) | (value & 0xFUL) | (s->Cr0 & 1);
        return cpu.TrySetCr0(cr0) ? Step.Next : Fault.Protection(s);
    }

    internal static Step ClearTaskSwitched(CpuState* s, Op* op)
    {
        if (s->Cpl != 0)
        {
            return Fault.Protection(s);
        }

        s->Cr0 &= ~ControlRegisters.Ts;
        return Step.Next;
    }

    internal static Step InvalidatePage(CpuState* s, Op* op)
    {
        if (s->Cpl != 0)
        {
            return Fault.Protection(s);
        }

        Vcpu cpu = Vcpu.Of(s);
        cpu.FlushPage(Operand.Linear(s, op));
        cpu.LeaveBlock();
        return Step.Next;
    }

    /// <summary>CLFLUSH: nothing is cached, but the address must be readable.</summary>
    internal static Step FlushLine(CpuState* s, Op* op) =>
        Operand.TryLoad<byte>(s, op, Operand.Linear(s, op), out _) ? Step.Next : Step.Fault;

    internal static Step Verify(CpuState* s, Op* op)
    {
        Vcpu cpu = Vcpu.Of(s);
        if (NeedsProtectedMode(cpu))
        {
            return Fault.Raise(s, Fault.InvalidOpcode);
        }

        if (!TrySelectorOperand(s, op, out ushort selector))
        {
            return Step.Fault;
        }

        bool usable = false;
        if ((selector & ~3) != 0)
        {
            if (Descriptors.TryRead(cpu, selector, 0, Fault.GeneralProtection, out Descriptor descriptor))
            {
                bool visible = (descriptor.IsCode && descriptor.IsConforming)
                    || (descriptor.Dpl >= s->Cpl && descriptor.Dpl >= (selector & 3));
                usable = descriptor.IsSegment && visible && (op->Data != 0 ? descriptor.IsWritableData : descriptor.IsReadable);
            }
            else if (s->FaultVector == Fault.PageFault)
            {
                return Step.Fault;
            }
        }

        Flags.Set(s, Flags.Zf, usable ? Flags.Zf : 0);
        return Step.Next;
    }

    internal static Step LoadAccessOrLimit(CpuState* s, Op* op)
    {
        Vcpu cpu = Vcpu.Of(s);
        if (NeedsProtectedMode(cpu))
        {
            return Fault.Raise(s, Fault.InvalidOpcode);
        }

        ushort selector;
        if (op->MemorySize != 0)
        {
            if (!Operand.TryLoad<ushort>(s, op, Operand.Linear(s, op), out ulong loaded))
            {
                return Step.Fault;
            }

            selector = (ushort)loaded;
        }
        else
        {
            selector = (ushort)Registers.Read<ushort>(s, op->Src);
        }

        bool valid = false;
        Descriptor descriptor = default;
        if ((selector & ~3) != 0)
        {
            if (Descriptors.TryRead(cpu, selector, 0, Fault.GeneralProtection, out descriptor))
            {
                bool visible = (descriptor.IsCode && descriptor.IsConforming)
                    || (descriptor.Dpl >= s->Cpl && descriptor.Dpl >= (selector & 3));
                bool known = descriptor.IsSegment || IsReadableSystemType(descriptor.Type, limit: op->Data != 0, cpu.IsLongModeActive);
                valid = visible && known;
            }
            else if (s->FaultVector == Fault.PageFault)
            {
                return Step.Fault;
            }
        }

        if (valid)
        {
            Registers.Write(s, op->Dst, op->OperandSize, op->Data != 0 ? descriptor.Limit : (descriptor.Low >> 32) & 0xF0_FF00);
        }

        Flags.Set(s, Flags.Zf, valid ? Flags.Zf : 0);
        return Step.Next;
    }

    private static bool IsReadableSystemType(int type, bool limit, bool longMode) => type switch
    {
        2 or 9 or 11 => true,
        1 or 3 => !longMode,
        4 or 5 => !longMode && !limit,
        12 => !limit,
        _ => false,
    };

    internal static Step AdjustRpl(CpuState* s, Op* op)
    {
        if (NeedsProtectedMode(Vcpu.Of(s)))
        {
            return Fault.Raise(s, Fault.InvalidOpcode);
        }

        ulong linear = op->MemorySize != 0 ? Operand.Linear(s, op) : 0;
        ulong value = Registers.Read<ushort>(s, op->Dst);
        if (op->MemorySize != 0 && !Operand.TryLoadForStore<ushort>(s, op, linear, out value))
        {
            return Step.Fault;
        }

        ulong rpl = Registers.Read<ushort>(s, op->Src) & 3;
        bool adjust = (value & 3) < rpl;
        if (adjust)
        {
            value = (value & ~3UL) | rpl;
            if (op->MemorySize == 0)
            {
                Registers.Write<ushort>(s, op->Dst, value);
            }
            else
            {
                Operand.TryStore<ushort>(s, op, linear, value);
            }
        }

        Flags.Set(s, Flags.Zf, adjust ? Flags.Zf : 0);
        return Step.Next;
    }

    internal static Step SwapGs(CpuState* s, Op* op)
    {
        if (s->Cpl != 0)
        {
            return Fault.Protection(s);
        }

        Vcpu cpu = Vcpu.Of(s);
        (s->Seg(SegmentIndex.Gs).Base, cpu.Msrs.KernelGsBase) = (cpu.Msrs.KernelGsBase, s->Seg(SegmentIndex.Gs).Base);
        return Step.Next;
    }

    internal static Step ReadBase(CpuState* s, Op* op)
    {
        if ((s->Cr4 & ControlRegisters.FsGsBase) == 0)
        {
            return Fault.Raise(s, Fault.InvalidOpcode);
        }

        Registers.Write(s, op->Dst, op->OperandSize, s->Seg((int)op->Data).Base);
        return Step.Next;
    }

    internal static Step WriteBase(CpuState* s, Op* op)
    {
        if ((s->Cr4 & ControlRegisters.FsGsBase) == 0)
        {
            return Fault.Raise(s, Fault.InvalidOpcode);
        }

        ulong value = Registers.Read(s, op->Dst, op->OperandSize);
        if (!Vcpu.IsCanonical(value))
        {
            return Fault.Protection(s);
        }

        s->Seg((int)op->Data).Base = value;
        return Step.Next;
    }

    internal static Step SetAc(CpuState* s, Op* op) => ChangeAc(s, Flags.Ac);

    internal static Step ClearAc(CpuState* s, Op* op) => ChangeAc(s, 0);

    private static Step ChangeAc(CpuState* s, ulong value)
    {
        if (s->Cpl != 0)
        {
            return Fault.Raise(s, Fault.InvalidOpcode);
        }

        Flags.Set(s, Flags.Ac, value);
        Vcpu.Of(s).ModeChanged();
        return Step.Next;
    }

    internal static Step ReadXcr(CpuState* s, Op* op)
    {
        if ((s->Cr4 & ControlRegisters.OsXsave) == 0)
        {
            return Fault.Raise(s, Fault.InvalidOpcode);
        }

        if ((uint)s->Gpr[1] != 0)
        {
            return Fault.Protection(s);
        }

        s->Gpr[0] = (uint)s->Xcr0;
        s->Gpr[2] = s->Xcr0 >> 32;
        return Step.Next;
    }

    internal static Step WriteXcr(CpuState* s, Op* op)
    {
        if ((s->Cr4 & ControlRegisters.OsXsave) == 0)
        {
            return Fault.Raise(s, Fault.InvalidOpcode);
        }

        ulong value = (uint)s->Gpr[0] | (s->Gpr[2] << 32);
        if (s->Cpl != 0 || (uint)s->Gpr[1] != 0 || (value & ~3UL) != 0 || (value & 1) == 0)
        {
            return Fault.Protection(s);
        }

        s->Xcr0 = value;
        return Step.Next;
    }

    internal static Step Random(CpuState* s, Op* op)
    {
        Registers.Write(s, op->Dst, op->OperandSize, Vcpu.Of(s).Random.Next());
        Flags.Set(s, Flags.Cf);
        return Step.Next;
    }

    internal static Step Bound(CpuState* s, Op* op)
    {
        int size = Math.Max(2, op->MemorySize / 2);
        ulong linear = Operand.Linear(s, op);
        if (!Operand.TryLoad(s, op, linear, size, out ulong low) || !Operand.TryLoad(s, op, linear + (ulong)size, size, out ulong high))
        {
            return Step.Fault;
        }

        long index = Registers.SignExtend(Registers.Read(s, op->Dst, size), size);
        bool inside = index >= Registers.SignExtend(low, size) && index <= Registers.SignExtend(high, size);
        return inside ? Step.Next : Fault.Raise(s, Fault.BoundRange);
    }

    internal static Step LoadSegmentReg(CpuState* s, Op* op) => LoadSegment(s, op, (ushort)Registers.Read<ushort>(s, op->Src));

    internal static Step LoadSegmentMem(CpuState* s, Op* op) =>
        Operand.TryLoad<ushort>(s, op, Operand.Linear(s, op), out ulong selector) ? LoadSegment(s, op, (ushort)selector) : Step.Fault;

    private static Step LoadSegment(CpuState* s, Op* op, ushort selector)
    {
        if (op->Dst == SegmentIndex.Cs)
        {
            return Fault.Raise(s, Fault.InvalidOpcode);
        }

        if (!Segmentation.TryLoad(Vcpu.Of(s), op->Dst, selector))
        {
            return Step.Fault;
        }

        if (op->Dst == SegmentIndex.Ss)
        {
            s->InterruptShadow = 2;
        }

        return Step.Next;
    }

    internal static Step StoreSegment(CpuState* s, Op* op)
    {
        ulong selector = s->Seg(op->Src).Selector;
        return StoreWord(s, op, selector);
    }

    internal static Step LoadFarPointer(CpuState* s, Op* op)
    {
        ulong linear = Operand.Linear(s, op);
        int size = op->OperandSize;
        if (!Operand.TryLoad(s, op, linear, size, out ulong offset)
            || !Operand.TryLoad<ushort>(s, op, linear + (ulong)size, out ulong selector)
            || !Segmentation.TryLoad(Vcpu.Of(s), op->Src, (ushort)selector))
        {
            return Step.Fault;
        }

        Registers.Write(s, op->Dst, size, offset);
        return Step.Next;
    }

    private static bool NeedsProtectedMode(Vcpu cpu) => !cpu.IsProtected || cpu.IsVirtual8086;

    private static bool TrySelectorOperand(CpuState* s, Op* op, out ushort selector)
    {
        ulong value = Registers.Read<ushort>(s, op->Dst);
        if (op->MemorySize != 0 && !Operand.TryLoad<ushort>(s, op, Operand.Linear(s, op), out value))
        {
            selector = 0;
            return false;
        }

        selector = (ushort)value;
        return true;
    }

    private static bool MayChangeInterrupts(CpuState* s)
    {
        if ((s->Cr0 & ControlRegisters.Pe) == 0)
        {
            return true;
        }

        int iopl = (int)((s->Rflags & Flags.IoplMask) >> 12);
        return (s->Rflags & Flags.Vm) != 0 ? iopl == 3 : s->Cpl <= iopl;
    }
}
