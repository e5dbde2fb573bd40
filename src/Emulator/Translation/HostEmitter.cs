using System.Runtime.CompilerServices;

namespace Emulator.Translation;

/// <summary>Numbers of the host's general registers, as ModRM has them (SDM vol. 2A §2.1).</summary>
internal static class Host
{
    internal const int Rax = 0, Rcx = 1, Rdx = 2, Rbx = 3, Rsp = 4, Rbp = 5, Rsi = 6, Rdi = 7, R8 = 8, R9 = 9, R10 = 10, R11 = 11;

    /// <summary>The guest's RSP lives here; the host's own is the thread's stack.</summary>
    internal const int GuestRsp = R9;
}

/// <summary>Writes x86-64 machine code at a running position of the code cache.</summary>
internal sealed unsafe class HostEmitter
{
    /// <summary>Where the next byte goes.</summary>
    internal byte* At;

    internal HostEmitter(byte* start) => At = start;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal void Byte(int value) => *At++ = (byte)value;

    internal void Bytes(ReadOnlySpan<byte> code)
    {
        code.CopyTo(new Span<byte>(At, code.Length));
        At += code.Length;
    }

    internal void Int32(int value)
    {
        *(int*)At = value;
        At += 4;
    }

    internal void Int64(ulong value)
    {
        *(ulong*)At = value;
        At += 8;
    }

    /// <summary>One opcode of the one-byte map on two registers, 64-bit unless <paramref name="wide"/> is false.</summary>
    internal void RegReg(int opcode, int reg, int rm, bool wide = true)
    {
        Rex(wide, reg, 0, rm);
        Byte(opcode);
        Byte(0xC0 | ((reg & 7) << 3) | (rm & 7));
    }

    /// <summary>MOV between 64-bit registers.</summary>
    internal void Move(int to, int from) => RegReg(0x8B, to, from);

    /// <summary>An opcode with a register and a slot of the frame, [rsp+offset].</summary>
    internal void RegFrame(int opcode, int reg, int offset, bool wide = true)
    {
        Rex(wide, reg, 0, Host.Rsp);
        Byte(opcode);
        Memory(reg, Host.Rsp, offset);
    }

    /// <summary>An opcode with a register and a 32-bit absolute address.</summary>
    internal void RegAbsolute(int opcode, int reg, uint address, bool wide = true)
    {
        Rex(wide, reg, 0, 0);
        Byte(opcode);
        Byte(0x04 | ((reg & 7) << 3));
        Byte(0x25);
        Int32((int)address);
    }

    /// <summary>An opcode with a register and [base+displacement].</summary>
    internal void RegMemory(int opcode, int reg, int baseRegister, int displacement, bool wide = true)
    {
        Rex(wide, reg, 0, baseRegister);
        Byte(opcode);
        Memory(reg, baseRegister, displacement);
    }

    /// <summary>LEA of base + index × 2^scale + displacement; -1 where there is no base or index.</summary>
    internal void Lea(int to, int baseRegister, int index, int scale, int displacement, bool wide = true)
    {
        if (index < 0 && baseRegister >= 0 && displacement == 0)
        {
            RegReg(0x8B, to, baseRegister, wide);
            return;
        }

        Rex(wide, to, Math.Max(index, 0), Math.Max(baseRegister, 0));
        Byte(0x8D);
        if (index < 0 && baseRegister >= 0)
        {
            Memory(to, baseRegister, displacement);
            return;
        }

        int sibIndex = index < 0 ? 4 : index & 7;
        if (baseRegister < 0)
        {
            Byte(0x04 | ((to & 7) << 3));
            Byte((scale << 6) | (sibIndex << 3) | 5);
            Int32(displacement);
            return;
        }

        bool small = displacement is >= -128 and <= 127;
        Byte((small ? 0x44 : 0x84) | ((to & 7) << 3));
        Byte((scale << 6) | (sibIndex << 3) | (baseRegister & 7));
        if (small)
        {
            Byte(displacement);
        }
        else
        {
            Int32(displacement);
        }
    }

    /// <summary>Loads a constant by the shortest encoding that leaves the flags alone.</summary>
    /// <remarks>
    /// Never inlined: where the constant is a function's address, not known before the program is linked, the native
    /// compiler of .NET 10 takes it to fit 32 bits.
    /// </remarks>
    [MethodImpl(MethodImplOptions.NoInlining)]
    internal void MoveConstant(int to, ulong value)
    {
        if (value <= uint.MaxValue)
        {
            Rex(false, 0, 0, to);
            Byte(0xB8 | (to & 7));
            Int32((int)(uint)value);
        }
        else if ((long)value == (int)value)
        {
            Rex(true, 0, 0, to);
            Byte(0xC7);
            Byte(0xC0 | (to & 7));
            Int32((int)value);
        }
        else
        {
            Rex(true, 0, 0, to);
            Byte(0xB8 | (to & 7));
            Int64(value);
        }
    }

    /// <summary>RORX: rotates right without touching the flags (BMI2).</summary>
    internal void Rorx(int to, int from, int count, bool wide)
    {
        Byte(0xC4);
        Byte(((to & 8) != 0 ? 0 : 0x80) | 0x40 | ((from & 8) != 0 ? 0 : 0x20) | 3);
        Byte((wide ? 0x80 : 0) | 0x7B);
        Byte(0xF0);
        Byte(0xC0 | ((to & 7) << 3) | (from & 7));
        Byte(count);
    }

    /// <summary>JMP rel32.</summary>
    internal void Jump(byte* target)
    {
        Byte(0xE9);
        Int32((int)(target - (At + 4)));
    }

    /// <summary>A conditional near jump; gives the place of its displacement.</summary>
    internal byte* JumpIf(int condition, byte* target)
    {
        Byte(0x0F);
        Byte(0x80 | condition);
        Int32((int)(target - (At + 4)));
        return At - 4;
    }

    /// <summary>Makes the jump whose displacement stands at <paramref name="place"/> go to <paramref name="target"/>.</summary>
    internal static void Patch(byte* place, byte* target) => *(int*)place = (int)(target - (place + 4));

    internal void Rex(bool wide, int reg, int index, int rm)
    {
        int rex = (wide ? 8 : 0) | ((reg & 8) >> 1) | ((index & 8) >> 2) | ((rm & 8) >> 3);
        if (rex != 0)
        {
            Byte(0x40 | rex);
        }
    }

    /// <summary>ModRM, SIB and displacement of [base+displacement].</summary>
    internal void Memory(int reg, int baseRegister, int displacement)
    {
        int low = baseRegister & 7;
        int mod = displacement == 0 && low != 5 ? 0 : displacement is >= -128 and <= 127 ? 1 : 2;
        Byte((mod << 6) | ((reg & 7) << 3) | low);
        if (low == 4)
        {
            Byte(0x24);
        }

        if (mod == 1)
        {
            Byte(displacement);
        }
        else if (mod == 2)
        {
            Int32(displacement);
        }
    }
}
