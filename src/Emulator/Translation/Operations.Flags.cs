using Iced.Intel;

namespace Emulator.Translation;

// What instructions make flags of, which registers they change, and what else decides how they may be written down.
internal static unsafe partial class Operations
{
    private const int AddOperation = 0, AdcOperation = 2, SbbOperation = 3, SubOperation = 5, CmpOperation = 7;

    /// <summary>INC or DEC, which leave CF alone, of anything but AH to BH.</summary>
    internal static bool IsCounting(in Instruction instruction) =>
        instruction.Mnemonic is Mnemonic.Inc or Mnemonic.Dec && instruction.Op0Register is not (>= Register.AH and <= Register.BH);

    /// <summary>What the flags of an instruction on registers come from; None where that is not known or is gone.</summary>
    internal static FlagsRecipe RecipeOfRegisters(in Instruction instruction, in Encoding e, int size)
    {
        if (e.Map != 0)
        {
            return default;
        }

        if (e.Opcode < 0x40)
        {
            bool toRm = (e.Opcode & 2) == 0;
            int target = toRm ? e.Rm : e.Reg, source = toRm ? e.Reg : e.Rm;
            int operation = e.Opcode >> 3;
            if (target == source)
            {
                // AND and OR leave the register, XOR, SUB and CMP are as of 0, and what ADD came from is lost.
                return operation switch
                {
                    AddOperation or AdcOperation or SbbOperation => default,
                    SubOperation or CmpOperation or 6 => Recipe(FlagsKind.Logic, size, Place.Constant, 0),
                    _ => Recipe(FlagsKind.Logic, size, Place.Register, target),
                };
            }

            return RecipeOf(operation, size, Place.Register, target, Place.Register, source);
        }

        switch (e.Opcode)
        {
            case 0x80 or 0x81 or 0x83:
                return RecipeOf(e.Reg & 7, size, Place.Register, e.Rm, Place.Constant, (int)instruction.GetImmediate(1));
            case 0x84 or 0x85:
                return e.Reg == e.Rm
                    ? Recipe(FlagsKind.Logic, size, Place.Register, e.Rm)
                    : Recipe(FlagsKind.Test, size, Place.Register, e.Rm, Place.Register, e.Reg);
            case 0xF6 or 0xF7 when (e.Reg & 7) <= 1:
                return Recipe(FlagsKind.Test, size, Place.Register, e.Rm, Place.Constant, (int)instruction.GetImmediate(1));
            case 0xF6 or 0xF7 when (e.Reg & 7) == 3:
                return Recipe(FlagsKind.Negate, size, Place.Register, e.Rm);
            case 0xFE or 0xFF when (e.Reg & 7) <= 1:
                return Recipe((e.Reg & 7) == 0 ? FlagsKind.Increment : FlagsKind.Decrement, size, Place.Register, e.Rm);
            default:
                return default;
        }
    }

    /// <summary>The same of an instruction with a memory operand, which is put into a slot.</summary>
    internal static FlagsRecipe RecipeOfMemory(in Instruction instruction, in Encoding e, int size)
    {
        if (e.Map != 0)
        {
            return default;
        }

        if (e.Opcode < 0x40)
        {
            int operation = e.Opcode >> 3;
            return (e.Opcode & 2) == 0
                ? RecipeOf(operation, size, Place.Slot, 0, Place.Register, e.Reg)
                : RecipeOf(operation, size, Place.Register, e.Reg, Place.Slot, 0);
        }

        return e.Opcode switch
        {
            0x80 or 0x81 or 0x83 => RecipeOf(e.Reg & 7, size, Place.Slot, 0, Place.Constant, (int)instruction.GetImmediate(1)),
            0x84 or 0x85 => Recipe(FlagsKind.Test, size, Place.Slot, 0, Place.Register, e.Reg),
            0xF6 or 0xF7 when (e.Reg & 7) <= 1 => Recipe(FlagsKind.Test, size, Place.Slot, 0, Place.Constant, (int)instruction.GetImmediate(1)),
            0xFE or 0xFF when (e.Reg & 7) <= 1 => Recipe((e.Reg & 7) == 0 ? FlagsKind.Increment : FlagsKind.Decrement, size, Place.Slot, 0),
            _ => default,
        };
    }

    /// <summary>The same of an instruction of the accumulator and a constant.</summary>
    internal static FlagsRecipe RecipeOfAccumulator(in Instruction instruction, int size)
    {
        int operation = instruction.Mnemonic switch
        {
            Mnemonic.Add => AddOperation,
            Mnemonic.Or => 1,
            Mnemonic.And => 4,
            Mnemonic.Sub => SubOperation,
            Mnemonic.Xor => 6,
            Mnemonic.Cmp => CmpOperation,
            Mnemonic.Test => -1,
            _ => AdcOperation,
        };
        return operation == AdcOperation ? default
            : operation < 0 ? Recipe(FlagsKind.Test, size, Place.Register, 0, Place.Constant, (int)instruction.GetImmediate(1))
            : RecipeOf(operation, size, Place.Register, 0, Place.Constant, (int)instruction.GetImmediate(1));
    }

