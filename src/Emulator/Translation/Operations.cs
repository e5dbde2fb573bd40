using Emulator.Cpu;
using Emulator.Cpu.Thunks;
using Iced.Intel;

namespace Emulator.Translation;

/// <summary>How an instruction is translated.</summary>
internal enum Form : byte
{
    /// <summary>Not at all: the interpreter runs it.</summary>
    None,

    /// <summary>The same opcode on other registers and another address.</summary>
    Generic,

    /// <summary>The same bytes: its registers are implied, or it has none.</summary>
    Verbatim,
    Vector,
    Nothing,
    Lea,
    MoveConstant,
    MoveByte,
    Push,
    Pop,
    Leave,
    ByteSwap,
    BitString,
    Divide,
    ClearInterrupts,
    SetInterrupts,
    ClearDirection,
    SwapGs,
    ReadTimeStamp,
    ReadSelector,
    ReadControl,
    PushFlags,
    RepeatStore,
    RepeatMove,
    Jump,
    JumpIf,
    JumpIndirect,
    Call,
    CallIndirect,
    Return,
}

/// <summary>What an instruction does with the operands ModRM names.</summary>
[Flags]
internal enum Roles : byte
{
    None = 0,
    RegRead = 1,
    RegWrite = 2,
    RmRead = 4,
    RmWrite = 8,
    ByteReg = 16,
    ByteRm = 32,
}

/// <summary>Which instructions are translated, and how; the flags they read and leave. The source of both is Iced and SDM vol. 2.</summary>
internal static unsafe partial class Operations
{
    /// <summary>The status flags as Iced numbers them.</summary>
    internal const int Status = (int)(RflagsBits.OF | RflagsBits.SF | RflagsBits.ZF | RflagsBits.AF | RflagsBits.CF | RflagsBits.PF);

    internal static bool HasModRm(in Instruction instruction, Form form) =>
        form is Form.Generic or Form.Vector or Form.Lea or Form.Divide or Form.BitString or Form.JumpIndirect or Form.CallIndirect
        || (form == Form.Push && instruction.Code is Code.Push_rm64);

