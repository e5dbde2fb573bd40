using Iced.Intel;

namespace Emulator.Cpu;

// Integer instructions, the stack, branches and strings.
internal static unsafe partial class OpTable
{
    private static delegate*<CpuState*, Op*, Step> Integer(in Instruction instruction, CodeMode mode, ref Op op)
    {
        Mnemonic mnemonic = instruction.Mnemonic;
        if (instruction.ConditionCode != ConditionCode.None)
        {
            delegate*<CpuState*, Op*, Step> conditional = Conditional(instruction, ref op);
            if (conditional != null)
            {
                return conditional;
            }
        }

        switch (mnemonic)
        {
            case Mnemonic.Add:
                return AluOp<Add>(instruction, op);
            case Mnemonic.Adc:
                return AluOp<Adc>(instruction, op);
            case Mnemonic.Sub:
                return AluOp<Sub>(instruction, op);
            case Mnemonic.Sbb:
                return AluOp<Sbb>(instruction, op);
            case Mnemonic.And:
                return AluOp<And>(instruction, op);
            case Mnemonic.Or:
                return AluOp<Or>(instruction, op);
            case Mnemonic.Xor:
                return AluOp<Xor>(instruction, op);
            case Mnemonic.Cmp:
                return AluOp<Cmp>(instruction, op);
            case Mnemonic.Test:
                return AluOp<Test>(instruction, op);
            case Mnemonic.Inc:
                return UnaryOp<Inc>(instruction, op);
            case Mnemonic.Dec:
                return UnaryOp<Dec>(instruction, op);
            case Mnemonic.Neg:
                return UnaryOp<Neg>(instruction, op);
            case Mnemonic.Not:
                return UnaryOp<Not>(instruction, op);
            case Mnemonic.Shl:
            case Mnemonic.Sal:
                return ShiftOp<Shl>(instruction, op);
            case Mnemonic.Shr:
                return ShiftOp<Shr>(instruction, op);
            case Mnemonic.Sar:
                return ShiftOp<Sar>(instruction, op);
            case Mnemonic.Rol:
                return ShiftOp<Rol>(instruction, op);
            case Mnemonic.Ror:
                return ShiftOp<Ror>(instruction, op);
            case Mnemonic.Rcl:
                return ShiftOp<Rcl>(instruction, op);
            case Mnemonic.Rcr:
                return ShiftOp<Rcr>(instruction, op);
            case Mnemonic.Bt:
                return BitOp<BitTest>(instruction, op);
            case Mnemonic.Bts:
                return BitOp<BitSet>(instruction, op);
            case Mnemonic.Btr:
                return BitOp<BitReset>(instruction, op);
            case Mnemonic.Btc:
                return BitOp<BitComplement>(instruction, op);
            case Mnemonic.Mov:
                return MoveAny(instruction, ref op);
            case Mnemonic.Movnti:
                return op.OperandSize switch { 4 => &Move<uint>.MemReg, _ => &Move<ulong>.MemReg };
            case Mnemonic.Lea:
                return op.OperandSize switch { 2 => &Move<ushort>.Lea, 4 => &Move<uint>.Lea, _ => &Move<ulong>.Lea };
            case Mnemonic.Movzx:
                return ExtendOp(instruction, op, signed: false);
            case Mnemonic.Movsx:
            case Mnemonic.Movsxd:
                return ExtendOp(instruction, op, signed: true);
            case Mnemonic.Xchg:
                return ExchangeOp(instruction, ref op);
            case Mnemonic.Xadd:
                return instruction.Op0Kind == OpKind.Memory
                    ? op.OperandSize switch { 1 => &Move<byte>.ExchangeAddMem, 2 => &Move<ushort>.ExchangeAddMem, 4 => &Move<uint>.ExchangeAddMem, _ => &Move<ulong>.ExchangeAddMem }
                    : op.OperandSize switch { 1 => &Move<byte>.ExchangeAddReg, 2 => &Move<ushort>.ExchangeAddReg, 4 => &Move<uint>.ExchangeAddReg, _ => &Move<ulong>.ExchangeAddReg };
            case Mnemonic.Cmpxchg:
                return instruction.Op0Kind == OpKind.Memory
                    ? op.OperandSize switch { 1 => &Move<byte>.CompareExchangeMem, 2 => &Move<ushort>.CompareExchangeMem, 4 => &Move<uint>.CompareExchangeMem, _ => &Move<ulong>.CompareExchangeMem }
                    : op.OperandSize switch { 1 => &Move<byte>.CompareExchangeReg, 2 => &Move<ushort>.CompareExchangeReg, 4 => &Move<uint>.CompareExchangeReg, _ => &Move<ulong>.CompareExchangeReg };
            case Mnemonic.Cmpxchg8b:
                return &Moves.CompareExchange8;
            case Mnemonic.Cmpxchg16b:
                return &Moves.CompareExchange16;
            case Mnemonic.Shld:
                return DoubleShiftOp(instruction, ref op, left: true);
            case Mnemonic.Shrd:
                return DoubleShiftOp(instruction, ref op, left: false);
            case Mnemonic.Mul:
                return SourceFirst(instruction, ref op) switch { 1 => &Multiply<byte>.Unsigned, 2 => &Multiply<ushort>.Unsigned, 4 => &Multiply<uint>.Unsigned, _ => &Multiply<ulong>.Unsigned };
            case Mnemonic.Div:
                return SourceFirst(instruction, ref op) switch { 1 => &Multiply<byte>.Divide, 2 => &Multiply<ushort>.Divide, 4 => &Multiply<uint>.Divide, _ => &Multiply<ulong>.Divide };
            case Mnemonic.Idiv:
                return SourceFirst(instruction, ref op) switch { 1 => &Multiply<byte>.DivideSigned, 2 => &Multiply<ushort>.DivideSigned, 4 => &Multiply<uint>.DivideSigned, _ => &Multiply<ulong>.DivideSigned };
            case Mnemonic.Imul:
                return instruction.OpCount switch
                {
                    1 => SourceFirst(instruction, ref op) switch { 1 => &Multiply<byte>.Signed, 2 => &Multiply<ushort>.Signed, 4 => &Multiply<uint>.Signed, _ => &Multiply<ulong>.Signed },
                    2 => op.OperandSize switch { 2 => &Multiply<ushort>.RegOperand, 4 => &Multiply<uint>.RegOperand, _ => &Multiply<ulong>.RegOperand },
                    _ => op.OperandSize switch { 2 => &Multiply<ushort>.RegOperandImm, 4 => &Multiply<uint>.RegOperandImm, _ => &Multiply<ulong>.RegOperandImm },
                };
            case Mnemonic.Bsf:
            case Mnemonic.Tzcnt:
                return op.OperandSize switch { 2 => &BitScan<ushort>.Forward, 4 => &BitScan<uint>.Forward, _ => &BitScan<ulong>.Forward };
            case Mnemonic.Bsr:
            case Mnemonic.Lzcnt:
                return op.OperandSize switch { 2 => &BitScan<ushort>.Reverse, 4 => &BitScan<uint>.Reverse, _ => &BitScan<ulong>.Reverse };
            case Mnemonic.Popcnt:
                return op.OperandSize switch { 2 => &BitScan<ushort>.PopCount, 4 => &BitScan<uint>.PopCount, _ => &BitScan<ulong>.PopCount };
            case Mnemonic.Bswap:
                return op.OperandSize switch { 2 => &BitScan<ushort>.ByteSwap, 4 => &BitScan<uint>.ByteSwap, _ => &BitScan<ulong>.ByteSwap };
            case Mnemonic.Crc32:
                return (instruction.Op1Kind == OpKind.Memory ? instruction.MemorySize.GetSize() : instruction.Op1Register.GetSize()) switch { 1 => &BitScan<byte>.Crc32, 2 => &BitScan<ushort>.Crc32, 4 => &BitScan<uint>.Crc32, _ => &BitScan<ulong>.Crc32 };
            case Mnemonic.Daa:
                return &DecimalAdjust.Daa;
            case Mnemonic.Das:
                return &DecimalAdjust.Das;
            case Mnemonic.Aaa:
                return &DecimalAdjust.Aaa;
            case Mnemonic.Aas:
                return &DecimalAdjust.Aas;
            case Mnemonic.Aam:
                return &DecimalAdjust.Aam;
            case Mnemonic.Aad:
                return &DecimalAdjust.Aad;
            case Mnemonic.Salc:
                return &DecimalAdjust.Salc;
            case Mnemonic.Lahf:
                return &Moves.Lahf;
            case Mnemonic.Sahf:
                return &Moves.Sahf;
            case Mnemonic.Clc:
                return &Moves.Clc;
            case Mnemonic.Stc:
                return &Moves.Stc;
            case Mnemonic.Cmc:
                return &Moves.Cmc;
            case Mnemonic.Cld:
                return &Moves.Cld;
            case Mnemonic.Std:
                return &Moves.Std;
            case Mnemonic.Nop:
            case Mnemonic.Pause:
            case Mnemonic.Endbr32:
            case Mnemonic.Endbr64:
            case Mnemonic.Rdsspd:
            case Mnemonic.Rdsspq:
            case Mnemonic.Cldemote:
            case Mnemonic.Prefetchw:
            case Mnemonic.Prefetch:
            case Mnemonic.Prefetchwt1:
            case Mnemonic.Prefetchnta:
            case Mnemonic.Prefetcht0:
            case Mnemonic.Prefetcht1:
            case Mnemonic.Prefetcht2:
            case Mnemonic.Prefetchit0:
            case Mnemonic.Prefetchit1:
            case Mnemonic.Reservednop:
            case Mnemonic.Lfence:
            case Mnemonic.Mfence:
            case Mnemonic.Sfence:
                return &Moves.Nop;
            case Mnemonic.Cbw:
                return Sized(ref op, 2, &Moves.SignExtendAccumulator);
            case Mnemonic.Cwde:
                return Sized(ref op, 4, &Moves.SignExtendAccumulator);
            case Mnemonic.Cdqe:
                return Sized(ref op, 8, &Moves.SignExtendAccumulator);
            case Mnemonic.Cwd:
                return Sized(ref op, 2, &Moves.SignExtendToDx);
            case Mnemonic.Cdq:
                return Sized(ref op, 4, &Moves.SignExtendToDx);
            case Mnemonic.Cqo:
                return Sized(ref op, 8, &Moves.SignExtendToDx);
            case Mnemonic.Xlatb:
                return Implicit(instruction, mode, ref op, &Moves.Xlat);
            case Mnemonic.Push:
                return PushOp(instruction, ref op);
            case Mnemonic.Pop:
                return PopOp(instruction, ref op);
            case Mnemonic.Pusha:
                return Sized(ref op, 2, &Stack.PushAll);
            case Mnemonic.Pushad:
                return Sized(ref op, 4, &Stack.PushAll);
            case Mnemonic.Popa:
                return Sized(ref op, 2, &Stack.PopAll);
            case Mnemonic.Popad:
                return Sized(ref op, 4, &Stack.PopAll);
            case Mnemonic.Pushf:
                return Sized(ref op, 2, &Stack.PushFlags);
            case Mnemonic.Pushfd:
                return Sized(ref op, 4, &Stack.PushFlags);
            case Mnemonic.Pushfq:
                return Sized(ref op, 8, &Stack.PushFlags);
            case Mnemonic.Popf:
                return Sized(ref op, 2, &Stack.PopFlags);
            case Mnemonic.Popfd:
                return Sized(ref op, 4, &Stack.PopFlags);
            case Mnemonic.Popfq:
                return Sized(ref op, 8, &Stack.PopFlags);
            case Mnemonic.Enter:
                return EnterOp(instruction, ref op);
            case Mnemonic.Leave:
                return Sized(ref op, CodeSizeBytes(instruction), &Stack.Leave);
            case Mnemonic.Jmp:
                return JumpOp(instruction, ref op);
            case Mnemonic.Call:
                return CallOp(instruction, ref op);
            case Mnemonic.Ret:
                return CodeSizeBytes(instruction) switch { 2 => &Branches.Return<ushort>, 4 => &Branches.Return<uint>, _ => &Branches.Return<ulong> };
            case Mnemonic.Retf:
                return Sized(ref op, FarSize(instruction), &ControlTransfer.ReturnFar);
            case Mnemonic.Iret:
                return Sized(ref op, 2, &ControlTransfer.InterruptReturn);
            case Mnemonic.Iretd:
                return Sized(ref op, 4, &ControlTransfer.InterruptReturn);
            case Mnemonic.Iretq:
                return Sized(ref op, 8, &ControlTransfer.InterruptReturn);
            case Mnemonic.Int:
                return &ControlTransfer.SoftwareInterrupt;
            case Mnemonic.Int3:
                return &ControlTransfer.Int3;
            case Mnemonic.Into:
                return &ControlTransfer.Into;
            case Mnemonic.Int1:
                return &ControlTransfer.Int1;
            case Mnemonic.Loop:
                return Counted(instruction, ref op, 0, &Branches.Loop);
            case Mnemonic.Loopne:
                return Counted(instruction, ref op, 1, &Branches.Loop);
            case Mnemonic.Loope:
                return Counted(instruction, ref op, 2, &Branches.Loop);
            case Mnemonic.Jcxz:
            case Mnemonic.Jecxz:
            case Mnemonic.Jrcxz:
                return Counted(instruction, ref op, 0, &Branches.JumpIfCountZero);
            case Mnemonic.Movsb:
                return Implicit(instruction, mode, ref op, &Strings<byte>.Move);
            case Mnemonic.Movsw:
                return Implicit(instruction, mode, ref op, &Strings<ushort>.Move);
            case Mnemonic.Movsd when instruction.IsStringInstruction:
                return Implicit(instruction, mode, ref op, &Strings<uint>.Move);
            case Mnemonic.Movsq:
                return Implicit(instruction, mode, ref op, &Strings<ulong>.Move);
            case Mnemonic.Stosb:
                return Implicit(instruction, mode, ref op, &Strings<byte>.Store);
            case Mnemonic.Stosw:
                return Implicit(instruction, mode, ref op, &Strings<ushort>.Store);
            case Mnemonic.Stosd:
                return Implicit(instruction, mode, ref op, &Strings<uint>.Store);
            case Mnemonic.Stosq:
                return Implicit(instruction, mode, ref op, &Strings<ulong>.Store);
            case Mnemonic.Lodsb:
                return Implicit(instruction, mode, ref op, &Strings<byte>.Load);
            case Mnemonic.Lodsw:
                return Implicit(instruction, mode, ref op, &Strings<ushort>.Load);
            case Mnemonic.Lodsd:
                return Implicit(instruction, mode, ref op, &Strings<uint>.Load);
            case Mnemonic.Lodsq:
                return Implicit(instruction, mode, ref op, &Strings<ulong>.Load);
            case Mnemonic.Scasb:
                return Implicit(instruction, mode, ref op, &Strings<byte>.Scan);
            case Mnemonic.Scasw:
                return Implicit(instruction, mode, ref op, &Strings<ushort>.Scan);
            case Mnemonic.Scasd:
                return Implicit(instruction, mode, ref op, &Strings<uint>.Scan);
            case Mnemonic.Scasq:
                return Implicit(instruction, mode, ref op, &Strings<ulong>.Scan);
            case Mnemonic.Cmpsb:
                return Implicit(instruction, mode, ref op, &Strings<byte>.Compare);
            case Mnemonic.Cmpsw:
                return Implicit(instruction, mode, ref op, &Strings<ushort>.Compare);
            case Mnemonic.Cmpsd when instruction.IsStringInstruction:
                return Implicit(instruction, mode, ref op, &Strings<uint>.Compare);
            case Mnemonic.Cmpsq:
                return Implicit(instruction, mode, ref op, &Strings<ulong>.Compare);
            case Mnemonic.Insb:
                return Implicit(instruction, mode, ref op, &Strings<byte>.Input);
            case Mnemonic.Insw:
                return Implicit(instruction, mode, ref op, &Strings<ushort>.Input);
            case Mnemonic.Insd:
                return Implicit(instruction, mode, ref op, &Strings<uint>.Input);
            case Mnemonic.Outsb:
                return Implicit(instruction, mode, ref op, &Strings<byte>.Output);
            case Mnemonic.Outsw:
                return Implicit(instruction, mode, ref op, &Strings<ushort>.Output);
            case Mnemonic.Outsd:
                return Implicit(instruction, mode, ref op, &Strings<uint>.Output);
            default:
                return null;
        }
    }

