using System.Runtime.CompilerServices;

namespace Emulator.Cpu.Thunks;

/// <summary>
/// FXSAVE, FXRSTOR, XSAVE, XSAVEOPT, XRSTOR, LDMXCSR and STMXCSR over <see cref="CpuState.Fx"/>. Components are x87 and
/// SSE (XCR0 bits 0 and 1); only the standard form of XSAVE exists. XSAVEOPT saves what XSAVE saves, which the manual
/// allows. Source: SDM vol. 1 §10.5, §13.4–13.9.
/// </summary>
internal static unsafe class ExtendedState
{
    /// <summary>Bytes of an FXSAVE image, and of the legacy region of an XSAVE area.</summary>
    internal const int FxsaveSize = 512;

    /// <summary>Bytes of an XSAVE area with x87 and SSE: what CPUID.(0Dh,0):EBX and ECX say.</summary>
    internal const int XsaveSize = FxsaveSize + 64;

    private const ulong X87 = 1, Sse = 2, Supported = X87 | Sse;
    private const int MxcsrOffset = 24, XmmOffset = 160;

    internal static ThunkOutcome Ldmxcsr(CpuState* s, Thunk* t, ulong operands, ulong rip, ulong offset)
    {
        uint value = *(uint*)s->Scratch;
        if ((value & ~X87State.MxcsrMask) != 0)
        {
            return ThunkOutcome.GeneralProtection;
        }

        s->Mxcsr = value;
        return ThunkOutcome.Done;
    }

    internal static ThunkOutcome Stmxcsr(CpuState* s, Thunk* t, ulong operands, ulong rip, ulong offset)
    {
        *(uint*)s->Scratch = s->Mxcsr;
        return ThunkOutcome.Done;
    }

    internal static ThunkOutcome Fxsave(CpuState* s, Thunk* t, ulong operands, ulong rip, ulong offset)
    {
        SaveX87(s, wide: false);
        SaveMxcsr(s);
        SaveXmm(s, t);
        return ThunkOutcome.Done;
    }

    internal static ThunkOutcome Fxsave64(CpuState* s, Thunk* t, ulong operands, ulong rip, ulong offset)
    {
        SaveX87(s, wide: true);
        SaveMxcsr(s);
        SaveXmm(s, t);
        return ThunkOutcome.Done;
    }

    internal static ThunkOutcome Fxrstor(CpuState* s, Thunk* t, ulong operands, ulong rip, ulong offset) => Fxrstor(s, t, wide: false);

    internal static ThunkOutcome Fxrstor64(CpuState* s, Thunk* t, ulong operands, ulong rip, ulong offset) => Fxrstor(s, t, wide: true);

    internal static ThunkOutcome Xsave(CpuState* s, Thunk* t, ulong operands, ulong rip, ulong offset) => Xsave(s, t, wide: false);

    internal static ThunkOutcome Xsave64(CpuState* s, Thunk* t, ulong operands, ulong rip, ulong offset) => Xsave(s, t, wide: true);

    internal static ThunkOutcome Xrstor(CpuState* s, Thunk* t, ulong operands, ulong rip, ulong offset) => Xrstor(s, t, wide: false);

    internal static ThunkOutcome Xrstor64(CpuState* s, Thunk* t, ulong operands, ulong rip, ulong offset) => Xrstor(s, t, wide: true);

    private static ThunkOutcome Fxrstor(CpuState* s, Thunk* t, bool wide)
    {
        uint mxcsr = *(uint*)(s->Scratch + MxcsrOffset);
        if ((mxcsr & ~X87State.MxcsrMask) != 0)
        {
            return ThunkOutcome.GeneralProtection;
        }

        LoadX87(s, wide);
        s->Mxcsr = mxcsr;
        LoadXmm(s, t);
        return ThunkOutcome.Done;
    }