    internal static Form FormOf(in Instruction instruction, Op* op, AccessMode mode)
    {
        bool user = mode == AccessMode.User;
        if (instruction.CodeSize != CodeSize.Code64 || (op->Flags & OpFlags.Undefined) != 0)
        {
            return Form.None;
        }

        bool memory = instruction.Op0Kind == OpKind.Memory || instruction.Op1Kind == OpKind.Memory;
        switch (instruction.Mnemonic)
        {
            case Mnemonic.Add or Mnemonic.Or or Mnemonic.Adc or Mnemonic.Sbb or Mnemonic.And or Mnemonic.Sub or Mnemonic.Xor or Mnemonic.Cmp
                or Mnemonic.Test:
                return IsAccumulator(instruction.Code) ? Form.Verbatim : GenericForm(instruction);
            case Mnemonic.Mov:
                return instruction.Op1Register.IsSegmentRegister() ? memory || op->OperandSize == 2 ? Form.None : Form.ReadSelector
                    : instruction.Op1Register is Register.CR0 or Register.CR2 or Register.CR3 or Register.CR4 && !user ? Form.ReadControl
                    : instruction.Op0Register.IsSegmentRegister() || IsSystem(instruction.Op0Register) || IsSystem(instruction.Op1Register)
                        || IsOffset(instruction.Code) ? Form.None
                    : instruction.Code is Code.Mov_r64_imm64 or Code.Mov_r32_imm32 ? Form.MoveConstant
                    : instruction.Code == Code.Mov_r16_imm16 ? Form.None
                    : instruction.Code == Code.Mov_r8_imm8 ? Form.MoveByte
                    : GenericForm(instruction);
            case Mnemonic.Movzx or Mnemonic.Movsx or Mnemonic.Movsxd or Mnemonic.Inc or Mnemonic.Dec or Mnemonic.Neg or Mnemonic.Not
                or Mnemonic.Shl or Mnemonic.Shr or Mnemonic.Sar or Mnemonic.Rol or Mnemonic.Ror or Mnemonic.Mul or Mnemonic.Imul
                or Mnemonic.Bsf or Mnemonic.Bsr or Mnemonic.Tzcnt or Mnemonic.Lzcnt or Mnemonic.Popcnt or Mnemonic.Xadd or Mnemonic.Cmpxchg
                or Mnemonic.Cmpxchg16b:
                return GenericForm(instruction);
            case Mnemonic.Shld or Mnemonic.Shrd:
                return op->OperandSize == 2 ? Form.None : GenericForm(instruction);
            case Mnemonic.Xchg:
                return instruction.Code is Code.Xchg_r64_RAX or Code.Xchg_r32_EAX or Code.Xchg_r16_AX ? Form.None : GenericForm(instruction);
            case Mnemonic.Bt or Mnemonic.Bts or Mnemonic.Btr or Mnemonic.Btc:
                return instruction.Op0Kind == OpKind.Memory && instruction.Op1Kind == OpKind.Register
                    ? op->OperandSize == 2 ? Form.None : Form.BitString : GenericForm(instruction);
            case Mnemonic.Lea:
                return op->OperandSize == 2 ? Form.None : Form.Lea;
            case Mnemonic.Nop or Mnemonic.Endbr64 or Mnemonic.Endbr32 or Mnemonic.Pause or Mnemonic.Prefetchw or Mnemonic.Prefetchnta
                or Mnemonic.Prefetcht0 or Mnemonic.Prefetcht1 or Mnemonic.Prefetcht2 or Mnemonic.Lfence or Mnemonic.Mfence or Mnemonic.Sfence:
                return Form.Nothing;
            case Mnemonic.Cwde or Mnemonic.Cdqe or Mnemonic.Cdq or Mnemonic.Cqo or Mnemonic.Cbw or Mnemonic.Cwd or Mnemonic.Lahf
                or Mnemonic.Sahf or Mnemonic.Clc or Mnemonic.Stc or Mnemonic.Cmc:
                return Form.Verbatim;
            case Mnemonic.Bswap:
                return op->OperandSize == 2 ? Form.None : Form.ByteSwap;
            case Mnemonic.Div or Mnemonic.Idiv:
                return op->OperandSize is 4 or 8 ? Form.Divide : Form.None;
            case Mnemonic.Push:
                return instruction.Code is Code.Push_r64 or Code.Push_rm64 or Code.Pushq_imm8 or Code.Pushq_imm32 ? Form.Push : Form.None;
            case Mnemonic.Pushfq:
                return Form.PushFlags;
            case Mnemonic.Pop:
                return instruction.Code == Code.Pop_r64 ? Form.Pop : Form.None;
            case Mnemonic.Leave:
                return instruction.Code == Code.Leaveq ? Form.Leave : Form.None;
            case Mnemonic.Cli:
                return user ? Form.None : Form.ClearInterrupts;
            case Mnemonic.Sti:
                return user ? Form.None : Form.SetInterrupts;
            case Mnemonic.Clac:
                // Only with AC clear already is a guest in this mode.
                return mode == AccessMode.Supervisor ? Form.Nothing : Form.None;
            case Mnemonic.Swapgs:
                return user ? Form.None : Form.SwapGs;
            case Mnemonic.Rdtsc or Mnemonic.Rdtscp:
                return Form.ReadTimeStamp;
            case Mnemonic.Stosb or Mnemonic.Stosw or Mnemonic.Stosd or Mnemonic.Stosq:
                return op->Flags.HasFlag(OpFlags.Rep) && op->AddressShift == 0 ? Form.RepeatStore : Form.None;
            case Mnemonic.Movsb or Mnemonic.Movsw or Mnemonic.Movsq:
            case Mnemonic.Movsd when instruction.Code == Code.Movsd_m32_m32:
                return op->Flags.HasFlag(OpFlags.Rep) && op->AddressShift == 0 && op->SegmentBase == Cpu.Decoder.SegmentBaseOf(SegmentIndex.Flat)
                    ? Form.RepeatMove : Form.None;
            case Mnemonic.Cld:
                return Form.ClearDirection;
            case Mnemonic.Jmp:
                return instruction.Code is Code.Jmp_rel8_64 or Code.Jmp_rel32_64 ? Form.Jump
                    : instruction.Code == Code.Jmp_rm64 ? Form.JumpIndirect : Form.None;
            case Mnemonic.Call:
                return instruction.Code == Code.Call_rel32_64 ? Form.Call : instruction.Code == Code.Call_rm64 ? Form.CallIndirect : Form.None;
            case Mnemonic.Ret:
                return instruction.Code is Code.Retnq or Code.Retnq_imm16 ? Form.Return : Form.None;
        }

        if (instruction.ConditionCode != ConditionCode.None)
        {
            return instruction.IsJccShortOrNear ? Form.JumpIf
                : instruction.FlowControl == FlowControl.Next && instruction.Mnemonic is not (Mnemonic.Loope or Mnemonic.Loopne)
                ? GenericForm(instruction) : Form.None;
        }

        return VectorForm(instruction, op, memory);
    }