    private static delegate*<CpuState*, Op*, Step> Conditional(in Instruction instruction, ref Op op)
    {
        op.Data = ConditionNumber(instruction.ConditionCode);
        if (instruction.IsJccShortOrNear)
        {
            return &Branches.JumpIf;
        }

        // LOOPcc, too, has a condition code; only SETcc has a one-byte operand.
        bool memory = instruction.OpCount > 1 ? instruction.Op1Kind == OpKind.Memory : instruction.Op0Kind == OpKind.Memory;
        if (instruction.Mnemonic is >= Mnemonic.Cmova and <= Mnemonic.Cmovs)
        {
            return op.OperandSize switch
            {
                2 => memory ? &Move<ushort>.ConditionalMem : &Move<ushort>.ConditionalReg,
                4 => memory ? &Move<uint>.ConditionalMem : &Move<uint>.ConditionalReg,
                _ => memory ? &Move<ulong>.ConditionalMem : &Move<ulong>.ConditionalReg,
            };
        }

        if (instruction.Mnemonic is >= Mnemonic.Seta and <= Mnemonic.Sets && instruction.OpCount == 1)
        {
            return memory ? &Moves.SetMem : &Moves.SetReg;
        }

        return null;
    }

    private static int ConditionNumber(ConditionCode code) => code switch
    {
        ConditionCode.o => 0,
        ConditionCode.no => 1,
        ConditionCode.b => 2,
        ConditionCode.ae => 3,
        ConditionCode.e => 4,
        ConditionCode.ne => 5,
        ConditionCode.be => 6,
        ConditionCode.a => 7,
        ConditionCode.s => 8,
        ConditionCode.ns => 9,
        ConditionCode.p => 10,
        ConditionCode.np => 11,
        ConditionCode.l => 12,
        ConditionCode.ge => 13,
        ConditionCode.le => 14,
        _ => 15,
    };

