namespace Emulator.Cpu;

/// <summary>
/// MUL, IMUL, DIV, IDIV and the BCD adjustments built on them. SF ZF AF PF of a product and all flags of a quotient are
/// undefined by the SDM: they stay as they were.
/// </summary>
internal static unsafe class Multiply<T>
    where T : unmanaged
{
    private static int Bits => sizeof(T) * 8;

    /// <summary>rDX:rAX (AX) = rAX * operand.</summary>
    internal static Step Unsigned(CpuState* s, Op* op)
    {
        if (!TryOperand(s, op, out ulong b))
        {
            return Step.Fault;
        }

        ulong a = Registers.Read<T>(s, Registers.Rax);
        ulong low = a * b;
        ulong high = sizeof(T) == 8 ? Math.BigMul(a, b, out low) : low >> Bits;
        WriteWide(s, low, high);
        SetCarry(s, (high & Registers.Mask<T>()) != 0);
        return Step.Next;
    }

    internal static Step Signed(CpuState* s, Op* op)
    {
        if (!TryOperand(s, op, out ulong operand))
        {
            return Step.Fault;
        }

        long a = Registers.SignExtend<T>(Registers.Read<T>(s, Registers.Rax));
        long b = Registers.SignExtend<T>(operand);
        long low = a * b;
        long high = sizeof(T) == 8 ? Math.BigMul(a, b, out low) : low >> Bits;
        WriteWide(s, (ulong)low, (ulong)high);
        bool fits = sizeof(T) == 8 ? high == low >> 63 : Registers.SignExtend<T>((ulong)low) == low;
        SetCarry(s, !fits);
        return Step.Next;
    }

    /// <summary>IMUL reg, r/m.</summary>
    internal static Step RegOperand(CpuState* s, Op* op) =>
        TryOperand(s, op, out ulong b) ? Truncating(s, op, Registers.Read<T>(s, op->Dst), b) : Step.Fault;

    /// <summary>IMUL reg, r/m, imm.</summary>
    internal static Step RegOperandImm(CpuState* s, Op* op) =>
        TryOperand(s, op, out ulong b) ? Truncating(s, op, b, op->Imm) : Step.Fault;

    internal static Step Divide(CpuState* s, Op* op)
    {
        if (!TryOperand(s, op, out ulong divisor))
        {
            return Step.Fault;
        }

        if (divisor == 0)
        {
            return Fault.Raise(s, Fault.DivideError);
        }

        UInt128 dividend = ReadWide(s);
        UInt128 quotient;
        ulong remainder;
        if (dividend <= ulong.MaxValue)
        {
            (ulong q, remainder) = Math.DivRem((ulong)dividend, divisor);
            quotient = q;
        }
        else
        {
            quotient = dividend / divisor;
            remainder = (ulong)(dividend - (quotient * divisor));
        }

        if (quotient > Registers.Mask<T>())
        {
            return Fault.Raise(s, Fault.DivideError);
        }

        WriteQuotient(s, (ulong)quotient, remainder);
        return Step.Next;
    }

    internal static Step DivideSigned(CpuState* s, Op* op)
    {
        if (!TryOperand(s, op, out ulong operand))
        {
            return Step.Fault;
        }

        Int128 divisor = Registers.SignExtend<T>(operand);
        if (divisor == 0)
        {
            return Fault.Raise(s, Fault.DivideError);
        }

        Int128 dividend = (Int128)ReadWide(s);
        if (sizeof(T) < 8)
        {
            dividend = (long)((ulong)ReadWide(s) << (64 - (2 * Bits))) >> (64 - (2 * Bits));
        }
        else if (dividend == Int128.MinValue)
        {
            // No divisor of 64 bits brings this into range, and dividing it by -1 would overflow the host's type.
            return Fault.Raise(s, Fault.DivideError);
        }

        Int128 quotient = dividend / divisor;
        long limit = (long)(Registers.Mask<T>() >> 1);
        if (quotient > limit || quotient < -(Int128)limit - 1)
        {
            return Fault.Raise(s, Fault.DivideError);
        }

        WriteQuotient(s, (ulong)quotient, (ulong)(dividend - (quotient * divisor)));
        return Step.Next;
    }

    private static bool TryOperand(CpuState* s, Op* op, out ulong value)
    {
        if (op->MemorySize == 0)
        {
            value = Registers.Read<T>(s, op->Src);
            return true;
        }

        return Operand.TryLoad<T>(s, op, Operand.Linear(s, op), out value);
    }

    private static Step Truncating(CpuState* s, Op* op, ulong left, ulong right)
    {
        long a = Registers.SignExtend<T>(left), b = Registers.SignExtend<T>(right);
        long low = a * b;
        bool fits = sizeof(T) == 8 ? Math.BigMul(a, b, out _) == low >> 63 : Registers.SignExtend<T>((ulong)low) == low;
        Registers.Write<T>(s, op->Dst, (ulong)low);
        SetCarry(s, !fits);
        return Step.Next;
    }

    private static void SetCarry(CpuState* s, bool overflow) =>
        Flags.Set(s, Flags.Cf | Flags.Of, overflow ? Flags.Cf | Flags.Of : 0);

    private static UInt128 ReadWide(CpuState* s) => sizeof(T) == 1
        ? Registers.Read<ushort>(s, Registers.Rax)
        : ((UInt128)Registers.Read<T>(s, Registers.Rdx) << Bits) | Registers.Read<T>(s, Registers.Rax);

    private static void WriteWide(CpuState* s, ulong low, ulong high)
    {
        if (sizeof(T) == 1)
        {
            Registers.Write<ushort>(s, Registers.Rax, low);
            return;
        }

        Registers.Write<T>(s, Registers.Rax, low);
        Registers.Write<T>(s, Registers.Rdx, high);
    }

    private static void WriteQuotient(CpuState* s, ulong quotient, ulong remainder)
    {
        Registers.Write<T>(s, Registers.Rax, quotient);
        Registers.Write<T>(s, sizeof(T) == 1 ? Registers.Rax + 1 : Registers.Rdx, remainder);
    }
}

