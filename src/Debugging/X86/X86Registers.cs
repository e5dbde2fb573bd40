using System.Buffers.Binary;
using Emulator;
using GuestOs.Linux.Symbols;

namespace Debugging.X86;

/// <summary>
/// Between a vCPU's state and the registers of <see cref="X86Description"/>. The x87 and SSE registers are read from the
/// FXSAVE64 image (SDM vol. 1 §10.5.1), whose abridged tag word is widened to the real one.
/// </summary>
internal static class X86Registers
{
    private const int FxStatus = 2, FxTag = 4, FxOpcode = 6, FxInstruction = 8, FxData = 16, FxMxcsr = 24, FxSt = 32, FxXmm = 160;
    private const int Cs = 1;

    private const uint TscMsr = 0x10, ApicBaseMsr = 0x1B;

    /// <summary>The address the next instruction is fetched from, in any mode.</summary>
    public static ulong LinearPc(VcpuState vcpu) => Is64Bit(vcpu) ? vcpu.Rip : (vcpu.Segments[Cs].Base + vcpu.Rip) & 0xFFFF_FFFF;

    /// <summary>Reads a register out of a glance, zero-extended; false when it is not among those.</summary>
    public static bool TryRead(in VcpuGlance vcpu, int number, out ulong value)
    {
        (RegisterSource source, uint index) = X86Description.Sources[number];
        switch (source)
        {
            case RegisterSource.Gpr:
                value = vcpu.Gpr[(int)index];
                return true;
            case RegisterSource.Rip:
                value = vcpu.Rip;
                return true;
            case RegisterSource.Eflags:
                value = vcpu.Rflags & 0xFFFF_FFFF;
                return true;
            case RegisterSource.Selector:
                value = vcpu.Selectors[(int)index];
                return true;
            case RegisterSource.SegmentBase:
                value = vcpu.Bases[(int)index];
                return true;
            case RegisterSource.Cr:
                value = index switch { 0 => vcpu.Cr0, 2 => vcpu.Cr2, 3 => vcpu.Cr3, 4 => vcpu.Cr4, _ => vcpu.Cr8 };
                return true;
            case RegisterSource.Efer:
                value = vcpu.Efer;
                return true;
            case RegisterSource.LinearPc:
                value = vcpu.LinearPc;
                return true;
            case RegisterSource.Msr when index == ApicBaseMsr && vcpu.ApicBase != 0:
                value = vcpu.ApicBase;
                return true;
            default:
                value = 0;
                return false;
        }
    }

    /// <summary>
    /// Reads a register of a task that waits for a vCPU: those it left on its stack, and where its page tables are. False of
    /// the others, which the kernel does not keep, or keeps as they were in the process and not where the task waits.
    /// </summary>
    public static bool TryRead(KernelTask task, int number, out ulong value)
    {
        value = 0;
        (RegisterSource source, uint index) = X86Description.Sources[number];
        switch (source)
        {
            case RegisterSource.Gpr:
                return task.Saved?.TryGet((int)index, out value) == true;
            case RegisterSource.Rip or RegisterSource.LinearPc:
                return task.Saved?.TryGet(KernelRegisters.Rip, out value) == true;
            case RegisterSource.Cr when index == 3:
                value = task.PageTable ?? 0;
                return task.PageTable is not null;
            default:
                return false;
        }
    }

    /// <summary>True in 64-bit mode proper: EFER.LMA and CS.L.</summary>
    public static bool Is64Bit(VcpuState vcpu) => (vcpu.Efer & 0x400) != 0 && (vcpu.Segments[Cs].Attributes & 0x2000) != 0;

