using Iced.Intel;

namespace Emulator.Tests.HostCpu.Sequences;

// The stack, divisions, strings, flags as data, and what only engines of ours are given.
internal sealed unsafe partial class SequenceGenerator
{
    private static readonly Code[] Strings =
    [
        Code.Movsb_m8_m8, Code.Movsw_m16_m16, Code.Movsd_m32_m32, Code.Movsq_m64_m64,
        Code.Stosb_m8_AL, Code.Stosw_m16_AX, Code.Stosd_m32_EAX, Code.Stosq_m64_RAX,
        Code.Lodsb_AL_m8, Code.Lodsw_AX_m16, Code.Lodsd_EAX_m32, Code.Lodsq_RAX_m64,
        Code.Scasb_AL_m8, Code.Scasw_AX_m16, Code.Scasd_EAX_m32, Code.Scasq_RAX_m64,
        Code.Cmpsb_m8_m8, Code.Cmpsw_m16_m16, Code.Cmpsd_m32_m32, Code.Cmpsq_m64_m64,
    ];

    private void Stack()
    {
        if (!StackHasRoom(16))
        {
            if (depth == 0)
            {
                MoveStackTo(RandomStack());
            }

            return;
        }

        int register = random.Below(16);
        switch (random.Below(9))
        {
            case 0 or 1 or 2:
                Emit(Instruction.Create(Code.Push_r64, R64(register)), droppable: false);
                break;
            case 3:
                Emit(random.OneIn(2)
                    ? Instruction.Create(Code.Pushq_imm8, (sbyte)random.Next())
                    : Instruction.Create(Code.Pushq_imm32, (int)random.Next()));
                break;
            case 4 when PopIsAllowed():
                Emit(random.OneIn(6)
                    ? Instruction.Create(Code.Pop_r16, Register.AX + FreeRegister())
                    : Instruction.Create(Code.Pop_r64, R64(FreeRegister())));
                break;
            case 5 when PopIsAllowed():
                MemoryStack(Code.Pop_rm64, write: true);
                break;
            case 6:
                MemoryStack(Code.Push_rm64, write: false);
                break;
            case 7 when !IsPinned(Rbp):
                Frame();
                break;
            case 8 when random.OneIn(3):
                FaultingStack();
                break;
            default:
                Emit(Instruction.Create(Code.Push_r64, R64(register)));
                break;
        }
    }

    // Inside a function the return address stays below the stack pointer's way up.
    private bool PopIsAllowed() => (protectedTo == 0 || known.Low(Rsp) + 8 <= protectedFrom)
        && IsReachable(known.Low(Rsp), 8, write: false) && known.Low(Rsp) + 8 < layout.ReadOnly;

    private void MemoryStack(Code code, bool write)
    {
        var instruction = new Instruction { Code = code, Op0Kind = OpKind.Memory };

        // POP computes an address from RSP after it has moved.
        if (SetMemory(ref instruction, 8, write, 1, random.OneIn(native ? 60 : 30), out FaultFacts? fault)
            && !(write && (instruction.MemoryBase.GetFullRegister() == Register.RSP || instruction.MemoryIndex.GetFullRegister() == Register.RSP)))
        {
            Emit(instruction, droppable: false, fault);
        }
    }

    private void Frame()
    {
        ulong stack = known.Low(Rsp);
        if (!StackHasRoom(128))
        {
            return;
        }

        int size = random.Below(4) * 8;
        Emit(Instruction.Create(Code.Enterq_imm16_imm8, size, 0));
        known.Set(Rbp, stack - 8);
        known.Set(Rsp, stack - 8 - (ulong)size);
        int stillPinned = pinned;
        pinned |= 1 << Rbp;
        (ulong oldFrom, ulong oldTo) = (protectedFrom, protectedTo);
        Body(2);
        pinned = stillPinned;
        (protectedFrom, protectedTo) = (oldFrom, oldTo);
        Emit(Instruction.Create(Code.Leaveq));
        known.Set(Rsp, stack);
    }

