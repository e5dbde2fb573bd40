using Iced.Intel;

namespace Emulator.Tests.HostCpu.Sequences;

/// <summary>Which status flags an instruction reads, writes and leaves undefined.</summary>
internal static class FlagFacts
{
    internal const ulong Carry = 1, Status = 0x8D5;

    internal static ulong Bits(RflagsBits flags) =>
        ((flags & RflagsBits.CF) != 0 ? 0x1UL : 0) | ((flags & RflagsBits.PF) != 0 ? 0x4UL : 0)
        | ((flags & RflagsBits.AF) != 0 ? 0x10UL : 0) | ((flags & RflagsBits.ZF) != 0 ? 0x40UL : 0)
        | ((flags & RflagsBits.SF) != 0 ? 0x80UL : 0) | ((flags & RflagsBits.OF) != 0 ? 0x800UL : 0);

    /// <summary>The status flags a condition code 0–15 reads.</summary>
    internal static ulong OfCondition(int condition) => (condition >> 1) switch
    {
        0 => 0x800,
        1 => 0x1,
        2 => 0x40,
        3 => 0x41,
        4 => 0x80,
        5 => 0x4,
        6 => 0x880,
        _ => 0x8C0,
    };

    /// <summary>The undefined flags after an instruction, given those before it.</summary>
    internal static ulong UndefinedAfter(in Instruction instruction, ulong before)
    {
        ulong undefined = Bits(instruction.RflagsUndefined);
        ulong modified = Bits(instruction.RflagsModified);
        if (IsShift(instruction.Mnemonic))
        {
            int last = instruction.OpCount - 1;
            int size = instruction.Op0Kind == OpKind.Memory ? instruction.MemorySize.GetSize() : instruction.Op0Register.GetSize();
            bool losesCarry = instruction.Mnemonic is Mnemonic.Shl or Mnemonic.Sal or Mnemonic.Shr;
            if (instruction.GetOpKind(last) != OpKind.Immediate8)
            {
                // A count of zero keeps what was there.
                return before | undefined | (losesCarry && size < 4 ? Carry : 0);
            }

            int count = instruction.Immediate8 & (size == 8 ? 63 : 31);
            if (count == 0)
            {
                return before;
            }

            // CF of SHL and SHR is undefined if the count is the operand's size or more (SDM vol. 2, SAL/SAR/SHL/SHR).
            undefined |= losesCarry && count >= 8 * size ? Carry : 0;
        }
        else if (instruction.HasRepPrefix || instruction.HasRepnePrefix)
        {
            return before | undefined;
        }

        return (before & ~modified) | undefined;
    }

    internal static bool IsShift(Mnemonic mnemonic) => mnemonic is Mnemonic.Shl or Mnemonic.Sal or Mnemonic.Shr or Mnemonic.Sar
        or Mnemonic.Rol or Mnemonic.Ror or Mnemonic.Rcl or Mnemonic.Rcr or Mnemonic.Shld or Mnemonic.Shrd;
}