    private static ThunkOutcome Xsave(CpuState* s, Thunk* t, bool wide)
    {
        ulong requested = Requested(s);
        if ((requested & X87) != 0)
        {
            SaveX87(s, wide);
        }

        if ((requested & Sse) != 0)
        {
            SaveMxcsr(s);
            SaveXmm(s, t);
        }

        // XINUSE may be one for a component in its initial configuration (§13.6): always one here.
        ulong* header = (ulong*)(s->Scratch + FxsaveSize);
        header[0] |= requested;
        return ThunkOutcome.Done;
    }

    private static ThunkOutcome Xrstor(CpuState* s, Thunk* t, bool wide)
    {
        ulong requested = Requested(s);
        ulong* header = (ulong*)(s->Scratch + FxsaveSize);
        ulong present = header[0];
        uint mxcsr = *(uint*)(s->Scratch + MxcsrOffset);
        bool headerRefused = (present & ~s->Xcr0) != 0 || header[1] != 0 || header[2] != 0;
        if (headerRefused || ((requested & Sse) != 0 && (mxcsr & ~X87State.MxcsrMask) != 0))
        {
            return ThunkOutcome.GeneralProtection;
        }

        if ((requested & X87) != 0)
        {
            if ((present & X87) != 0)
            {
                LoadX87(s, wide);
            }
            else
            {
                X87State.Initialize(s);
                Unsafe.InitBlockUnaligned(X87State.St(s, 0), 0, 128);
            }
        }

        if ((requested & Sse) != 0)
        {
            s->Mxcsr = mxcsr;
            if ((present & Sse) != 0)
            {
                LoadXmm(s, t);
            }
            else
            {
                Unsafe.InitBlockUnaligned((byte*)s + CpuState.XmmOffset, 0, XmmBytes(t));
            }
        }

        return ThunkOutcome.Done;
    }

    private static ulong Requested(CpuState* s) => s->Xcr0 & Supported & ((uint)s->Gpr[0] | (s->Gpr[2] << 32));

    private static uint XmmBytes(Thunk* t) => (t->Traits & ThunkTraits.LongMode) != 0 ? 256u : 128u;

    private static void SaveXmm(CpuState* s, Thunk* t) =>
        Unsafe.CopyBlockUnaligned(s->Scratch + XmmOffset, (byte*)s + CpuState.XmmOffset, XmmBytes(t));

    private static void LoadXmm(CpuState* s, Thunk* t) =>
        Unsafe.CopyBlockUnaligned((byte*)s + CpuState.XmmOffset, s->Scratch + XmmOffset, XmmBytes(t));

    private static void SaveMxcsr(CpuState* s)
    {
        *(uint*)(s->Scratch + MxcsrOffset) = s->Mxcsr;
        *(uint*)(s->Scratch + MxcsrOffset + 4) = X87State.MxcsrMask;
    }

    private static void SaveX87(CpuState* s, bool wide)
    {
        ushort* words = (ushort*)s->Scratch;
        words[0] = s->Fcw;
        words[1] = s->Fsw;
        words[2] = X87State.Ftw(s);
        words[3] = X87State.Fop(s);
        ulong* pointers = (ulong*)s->Scratch;
        pointers[1] = wide ? X87State.Fip(s) : (uint)X87State.Fip(s);
        pointers[2] = wide ? X87State.Fdp(s) : (uint)X87State.Fdp(s);
        Unsafe.CopyBlockUnaligned(s->Scratch + 32, X87State.St(s, 0), 128);
    }

    private static void LoadX87(CpuState* s, bool wide)
    {
        ushort* words = (ushort*)s->Scratch;
        X87State.SetControlAndStatus(s, words[0], words[1]);
        X87State.Ftw(s) = (byte)words[2];
        X87State.Fop(s) = (ushort)(words[3] & 0x7FF);
        ulong* pointers = (ulong*)s->Scratch;
        X87State.Fip(s) = wide ? pointers[1] : (uint)pointers[1];
        X87State.Fdp(s) = wide ? pointers[2] : (uint)pointers[2];
        for (int i = 0; i < 8; i++)
        {
            byte* from = s->Scratch + 32 + (16 * i);
            ulong* to = (ulong*)X87State.St(s, i);
            to[0] = *(ulong*)from;
            to[1] = *(ushort*)(from + 8);
        }
    }
}