    private static delegate*<CpuState*, Op*, Step> Sized(ref Op op, int size, delegate*<CpuState*, Op*, Step> run)
    {
        op.OperandSize = (byte)size;
        return run;
    }

    // The source of a one-operand multiply or divide; gives the operand's size.
    private static int SourceFirst(in Instruction instruction, ref Op op)
    {
        if (instruction.Op0Kind == OpKind.Register)
        {
            op.Src = Decoder.RegisterOffset(instruction.Op0Register);
        }

        return op.OperandSize;
    }

    // XLAT and string instructions: address size and segment of operands that are not written out.
    private static delegate*<CpuState*, Op*, Step> Implicit(
        in Instruction instruction, CodeMode mode, ref Op op, delegate*<CpuState*, Op*, Step> run)
    {
        op.MemorySize = 0;
        int bits = (mode & CodeMode.Bits64) != 0 ? 64 : (mode & CodeMode.Bits32) != 0 ? 32 : 16;
        for (int i = 0; i < instruction.OpCount; i++)
        {
            bits = instruction.GetOpKind(i) switch
            {
                OpKind.MemorySegSI or OpKind.MemorySegDI or OpKind.MemoryESDI => 16,
                OpKind.MemorySegESI or OpKind.MemorySegEDI or OpKind.MemoryESEDI => 32,
                OpKind.MemorySegRSI or OpKind.MemorySegRDI or OpKind.MemoryESRDI => 64,
                OpKind.Memory => instruction.MemoryBase.GetSize() * 8,
                _ => bits,
            };
        }

        op.AddressShift = (byte)(64 - bits);
        Decoder.SetSegment(instruction.MemorySegment == Register.None ? Register.DS : instruction.MemorySegment, mode, ref op);
        return run;
    }

