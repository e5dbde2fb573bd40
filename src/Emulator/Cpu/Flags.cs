using System.Numerics;
using System.Runtime.CompilerServices;

namespace Emulator.Cpu;

/// <summary>Bits of RFLAGS (SDM vol. 1 §3.4.3) and the status flags arithmetic leaves.</summary>
internal static unsafe class Flags
{
    internal const ulong
        Cf = 1, Fixed = 2, Pf = 4, Af = 0x10, Zf = 0x40, Sf = 0x80, Tf = 0x100, If = 0x200, Df = 0x400, Of = 0x800,
        IoplMask = 0x3000, Nt = 0x4000, Rf = 0x1_0000, Vm = 0x2_0000, Ac = 0x4_0000, Vif = 0x8_0000, Vip = 0x10_0000, Id = 0x20_0000;

    /// <summary>The six status flags.</summary>
    internal const ulong Status = Cf | Pf | Af | Zf | Sf | Of;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static ulong SignZeroParity<T>(ulong result) where T : unmanaged
    {
        ulong flags = (ulong)(~BitOperations.PopCount(result & 0xFF) & 1) << 2;
        flags |= (result >> ((sizeof(T) * 8) - 8)) & Sf;
        return (result & Registers.Mask<T>()) == 0 ? flags | Zf : flags;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static void Set(CpuState* s, ulong status) => s->Rflags = (s->Rflags & ~Status) | status;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static void Set(CpuState* s, ulong mask, ulong status) => s->Rflags = (s->Rflags & ~mask) | (status & mask);

    /// <summary>All six flags of a sum; <paramref name="result"/> may hold garbage above the width.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static ulong OfSum<T>(ulong a, ulong b, ulong result) where T : unmanaged
    {
        ulong carries = (a & b) | ((a | b) & ~result);
        return OfCarries<T>(a, b, result, carries);
    }

    /// <summary>All six flags of a difference a - b.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static ulong OfDifference<T>(ulong a, ulong b, ulong result) where T : unmanaged
    {
        ulong borrows = (~a & b) | ((~a | b) & result);
        return OfCarries<T>(a, b, result, borrows);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static ulong OfCarries<T>(ulong a, ulong b, ulong result, ulong carries) where T : unmanaged
    {
        int top = (sizeof(T) * 8) - 1;
        ulong carryOut = carries >> top & 1;
        ulong overflow = carryOut ^ (carries >> (top - 1) & 1);
        return SignZeroParity<T>(result) | carryOut | (overflow << 11) | ((a ^ b ^ result) & Af);
    }

    /// <summary>Evaluates a condition code 0–15 (SDM vol. 2 appendix B, "tttn").</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static bool Holds(ulong rflags, int condition)
    {
        bool holds = (condition >> 1) switch
        {
            0 => (rflags & Of) != 0,
            1 => (rflags & Cf) != 0,
            2 => (rflags & Zf) != 0,
            3 => (rflags & (Cf | Zf)) != 0,
            4 => (rflags & Sf) != 0,
            5 => (rflags & Pf) != 0,
            6 => ((rflags >> 7) & 1) != ((rflags >> 11) & 1),
            _ => (rflags & Zf) != 0 || ((rflags >> 7) & 1) != ((rflags >> 11) & 1),
        };
        return holds != ((condition & 1) != 0);
    }
}
