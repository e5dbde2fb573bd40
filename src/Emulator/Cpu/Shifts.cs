using System.Runtime.CompilerServices;

namespace Emulator.Cpu;

/// <summary>
/// A shift or rotate. Flags SDM vol. 2 leaves undefined get one fixed value each, so that a machine is the same machine
/// on every host, and those AMD's CPUs give: OF as for a shift by one; AF set by a shift, unchanged by a rotate.
/// </summary>
internal unsafe interface IShift
{
    /// <summary>The count is already masked to 5 (6) bits and not zero.</summary>
    static abstract ulong Compute<T>(CpuState* s, ulong value, int count) where T : unmanaged;
}

internal unsafe struct Shl : IShift
{
    public static ulong Compute<T>(CpuState* s, ulong value, int count) where T : unmanaged
    {
        int bits = sizeof(T) * 8;
        ulong result = count < bits ? value << count : 0;
        ulong carry = count <= bits ? value >> (bits - count) & 1 : 0;
        ulong overflow = (result >> (bits - 1) & 1) ^ carry;
        Flags.Set(s, Flags.Status, Flags.Af | Flags.SignZeroParity<T>(result) | carry | (overflow << 11));
        return result;
    }
}

internal unsafe struct Shr : IShift
{
    public static ulong Compute<T>(CpuState* s, ulong value, int count) where T : unmanaged
    {
        int bits = sizeof(T) * 8;
        ulong result = count < bits ? value >> count : 0;
        ulong carry = count <= bits ? value >> (count - 1) & 1 : 0;
        ulong overflow = (result >> (bits - 2) & 1) ^ (result >> (bits - 1) & 1);
        Flags.Set(s, Flags.Status, Flags.Af | Flags.SignZeroParity<T>(result) | carry | (overflow << 11));
        return result;
    }
}

internal unsafe struct Sar : IShift
{
    public static ulong Compute<T>(CpuState* s, ulong value, int count) where T : unmanaged
    {
        long signed = Registers.SignExtend<T>(value);
        ulong result = (ulong)(signed >> Math.Min(count, 63));
        ulong carry = (ulong)(signed >> Math.Min(count - 1, 63)) & 1;
        Flags.Set(s, Flags.Status, Flags.Af | Flags.SignZeroParity<T>(result) | carry);
        return result;
    }
}

internal unsafe struct Rol : IShift
{
    public static ulong Compute<T>(CpuState* s, ulong value, int count) where T : unmanaged
    {
        int bits = sizeof(T) * 8;
        int turn = count & (bits - 1);
        ulong result = turn == 0 ? value : (value << turn) | (value >> (bits - turn));
        ulong carry = result & 1;
        ulong overflow = (result >> (bits - 1) & 1) ^ carry;
        Flags.Set(s, Flags.Cf | Flags.Of, carry | (overflow << 11));
        return result;
    }
}

internal unsafe struct Ror : IShift
{
    public static ulong Compute<T>(CpuState* s, ulong value, int count) where T : unmanaged
    {
        int bits = sizeof(T) * 8;
        int turn = count & (bits - 1);
        ulong result = turn == 0 ? value : (value >> turn) | (value << (bits - turn));
        ulong carry = result >> (bits - 1) & 1;
        ulong overflow = carry ^ (result >> (bits - 2) & 1);
        Flags.Set(s, Flags.Cf | Flags.Of, carry | (overflow << 11));
        return result;
    }
}

internal unsafe struct Rcl : IShift
{
    public static ulong Compute<T>(CpuState* s, ulong value, int count) where T : unmanaged
    {
        int bits = sizeof(T) * 8;
        int turns = count % (bits + 1);
        ulong carry = s->Rflags & Flags.Cf;
        for (int i = 0; i < turns; i++)
        {
            ulong top = value >> (bits - 1) & 1;
            value = (value << 1) | carry;
            carry = top;
        }

        if (count != 0)
        {
            ulong overflow = (value >> (bits - 1) & 1) ^ carry;
            Flags.Set(s, Flags.Cf | Flags.Of, carry | (overflow << 11));
        }

        return value;
    }
}