    /// <summary>Operand roles of an integer instruction with ModRM.</summary>
    internal static Roles RolesOf(in Encoding e)
    {
        const Roles Both = Roles.ByteReg | Roles.ByteRm;
        int code = e.Opcode;
        if (e.Map == 0)
        {
            if (code < 0x40)
            {
                Roles bytes = (code & 1) == 0 ? Both : Roles.None;
                bool compares = code >> 3 == 7;
                return (code & 2) == 0
                    ? bytes | Roles.RegRead | Roles.RmRead | (compares ? Roles.None : Roles.RmWrite)
                    : bytes | Roles.RegRead | Roles.RmRead | (compares ? Roles.None : Roles.RegWrite);
            }

            return code switch
            {
                0x63 or 0x69 or 0x6B => Roles.RegWrite | Roles.RmRead,
                0x80 => Roles.ByteRm | Roles.RmRead | (e.Reg == 7 ? 0 : Roles.RmWrite),
                0x81 or 0x83 => Roles.RmRead | ((e.Reg & 7) == 7 ? 0 : Roles.RmWrite),
                0x84 => Both | Roles.RegRead | Roles.RmRead,
                0x85 => Roles.RegRead | Roles.RmRead,
                0x86 => Both | Roles.RegRead | Roles.RmRead | Roles.RegWrite | Roles.RmWrite,
                0x87 => Roles.RegRead | Roles.RmRead | Roles.RegWrite | Roles.RmWrite,
                0x88 => Both | Roles.RegRead | Roles.RmWrite,
                0x89 => Roles.RegRead | Roles.RmWrite,
                0x8A => Both | Roles.RmRead | Roles.RegWrite,
                0x8B => Roles.RmRead | Roles.RegWrite,
                0xC6 => Roles.ByteRm | Roles.RmWrite,
                0xC7 => Roles.RmWrite,
                0xC0 or 0xD0 or 0xD2 => Roles.ByteRm | Roles.RmRead | Roles.RmWrite,
                0xC1 or 0xD1 or 0xD3 => Roles.RmRead | Roles.RmWrite,
                0xF6 => Roles.ByteRm | Roles.RmRead | ((e.Reg & 7) is 2 or 3 ? Roles.RmWrite : 0),
                0xF7 => Roles.RmRead | ((e.Reg & 7) is 2 or 3 ? Roles.RmWrite : 0),
                0xFE => Roles.ByteRm | Roles.RmRead | Roles.RmWrite,
                _ => Roles.RmRead | Roles.RmWrite,
            };
        }

        return code switch
        {
            >= 0x40 and <= 0x4F or 0xAF => Roles.RegRead | Roles.RegWrite | Roles.RmRead,
            >= 0x90 and <= 0x9F => Roles.ByteRm | Roles.RmWrite,
            0xA3 => Roles.RegRead | Roles.RmRead,
            0xA4 or 0xA5 or 0xAC or 0xAD => Roles.RegRead | Roles.RmRead | Roles.RmWrite,
            0xC7 => Roles.RmRead | Roles.RmWrite,
            0xAB or 0xB3 or 0xBB => Roles.RegRead | Roles.RmRead | Roles.RmWrite,
            0xB0 => Both | Roles.RegRead | Roles.RmRead | Roles.RmWrite,
            0xB1 => Roles.RegRead | Roles.RmRead | Roles.RmWrite,
            0xB6 or 0xBE => Roles.ByteRm | Roles.RmRead | Roles.RegWrite,
            0xB7 or 0xBF or 0xB8 => Roles.RmRead | Roles.RegWrite,
            0xBC or 0xBD => Roles.RmRead | Roles.RegRead | Roles.RegWrite,
            0xC0 => Both | Roles.RegRead | Roles.RegWrite | Roles.RmRead | Roles.RmWrite,
            0xC1 => Roles.RegRead | Roles.RegWrite | Roles.RmRead | Roles.RmWrite,
            _ => Roles.RmRead | ((e.Reg & 7) == 4 ? 0 : Roles.RmWrite),
        };
    }

