using Emulator.Cpu;
using Iced.Intel;

namespace Emulator.Translation;

// Instructions that stay on the path, by their form; moves, vectors, division.
internal sealed unsafe partial class Translator
{
    private void Emit(in Instruction instruction, ReadOnlySpan<byte> bytes, int index)
    {
        Op* op = ops + index;
        Form form = forms[index];
        Encoding e = form is Form.None or Form.Verbatim or Form.Nothing or (>= Form.ClearInterrupts and < Form.Jump) ? default : Encoding.Parse(bytes, Operations.HasModRm(instruction, form));
        BeforeInstruction(instruction, index, Operations.Changes(instruction, form, e));
        switch (form)
        {
            case Form.None:
                EmitOperation(index);
                if ((op->Flags & OpFlags.EndsBlock) != 0)
                {
                    return;
                }

                break;
            case Form.Generic:
                EmitGeneric(instruction, e, op, bytes, index);
                break;
            case Form.Verbatim:
                FlagsToHost(FlagsNeeded(instruction, index));
                hot.Bytes(bytes);
                AfterWrite(instruction, Operations.RecipeOfAccumulator(instruction, op->OperandSize));
                break;
            case Form.Vector:
                EmitVector(instruction, e, op, index);
                break;
            case Form.Nothing:
                break;
            case Form.Lea:
                EmitLea(e, op);
                break;
            case Form.MoveConstant:
                EmitMoveConstant(e, instruction);
                break;
            case Form.Push:
                EmitPush(instruction, e, index);
                break;
            case Form.Pop:
                EmitPop(e, index);
                break;
            case Form.Leave:
                EmitLeaveFrame(index);
                break;
            case Form.MoveByte:
                EmitMoveByte(e, bytes);
                break;
            case Form.ByteSwap:
                EmitByteSwap(e);
                break;
            case Form.BitString:
                EmitBitString(instruction, e, op, index);
                break;
            case Form.Divide:
                EmitDivide(e, op, index);
                break;
            case Form.RepeatStore or Form.RepeatMove:
                EmitRepeat(form, op, index);
                break;
            case >= Form.Jump:
                EmitBranch(form, instruction, e, op, index);
                return;
            default:
                EmitSystem(form, op, index);
                break;
        }

        GoOn(index);
    }

    // SSE: XMM registers are the host's own; some operands are general registers.
    private void EmitVector(in Instruction instruction, in Encoding e, Op* op, int index)
    {
        var thunk = (Cpu.Thunks.Thunk*)op->Data;
        int flags = FlagsNeeded(instruction, index);
        bool regIsGeneral = e.Map == 1 && e.Opcode is 0x2C or 0x2D or 0x50 or 0xC5 or 0xD7;
        bool rmWritesGeneral = (e.Map == 1 && e.Opcode == 0x7E && e.Mandatory != 0xF3) || (e.Map == 3 && e.Opcode is >= 0x14 and <= 0x17);
        bool rmIsGeneral = rmWritesGeneral || (e.Map == 1 && e.Opcode is 0x6E or 0x2A or 0xC4) || (e.Map == 3 && e.Opcode is 0x20 or 0x22);
        int reg = regIsGeneral ? HostOf(e.Reg) : e.Reg;
        bool spilled = reg < 0;
        reg = spilled ? Host.R10 : reg;
        if (e.IsMemory)
        {
            BeforeClobber(index);
            EmitAddress(e, op);
            EmitAlignmentCheck(thunk->Alignment, index);
            EmitLookup(index, thunk->MemorySize, thunk->Memory != Cpu.Thunks.MemoryUse.Read);
            bool join = spilled || flags != 0;
            if (join)
            {
                EmitJoin();
            }

            FlagsToHost(flags, keepR11: true);
            EmitVectorOpcode(e, reg, join ? 0 : Host.R10, Host.R11);
            if (join)
            {
                hot.Memory(reg, Host.R11, 0);
            }
            else
            {
                EmitJoined(reg);
            }
        }
        else
        {
            FlagsToHost(flags);
            int rm = e.Rm;
            if (rmIsGeneral)
            {
                rm = rmWritesGeneral ? (HostOf(e.Rm) < 0 ? Host.R11 : HostOf(e.Rm)) : Read(e.Rm, Host.R11);
            }

            EmitVectorOpcode(e, reg, 0, rm);
            hot.Byte(0xC0 | ((reg & 7) << 3) | (rm & 7));
            if (rmWritesGeneral)
            {
                hot.Bytes(e.Immediate);
                Keep(e.Rm, rm);
                AfterWrite(instruction);
                return;
            }
        }

        hot.Bytes(e.Immediate);
        if (spilled)
        {
            Keep(e.Reg, reg);
        }

        AfterWrite(instruction);
    }