    // Of one of the eight operations of group 1, done: A is where the result is, or the first operand of CMP.
    private static FlagsRecipe RecipeOf(int operation, int size, Place placeOfA, int a, Place placeOfB, int b) => operation switch
    {
        AddOperation => Recipe(FlagsKind.Add, size, placeOfA, a, placeOfB, b),
        SubOperation => Recipe(FlagsKind.Subtract, size, placeOfA, a, placeOfB, b),
        CmpOperation when placeOfB == Place.Constant && b == 0 => Recipe(FlagsKind.Logic, size, placeOfA, a),
        CmpOperation => Recipe(FlagsKind.Compare, size, placeOfA, a, placeOfB, b),
        AdcOperation or SbbOperation => default,
        _ => Recipe(FlagsKind.Logic, size, placeOfA, a),
    };

    private static FlagsRecipe Recipe(FlagsKind kind, int size, Place placeOfA, int a, Place placeOfB = Place.Nowhere, int b = 0) =>
        new() { Kind = kind, Size = (byte)size, PlaceOfA = placeOfA, A = a, PlaceOfB = placeOfB, B = b };

    /// <summary>Guest registers an instruction may change, a bit each; more than it does where that does not matter.</summary>
    internal static int Changes(in Instruction instruction, Form form, in Encoding e)
    {
        const int Rax = 1 << Host.Rax, Rcx = 1 << Host.Rcx, Rdx = 1 << Host.Rdx, Rsp = 1 << Host.Rsp, Rbp = 1 << Host.Rbp,
            Rsi = 1 << Host.Rsi, Rdi = 1 << Host.Rdi;
        switch (form)
        {
            case Form.None:
                return -1;
            case Form.Generic:
                Roles roles = RolesOf(e);
                int changes = (roles & Roles.RmWrite) != 0 && !e.IsMemory ? Named(e.Rm, e) : 0;
                changes |= (roles & Roles.RegWrite) != 0 && !ExtendsOpcode(e) ? Named(e.Reg, e) : 0;
                return changes | instruction.Mnemonic switch
                {
                    Mnemonic.Mul or Mnemonic.Imul => Rax | Rdx,
                    Mnemonic.Cmpxchg => Rax,
                    Mnemonic.Cmpxchg16b => Rax | Rdx,
                    _ => 0,
                };
            case Form.Verbatim or Form.Divide:
                return Rax | Rdx;
            case Form.Vector:
                return (e.IsMemory ? 0 : 1 << e.Rm) | 1 << e.Reg;
            case Form.Lea:
                return 1 << e.Reg;
            case Form.MoveByte:
                return Named(e.Rm, e);
            case Form.MoveConstant or Form.ByteSwap:
                return 1 << e.Rm;
            case Form.Pop:
                return 1 << e.Rm | Rsp;
            case Form.Leave:
                return Rsp | Rbp;
            case Form.Push or Form.PushFlags or Form.Call or Form.CallIndirect or Form.Return:
                return Rsp;
            case Form.ReadTimeStamp:
                return Rax | Rcx | Rdx;
            case Form.ReadSelector or Form.ReadControl:
                return -1;
            case Form.RepeatStore or Form.RepeatMove:
                return Rcx | Rsi | Rdi;
            default:
                return 0;
        }

        // AH to BH are 4 to 7 without REX.
        static int Named(int register, in Encoding e) => 1 << register | (e.HasRex ? 0 : 1 << (register & 3));
    }

    /// <summary>Exchanges the roles of reg and r/m, both registers, if another opcode does the same with them.</summary>
    internal static bool TryReverse(ref Encoding e)
    {
        if (e.Map != 0)
        {
            return false;
        }

        if (e.Opcode is 0x84 or 0x85)
        {
            return true;
        }

        if ((e.Opcode < 0x40 || e.Opcode is 0x88 or 0x89) && (e.Opcode & 2) == 0)
        {
            e.Opcode |= 2;
            return true;
        }

        return false;
    }

    /// <summary>Whether a 64-bit r/m may as well be a slot of the frame: it is only written, or read, changed and written.</summary>
    internal static bool AllowsSlot(in Encoding e) => e.Map == 0 && e.Opcode switch
    {
        < 0x38 => (e.Opcode & 3) == 1,
        0x81 or 0x83 => (e.Reg & 7) != CmpOperation,
        0x89 or 0xC7 => true,
        0xF7 => (e.Reg & 7) is 2 or 3,
        0xFF => (e.Reg & 7) <= 1,
        _ => false,
    };
}
