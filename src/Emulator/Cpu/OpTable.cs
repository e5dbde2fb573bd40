using Emulator.Cpu.Thunks;
using Iced.Intel;

namespace Emulator.Cpu;

/// <summary>
/// The menu of the interpreter: for each instruction the function that executes it, and its operands in the
/// <see cref="Op"/>. What is not here is either a native thunk (x87, MMX, SSE) or undefined.
/// </summary>
internal static unsafe partial class OpTable
{
    internal static delegate*<CpuState*, Op*, Step> Select(
        in Instruction instruction, ReadOnlySpan<byte> bytes, CodeMode mode, ThunkCompiler thunks, ref Op op)
    {
        SetOperands(instruction, ref op);
        delegate*<CpuState*, Op*, Step> run = Integer(instruction, mode, ref op);
        if (run == null)
        {
            run = System(instruction, mode, ref op);
        }

        if (run != null)
        {
            return run;
        }

        return ThunkOps.TrySelect(thunks, instruction, bytes, mode, ref op) ? op.Run : &Fault.Undefined;
    }

    private enum Form
    {
        None,
        RegReg,
        RegImm,
        RegMem,
        MemReg,
        MemImm,
        Reg,
        Mem,
        Imm,
    }

    private static void SetOperands(in Instruction instruction, ref Op op)
    {
        for (int i = 0; i < instruction.OpCount; i++)
        {
            switch (instruction.GetOpKind(i))
            {
                case OpKind.Register:
                    Register register = instruction.GetOpRegister(i);
                    byte offset = register.IsGPR() ? Decoder.RegisterOffset(register)
                        : register.IsSegmentRegister() ? Decoder.SegmentNumber(register) : (byte)0;
                    if (i == 0)
                    {
                        op.Dst = offset;
                    }
                    else if (i == 1)
                    {
                        op.Src = offset;
                    }

                    break;
                case OpKind.NearBranch16:
                case OpKind.NearBranch32:
                case OpKind.NearBranch64:
                    op.Imm = instruction.NearBranchTarget;
                    break;
                case OpKind.Immediate8:
                case OpKind.Immediate16:
                case OpKind.Immediate32:
                case OpKind.Immediate64:
                case OpKind.Immediate8to16:
                case OpKind.Immediate8to32:
                case OpKind.Immediate8to64:
                case OpKind.Immediate32to64:
                    op.Imm = instruction.GetImmediate(i);
                    break;
            }
        }

        op.OperandSize = (byte)OperandSize(instruction);
    }

    private static int OperandSize(in Instruction instruction)
    {
        if (instruction.OpCount == 0)
        {
            return 0;
        }

        return instruction.Op0Kind switch
        {
            OpKind.Register => instruction.Op0Register.GetSize(),
            OpKind.Memory => Math.Min(instruction.MemorySize.GetSize(), 64),
            _ => 0,
        };
    }

    private static Form FormOf(in Instruction instruction)
    {
        OpKind first = instruction.Op0Kind;
        if (instruction.OpCount == 1)
        {
            return first == OpKind.Register ? Form.Reg : first == OpKind.Memory ? Form.Mem : Form.Imm;
        }

        OpKind second = instruction.Op1Kind;
        bool immediate = second is not (OpKind.Register or OpKind.Memory);
        return first switch
        {
            OpKind.Register => second == OpKind.Register ? Form.RegReg : second == OpKind.Memory ? Form.RegMem : Form.RegImm,
            OpKind.Memory => immediate ? Form.MemImm : Form.MemReg,
            _ => Form.None,
        };
    }

    private static delegate*<CpuState*, Op*, Step> AluOp<TOp>(in Instruction instruction, in Op op)
        where TOp : struct, IAlu
    {
        Form form = FormOf(instruction);
        return op.OperandSize switch
        {
            1 => AluForm<TOp, byte>(form),
            2 => AluForm<TOp, ushort>(form),
            4 => AluForm<TOp, uint>(form),
            _ => AluForm<TOp, ulong>(form),
        };
    }

    private static delegate*<CpuState*, Op*, Step> AluForm<TOp, T>(Form form)
        where TOp : struct, IAlu
        where T : unmanaged => form switch
        {
            Form.RegReg => &Alu<TOp, T>.RegReg,
            Form.RegImm => &Alu<TOp, T>.RegImm,
            Form.RegMem => &Alu<TOp, T>.RegMem,
            Form.MemReg => &Alu<TOp, T>.MemReg,
            _ => &Alu<TOp, T>.MemImm,
        };

