using System.Runtime.CompilerServices;

namespace Emulator.Cpu.Thunks;

/// <summary>
/// The x87 control instructions, which look at no value: environment, control and status words. They are C# because the
/// host would show its own instruction pointers. Source: SDM vol. 1 §8.1.8–8.1.10 (the four memory layouts), vol. 2.
/// </summary>
internal static unsafe class X87Control
{
    private const int EnvironmentSize16 = 14, EnvironmentSize32 = 28;
    private const uint ReservedHalf = 0xFFFF0000;
    private const uint VirtualMode = 1 << 17;

    internal static ThunkOutcome Nothing(CpuState* s, Thunk* t, ulong operands, ulong rip, ulong offset) => ThunkOutcome.Done;

    internal static ThunkOutcome Wait(CpuState* s, Thunk* t, ulong operands, ulong rip, ulong offset) =>
        X87State.Pending(s) ? ThunkOutcome.MathFault : ThunkOutcome.Done;

    internal static ThunkOutcome Emms(CpuState* s, Thunk* t, ulong operands, ulong rip, ulong offset)
    {
        if (X87State.Pending(s))
        {
            return ThunkOutcome.MathFault;
        }

        X87State.LeaveMmx(s);
        return ThunkOutcome.Done;
    }

    internal static ThunkOutcome Fninit(CpuState* s, Thunk* t, ulong operands, ulong rip, ulong offset)
    {
        X87State.Initialize(s);
        return ThunkOutcome.Done;
    }

    internal static ThunkOutcome Fnclex(CpuState* s, Thunk* t, ulong operands, ulong rip, ulong offset)
    {
        s->Fsw &= 0x7F00;
        return ThunkOutcome.Done;
    }

    internal static ThunkOutcome Fnstsw(CpuState* s, Thunk* t, ulong operands, ulong rip, ulong offset)
    {
        *(ushort*)ScratchLayout.Operand0(s, operands) = s->Fsw;
        return ThunkOutcome.Done;
    }

    internal static ThunkOutcome Fnstcw(CpuState* s, Thunk* t, ulong operands, ulong rip, ulong offset)
    {
        *(ushort*)s->Scratch = s->Fcw;
        return ThunkOutcome.Done;
    }

    internal static ThunkOutcome Fldcw(CpuState* s, Thunk* t, ulong operands, ulong rip, ulong offset)
    {
        if (X87State.Pending(s))
        {
            return ThunkOutcome.MathFault;
        }

        X87State.SetControl(s, *(ushort*)s->Scratch);
        return ThunkOutcome.Done;
    }

    internal static ThunkOutcome Fnstenv(CpuState* s, Thunk* t, ulong operands, ulong rip, ulong offset)
    {
        StoreEnvironment(s, t->MemorySize == EnvironmentSize16);
        s->Fcw |= X87State.Exceptions;
        X87State.Summarize(s);
        return ThunkOutcome.Done;
    }

    internal static ThunkOutcome Fldenv(CpuState* s, Thunk* t, ulong operands, ulong rip, ulong offset)
    {
        if (X87State.Pending(s))
        {
            return ThunkOutcome.MathFault;
        }

        LoadEnvironment(s, t->MemorySize == EnvironmentSize16);
        return ThunkOutcome.Done;
    }

    internal static ThunkOutcome Fnsave(CpuState* s, Thunk* t, ulong operands, ulong rip, ulong offset)
    {
        int environment = t->MemorySize - 80;
        StoreEnvironment(s, environment == EnvironmentSize16);
        for (int i = 0; i < 8; i++)
        {
            Unsafe.CopyBlockUnaligned(s->Scratch + environment + (10 * i), X87State.St(s, i), 10);
        }

        X87State.Initialize(s);
        return ThunkOutcome.Done;
    }

    internal static ThunkOutcome Frstor(CpuState* s, Thunk* t, ulong operands, ulong rip, ulong offset)
    {
        if (X87State.Pending(s))
        {
            return ThunkOutcome.MathFault;
        }

        int environment = t->MemorySize - 80;
        LoadEnvironment(s, environment == EnvironmentSize16);
        for (int i = 0; i < 8; i++)
        {
            Unsafe.CopyBlockUnaligned(X87State.St(s, i), s->Scratch + environment + (10 * i), 10);
        }

        return ThunkOutcome.Done;
    }

    private static bool ProtectedLayout(CpuState* s) => (s->Cr0 & 1) != 0 && (s->Rflags & VirtualMode) == 0;

    private static void StoreEnvironment(CpuState* s, bool narrow)
    {
        bool protectedLayout = ProtectedLayout(s);
        uint fip = (uint)X87State.Fip(s), fdp = (uint)X87State.Fdp(s), fop = X87State.Fop(s);
        if (narrow)
        {
            ushort* words = (ushort*)s->Scratch;
            words[0] = s->Fcw;
            words[1] = s->Fsw;
            words[2] = X87State.FullTags(s);
            words[3] = (ushort)fip;
            words[4] = protectedLayout ? (ushort)0 : (ushort)(((fip >> 4) & 0xF000) | fop);
            words[5] = (ushort)fdp;
            words[6] = protectedLayout ? (ushort)0 : (ushort)((fdp >> 4) & 0xF000);
            return;
        }

        uint* doublewords = (uint*)s->Scratch;
        doublewords[0] = ReservedHalf | s->Fcw;
        doublewords[1] = ReservedHalf | s->Fsw;
        doublewords[2] = ReservedHalf | X87State.FullTags(s);
        if (protectedLayout)
        {
            doublewords[3] = fip;
            doublewords[4] = fop << 16;
            doublewords[5] = fdp;
            doublewords[6] = ReservedHalf;
        }
        else
        {
            doublewords[3] = ReservedHalf | (ushort)fip;
            doublewords[4] = (fip >> 16 << 12) | fop;
            doublewords[5] = ReservedHalf | (ushort)fdp;
            doublewords[6] = fdp >> 16 << 12;
        }
    }

    private static void LoadEnvironment(CpuState* s, bool narrow)
    {
        bool protectedLayout = ProtectedLayout(s);
        ushort* words = (ushort*)s->Scratch;
        uint* doublewords = (uint*)s->Scratch;
        int step = narrow ? 1 : 2;
        X87State.SetControlAndStatus(s, words[0], words[step]);
        X87State.Ftw(s) = X87State.AbridgedTags(words[2 * step]);
        uint fip, fdp, fop;
        switch (narrow, protectedLayout)
        {
            case (true, true):
                (fip, fdp, fop) = (words[3], words[5], 0);
                break;
            case (true, false):
                (fip, fdp, fop) = (words[3] | ((words[4] & 0xF000u) << 4), words[5] | ((words[6] & 0xF000u) << 4), words[4]);
                break;
            case (false, true):
                (fip, fdp, fop) = (doublewords[3], doublewords[5], doublewords[4] >> 16);
                break;
            default:
                fip = (ushort)doublewords[3] | (doublewords[4] >> 12 << 16);
                fdp = (ushort)doublewords[5] | (doublewords[6] >> 12 << 16);
                fop = doublewords[4];
                break;
        }

        X87State.Fip(s) = fip;
        X87State.Fdp(s) = fdp;
        X87State.Fop(s) = (ushort)(fop & 0x7FF);
    }
}