    /// <summary>
    /// Reads a register by its number, exactly its size; false when the vCPU does not keep it. The time-stamp counter is kept as
    /// what it is ahead of the machine's time <paramref name="now"/>.
    /// </summary>
    public static bool TryRead(VcpuState vcpu, ulong now, int number, Span<byte> value)
    {
        (RegisterSource source, uint index) = X86Description.Sources[number];
        switch (source)
        {
            case RegisterSource.St:
                vcpu.Fx.AsSpan(FxSt + (16 * (int)index), 10).CopyTo(value);
                return true;

            case RegisterSource.Xmm:
                vcpu.Fx.AsSpan(FxXmm + (16 * (int)index), 16).CopyTo(value);
                return true;

            case RegisterSource.Msr when !vcpu.Msrs.ContainsKey(index):
                return false;
        }

        ulong bits = source switch
        {
            RegisterSource.Gpr => vcpu.Gpr[index],
            RegisterSource.Rip => vcpu.Rip,
            RegisterSource.Eflags => vcpu.Rflags,
            RegisterSource.Selector => vcpu.Segments[index].Selector,
            RegisterSource.SegmentBase => vcpu.Segments[index].Base,
            RegisterSource.SegmentLimit => vcpu.Segments[index].Limit,
            RegisterSource.SegmentAttributes => vcpu.Segments[index].Attributes,
            RegisterSource.FpuControl => ReadFpuControl(vcpu.Fx, index),
            RegisterSource.Mxcsr => BinaryPrimitives.ReadUInt32LittleEndian(vcpu.Fx.AsSpan(FxMxcsr)),

            // Linux's number of the system call being restarted; all ones means none, which is all a machine can say.
            RegisterSource.OrigRax => ulong.MaxValue,
            RegisterSource.Cr => index switch { 0 => vcpu.Cr0, 2 => vcpu.Cr2, 3 => vcpu.Cr3, 4 => vcpu.Cr4, _ => vcpu.Cr8 },
            RegisterSource.Efer => vcpu.Efer,
            RegisterSource.Xcr0 => vcpu.Xcr0,
            RegisterSource.Dr => vcpu.Dr[index],
            RegisterSource.TableBase => (index == 0 ? vcpu.Gdtr : vcpu.Idtr).Base,
            RegisterSource.TableLimit => (index == 0 ? vcpu.Gdtr : vcpu.Idtr).Limit,
            RegisterSource.Msr => index == TscMsr ? now + vcpu.Msrs[index] : vcpu.Msrs[index],
            _ => LinearPc(vcpu),
        };
        Span<byte> wide = stackalloc byte[8];
        BinaryPrimitives.WriteUInt64LittleEndian(wide, bits);
        wide[..value.Length].CopyTo(value);
        return true;
    }

    /// <summary>
    /// The state with one register changed; null when it cannot be written. <paramref name="vcpu"/> must be a
    /// <see cref="Copy"/>: its arrays are changed in place.
    /// </summary>
    public static VcpuState? TryWrite(VcpuState vcpu, ulong now, int number, ReadOnlySpan<byte> value)
    {
        (RegisterSource source, uint index) = X86Description.Sources[number];
        Span<byte> wide = stackalloc byte[16];
        wide.Clear();
        value.CopyTo(wide);
        ulong bits = BinaryPrimitives.ReadUInt64LittleEndian(wide);
        switch (source)
        {
            case RegisterSource.Gpr:
                vcpu.Gpr[index] = bits;
                return vcpu;

            // A halted CPU that is sent elsewhere is meant to execute there.
            case RegisterSource.Rip:
                return vcpu with { Rip = bits, Halted = false };

            case RegisterSource.Eflags:
                return vcpu with { Rflags = (vcpu.Rflags & 0xFFFF_FFFF_0000_0000) | bits };

            case RegisterSource.Selector:
                vcpu.Segments[index] = vcpu.Segments[index] with { Selector = (ushort)bits };
                return vcpu;

            case RegisterSource.SegmentBase:
                vcpu.Segments[index] = vcpu.Segments[index] with { Base = bits };
                return vcpu;

            case RegisterSource.SegmentLimit:
                vcpu.Segments[index] = vcpu.Segments[index] with { Limit = (uint)bits };
                return vcpu;

            case RegisterSource.SegmentAttributes:
                vcpu.Segments[index] = vcpu.Segments[index] with { Attributes = (ushort)bits };
                return vcpu;

            case RegisterSource.St:
                value.CopyTo(vcpu.Fx.AsSpan(FxSt + (16 * (int)index)));
                return vcpu;

            case RegisterSource.Xmm:
                value.CopyTo(vcpu.Fx.AsSpan(FxXmm + (16 * (int)index)));
                return vcpu;

            case RegisterSource.FpuControl:
                WriteFpuControl(vcpu.Fx, index, (uint)bits);
                return vcpu;

            case RegisterSource.Mxcsr:
                BinaryPrimitives.WriteUInt32LittleEndian(vcpu.Fx.AsSpan(FxMxcsr), (uint)bits);
                return vcpu;

            // gdb writes it whenever it moves the program counter: nothing to keep, nothing to complain about.
            case RegisterSource.OrigRax:
                return vcpu;

            case RegisterSource.Cr:
                return index switch
                {
                    0 => vcpu with { Cr0 = bits },
                    2 => vcpu with { Cr2 = bits },
                    3 => vcpu with { Cr3 = bits },
                    4 => vcpu with { Cr4 = bits },
                    _ => vcpu with { Cr8 = bits },
                };

            case RegisterSource.Efer:
                return vcpu with { Efer = bits };

            case RegisterSource.Xcr0:
                return vcpu with { Xcr0 = bits };

            case RegisterSource.Dr:
                vcpu.Dr[index] = bits;
                return vcpu;

            case RegisterSource.TableBase:
                return index == 0 ? vcpu with { Gdtr = vcpu.Gdtr with { Base = bits } } : vcpu with { Idtr = vcpu.Idtr with { Base = bits } };

            case RegisterSource.TableLimit:
                return index == 0 ? vcpu with { Gdtr = vcpu.Gdtr with { Limit = (ushort)bits } } : vcpu with { Idtr = vcpu.Idtr with { Limit = (ushort)bits } };

            case RegisterSource.Msr when vcpu.Msrs.ContainsKey(index):
                vcpu.Msrs[index] = index == TscMsr ? bits - now : bits;
                return vcpu;

            default:
                return null;
        }
    }