    private void FaultingStack()
    {
        ulong stack = known.Low(Rsp);
        bool write = random.OneIn(2);
        if (!PickTarget(8, write, 1, fault: true, out ulong target))
        {
            return;
        }

        Emit(Instruction.Create(Code.Mov_r64_imm64, Register.RSP, write ? target + 8 : target));
        Emit(write ? Instruction.Create(Code.Push_r64, R64(random.Below(16))) : Instruction.Create(Code.Pop_r64, R64(FreeRegister())),
            droppable: false, PageFault(target, 8, write));
        MoveStackTo(stack);
    }

    private void Divide()
    {
        int divisor = FreeRegister();
        if (IsPinned(Rax) || IsPinned(Rdx) || divisor is Rax or Rdx)
        {
            return;
        }

        bool signed = random.OneIn(2);
        int width = random.Below(4);
        Register narrow = width switch { 0 => Register.None, 1 => Register.AX + divisor, 2 => R32(divisor), _ => R64(divisor) };
        if (width == 0)
        {
            narrow = divisor < 4 ? Register.AL + divisor : divisor < 8 ? Register.SPL + (divisor - 4) : Register.R8L + (divisor - 8);
        }

        Code code = Divisions[width + (signed ? 4 : 0)];
        if (random.OneIn(native ? 6 : 3))
        {
            Emit(Instruction.Create(Code.Xor_r32_rm32, R32(divisor), R32(divisor)));
            if (width >= 2 && !signed && random.OneIn(2))
            {
                // The quotient does not fit.
                Emit(Instruction.Create(Code.Mov_rm64_imm32, Register.RDX, -1));
                Emit(Instruction.Create(Code.Mov_rm64_imm32, R64(divisor), -2));
            }

            Emit(Instruction.Create(code, narrow), droppable: false, new FaultFacts(0, 0, 0));
            return;
        }

        ExtendDividend(signed, width);
        bool negative = signed && random.OneIn(2);
        Emit(Instruction.Create(negative ? Code.Or_rm64_imm8 : Code.And_rm64_imm8, R64(divisor), negative ? -128 : 126));
        Emit(Instruction.Create(negative ? Code.And_rm64_imm8 : Code.Or_rm64_imm8, R64(divisor), negative ? -2 : 1));
        if (random.OneIn(3) && width >= 2 && PickTarget(8, write: true, 1, fault: false, out ulong target))
        {
            Emit(new Instruction
            {
                Code = Code.Mov_rm64_r64,
                Op0Kind = OpKind.Memory,
                Op1Kind = OpKind.Register,
                Op1Register = R64(divisor),
                MemoryDisplSize = 8,
                MemoryDisplacement64 = target,
            });
            Emit(new Instruction { Code = code, Op0Kind = OpKind.Memory, MemoryDisplSize = 8, MemoryDisplacement64 = target });
            return;
        }

        Emit(Instruction.Create(code, narrow));
    }

    private void ExtendDividend(bool signed, int width)
    {
        if (width == 0)
        {
            Emit(signed ? Instruction.Create(Code.Cbw) : Instruction.Create(Code.Movzx_r32_rm8, Register.EAX, Register.AL));
        }
        else if (signed)
        {
            Emit(Instruction.Create(width switch { 1 => Code.Cwd, 2 => Code.Cdq, _ => Code.Cqo }));
        }
        else
        {
            Emit(Instruction.Create(Code.Xor_r32_rm32, Register.EDX, Register.EDX));
        }
    }