    /// <summary>Whether the reg field of an integer instruction extends the opcode instead of naming a register.</summary>
    internal static bool ExtendsOpcode(in Encoding e) =>
        e.Map == 0
            ? e.Opcode is 0x80 or 0x81 or 0x83 or 0xC6 or 0xC7 or 0xC0 or 0xC1 or (>= 0xD0 and <= 0xD3) or 0xF6 or 0xF7 or 0xFE or 0xFF
            : e.Opcode is (>= 0x90 and <= 0x9F) or 0xBA or 0xC7;

    /// <summary>Status flags that are certainly overwritten, whatever stood there.</summary>
    internal static int Overwrites(in Instruction instruction)
    {
        switch (instruction.Mnemonic)
        {
            case Mnemonic.Shl or Mnemonic.Shr or Mnemonic.Sar:
                return ShiftCount(instruction) > 0 ? Status : 0;
            case Mnemonic.Shld or Mnemonic.Shrd:
                return instruction.Op2Kind == OpKind.Immediate8 && (instruction.Immediate8 & (instruction.Op1Register.GetSize() == 8 ? 63 : 31)) != 0 ? Status : 0;
            case Mnemonic.Rol or Mnemonic.Ror:
                return ShiftCount(instruction) > 0 ? (int)(RflagsBits.CF | RflagsBits.OF) : 0;
            case Mnemonic.Mul or Mnemonic.Imul:
                return (int)(RflagsBits.CF | RflagsBits.OF);
            case Mnemonic.Bt or Mnemonic.Bts or Mnemonic.Btr or Mnemonic.Btc:
                return (int)RflagsBits.CF;
            case Mnemonic.Bsf or Mnemonic.Bsr or Mnemonic.Tzcnt or Mnemonic.Lzcnt:
                return Status;
            // MOV of a control register leaves them undefined; we leave them alone.
            case Mnemonic.Div or Mnemonic.Idiv or Mnemonic.Mov:
                return 0;
            default:
                return (int)instruction.RflagsModified & Status;
        }
    }

    /// <summary>Status flags the SDM leaves undefined: what the interpreter gives them is what AMD's CPUs do.</summary>
    internal static int Undefined(in Instruction instruction) => instruction.Mnemonic switch
    {
        Mnemonic.Shl or Mnemonic.Shr or Mnemonic.Sar or Mnemonic.Shld or Mnemonic.Shrd => (int)(RflagsBits.AF | RflagsBits.OF),
        Mnemonic.Rol or Mnemonic.Ror => ShiftCount(instruction) == 1 ? 0 : (int)RflagsBits.OF,
        Mnemonic.Mul or Mnemonic.Imul or Mnemonic.Bsf or Mnemonic.Bsr or Mnemonic.Tzcnt or Mnemonic.Lzcnt => Status,
        Mnemonic.Bt or Mnemonic.Bts or Mnemonic.Btr or Mnemonic.Btc => Status & ~(int)(RflagsBits.CF | RflagsBits.ZF),
        _ => 0,
    };