    /// <summary>A state whose arrays are its own.</summary>
    public static VcpuState Copy(VcpuState vcpu) => vcpu with
    {
        Gpr = [.. vcpu.Gpr],
        Segments = [.. vcpu.Segments],
        Dr = [.. vcpu.Dr],
        Fx = [.. vcpu.Fx],
        Msrs = new SortedDictionary<uint, ulong>(vcpu.Msrs),
    };

    /// <summary>fctrl fstat ftag fiseg fioff foseg fooff fop.</summary>
    private static uint ReadFpuControl(ReadOnlySpan<byte> fx, uint index) => index switch
    {
        0 => BinaryPrimitives.ReadUInt16LittleEndian(fx),
        1 => BinaryPrimitives.ReadUInt16LittleEndian(fx[FxStatus..]),
        2 => WholeTagWord(fx),
        3 => BinaryPrimitives.ReadUInt16LittleEndian(fx[(FxInstruction + 4)..]),
        4 => BinaryPrimitives.ReadUInt32LittleEndian(fx[FxInstruction..]),
        5 => BinaryPrimitives.ReadUInt16LittleEndian(fx[(FxData + 4)..]),
        6 => BinaryPrimitives.ReadUInt32LittleEndian(fx[FxData..]),
        _ => BinaryPrimitives.ReadUInt16LittleEndian(fx[FxOpcode..]) & 0x7FFu,
    };

    private static void WriteFpuControl(Span<byte> fx, uint index, uint bits)
    {
        switch (index)
        {
            case 0: BinaryPrimitives.WriteUInt16LittleEndian(fx, (ushort)bits); break;
            case 1: BinaryPrimitives.WriteUInt16LittleEndian(fx[FxStatus..], (ushort)bits); break;
            case 2: fx[FxTag] = AbridgedTagWord(bits); break;
            case 3: BinaryPrimitives.WriteUInt16LittleEndian(fx[(FxInstruction + 4)..], (ushort)bits); break;
            case 4: BinaryPrimitives.WriteUInt32LittleEndian(fx[FxInstruction..], bits); break;
            case 5: BinaryPrimitives.WriteUInt16LittleEndian(fx[(FxData + 4)..], (ushort)bits); break;
            case 6: BinaryPrimitives.WriteUInt32LittleEndian(fx[FxData..], bits); break;
            default: BinaryPrimitives.WriteUInt16LittleEndian(fx[FxOpcode..], (ushort)(bits & 0x7FF)); break;
        }
    }

    /// <summary>
    /// The 16-bit tag word: two bits a physical register, 0 valid, 1 zero, 2 special, 3 empty. FXSAVE keeps only "not
    /// empty", so the rest is told from the value. Source: SDM vol. 1 §8.1.7 and table 10-2.
    /// </summary>
    private static uint WholeTagWord(ReadOnlySpan<byte> fx)
    {
        int top = (fx[FxStatus + 1] >> 3) & 7;
        uint word = 0;
        for (int physical = 0; physical < 8; physical++)
        {
            uint tag = 3;
            if ((fx[FxTag] & (1 << physical)) != 0)
            {
                ReadOnlySpan<byte> st = fx.Slice(FxSt + (16 * ((physical - top) & 7)), 10);
                ulong fraction = BinaryPrimitives.ReadUInt64LittleEndian(st);
                int exponent = BinaryPrimitives.ReadUInt16LittleEndian(st[8..]) & 0x7FFF;
                bool integer = (fraction >> 63) != 0;
                tag = exponent == 0 && fraction == 0 ? 1u : exponent is 0 or 0x7FFF || !integer ? 2u : 0u;
            }

            word |= tag << (2 * physical);
        }

        return word;
    }

    private static byte AbridgedTagWord(uint word)
    {
        int abridged = 0;
        for (int physical = 0; physical < 8; physical++)
        {
            abridged |= ((word >> (2 * physical)) & 3) == 3 ? 0 : 1 << physical;
        }

        return (byte)abridged;
    }
}