    private void StringOperation()
    {
        Code code = random.Pick<Code>(Strings);
        int size = code.ToOpCode().MemorySize.GetSize();
        Mnemonic mnemonic = code.Mnemonic();
        bool move = mnemonic is Mnemonic.Movsb or Mnemonic.Movsw or Mnemonic.Movsd or Mnemonic.Movsq;
        bool compare = mnemonic is Mnemonic.Cmpsb or Mnemonic.Cmpsw or Mnemonic.Cmpsd or Mnemonic.Cmpsq;
        bool scan = mnemonic is Mnemonic.Scasb or Mnemonic.Scasw or Mnemonic.Scasd or Mnemonic.Scasq;
        bool load = mnemonic is Mnemonic.Lodsb or Mnemonic.Lodsw or Mnemonic.Lodsd or Mnemonic.Lodsq;
        if (IsPinned(Rsi) || IsPinned(Rdi) || IsPinned(Rcx) || (load && IsPinned(Rax)))
        {
            return;
        }

        bool repeat = random.Below(3) != 0;
        int count = repeat ? random.Below(20) : 1;
        if (known.Direction == 0 || random.OneIn(6))
        {
            Emit(Instruction.Create(random.OneIn(3) ? Code.Std : Code.Cld));
        }

        bool down = known.Direction > 0;
        int total = Math.Max(1, count) * size;
        bool wantFault = !repeat && random.OneIn(native ? 10 : 5);
        bool writes = !compare && !scan && !load;
        FaultFacts? fault = null;
        if (move || compare || load)
        {
            bool here = wantFault && load;
            if (!PointAt(Rsi, total, size, write: false, down, here, out ulong source))
            {
                return;
            }

            fault = here ? PageFault(source, size, write: false) : null;
        }

        if (!load)
        {
            if (!PointAt(Rdi, total, size, writes, down, wantFault, out ulong destination))
            {
                return;
            }

            fault = wantFault ? PageFault(destination, size, writes) : null;
        }

        var instruction = new Instruction { Code = code };
        for (int i = 0; i < instruction.OpCount; i++)
        {
            SetStringOperand(ref instruction, code.ToOpCode().GetOpKind(i), i);
        }

        if (repeat)
        {
            Emit(Instruction.Create(Code.Mov_r32_imm32, Register.ECX, count));
            instruction.HasRepnePrefix = (compare || scan) && random.OneIn(2);
            instruction.HasRepPrefix = !instruction.HasRepnePrefix;
            sequence.IsStraight = false;
        }

        Emit(instruction, droppable: false, fault);
    }

    private static void SetStringOperand(ref Instruction instruction, OpCodeOperandKind kind, int operand)
    {
        switch (kind)
        {
            case OpCodeOperandKind.seg_rSI:
                instruction.SetOpKind(operand, OpKind.MemorySegRSI);
                break;
            case OpCodeOperandKind.es_rDI:
                instruction.SetOpKind(operand, OpKind.MemoryESRDI);
                break;
            default:
                Set(ref instruction, operand, kind switch
                {
                    OpCodeOperandKind.al => Register.AL,
                    OpCodeOperandKind.ax => Register.AX,
                    OpCodeOperandKind.eax => Register.EAX,
                    _ => Register.RAX,
                });
                break;
        }
    }

    private bool PointAt(int register, int total, int size, bool write, bool down, bool fault, out ulong target)
    {
        // A range that runs into a fault on the way is only for our own.
        bool anywhere = !native && random.OneIn(4);
        if (anywhere)
        {
            target = layout.Absent - (ulong)random.Below(total + 1);
        }
        else if (!PickTarget(fault ? size : total, write, 1, fault, out target))
        {
            return false;
        }

        ulong start = down && !fault ? target + (ulong)(total - size) : target;
        Emit(Instruction.Create(Code.Mov_r64_imm64, R64(register), start));
        return true;
    }

