using System.Runtime.CompilerServices;

namespace Emulator.Cpu.Thunks;

/// <summary>
/// The x87 part of <see cref="CpuState.Fx"/> under its manual's names. Invariant: FSW.ES and FSW.B say whether an
/// unmasked exception is flagged; who writes FCW or FSW by other means calls <see cref="Summarize"/>.
/// FCS and FDS are always zero: CPUID.(7,0):EBX bit 13 must say so. Source: SDM vol. 1 §8.1, §10.5.1.
/// </summary>
internal static unsafe class X87State
{
    /// <summary>The exception flags and masks common to FSW and FCW: I D Z O U P.</summary>
    internal const int Exceptions = 0x3F;

    /// <summary>I D Z O U: with one of these unmasked and flagged a store does not store.</summary>
    internal const int ExceptionsThatSuppressStores = 0x1F;

    /// <summary>ES and B.</summary>
    internal const int Summary = 0x8080;

    /// <summary>FCW after FNINIT.</summary>
    internal const ushort InitialFcw = 0x37F;

    /// <summary>MXCSR after reset.</summary>
    internal const uint InitialMxcsr = 0x1F80;

    /// <summary>The bits of MXCSR that exist; FXSAVE shows it as MXCSR_MASK.</summary>
    internal const uint MxcsrMask = 0xFFFF;

    private const int FcwExisting = 0x1F7F, FcwAlwaysSet = 0x40;

    /// <summary>TOP as FSW has it.</summary>
    internal static int Top(CpuState* s) => (s->Fsw >> 11) & 7;

    /// <summary>The abridged tag word: bit n is set if physical register n is not empty.</summary>
    internal static ref byte Ftw(CpuState* s) => ref s->Fx[4];

    internal static ref ushort Fop(CpuState* s) => ref *(ushort*)(s->Fx + 6);

    internal static ref ulong Fip(CpuState* s) => ref *(ulong*)(s->Fx + 8);

    internal static ref ulong Fdp(CpuState* s) => ref *(ulong*)(s->Fx + 16);

    /// <summary>ST(i): 10 bytes and 6 reserved ones that stay zero.</summary>
    internal static byte* St(CpuState* s, int i) => s->Fx + 32 + (16 * i);

    /// <summary>True if a waiting instruction has to raise #MF.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static bool Pending(CpuState* s) => (s->Fsw & ~s->Fcw & Exceptions) != 0;

    /// <summary>Recomputes ES and B.</summary>
    internal static void Summarize(CpuState* s) =>
        s->Fsw = (ushort)((s->Fsw & ~Summary) | (Pending(s) ? Summary : 0));

    /// <summary>Loads the control word: the bits that do not exist read as zero, bit 6 as one.</summary>
    internal static void SetControl(CpuState* s, ushort fcw)
    {
        s->Fcw = (ushort)((fcw & FcwExisting) | FcwAlwaysSet);
        Summarize(s);
    }

    /// <summary>Loads control and status word together, as FLDENV and FXRSTOR do; the registers stay where they are physically.</summary>
    internal static void SetControlAndStatus(CpuState* s, ushort fcw, ushort fsw)
    {
        SetTop(s, (fsw >> 11) & 7);
        s->Fsw = fsw;
        SetControl(s, fcw);
    }

    /// <summary>FNINIT: the registers keep their contents.</summary>
    internal static void Initialize(CpuState* s)
    {
        SetTop(s, 0);
        s->Fcw = InitialFcw;
        s->Fsw = 0;
        Ftw(s) = 0;
        Fop(s) = 0;
        Fip(s) = 0;
        Fdp(s) = 0;
    }

    /// <summary>What every MMX instruction does first: TOP becomes 0 and every register valid. Source: SDM vol. 1 §9.5.</summary>
    internal static void EnterMmx(CpuState* s)
    {
        SetTop(s, 0);
        Ftw(s) = 0xFF;
    }

    /// <summary>EMMS: every register empty. TOP becomes 0 as with the other MMX instructions.</summary>
    internal static void LeaveMmx(CpuState* s)
    {
        SetTop(s, 0);
        Ftw(s) = 0;
    }

    /// <summary>The full tag word FSTENV stores: by physical register 0 valid, 1 zero, 2 special, 3 empty (SDM vol. 1 §8.1.7).</summary>
    internal static ushort FullTags(CpuState* s)
    {
        int tags = 0;
        for (int register = 0; register < 8; register++)
        {
            int tag = (Ftw(s) & (1 << register)) == 0 ? 3 : Tag(St(s, (register - Top(s)) & 7));
            tags |= tag << (2 * register);
        }

        return (ushort)tags;
    }

    /// <summary>The abridged form of a full tag word.</summary>
    internal static byte AbridgedTags(ushort tags)
    {
        int abridged = 0;
        for (int register = 0; register < 8; register++)
        {
            abridged |= ((tags >> (2 * register)) & 3) == 3 ? 0 : 1 << register;
        }

        return (byte)abridged;
    }

    private static int Tag(byte* value)
    {
        ulong significand = *(ulong*)value;
        int exponent = *(ushort*)(value + 8) & 0x7FFF;
        return exponent switch
        {
            0 => significand == 0 ? 1 : 2,
            0x7FFF => 2,
            _ => (significand >> 63) != 0 ? 0 : 2,
        };
    }

    // FXSAVE images keep ST(0) first, so the registers move when TOP does.
    private static void SetTop(CpuState* s, int top)
    {
        int shift = top - Top(s);
        if (shift == 0)
        {
            return;
        }

        UInt128* registers = (UInt128*)St(s, 0);
        UInt128* old = stackalloc UInt128[8];
        Unsafe.CopyBlockUnaligned(old, registers, 128);
        for (int i = 0; i < 8; i++)
        {
            registers[i] = old[(i + shift) & 7];
        }

        s->Fsw = (ushort)((s->Fsw & 0xC7FF) | (top << 11));
    }
}
