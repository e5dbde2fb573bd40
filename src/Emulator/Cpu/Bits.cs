using System.Numerics;

namespace Emulator.Cpu;

/// <summary>What BT, BTS, BTR and BTC do to the bit they test.</summary>
internal interface IBitChange
{
    static abstract bool Stores { get; }

    static abstract ulong Apply(ulong value, ulong bit);
}

internal struct BitTest : IBitChange
{
    public static bool Stores => false;

    public static ulong Apply(ulong value, ulong bit) => value;
}

internal struct BitSet : IBitChange
{
    public static bool Stores => true;

    public static ulong Apply(ulong value, ulong bit) => value | bit;
}

internal struct BitReset : IBitChange
{
    public static bool Stores => true;

    public static ulong Apply(ulong value, ulong bit) => value & ~bit;
}

internal struct BitComplement : IBitChange
{
    public static bool Stores => true;

    public static ulong Apply(ulong value, ulong bit) => value ^ bit;
}

/// <summary>BT, BTS, BTR, BTC. A register offset reaches beyond the memory operand, an immediate one does not.</summary>
internal static unsafe class BitString<TOp, T>
    where TOp : struct, IBitChange
    where T : unmanaged
{
    private static int Bits => sizeof(T) * 8;

    internal static Step RegReg(CpuState* s, Op* op) => Reg(s, op, Registers.Read<T>(s, op->Src));

    internal static Step RegImm(CpuState* s, Op* op) => Reg(s, op, op->Imm);

    internal static Step MemImm(CpuState* s, Op* op) => Mem(s, op, Operand.Linear(s, op), op->Imm);

    internal static Step MemReg(CpuState* s, Op* op)
    {
        long offset = Registers.SignExtend<T>(Registers.Read<T>(s, op->Src));
        long unit = offset >> (sizeof(T) == 8 ? 6 : sizeof(T) == 4 ? 5 : 4);
        ulong inSegment = (Operand.Offset(s, op) + (ulong)(unit * sizeof(T))) << op->AddressShift >> op->AddressShift;
        ulong linear = (inSegment + *(ulong*)((byte*)s + op->SegmentBase)) << op->LinearShift >> op->LinearShift;
        return Mem(s, op, linear, (ulong)offset);
    }

    private static Step Reg(CpuState* s, Op* op, ulong index)
    {
        int bit = (int)index & (Bits - 1);
        ulong value = Registers.Read<T>(s, op->Dst);
        Flags.Set(s, Flags.Cf, value >> bit & 1);
        if (TOp.Stores)
        {
            Registers.Write<T>(s, op->Dst, TOp.Apply(value, 1UL << bit));
        }

        return Step.Next;
    }

    private static Step Mem(CpuState* s, Op* op, ulong linear, ulong index)
    {
        int bit = (int)index & (Bits - 1);
        if (!(TOp.Stores
            ? Operand.TryLoadForStore<T>(s, op, linear, out ulong value)
            : Operand.TryLoad<T>(s, op, linear, out value)))
        {
            return Step.Fault;
        }

        Flags.Set(s, Flags.Cf, value >> bit & 1);
        if (TOp.Stores)
        {
            Operand.TryStore<T>(s, op, linear, TOp.Apply(value, 1UL << bit));
        }

        return Step.Next;
    }
}

/// <summary>BSF, BSR (also TZCNT and LZCNT, which a CPU without BMI1 and LZCNT runs as these), POPCNT, BSWAP, CRC32.</summary>
internal static unsafe class BitScan<T>
    where T : unmanaged
{
    internal static Step Forward(CpuState* s, Op* op) =>
        TryOperand(s, op, out ulong value) ? Scan(s, op, value, BitOperations.TrailingZeroCount(value)) : Step.Fault;

    internal static Step Reverse(CpuState* s, Op* op) =>
        TryOperand(s, op, out ulong value) ? Scan(s, op, value, 63 - BitOperations.LeadingZeroCount(value)) : Step.Fault;

    internal static Step PopCount(CpuState* s, Op* op)
    {
        if (!TryOperand(s, op, out ulong value))
        {
            return Step.Fault;
        }

        Registers.Write<T>(s, op->Dst, (ulong)BitOperations.PopCount(value));
        Flags.Set(s, value == 0 ? Flags.Zf : 0);
        return Step.Next;
    }

    internal static Step ByteSwap(CpuState* s, Op* op)
    {
        ulong value = Registers.Read<T>(s, op->Dst);
        // BSWAP of a 16-bit register is undefined; CPUs give zero.
        Registers.Write<T>(s, op->Dst, sizeof(T) switch
        {
            8 => System.Buffers.Binary.BinaryPrimitives.ReverseEndianness(value),
            4 => System.Buffers.Binary.BinaryPrimitives.ReverseEndianness((uint)value),
            _ => 0,
        });
        return Step.Next;
    }

    /// <summary>CRC32 r32/r64, operand of <typeparamref name="T"/> (polynomial 11EDC6F41h).</summary>
    internal static Step Crc32(CpuState* s, Op* op)
    {
        if (!TryOperand(s, op, out ulong value))
        {
            return Step.Fault;
        }

        uint crc = (uint)Registers.Read<uint>(s, op->Dst);
        crc = sizeof(T) switch
        {
            1 => BitOperations.Crc32C(crc, (byte)value),
            2 => BitOperations.Crc32C(crc, (ushort)value),
            4 => BitOperations.Crc32C(crc, (uint)value),
            _ => BitOperations.Crc32C(crc, value),
        };
        Registers.Write<uint>(s, op->Dst, crc);
        return Step.Next;
    }

    // The destination keeps its value for a zero operand, as all CPUs do. The flags the SDM leaves undefined are what AMD's
    // CPUs make them: PF of the index (set for a zero operand), the others clear.
    private static Step Scan(CpuState* s, Op* op, ulong value, int index)
    {
        if (value == 0)
        {
            Flags.Set(s, Flags.Status, Flags.Zf | Flags.Pf);
            return Step.Next;
        }

        Flags.Set(s, Flags.Status, (BitOperations.PopCount((uint)index) & 1) == 0 ? Flags.Pf : 0);
        Registers.Write<T>(s, op->Dst, (ulong)index);
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
}