    // An immediate count, or -1 for CL.
    private static int ShiftCount(in Instruction instruction)
    {
        if (instruction.Op1Kind == OpKind.Register)
        {
            return -1;
        }

        int width = instruction.Op0Kind == OpKind.Memory ? instruction.MemorySize.GetSize() : instruction.Op0Register.GetSize();
        return (int)instruction.GetImmediate(1) & (width == 8 ? 63 : 31);
    }

    private static bool IsSystem(Register register) => register.IsCR() || register.IsDR() || register.IsTR();

    private static bool IsOffset(Code code) => code is Code.Mov_AL_moffs8 or Code.Mov_AX_moffs16 or Code.Mov_EAX_moffs32 or Code.Mov_RAX_moffs64
        or Code.Mov_moffs8_AL or Code.Mov_moffs16_AX or Code.Mov_moffs32_EAX or Code.Mov_moffs64_RAX;

    private static bool IsAccumulator(Code code) => code is Code.Add_AL_imm8 or Code.Add_AX_imm16 or Code.Add_EAX_imm32 or Code.Add_RAX_imm32
        or Code.Or_AL_imm8 or Code.Or_AX_imm16 or Code.Or_EAX_imm32 or Code.Or_RAX_imm32 or Code.Adc_AL_imm8 or Code.Adc_AX_imm16
        or Code.Adc_EAX_imm32 or Code.Adc_RAX_imm32 or Code.Sbb_AL_imm8 or Code.Sbb_AX_imm16 or Code.Sbb_EAX_imm32 or Code.Sbb_RAX_imm32
        or Code.And_AL_imm8 or Code.And_AX_imm16 or Code.And_EAX_imm32 or Code.And_RAX_imm32 or Code.Sub_AL_imm8 or Code.Sub_AX_imm16
        or Code.Sub_EAX_imm32 or Code.Sub_RAX_imm32 or Code.Xor_AL_imm8 or Code.Xor_AX_imm16 or Code.Xor_EAX_imm32 or Code.Xor_RAX_imm32
        or Code.Cmp_AL_imm8 or Code.Cmp_AX_imm16 or Code.Cmp_EAX_imm32 or Code.Cmp_RAX_imm32 or Code.Test_AL_imm8 or Code.Test_AX_imm16
        or Code.Test_EAX_imm32 or Code.Test_RAX_imm32;

    // AH–BH cannot be named beside a register that needs REX: where one might, the interpreter takes over.
    private static Form GenericForm(in Instruction instruction)
    {
        bool high = false, other = false;
        for (int i = 0; i < Math.Min(instruction.OpCount, 2); i++)
        {
            if (instruction.GetOpKind(i) == OpKind.Memory)
            {
                other = true;
            }
            else if (instruction.GetOpKind(i) == OpKind.Register)
            {
                Register register = instruction.GetOpRegister(i);
                high |= register is >= Register.AH and <= Register.BH;
                other |= register is Register.ESP or Register.SP;
            }
        }

        return high && other ? Form.None : Form.Generic;
    }

    private static Form VectorForm(in Instruction instruction, Op* op, bool memory)
    {
        if (instruction.Mnemonic is Mnemonic.Ldmxcsr or Mnemonic.Stmxcsr or Mnemonic.Maskmovdqu or Mnemonic.Movnti or Mnemonic.Crc32)
        {
            return Form.None;
        }

        bool vector = false;
        for (int i = 0; i < instruction.OpCount; i++)
        {
            if (instruction.GetOpKind(i) == OpKind.Register)
            {
                vector |= instruction.GetOpRegister(i).IsXMM();
                if (instruction.GetOpRegister(i).IsMM())
                {
                    return Form.None;
                }
            }
            else if (instruction.GetOpKind(i) is not (OpKind.Memory or OpKind.Immediate8))
            {
                return Form.None;
            }
        }

        if (!vector || op->Data == 0 || ((Thunk*)op->Data)->Class != ThunkClass.Sse)
        {
            return Form.None;
        }

        return memory && ((Thunk*)op->Data)->MemorySize is 0 or > 16 ? Form.None : Form.Vector;
    }
}