/// <summary>DAA DAS AAA AAS AAM AAD and SALC: not in 64-bit code.</summary>
internal static unsafe class DecimalAdjust
{
    internal static Step Daa(CpuState* s, Op* op) => Adjust(s, subtract: false);

    internal static Step Das(CpuState* s, Op* op) => Adjust(s, subtract: true);

    internal static Step Aaa(CpuState* s, Op* op) => AsciiAdjust(s, subtract: false);

    internal static Step Aas(CpuState* s, Op* op) => AsciiAdjust(s, subtract: true);

    internal static Step Aam(CpuState* s, Op* op)
    {
        byte radix = (byte)op->Imm;
        if (radix == 0)
        {
            return Fault.Raise(s, Fault.DivideError);
        }

        byte al = (byte)s->Gpr[0];
        Registers.Write<ushort>(s, Registers.Rax, (ulong)((al / radix << 8) | (al % radix)));
        Flags.Set(s, Flags.SignZeroParity<byte>((byte)(al % radix)));
        return Step.Next;
    }

    internal static Step Aad(CpuState* s, Op* op)
    {
        byte al = (byte)(s->Gpr[0] + ((s->Gpr[0] >> 8 & 0xFF) * op->Imm));
        Registers.Write<ushort>(s, Registers.Rax, al);
        Flags.Set(s, Flags.SignZeroParity<byte>(al));
        return Step.Next;
    }

    internal static Step Salc(CpuState* s, Op* op)
    {
        Registers.Write<byte>(s, Registers.Rax, (s->Rflags & Flags.Cf) != 0 ? 0xFFUL : 0);
        return Step.Next;
    }

    private static Step Adjust(CpuState* s, bool subtract)
    {
        int al = (byte)s->Gpr[0], before = al;
        bool carryIn = (s->Rflags & Flags.Cf) != 0;
        ulong flags = 0;
        int sign = subtract ? -1 : 1;
        bool low = (al & 15) > 9 || (s->Rflags & Flags.Af) != 0;
        if (low)
        {
            al += 6 * sign;
            flags |= Flags.Af;
            if (carryIn || (subtract ? before < 6 : al > 0xFF))
            {
                flags |= Flags.Cf;
            }
        }

        if (before > 0x99 || carryIn)
        {
            al += 0x60 * sign;
            flags |= Flags.Cf;
        }
        else if (!subtract)
        {
            flags &= ~Flags.Cf;
        }

        Registers.Write<byte>(s, Registers.Rax, (byte)al);
        Flags.Set(s, flags | Flags.SignZeroParity<byte>((byte)al));
        return Step.Next;
    }

    private static Step AsciiAdjust(CpuState* s, bool subtract)
    {
        bool adjust = (s->Gpr[0] & 15) > 9 || (s->Rflags & Flags.Af) != 0;
        ushort ax = (ushort)s->Gpr[0];
        if (adjust)
        {
            ax = (ushort)(subtract ? ax - 0x106 : ax + 0x106);
        }

        ax &= 0xFF0F;
        Registers.Write<ushort>(s, Registers.Rax, ax);
        Flags.Set(s, (adjust ? Flags.Af | Flags.Cf : 0) | Flags.SignZeroParity<byte>((byte)ax));
        return Step.Next;
    }
}
