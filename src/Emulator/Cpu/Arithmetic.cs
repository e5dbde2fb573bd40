using System.Runtime.CompilerServices;

namespace Emulator.Cpu;

/// <summary>A two-operand operation of the ALU: computes, and leaves the flags.</summary>
internal unsafe interface IAlu
{
    /// <summary>False for CMP and TEST, which only leave flags.</summary>
    static abstract bool Stores { get; }

    static abstract ulong Compute<T>(CpuState* s, ulong a, ulong b) where T : unmanaged;
}

internal unsafe struct Add : IAlu
{
    public static bool Stores => true;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong Compute<T>(CpuState* s, ulong a, ulong b) where T : unmanaged
    {
        ulong result = a + b;
        Flags.Set(s, Flags.OfSum<T>(a, b, result));
        return result;
    }
}

internal unsafe struct Adc : IAlu
{
    public static bool Stores => true;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong Compute<T>(CpuState* s, ulong a, ulong b) where T : unmanaged
    {
        ulong result = a + b + (s->Rflags & Flags.Cf);
        Flags.Set(s, Flags.OfSum<T>(a, b, result));
        return result;
    }
}

internal unsafe struct Sub : IAlu
{
    public static bool Stores => true;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong Compute<T>(CpuState* s, ulong a, ulong b) where T : unmanaged
    {
        ulong result = a - b;
        Flags.Set(s, Flags.OfDifference<T>(a, b, result));
        return result;
    }
}

internal unsafe struct Sbb : IAlu
{
    public static bool Stores => true;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong Compute<T>(CpuState* s, ulong a, ulong b) where T : unmanaged
    {
        ulong result = a - b - (s->Rflags & Flags.Cf);
        Flags.Set(s, Flags.OfDifference<T>(a, b, result));
        return result;
    }
}

internal unsafe struct Cmp : IAlu
{
    public static bool Stores => false;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong Compute<T>(CpuState* s, ulong a, ulong b) where T : unmanaged
    {
        Flags.Set(s, Flags.OfDifference<T>(a, b, a - b));
        return 0;
    }
}

internal unsafe struct And : IAlu
{
    public static bool Stores => true;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong Compute<T>(CpuState* s, ulong a, ulong b) where T : unmanaged
    {
        Flags.Set(s, Flags.SignZeroParity<T>(a & b));
        return a & b;
    }
}

internal unsafe struct Test : IAlu
{
    public static bool Stores => false;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong Compute<T>(CpuState* s, ulong a, ulong b) where T : unmanaged => And.Compute<T>(s, a, b);
}

internal unsafe struct Or : IAlu
{
    public static bool Stores => true;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong Compute<T>(CpuState* s, ulong a, ulong b) where T : unmanaged
    {
        Flags.Set(s, Flags.SignZeroParity<T>(a | b));
        return a | b;
    }
}

internal unsafe struct Xor : IAlu
{
    public static bool Stores => true;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong Compute<T>(CpuState* s, ulong a, ulong b) where T : unmanaged
    {
        Flags.Set(s, Flags.SignZeroParity<T>(a ^ b));
        return a ^ b;
    }
}

/// <summary>The operand forms of an ALU operation.</summary>
internal static unsafe class Alu<TOp, T>
    where TOp : struct, IAlu
    where T : unmanaged
{
    internal static Step RegReg(CpuState* s, Op* op)
    {
        ulong result = TOp.Compute<T>(s, Registers.Read<T>(s, op->Dst), Registers.Read<T>(s, op->Src));
        if (TOp.Stores)
        {
            Registers.Write<T>(s, op->Dst, result);
        }

        return Step.Next;
    }

    internal static Step RegImm(CpuState* s, Op* op)
    {
        ulong result = TOp.Compute<T>(s, Registers.Read<T>(s, op->Dst), op->Imm & Registers.Mask<T>());
        if (TOp.Stores)
        {
            Registers.Write<T>(s, op->Dst, result);
        }

        return Step.Next;
    }

    internal static Step RegMem(CpuState* s, Op* op)
    {
        if (!Operand.TryLoad<T>(s, op, Operand.Linear(s, op), out ulong value))
        {
            return Step.Fault;
        }

        ulong result = TOp.Compute<T>(s, Registers.Read<T>(s, op->Dst), value);
        if (TOp.Stores)
        {
            Registers.Write<T>(s, op->Dst, result);
        }

        return Step.Next;
    }

    internal static Step MemReg(CpuState* s, Op* op) => Memory(s, op, Registers.Read<T>(s, op->Src));

    internal static Step MemImm(CpuState* s, Op* op) => Memory(s, op, op->Imm & Registers.Mask<T>());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Step Memory(CpuState* s, Op* op, ulong operand)
    {
        ulong linear = Operand.Linear(s, op);
        if (!TOp.Stores)
        {
            if (!Operand.TryLoad<T>(s, op, linear, out ulong compared))
            {
                return Step.Fault;
            }

            TOp.Compute<T>(s, compared, operand);
            return Step.Next;
        }

        if (!Operand.TryLoadForStore<T>(s, op, linear, out ulong value))
        {
            return Step.Fault;
        }

        Operand.TryStore<T>(s, op, linear, TOp.Compute<T>(s, value, operand));
        return Step.Next;
    }
}

/// <summary>A one-operand read-modify-write operation.</summary>
internal unsafe interface IUnary
{
    static abstract ulong Compute<T>(CpuState* s, ulong value) where T : unmanaged;
}

internal unsafe struct Inc : IUnary
{
    public static ulong Compute<T>(CpuState* s, ulong value) where T : unmanaged
    {
        ulong result = value + 1;
        Flags.Set(s, Flags.Status & ~Flags.Cf, Flags.OfSum<T>(value, 1, result));
        return result;
    }
}

internal unsafe struct Dec : IUnary
{
    public static ulong Compute<T>(CpuState* s, ulong value) where T : unmanaged
    {
        ulong result = value - 1;
        Flags.Set(s, Flags.Status & ~Flags.Cf, Flags.OfDifference<T>(value, 1, result));
        return result;
    }
}

internal unsafe struct Neg : IUnary
{
    public static ulong Compute<T>(CpuState* s, ulong value) where T : unmanaged
    {
        ulong result = 0 - value;
        Flags.Set(s, Flags.OfDifference<T>(0, value, result));
        return result;
    }
}

internal unsafe struct Not : IUnary
{
    public static ulong Compute<T>(CpuState* s, ulong value) where T : unmanaged => ~value;
}

/// <summary>The operand forms of a unary operation.</summary>
internal static unsafe class Unary<TOp, T>
    where TOp : struct, IUnary
    where T : unmanaged
{
    internal static Step Reg(CpuState* s, Op* op)
    {
        Registers.Write<T>(s, op->Dst, TOp.Compute<T>(s, Registers.Read<T>(s, op->Dst)));
        return Step.Next;
    }

    internal static Step Mem(CpuState* s, Op* op)
    {
        ulong linear = Operand.Linear(s, op);
        if (!Operand.TryLoadForStore<T>(s, op, linear, out ulong value))
        {
            return Step.Fault;
        }

        Operand.TryStore<T>(s, op, linear, TOp.Compute<T>(s, value));
        return Step.Next;
    }
}