    private static delegate*<CpuState*, Op*, Step> MoveAny(in Instruction instruction, ref Op op)
    {
        if (instruction.Op0Kind == OpKind.Register && instruction.Op0Register.IsSegmentRegister())
        {
            op.OperandSize = 2;
            return instruction.Op1Kind == OpKind.Memory ? &SystemInstructions.LoadSegmentMem : &SystemInstructions.LoadSegmentReg;
        }

        if (instruction.Op1Kind == OpKind.Register)
        {
            Register source = instruction.Op1Register;
            if (source.IsSegmentRegister())
            {
                return &SystemInstructions.StoreSegment;
            }

            if (source.IsCR() || source.IsDR() || source.IsTR())
            {
                op.Data = source.GetNumber();
                return source.IsCR() ? &SystemInstructions.ReadControl : source.IsDR() ? &SystemInstructions.ReadDebug : null;
            }
        }

        if (instruction.Op0Kind == OpKind.Register)
        {
            Register target = instruction.Op0Register;
            if (target.IsCR() || target.IsDR() || target.IsTR())
            {
                op.Data = target.GetNumber();
                return target.IsCR() ? &SystemInstructions.WriteControl : target.IsDR() ? &SystemInstructions.WriteDebug : null;
            }
        }

        Form form = FormOf(instruction);
        return op.OperandSize switch
        {
            1 => MoveOp<byte>(form),
            2 => MoveOp<ushort>(form),
            4 => MoveOp<uint>(form),
            _ => MoveOp<ulong>(form),
        };
    }

