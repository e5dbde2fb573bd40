using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Emulator.Cpu.Thunks;

/// <summary>
/// Calls emitted code and settles what it left: flags, MXCSR, the x87 image. One runner a family; each has the
/// signature of <see cref="Thunk.Run"/>.
/// </summary>
internal static unsafe class NativeRunners
{
    private const uint MxcsrFlushToZero = 0x8000, MxcsrUnderflowMask = 0x800;
    private const uint Invalid = 1, Denormal = 2, DivideByZero = 4, Underflow = 16;

    /// <summary>Registers and memory only: no flags, no floating-point exceptions.</summary>
    internal static ThunkOutcome Plain(CpuState* s, Thunk* t, ulong operands, ulong rip, ulong offset)
    {
        Call(s, t, operands);
        return ThunkOutcome.Done;
    }

    /// <summary>As <see cref="Plain"/>, and the status flags are written.</summary>
    internal static ThunkOutcome WithFlags(CpuState* s, Thunk* t, ulong operands, ulong rip, ulong offset)
    {
        Call(s, t, operands);
        TakeFlags(s);
        return ThunkOutcome.Done;
    }

    /// <summary>MMX registers.</summary>
    internal static ThunkOutcome Mmx(CpuState* s, Thunk* t, ulong operands, ulong rip, ulong offset)
    {
        if (X87State.Pending(s))
        {
            return ThunkOutcome.MathFault;
        }

        X87State.EnterMmx(s);
        Call(s, t, operands);
        SettleMmx(s, t, operands);
        return ThunkOutcome.Done;
    }

    /// <summary>SSE floating point: may raise #XM.</summary>
    internal static ThunkOutcome Simd(CpuState* s, Thunk* t, ulong operands, ulong rip, ulong offset)
    {
        uint unmasked = (s->Mxcsr & MxcsrUnderflowMask) != 0 || (t->Traits & ThunkTraits.CanUnderflow) == 0
            ? Call(s, t, operands)
            : CallWithUnderflowUnmasked(s, t, operands);
        if (unmasked != 0)
        {
            return RaiseSimd(s, unmasked);
        }

        if ((t->Traits & ThunkTraits.WritesFlags) != 0)
        {
            TakeFlags(s);
        }

        return ThunkOutcome.Done;
    }

    /// <summary>Conversions between XMM and MMX registers: both kinds of exception, and MMX state if they retire.</summary>
    internal static ThunkOutcome SimdMmx(CpuState* s, Thunk* t, ulong operands, ulong rip, ulong offset)
    {
        if (X87State.Pending(s))
        {
            return ThunkOutcome.MathFault;
        }

        byte* before = stackalloc byte[160];
        uint mxcsr = s->Mxcsr;
        Unsafe.CopyBlockUnaligned(before, s->Fx, 160);
        X87State.EnterMmx(s);
        uint unmasked = Call(s, t, operands);
        if (unmasked != 0)
        {
            Unsafe.CopyBlockUnaligned(s->Fx, before, 160);
            s->Mxcsr = mxcsr;
            return RaiseSimd(s, unmasked);
        }

        SettleMmx(s, t, operands);
        return ThunkOutcome.Done;
    }

    /// <summary>x87 computations: the host works on the guest's image, so an unmasked exception only becomes pending.</summary>
    internal static ThunkOutcome X87(CpuState* s, Thunk* t, ulong operands, ulong rip, ulong offset)
    {
        if (X87State.Pending(s))
        {
            return ThunkOutcome.MathFault;
        }

        // FXRSTOR would fault on bits of MXCSR that do not exist.
        s->Mxcsr &= X87State.MxcsrMask;
        Call(s, t, operands);
        byte* result = (byte*)s + ScratchLayout.FxResult;
        Unsafe.CopyBlockUnaligned(s->Fx, result, 5);
        Vector128<byte> value = Vector128.Create(ulong.MaxValue, 0xFFFF).AsByte();
        for (int i = 32; i < 160; i += 16)
        {
            // The 6 reserved bytes are the host's own matter.
            (*(Vector128<byte>*)(result + i) & value).StoreAligned(s->Fx + i);
        }

        X87State.Fop(s) = (ushort)(operands >> 32);
        X87State.Fip(s) = rip;
        if (t->Memory != MemoryUse.None)
        {
            X87State.Fdp(s) = offset;
        }

        if ((t->Traits & ThunkTraits.WritesFlags) != 0)
        {
            TakeFlags(s);
        }

        return t->Memory == MemoryUse.Write && (s->Fsw & ~s->Fcw & X87State.ExceptionsThatSuppressStores) != 0
            ? ThunkOutcome.DoneWithoutStore
            : ThunkOutcome.Done;
    }

