using System.Runtime.Intrinsics;

namespace Emulator.Cpu.Thunks;

/// <summary>
/// Moves between XMM registers, general registers and memory: the bulk of what compilers emit. Operand 0 is the
/// destination; a memory operand stands in <see cref="CpuState.Scratch"/>. Source: SDM vol. 2 (MOVAPS, MOVSS, MOVD, …).
/// </summary>
internal static unsafe class VectorMoves
{
    /// <summary>16 bytes, any direction.</summary>
    internal static ThunkOutcome Move128(CpuState* s, Thunk* t, ulong operands, ulong rip, ulong offset)
    {
        *(Vector128<byte>*)ScratchLayout.Operand0(s, operands) = *(Vector128<byte>*)ScratchLayout.Operand1(s, operands);
        return ThunkOutcome.Done;
    }

    /// <summary>The low 8 bytes; the rest of the destination stays (stores, MOVSD and MOVLPS, MOVHPS's memory forms excepted).</summary>
    internal static ThunkOutcome Move64(CpuState* s, Thunk* t, ulong operands, ulong rip, ulong offset)
    {
        *(ulong*)ScratchLayout.Operand0(s, operands) = *(ulong*)ScratchLayout.Operand1(s, operands);
        return ThunkOutcome.Done;
    }

    /// <summary>The low 4 bytes; the rest of the destination stays.</summary>
    internal static ThunkOutcome Move32(CpuState* s, Thunk* t, ulong operands, ulong rip, ulong offset)
    {
        *(uint*)ScratchLayout.Operand0(s, operands) = *(uint*)ScratchLayout.Operand1(s, operands);
        return ThunkOutcome.Done;
    }

    /// <summary>The low 8 bytes into an XMM register, zero above.</summary>
    internal static ThunkOutcome Load64(CpuState* s, Thunk* t, ulong operands, ulong rip, ulong offset)
    {
        *(Vector128<ulong>*)ScratchLayout.Operand0(s, operands) = Vector128.CreateScalar(*(ulong*)ScratchLayout.Operand1(s, operands));
        return ThunkOutcome.Done;
    }

    /// <summary>The low 4 bytes into an XMM register, zero above.</summary>
    internal static ThunkOutcome Load32(CpuState* s, Thunk* t, ulong operands, ulong rip, ulong offset)
    {
        *(Vector128<uint>*)ScratchLayout.Operand0(s, operands) = Vector128.CreateScalar(*(uint*)ScratchLayout.Operand1(s, operands));
        return ThunkOutcome.Done;
    }

    /// <summary>The low 4 bytes into a general register, zero above.</summary>
    internal static ThunkOutcome ToGeneral32(CpuState* s, Thunk* t, ulong operands, ulong rip, ulong offset)
    {
        *(ulong*)ScratchLayout.Operand0(s, operands) = *(uint*)ScratchLayout.Operand1(s, operands);
        return ThunkOutcome.Done;
    }

    /// <summary>MOVHPS and MOVHPD from memory, MOVLHPS: low 8 bytes to high.</summary>
    internal static ThunkOutcome LowToHigh(CpuState* s, Thunk* t, ulong operands, ulong rip, ulong offset)
    {
        *(ulong*)(ScratchLayout.Operand0(s, operands) + 8) = *(ulong*)ScratchLayout.Operand1(s, operands);
        return ThunkOutcome.Done;
    }

    /// <summary>MOVHPS and MOVHPD to memory, MOVHLPS: high 8 bytes to low.</summary>
    internal static ThunkOutcome HighToLow(CpuState* s, Thunk* t, ulong operands, ulong rip, ulong offset)
    {
        *(ulong*)ScratchLayout.Operand0(s, operands) = *(ulong*)(ScratchLayout.Operand1(s, operands) + 8);
        return ThunkOutcome.Done;
    }

    /// <summary>MOVNTQ: an MMX store.</summary>
    internal static ThunkOutcome StoreMmx(CpuState* s, Thunk* t, ulong operands, ulong rip, ulong offset)
    {
        if (X87State.Pending(s))
        {
            return ThunkOutcome.MathFault;
        }

        X87State.EnterMmx(s);
        return Move64(s, t, operands, rip, offset);
    }

    /// <summary>PMOVMSKB from an XMM register.</summary>
    internal static ThunkOutcome MaskOfBytes(CpuState* s, Thunk* t, ulong operands, ulong rip, ulong offset)
    {
        *(ulong*)ScratchLayout.Operand0(s, operands) = Vector128.ExtractMostSignificantBits(*(Vector128<byte>*)ScratchLayout.Operand1(s, operands));
        return ThunkOutcome.Done;
    }

    /// <summary>MASKMOVDQU: the caller gives and writes the 16 bytes at DS:rDI. Operand 0 is the data, operand 1 the mask.</summary>
    internal static ThunkOutcome MaskedStore128(CpuState* s, Thunk* t, ulong operands, ulong rip, ulong offset)
    {
        Merge(s, operands, 16);
        return ThunkOutcome.Done;
    }

    /// <summary>MASKMOVQ: as <see cref="MaskedStore128"/>, 8 bytes and MMX registers.</summary>
    internal static ThunkOutcome MaskedStore64(CpuState* s, Thunk* t, ulong operands, ulong rip, ulong offset)
    {
        if (X87State.Pending(s))
        {
            return ThunkOutcome.MathFault;
        }

        X87State.EnterMmx(s);
        Merge(s, operands, 8);
        return ThunkOutcome.Done;
    }

    private static void Merge(CpuState* s, ulong operands, int bytes)
    {
        byte* data = ScratchLayout.Operand0(s, operands);
        byte* mask = ScratchLayout.Operand1(s, operands);
        for (int i = 0; i < bytes; i++)
        {
            if ((mask[i] & 0x80) != 0)
            {
                s->Scratch[i] = data[i];
            }
        }
    }
}