    private static delegate*<CpuState*, Op*, Step> ExchangeOp(in Instruction instruction, ref Op op)
    {
        if (instruction.Op0Kind == OpKind.Register && instruction.Op1Kind == OpKind.Register)
        {
            return op.OperandSize switch
            {
                1 => &Move<byte>.ExchangeReg,
                2 => &Move<ushort>.ExchangeReg,
                4 => &Move<uint>.ExchangeReg,
                _ => &Move<ulong>.ExchangeReg,
            };
        }

        return op.OperandSize switch
        {
            1 => &Move<byte>.ExchangeMem,
            2 => &Move<ushort>.ExchangeMem,
            4 => &Move<uint>.ExchangeMem,
            _ => &Move<ulong>.ExchangeMem,
        };
    }

    private static delegate*<CpuState*, Op*, Step> DoubleShiftOp(in Instruction instruction, ref Op op, bool left)
    {
        op.Data = instruction.Op2Kind == OpKind.Register ? 1 : 0;
        return op.OperandSize switch
        {
            2 => left ? &DoubleShift<ushort>.Left : &DoubleShift<ushort>.Right,
            4 => left ? &DoubleShift<uint>.Left : &DoubleShift<uint>.Right,
            _ => left ? &DoubleShift<ulong>.Left : &DoubleShift<ulong>.Right,
        };
    }

