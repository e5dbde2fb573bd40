using System.Globalization;
using System.Text;
using Iced.Intel;

namespace Emulator.Tests.HostCpu;

/// <summary>Compares what two executors left, but for what the architecture leaves undefined or what names the host.</summary>
internal static unsafe class Comparison
{
    private static readonly string[] Names =
        ["rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"];

    /// <summary>Null if equal, else one line a difference.</summary>
    internal static string? Difference(Sample sample, in UserState expected, in UserState actual, Span<byte> expectedWindow, Span<byte> actualWindow, ulong windowAddress)
    {
        StringBuilder? text = null;
        void Report(FormattableString line) => (text ??= new StringBuilder()).AppendLine(line.ToString(CultureInfo.InvariantCulture));

        for (int i = 0; i < 16; i++)
        {
            if (expected.Gpr[i] != actual.Gpr[i])
            {
                Report($"  {Names[i]}: was {sample.State.Gpr[i]:x16}, host {expected.Gpr[i]:x16}, ours {actual.Gpr[i]:x16}");
            }
        }

        ulong compared = ~UndefinedFlags(sample);
        if (((expected.Rflags ^ actual.Rflags) & compared) != 0)
        {
            Report($"  rflags: was {sample.State.Rflags:x}, host {expected.Rflags & compared:x}, ours {actual.Rflags & compared:x}");
        }

        if (expected.Rip != actual.Rip)
        {
            Report($"  rip: was {sample.State.Rip:x}, host {expected.Rip:x}, ours {actual.Rip:x}");
        }

        fixed (byte* was = sample.State.Fx, left = expected.Fx, right = actual.Fx)
        {
            // CVTPI2PS from memory enters MMX state on Intel's CPUs (SDM vol. 2) and not on AMD's.
            bool vendorsDiffer = sample.Instruction.Mnemonic == Mnemonic.Cvtpi2ps && sample.Instruction.Op1Kind == OpKind.Memory;
            CompareFx(was, left, right, x87: !vendorsDiffer, Report);
        }

        HideHostPointers(sample, expectedWindow, windowAddress);
        HideHostPointers(sample, actualWindow, windowAddress);
        if (!expectedWindow.SequenceEqual(actualWindow))
        {
            int at = expectedWindow.CommonPrefixLength(actualWindow) & ~7;
            Report($"  memory +{at:x}: was {Convert.ToHexString(sample.Window, at, 24)}, host {Convert.ToHexString(expectedWindow.Slice(at, 24))}, ours {Convert.ToHexString(actualWindow.Slice(at, 24))}");
        }

        return text?.ToString();
    }

    // FOP, FIP and FDP (bytes 6–23) are the host's own; MXCSR_MASK is constant.
    private static void CompareFx(byte* was, byte* left, byte* right, bool x87, Action<FormattableString> report)
    {
        string Hex(byte* image, int offset, int length) => Convert.ToHexString(new ReadOnlySpan<byte>(image + offset, length));
        void Range(string name, int offset, int length)
        {
            if (!new ReadOnlySpan<byte>(left + offset, length).SequenceEqual(new ReadOnlySpan<byte>(right + offset, length)))
            {
                report($"  {name}: was {Hex(was, offset, length)}, host {Hex(left, offset, length)}, ours {Hex(right, offset, length)}");
            }
        }

        Range("mxcsr", 24, 4);
        if (x87)
        {
            Range("fcw fsw ftw", 0, 5);
            for (int i = 0; i < 8; i++)
            {
                Range($"st{i}", 32 + (16 * i), 10);
            }
        }

        for (int i = 0; i < 16; i++)
        {
            Range($"xmm{i}", 160 + (16 * i), 16);
        }
    }

    /// <summary>Zeroes what FNSTENV, FNSAVE and FXSAVE wrote of the host's own pointers, and MXCSR_MASK.</summary>
    private static void HideHostPointers(Sample sample, Span<byte> window, ulong windowAddress)
    {
        (int offset, int length) = sample.Instruction.Mnemonic switch
        {
            Mnemonic.Fnstenv or Mnemonic.Fnsave => sample.Instruction.MemorySize is MemorySize.FpuEnv14 or MemorySize.FpuState94 ? (6, 8) : (12, 16),
            Mnemonic.Fxsave or Mnemonic.Fxsave64 => (6, 18),
            _ => (0, 0),
        };
        if (length == 0)
        {
            return;
        }

        Span<byte> operand = window[(int)(MemoryAddress(sample) - windowAddress)..];
        operand.Slice(offset, length).Clear();
        if (sample.Instruction.Mnemonic is Mnemonic.Fxsave or Mnemonic.Fxsave64)
        {
            operand.Slice(28, 4).Clear();
        }
    }

    /// <summary>Address of the memory operand.</summary>
    internal static ulong MemoryAddress(Sample sample)
    {
        for (int i = 0; i < sample.Instruction.OpCount; i++)
        {
            if (sample.Instruction.GetOpKind(i) is OpKind.Memory or OpKind.MemorySegRDI)
            {
                UserState state = sample.State;
                return sample.Instruction.GetVirtualAddress(i, 0, (register, _, _) => ReadRegister(state, register));
            }
        }

        return 0;
    }

    private static ulong ReadRegister(UserState state, Register register)
    {
        if (register.IsSegmentRegister())
        {
            return 0;
        }

        ulong value = state.Gpr[register.GetFullRegister() - Register.RAX];
        return register.GetSize() switch { 8 => value, 4 => (uint)value, 2 => (ushort)value, _ => (byte)value };
    }

    /// <summary>Iced's facts, and what depends on a shift count in CL.</summary>
    private static ulong UndefinedFlags(Sample sample)
    {
        ref Instruction instruction = ref sample.Instruction;
        RflagsBits undefined = instruction.RflagsUndefined;
        if (IsShift(instruction.Mnemonic))
        {
            int last = instruction.OpCount - 1;
            int size = instruction.Op0Kind == OpKind.Memory ? instruction.MemorySize.GetSize() : instruction.Op0Register.GetSize();
            int count = (instruction.GetOpKind(last) == OpKind.Immediate8 ? instruction.Immediate8 : (int)sample.State.Gpr[1]) & (size == 8 ? 63 : 31);
            if (count == 0)
            {
                return 0;
            }

            // CF of SHL and SHR is undefined if the count is the operand's size or more (SDM vol. 2, SAL/SAR/SHL/SHR).
            if (instruction.Mnemonic is Mnemonic.Shl or Mnemonic.Sal or Mnemonic.Shr && count >= 8 * size)
            {
                undefined |= RflagsBits.CF;
            }
        }

        ulong flags = 0;
        flags |= (undefined & RflagsBits.CF) != 0 ? 0x1UL : 0;
        flags |= (undefined & RflagsBits.PF) != 0 ? 0x4UL : 0;
        flags |= (undefined & RflagsBits.AF) != 0 ? 0x10UL : 0;
        flags |= (undefined & RflagsBits.ZF) != 0 ? 0x40UL : 0;
        flags |= (undefined & RflagsBits.SF) != 0 ? 0x80UL : 0;
        flags |= (undefined & RflagsBits.OF) != 0 ? 0x800UL : 0;
        return flags;
    }

    private static bool IsShift(Mnemonic mnemonic) => mnemonic is Mnemonic.Shl or Mnemonic.Sal or Mnemonic.Shr or Mnemonic.Sar
        or Mnemonic.Rol or Mnemonic.Ror or Mnemonic.Rcl or Mnemonic.Rcr or Mnemonic.Shld or Mnemonic.Shrd;
}
