using System.Runtime.CompilerServices;

namespace Emulator.Cpu;

/// <summary>Register access by byte offset; a write of 32 bits clears the upper half, as the ISA has it.</summary>
internal static unsafe class Registers
{
    internal const int Rax = 0, Rcx = 8, Rdx = 16, Rbx = 24, Rsp = 32, Rbp = 40, Rsi = 48, Rdi = 56;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static ulong Read<T>(CpuState* s, int offset) where T : unmanaged
    {
        byte* register = (byte*)s + offset;
        return sizeof(T) switch
        {
            1 => *register,
            2 => *(ushort*)register,
            4 => *(uint*)register,
            _ => *(ulong*)register,
        };
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static void Write<T>(CpuState* s, int offset, ulong value) where T : unmanaged
    {
        byte* register = (byte*)s + offset;
        if (sizeof(T) == 1)
        {
            *register = (byte)value;
        }
        else if (sizeof(T) == 2)
        {
            *(ushort*)register = (ushort)value;
        }
        else if (sizeof(T) == 4)
        {
            *(ulong*)register = (uint)value;
        }
        else
        {
            *(ulong*)register = value;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static ulong Read(CpuState* s, int offset, int size) => size switch
    {
        1 => *((byte*)s + offset),
        2 => *(ushort*)((byte*)s + offset),
        4 => *(uint*)((byte*)s + offset),
        _ => *(ulong*)((byte*)s + offset),
    };

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static void Write(CpuState* s, int offset, int size, ulong value)
    {
        switch (size)
        {
            case 1: Write<byte>(s, offset, value); break;
            case 2: Write<ushort>(s, offset, value); break;
            case 4: Write<uint>(s, offset, value); break;
            default: Write<ulong>(s, offset, value); break;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static ulong Mask<T>() where T : unmanaged => ulong.MaxValue >> (64 - (sizeof(T) * 8));

    /// <summary>Sign-extends the low bits of a value of <typeparamref name="T"/>'s size.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static long SignExtend<T>(ulong value) where T : unmanaged => sizeof(T) switch
    {
        1 => (sbyte)value,
        2 => (short)value,
        4 => (int)value,
        _ => (long)value,
    };

    internal static ulong Mask(int size) => ulong.MaxValue >> (64 - (size * 8));

    internal static long SignExtend(ulong value, int size) => (long)(value << (64 - (size * 8))) >> (64 - (size * 8));
}