    private static int CodeSizeBytes(in Instruction instruction) => instruction.Code switch
    {
        Code.Retnw or Code.Retnw_imm16 or Code.Leavew or Code.Enterw_imm16_imm8 => 2,
        Code.Retnd or Code.Retnd_imm16 or Code.Leaved or Code.Enterd_imm16_imm8 => 4,
        _ => 8,
    };

    private static int FarSize(in Instruction instruction) => instruction.Code switch
    {
        Code.Retfw or Code.Retfw_imm16 => 2,
        Code.Retfd or Code.Retfd_imm16 => 4,
        _ => 8,
    };

    private static delegate*<CpuState*, Op*, Step> EnterOp(in Instruction instruction, ref Op op)
    {
        op.Imm = instruction.Immediate16 | ((ulong)instruction.Immediate8_2nd << 16);
        op.OperandSize = (byte)CodeSizeBytes(instruction);
        return &Stack.Enter;
    }

    private static delegate*<CpuState*, Op*, Step> PushOp(in Instruction instruction, ref Op op)
    {
        int size = -instruction.StackPointerIncrement;
        if (instruction.Op0Kind == OpKind.Register && instruction.Op0Register.IsSegmentRegister())
        {
            op.Src = op.Dst;
            return Sized(ref op, size, &Stack.PushSegment);
        }

        op.Src = op.Dst;
        op.OperandSize = (byte)size;
        return instruction.Op0Kind switch
        {
            OpKind.Register => size switch { 2 => &Stack.PushReg<ushort>, 4 => &Stack.PushReg<uint>, _ => &Stack.PushReg<ulong> },
            OpKind.Memory => size switch { 2 => &Stack.PushMem<ushort>, 4 => &Stack.PushMem<uint>, _ => &Stack.PushMem<ulong> },
            _ => size switch { 2 => &Stack.PushImm<ushort>, 4 => &Stack.PushImm<uint>, _ => &Stack.PushImm<ulong> },
        };
    }