    private static delegate*<CpuState*, Op*, Step> UnaryOp<TOp>(in Instruction instruction, in Op op)
        where TOp : struct, IUnary
    {
        bool memory = instruction.Op0Kind == OpKind.Memory;
        return op.OperandSize switch
        {
            1 => memory ? &Unary<TOp, byte>.Mem : &Unary<TOp, byte>.Reg,
            2 => memory ? &Unary<TOp, ushort>.Mem : &Unary<TOp, ushort>.Reg,
            4 => memory ? &Unary<TOp, uint>.Mem : &Unary<TOp, uint>.Reg,
            _ => memory ? &Unary<TOp, ulong>.Mem : &Unary<TOp, ulong>.Reg,
        };
    }

    private static delegate*<CpuState*, Op*, Step> ShiftOp<TOp>(in Instruction instruction, in Op op)
        where TOp : struct, IShift => op.OperandSize switch
        {
            1 => ShiftForm<TOp, byte>(instruction),
            2 => ShiftForm<TOp, ushort>(instruction),
            4 => ShiftForm<TOp, uint>(instruction),
            _ => ShiftForm<TOp, ulong>(instruction),
        };

    private static delegate*<CpuState*, Op*, Step> ShiftForm<TOp, T>(in Instruction instruction)
        where TOp : struct, IShift
        where T : unmanaged
    {
        bool cl = instruction.Op1Kind == OpKind.Register;
        return instruction.Op0Kind == OpKind.Memory
            ? cl ? &Shift<TOp, T>.MemCl : &Shift<TOp, T>.MemImm
            : cl ? &Shift<TOp, T>.RegCl : &Shift<TOp, T>.RegImm;
    }

    private static delegate*<CpuState*, Op*, Step> BitOp<TOp>(in Instruction instruction, in Op op)
        where TOp : struct, IBitChange
    {
        Form form = FormOf(instruction);
        return op.OperandSize switch
        {
            2 => BitForm<TOp, ushort>(form),
            4 => BitForm<TOp, uint>(form),
            _ => BitForm<TOp, ulong>(form),
        };
    }

    private static delegate*<CpuState*, Op*, Step> BitForm<TOp, T>(Form form)
        where TOp : struct, IBitChange
        where T : unmanaged => form switch
        {
            Form.RegReg => &BitString<TOp, T>.RegReg,
            Form.RegImm => &BitString<TOp, T>.RegImm,
            Form.MemReg => &BitString<TOp, T>.MemReg,
            _ => &BitString<TOp, T>.MemImm,
        };

    private static delegate*<CpuState*, Op*, Step> MoveOp<T>(Form form)
        where T : unmanaged => form switch
        {
            Form.RegReg => &Move<T>.RegReg,
            Form.RegImm => &Move<T>.RegImm,
            Form.RegMem => &Move<T>.RegMem,
            Form.MemReg => &Move<T>.MemReg,
            _ => &Move<T>.MemImm,
        };

    private static delegate*<CpuState*, Op*, Step> ExtendOp(in Instruction instruction, in Op op, bool signed)
    {
        bool memory = instruction.Op1Kind == OpKind.Memory;
        int from = memory ? instruction.MemorySize.GetSize() : instruction.Op1Register.GetSize();
        return (op.OperandSize, from) switch
        {
            (2, 1) => ExtendForm<ushort, byte>(memory, signed),
            (4, 1) => ExtendForm<uint, byte>(memory, signed),
            (8, 1) => ExtendForm<ulong, byte>(memory, signed),
            (2, 2) => ExtendForm<ushort, ushort>(memory, signed),
            (4, 2) => ExtendForm<uint, ushort>(memory, signed),
            (8, 2) => ExtendForm<ulong, ushort>(memory, signed),
            (2, 4) => ExtendForm<ushort, uint>(memory, signed),
            (4, 4) => ExtendForm<uint, uint>(memory, signed),
            _ => ExtendForm<ulong, uint>(memory, signed),
        };
    }

    private static delegate*<CpuState*, Op*, Step> ExtendForm<T, TFrom>(bool memory, bool signed)
        where T : unmanaged
        where TFrom : unmanaged => memory
            ? signed ? &Extend<T, TFrom>.SignMem : &Extend<T, TFrom>.ZeroMem
            : signed ? &Extend<T, TFrom>.SignReg : &Extend<T, TFrom>.ZeroReg;
}