    // A leaf of well under a microsecond that never calls back.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static uint Call(CpuState* s, Thunk* t, ulong operands) =>
        ((delegate* unmanaged[SuppressGCTransition]<CpuState*, byte*, byte*, uint>)t->Native)(
            s, ScratchLayout.Operand0(s, operands), ScratchLayout.Operand1(s, operands));

    private static void TakeFlags(CpuState* s) =>
        s->Rflags = (s->Rflags & ~(ulong)ScratchLayout.StatusFlags)
            | (*(uint*)((byte*)s + ScratchLayout.Flags) & ScratchLayout.StatusFlags);

    private static void SettleMmx(CpuState* s, Thunk* t, ulong operands)
    {
        if ((t->Traits & ThunkTraits.WritesMmx) != 0)
        {
            *(ulong*)(ScratchLayout.Operand0(s, operands) + 8) = 0xFFFF;
        }
    }

    /// <summary>
    /// The flags of an instruction that met an unmasked exception. Those found before computing (invalid, denormal,
    /// divide by zero) keep any element from being computed, so the flags of results are then not set
    /// (SDM vol. 1 §11.5.2, §E.4). Beside an unmasked overflow or underflow PE here tells of the masked result; the
    /// architecture means the result with unbounded exponent, so it can be set where hardware leaves it clear.
    /// </summary>
    private static ThunkOutcome RaiseSimd(CpuState* s, uint unmasked)
    {
        const uint Before = Invalid | Denormal | DivideByZero;
        uint raised = *(uint*)((byte*)s + ScratchLayout.ThunkMxcsr) & X87State.Exceptions;
        s->Mxcsr |= (unmasked & Before) != 0 ? raised & Before : raised;
        return ThunkOutcome.SimdFault;
    }

    /// <summary>
    /// With underflow unmasked FTZ has no effect, and a tiny result is an exception even if it is exact, which the
    /// masked run does not report: such a result is a denormal (SDM vol. 1 §4.9.1.5, §10.2.3.3).
    /// </summary>
    private static uint CallWithUnderflowUnmasked(CpuState* s, Thunk* t, ulong operands)
    {
        uint mxcsr = s->Mxcsr;
        UInt128* destination = (UInt128*)ScratchLayout.Operand0(s, operands);
        UInt128 before = *destination;
        s->Mxcsr = mxcsr & ~MxcsrFlushToZero;
        uint unmasked = Call(s, t, operands);
        if (unmasked == 0 && HasDenormal((byte*)destination, t->Traits))
        {
            *destination = before;
            *(uint*)((byte*)s + ScratchLayout.ThunkMxcsr) |= Underflow;
            s->Mxcsr = mxcsr;
            return Underflow;
        }

        s->Mxcsr = unmasked != 0 ? mxcsr : s->Mxcsr | (mxcsr & MxcsrFlushToZero);
        return unmasked;
    }

    private static bool HasDenormal(byte* result, ThunkTraits traits)
    {
        bool low = (traits & ThunkTraits.LowElement) != 0;
        if ((traits & ThunkTraits.DoubleElements) != 0)
        {
            double* elements = (double*)result;
            return double.IsSubnormal(elements[0]) || (!low && double.IsSubnormal(elements[1]));
        }

        float* singles = (float*)result;
        return float.IsSubnormal(singles[0])
            || (!low && (float.IsSubnormal(singles[1]) || float.IsSubnormal(singles[2]) || float.IsSubnormal(singles[3])));
    }
}