    private static delegate*<CpuState*, Op*, Step> PopOp(in Instruction instruction, ref Op op)
    {
        int size = instruction.StackPointerIncrement;
        if (instruction.Op0Kind == OpKind.Register && instruction.Op0Register.IsSegmentRegister())
        {
            return Sized(ref op, size, &Stack.PopSegment);
        }

        op.OperandSize = (byte)size;
        return instruction.Op0Kind == OpKind.Register
            ? size switch { 2 => &Stack.PopReg<ushort>, 4 => &Stack.PopReg<uint>, _ => &Stack.PopReg<ulong> }
            : size switch { 2 => &Stack.PopMem<ushort>, 4 => &Stack.PopMem<uint>, _ => &Stack.PopMem<ulong> };
    }

    private static delegate*<CpuState*, Op*, Step> JumpOp(in Instruction instruction, ref Op op)
    {
        switch (instruction.Op0Kind)
        {
            case OpKind.Register:
                op.Src = op.Dst;
                return &Branches.JumpReg;
            case OpKind.Memory when instruction.IsJmpFarIndirect:
                return Sized(ref op, FarPointerSize(instruction), &ControlTransfer.JumpFarMem);
            case OpKind.Memory:
                return &Branches.JumpMem;
            case OpKind.FarBranch16:
            case OpKind.FarBranch32:
                SetFarTarget(instruction, ref op);
                return &ControlTransfer.JumpFarImm;
            default:
                return &Branches.Jump;
        }
    }

    private static delegate*<CpuState*, Op*, Step> CallOp(in Instruction instruction, ref Op op)
    {
        int size = -instruction.StackPointerIncrement;
        switch (instruction.Op0Kind)
        {
            case OpKind.Register:
                op.Src = op.Dst;
                return size switch { 2 => &Branches.CallReg<ushort>, 4 => &Branches.CallReg<uint>, _ => &Branches.CallReg<ulong> };
            case OpKind.Memory when instruction.IsCallFarIndirect:
                return Sized(ref op, FarPointerSize(instruction), &ControlTransfer.CallFarMem);
            case OpKind.Memory:
                return size switch { 2 => &Branches.CallMem<ushort>, 4 => &Branches.CallMem<uint>, _ => &Branches.CallMem<ulong> };
            case OpKind.FarBranch16:
            case OpKind.FarBranch32:
                SetFarTarget(instruction, ref op);
                return &ControlTransfer.CallFarImm;
            default:
                return size switch { 2 => &Branches.Call<ushort>, 4 => &Branches.Call<uint>, _ => &Branches.Call<ulong> };
        }
    }

    private static int FarPointerSize(in Instruction instruction) => instruction.MemorySize.GetSize() - 2;

    private static void SetFarTarget(in Instruction instruction, ref Op op)
    {
        bool wide = instruction.Op0Kind == OpKind.FarBranch32;
        op.Imm = wide ? instruction.FarBranch32 : instruction.FarBranch16;
        op.Data = instruction.FarBranchSelector;
        op.OperandSize = (byte)(wide ? 4 : 2);
    }

    // LOOPcc and JrCXZ count in a register of the address size, which only the encoding tells.
    private static delegate*<CpuState*, Op*, Step> Counted(
        in Instruction instruction, ref Op op, int zeroFlag, delegate*<CpuState*, Op*, Step> run)
    {
        op.Data = zeroFlag;
        op.AddressShift = (byte)(64 - (instruction.Code switch
        {
            Code.Jcxz_rel8_16 or Code.Jcxz_rel8_32 or Code.Loop_rel8_16_CX or Code.Loop_rel8_32_CX or Code.Loope_rel8_16_CX
                or Code.Loope_rel8_32_CX or Code.Loopne_rel8_16_CX or Code.Loopne_rel8_32_CX => 16,
            Code.Jrcxz_rel8_16 or Code.Jrcxz_rel8_64 or Code.Loop_rel8_16_RCX or Code.Loop_rel8_64_RCX or Code.Loope_rel8_16_RCX
                or Code.Loope_rel8_64_RCX or Code.Loopne_rel8_16_RCX or Code.Loopne_rel8_64_RCX => 64,
            _ => 32,
        }));
        return run;
    }
}