internal unsafe struct Rcr : IShift
{
    public static ulong Compute<T>(CpuState* s, ulong value, int count) where T : unmanaged
    {
        int bits = sizeof(T) * 8;
        int turns = count % (bits + 1);
        ulong carry = s->Rflags & Flags.Cf;
        for (int i = 0; i < turns; i++)
        {
            ulong low = value & 1;
            value = (value >> 1) | (carry << (bits - 1));
            carry = low;
        }

        ulong overflow = (value >> (bits - 1) & 1) ^ (value >> (bits - 2) & 1);
        Flags.Set(s, Flags.Cf | Flags.Of, carry | (overflow << 11));
        return value;
    }
}

/// <summary>The operand forms of a shift: the count is an immediate, or CL.</summary>
internal static unsafe class Shift<TOp, T>
    where TOp : struct, IShift
    where T : unmanaged
{
    private static int Mask => sizeof(T) == 8 ? 63 : 31;

    internal static Step RegImm(CpuState* s, Op* op) => Reg(s, op, (int)op->Imm & Mask);

    internal static Step RegCl(CpuState* s, Op* op) => Reg(s, op, (int)s->Gpr[1] & Mask);

    internal static Step MemImm(CpuState* s, Op* op) => Mem(s, op, (int)op->Imm & Mask);

    internal static Step MemCl(CpuState* s, Op* op) => Mem(s, op, (int)s->Gpr[1] & Mask);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Step Reg(CpuState* s, Op* op, int count)
    {
        ulong value = Registers.Read<T>(s, op->Dst);
        // A 32-bit destination is written, and so its upper half cleared, even by a count of zero.
        Registers.Write<T>(s, op->Dst, count == 0 ? value : TOp.Compute<T>(s, value, count));
        return Step.Next;
    }

    private static Step Mem(CpuState* s, Op* op, int count)
    {
        ulong linear = Operand.Linear(s, op);
        if (!Operand.TryLoadForStore<T>(s, op, linear, out ulong value))
        {
            return Step.Fault;
        }

        Operand.TryStore<T>(s, op, linear, count == 0 ? value : TOp.Compute<T>(s, value, count));
        return Step.Next;
    }
}

/// <summary>SHLD and SHRD; the register operand is in <see cref="Op.Src"/>, the count an immediate or CL.</summary>
internal static unsafe class DoubleShift<T>
    where T : unmanaged
{
    internal static Step Left(CpuState* s, Op* op) => Run(s, op, left: true);

    internal static Step Right(CpuState* s, Op* op) => Run(s, op, left: false);

    private static Step Run(CpuState* s, Op* op, bool left)
    {
        int bits = sizeof(T) * 8;
        int count = (int)(op->Data != 0 ? s->Gpr[1] : op->Imm) & (bits == 64 ? 63 : 31);
        bool memory = op->MemorySize != 0;
        ulong linear = memory ? Operand.Linear(s, op) : 0;
        ulong value;
        if (!memory)
        {
            value = Registers.Read<T>(s, op->Dst);
        }
        else if (!Operand.TryLoadForStore<T>(s, op, linear, out value))
        {
            return Step.Fault;
        }

        ulong result = value;
        if (count != 0)
        {
            ulong filler = Registers.Read<T>(s, op->Src);
            // Undefined beyond the width (16-bit operands, counts 17–31): as if the filler were followed by the value again.
            UInt128 wide = (((UInt128)value << bits) | filler) << bits | value;
            ulong carry;
            if (left)
            {
                result = (ulong)(bits == 64 ? ((((UInt128)value << 64) | filler) << count) >> 64 : (wide << count) >> (2 * bits));
                carry = count <= bits ? value >> (bits - count) & 1 : filler >> ((2 * bits) - count) & 1;
            }
            else
            {
                result = (ulong)(bits == 64 ? (((UInt128)filler << 64) | value) >> count : wide >> count);
                carry = count <= bits ? value >> (count - 1) & 1 : filler >> (count - 1 - bits) & 1;
            }

            result &= Registers.Mask<T>();
            // As after its last bit: a shift left moves CF out past the sign, a shift right the sign from where it is behind it now.
            ulong overflow = (left ? carry ^ (result >> (bits - 1)) : (result >> (bits - 1)) ^ (result >> (bits - 2))) & 1;
            Flags.Set(s, Flags.Status, Flags.Af | Flags.SignZeroParity<T>(result) | carry | (overflow << 11));
        }

        if (memory)
        {
            Operand.TryStore<T>(s, op, linear, result);
        }
        else
        {
            Registers.Write<T>(s, op->Dst, result);
        }

        return Step.Next;
    }
}