    private void EmitVectorOpcode(in Encoding e, int reg, int index, int rm)
    {
        if (e.OperandSizePrefix)
        {
            hot.Byte(0x66);
        }

        if (e.Mandatory != 0)
        {
            hot.Byte(e.Mandatory);
        }

        EmitRexAndOpcode(e, reg, index, rm, forceRex: false);
    }

    private void EmitLea(in Encoding e, Op* op)
    {
        int host = HostOf(e.Reg);
        EmitOffset(e, op, host < 0 ? Host.R10 : host, wide: op->OperandSize == 8 && op->AddressShift == 0);
        Keep(e.Reg, Host.R10);
    }

    private void EmitMoveConstant(in Encoding e, in Instruction instruction)
    {
        int host = HostOf(e.Rm);
        hot.MoveConstant(host < 0 ? Host.R10 : host, instruction.Code == Code.Mov_r64_imm64 ? instruction.Immediate64 : instruction.Immediate32);
        Keep(e.Rm, Host.R10);
    }

    private void EmitMoveByte(in Encoding e, ReadOnlySpan<byte> bytes)
    {
        // 4 to 7 are AH to BH without REX, as they are here.
        int host = e.HasRex ? HostOf(e.Rm) : e.Rm;
        if (host < 0)
        {
            hot.Byte(0xC6);
            hot.Memory(0, Host.Rsp, SlotOf(e.Rm));
        }
        else
        {
            if (e.HasRex)
            {
                hot.Byte(0x40 | (host >> 3));
            }

            hot.Byte(0xB0 | (host & 7));
        }

        hot.Byte(bytes[^1]);
    }

    private void EmitByteSwap(in Encoding e)
    {
        int host = Read(e.Rm, Host.R10);
        hot.Rex(e.Wide, 0, 0, host);
        hot.Byte(0x0F);
        hot.Byte(0xC8 | (host & 7));
        Keep(e.Rm, host);
    }

    // What would fault is left to the interpreter. The flags stay as they were.
    private void EmitDivide(in Encoding e, Op* op, int index)
    {
        bool wide = op->OperandSize == 8;
        BeforeClobber(index);
        if (e.IsMemory)
        {
            EmitAddress(e, op);
            EmitLookup(index, op->OperandSize, write: false);
            EmitAccess(LoadMove, Host.R11, wide);
        }
        else
        {
            hot.RegReg(LoadMove, Host.R11, Read(e.Rm, Host.R11), wide);
        }

        byte* leave = cold.At;
        EmitOperationCold(index);
        if ((e.Reg & 7) == 6)
        {
            hot.RegReg(Compare, Host.Rdx, Host.R11, wide);
            hot.JumpIf(3, leave);
        }
        else
        {
            hot.RegReg(LoadMove, Host.R10, Host.Rax, wide);
            hot.Rex(wide, 0, 0, Host.R10);
            hot.Bytes([0xC1, 0xFA, (byte)(wide ? 63 : 31)]);
            hot.RegReg(Compare, Host.R10, Host.Rdx, wide);
            hot.JumpIf(5, leave);
            hot.Lea(Host.R10, Host.R11, -1, 0, 1, wide);
            hot.Rex(wide, 0, 0, Host.R10);
            hot.Bytes([0x83, 0xFA, 1]);
            hot.JumpIf(6, leave);
        }

        hot.Rex(wide, 0, 0, Host.R11);
        hot.Byte(0xF7);
        hot.Byte(0xC0 | ((e.Reg & 7) << 3) | (Host.R11 & 7));
        hostMask = 0;
    }
}