    /// <summary>Pointers and small numbers for others to use.</summary>
    private void Pointer()
    {
        int register = FreeRegister();
        switch (random.Below(7))
        {
            case 0:
                Emit(Instruction.Create(Code.Mov_r64_imm64, R64(register), RandomPointer()));
                break;
            case 1:
                var lea = new Instruction { Code = Code.Lea_r64_m, Op0Kind = OpKind.Register, Op0Register = R64(register), Op1Kind = OpKind.Memory };
                lea.MemoryBase = Register.RIP;
                lea.MemoryDisplSize = 8;
                lea.MemoryDisplacement64 = RandomPointer();
                Emit(lea);
                break;
            case 2:
                Emit(Instruction.Create(Code.Movzx_r32_rm8, R32(register), Register.AL + random.Below(4)));
                break;
            case 3:
                Emit(Instruction.Create(Code.And_rm32_imm8, R32(register), random.Below(128)));
                break;
            case 4:
                Emit(Instruction.Create(Code.Mov_r64_rm64, R64(register), R64(KnownRegister())));
                break;
            case 5 when depth == 0:
                MoveStackTo(RandomStack());
                break;
            default:
                int from = KnownRegister();
                Emit(Instruction.Create(Code.Lea_r64_m, R64(register), new MemoryOperand(R64(from), (sbyte)random.Next(), 8)));
                break;
        }
    }

    /// <summary>PUSHF and POPF.</summary>
    private void FlagsImage()
    {
        if (!StackHasRoom(16))
        {
            return;
        }

        if (random.OneIn(3))
        {
            Require(FlagFacts.Status);
            Emit(Instruction.Create(Code.Pushfq));
            return;
        }

        ulong flags = UserState.FixedFlags | (random.Next() & UserState.UserFlags);
        if (!native && random.OneIn(4))
        {
            flags |= random.OneIn(2) ? 0x100UL : 0x24_0000;
        }

        Emit(Instruction.Create(Code.Pushq_imm32, (int)flags));
        Emit(Instruction.Create(Code.Popfq));
        known.Undefined = 0;
        known.Direction = (flags & 0x400) != 0 ? 1 : -1;
        learned = true;
    }

    /// <summary>System instructions, wild addresses, odd branches: no host would run these for us.</summary>
    private void Free()
    {
        switch (random.Below(9))
        {
            case 0:
                var wild = new Instruction { Code = random.Pick<Code>([Code.Mov_r64_rm64, Code.Add_r32_rm32, Code.Movups_xmm_xmmm128]) };
                wild.Op0Kind = OpKind.Register;
                wild.Op0Register = wild.Code == Code.Movups_xmm_xmmm128 ? Register.XMM3 : wild.Code == Code.Add_r32_rm32 ? R32(FreeRegister()) : R64(FreeRegister());
                wild.Op1Kind = OpKind.Memory;
                SetAnyAddress(ref wild);
                Emit(wild);
                break;
            case 1:
                EmitRaw(0x0F, 0xA2);
                known.Forget(Rax);
                known.Forget(Rcx);
                known.Forget(Rdx);
                known.Forget(Rbx);
                break;
            case 2:
                EmitRaw(0x0F, 0x31);
                known.Forget(Rax);
                known.Forget(Rdx);
                break;
            case 3:
                EmitRaw(random.OneIn(2) ? (byte)0xCC : (byte)0xF1);
                break;
            case 4:
                EmitRaw(0x0F, 0x0B);
                break;
            case 5:
                EmitRaw(random.OneIn(2) ? (byte)0xFA : (byte)0xFB);
                break;
            case 6:
                // MOV RAX, CR3 and back: a flush.
                EmitRaw(0x0F, 0x20, 0xD8);
                EmitRaw(0x0F, 0x22, 0xD8);
                known.Forget(Rax);
                break;
            case 7:
                EmitRaw(0x0F, 0x01, 0x3C, 0x25, (byte)layout.Data, (byte)(layout.Data >> 8), (byte)(layout.Data >> 16), (byte)(layout.Data >> 24));
                break;
            default:
                // On in the same code under another address.
                ulong next = layout.CodeAlias + (sequence.EndAddress - layout.Code) + 13;
                EmitRaw([0x49, 0xBB, .. BitConverter.GetBytes(next)]);
                EmitRaw(0x41, 0xFF, 0xE3);
                known.Forget(11);
                break;
        }
    }
}
