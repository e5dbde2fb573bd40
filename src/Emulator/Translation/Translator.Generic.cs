using Emulator.Cpu;
using Iced.Intel;

namespace Emulator.Translation;

// Integer instructions with ModRM: the same opcode, its registers and its memory operand where the guest's are.
internal sealed unsafe partial class Translator
{
    private void EmitGeneric(in Instruction instruction, in Encoding e, Op* op, ReadOnlySpan<byte> bytes, int index)
    {
        if (Operations.IsCounting(instruction))
        {
            BeforeCounting(index);
        }

        if (NamesHighByte(instruction))
        {
            FlagsToHost(FlagsNeeded(instruction, index));
            hot.Bytes(bytes);
            AfterWrite(instruction);
        }
        else if (!e.IsMemory)
        {
            FlagsToHost(FlagsNeeded(instruction, index));
            EmitRegisters(e);
            AfterWrite(instruction, Operations.RecipeOfRegisters(instruction, e, op->OperandSize));
        }
        else
        {
            BeforeClobber(index);
            EmitAddress(e, op);
            Roles roles = Operations.RolesOf(e);
            EmitAlignmentCheck(instruction.Mnemonic == Mnemonic.Cmpxchg16b ? 16 : 1, index);
            EmitLookup(index, op->MemorySize, (roles & Roles.RmWrite) != 0);
            int concerned = Operations.IsCounting(instruction) ? Operations.Status : (int)instruction.RflagsModified;
            bool wanted = (concerned & liveBefore[index + 1] & Operations.Status) != 0;
            FlagsRecipe how = wanted ? Operations.RecipeOfMemory(instruction, e, op->MemorySize) : default;
            if (how.PlaceOfA == Place.Slot || how.PlaceOfB == Place.Slot)
            {
                EmitMemoryKept(e, op->MemorySize, roles, how);
            }
            else
            {
                EmitMemory(instruction, e, roles, index);
            }

            AfterWrite(instruction, how);
        }
    }

    // A register that stands in the frame is loaded into a scratch register: hosts rename such loads, but not those of an operand in memory.
    // Only what is moved there or is read, changed and written there at once is an operand in place.
    private void EmitRegisters(in Encoding e)
    {
        Roles roles = Operations.RolesOf(e);
        bool extends = Operations.ExtendsOpcode(e);
        int reg = extends ? e.Reg & 7 : HostOf(e.Reg), rm = HostOf(e.Rm);
        if (e.Map == 0 && e.Opcode == StoreMove && reg < 0 && rm >= 0 && !e.OperandSizePrefix)
        {
            hot.RegFrame(LoadMove, rm, SlotOf(e.Reg), e.Wide);
            return;
        }

        if (rm < 0 && reg >= 0 && e.Wide && Operations.AllowsSlot(e))
        {
            EmitOpcode(e, reg, 0, Host.Rsp, forceRex: false);
            hot.Memory(reg, Host.Rsp, SlotOf(e.Rm));
            hot.Bytes(e.Immediate);
            return;
        }

        bool partialReg = (roles & Roles.ByteReg) != 0 || e.OperandSizePrefix, partialRm = (roles & Roles.ByteRm) != 0 || e.OperandSizePrefix;
        if (rm < 0)
        {
            rm = Host.R11;
            if (partialRm || (roles & Roles.RmRead) != 0 || e.Reg == e.Rm)
            {
                hot.RegFrame(LoadMove, rm, SlotOf(e.Rm));
            }
        }

        bool spilledReg = reg < 0;
        if (spilledReg && e.Reg == e.Rm)
        {
            reg = rm;
        }
        else if (spilledReg)
        {
            reg = Host.R10;
            if (partialReg || (roles & Roles.RegRead) != 0)
            {
                hot.RegFrame(LoadMove, reg, SlotOf(e.Reg));
            }
        }

        EmitOpcode(e, reg, 0, rm, e.HasRex);
        hot.Byte(0xC0 | ((reg & 7) << 3) | (rm & 7));
        hot.Bytes(e.Immediate);
        if ((roles & Roles.RmWrite) != 0)
        {
            Keep(e.Rm, rm);
        }

        if (!extends && (roles & Roles.RegWrite) != 0)
        {
            Keep(e.Reg, reg);
        }
    }

    // BT and its kin of a register and memory: the bits of all memory around the operand are numbered.
    private void EmitBitString(in Instruction instruction, in Encoding e, Op* op, int index)
    {
        int size = op->OperandSize, bits = System.Numerics.BitOperations.Log2((uint)size * 8);
        bool writes = e.Opcode != 0xA3;
        BeforeClobber(index);
        EmitAddress(e, op);

        // Signed: the operand's number, then its address.
        hot.RegReg(size == 8 ? LoadMove : SignExtend, Host.R11, Read(e.Reg, Host.R11));
        hot.Rex(true, 0, 0, Host.R11);
        hot.Bytes([0xC1, 0xC0 | (7 << 3) | (Host.R11 & 7), (byte)bits]);
        hot.Lea(Host.R10, Host.R10, Host.R11, System.Numerics.BitOperations.Log2((uint)size), 0);
        EmitLookup(index, size, writes);
        EmitJoin();
        hot.RegReg(LoadMove, Host.R10, Read(e.Reg, Host.R10), wide: false);
        hot.Immediate(And, Host.R10, (size * 8) - 1);
        hot.RegFrame(StoreMove, Host.R10, Trampolines.Temporary + 8);
        FlagsToHost(FlagsNeeded(instruction, index), keepR11: true);
        hot.RegFrame(LoadMove, Host.R10, Trampolines.Temporary + 8);
        EmitOpcode(e, Host.R10, 0, Host.R11, forceRex: false);
        hot.Memory(Host.R10, Host.R11, 0);
        AfterWrite(instruction);
    }

    // What is not aligned is the interpreter's, which knows the fault.
    private void EmitAlignmentCheck(int alignment, int index)
    {
        if (alignment > 1)
        {
            // test r10b, alignment - 1
            hot.Bytes([0x41, 0xF6, 0xC2, (byte)(alignment - 1)]);
            hot.JumpIf(5, cold.At);
            EmitOperationCold(index);
        }
    }

    // The instruction with [r11+r10] as its r/m operand.
    private void EmitMemory(in Instruction instruction, in Encoding e, Roles roles, int index)
    {
        int flags = FlagsNeeded(instruction, index);
        bool extends = Operations.ExtendsOpcode(e);
        int reg = extends ? e.Reg & 7 : HostOf(e.Reg);
        bool spilledReg = reg < 0, join = spilledReg || flags != 0;
        if (join)
        {
            EmitJoin();
        }

        FlagsToHost(flags, keepR11: true);
        if (spilledReg)
        {
            reg = Host.R10;
            if ((roles & (Roles.ByteReg | Roles.RegRead)) != 0 || e.OperandSizePrefix)
            {
                hot.RegFrame(LoadMove, reg, SlotOf(e.Reg));
            }
        }

        EmitOpcode(e, reg, join ? 0 : Host.R10, Host.R11, !extends && (roles & Roles.ByteReg) != 0 && e.HasRex);
        if (join)
        {
            hot.Memory(reg, Host.R11, 0);
        }
        else
        {
            EmitJoined(reg);
        }

        hot.Bytes(e.Immediate);
        if (!extends && (roles & Roles.RegWrite) != 0)
        {
            Keep(e.Reg, reg);
        }
    }

    // The same by way of R10, so that what the flags came from can be put into the frame.
    private void EmitMemoryKept(in Encoding e, int size, Roles roles, in FlagsRecipe how)
    {
        bool writes = (roles & Roles.RmWrite) != 0;
        if (writes)
        {
            EmitJoin();
        }

        // mov r10, size of [r11+r10] or [r11]
        EmitLoadSized(size, joined: writes);
        if ((roles & Roles.RegWrite) != 0)
        {
            // The other operand is memory; the flags come from the register and it.
            EmitRegisterWithR10(e, size);
            hot.RegFrame(StoreMove, Host.R10, Trampolines.FlagsB);
            return;
        }

        int slot = how.KeepsCarry ? Trampolines.FlagsStep : how.PlaceOfA == Place.Slot ? Trampolines.FlagsA : Trampolines.FlagsB;
        if (how.Kind is FlagsKind.Compare && how.PlaceOfB == Place.Slot)
        {
            EmitRegisterWithR10(e, size);
        }
        else if (Operations.ExtendsOpcode(e))
        {
            EmitOpcode(e, e.Reg & 7, 0, Host.R10, forceRex: true);
            hot.Byte(0xC0 | ((e.Reg & 7) << 3) | (Host.R10 & 7));
            hot.Bytes(e.Immediate);
        }
        else if (HostOf(e.Reg) is var reg and >= 0)
        {
            EmitOpcode(e, reg, 0, Host.R10, forceRex: true);
            hot.Byte(0xC0 | ((reg & 7) << 3) | (Host.R10 & 7));
        }
        else
        {
            Encoding reversed = e;
            _ = Operations.TryReverse(ref reversed);
            EmitOpcode(reversed, Host.R10, 0, Host.Rsp, forceRex: true);
            hot.Memory(Host.R10, Host.Rsp, SlotOf(e.Reg));
        }

        if (writes)
        {
            // mov [r11], r10
            hot.SizedOpcode(0x88, size, Host.R10, Host.R11);
            hot.Memory(Host.R10, Host.R11, 0);
        }

        hot.RegFrame(StoreMove, Host.R10, slot);
    }

    // reg op= r10, or a comparison of the two.
    private void EmitRegisterWithR10(in Encoding e, int size)
    {
        int operation = e.Opcode & 0x38, reg = HostOf(e.Reg);
        if (reg >= 0)
        {
            hot.Sized(operation | 2, size, reg, Host.R10);
            return;
        }

        bool narrow = size == 4 && operation != 0x38;
        if (!narrow)
        {
            hot.SizedFrame(operation, size, Host.R10, SlotOf(e.Reg));
            return;
        }

        // A result of 32 bits clears the upper half.
        hot.RegFrame(LoadMove, Host.R11, SlotOf(e.Reg));
        hot.Sized(operation | 2, size, Host.R11, Host.R10);
        hot.RegFrame(StoreMove, Host.R11, SlotOf(e.Reg));
    }

    // Prefixes, REX, map and opcode. F2 and F3 mean nothing here but for POPCNT: the guest's CPU has no TZCNT and LZCNT.
    private void EmitOpcode(in Encoding e, int reg, int index, int rm, bool forceRex)
    {
        if (e.OperandSizePrefix)
        {
            hot.Byte(0x66);
        }

        if (e.Map == 1 && e.Opcode == 0xB8)
        {
            hot.Byte(0xF3);
        }

        EmitRexAndOpcode(e, reg, index, rm, forceRex);
    }

    private void EmitRexAndOpcode(in Encoding e, int reg, int index, int rm, bool forceRex)
    {
        int rex = (e.Wide ? 8 : 0) | ((reg & 8) >> 1) | ((index & 8) >> 2) | ((rm & 8) >> 3);
        if (rex != 0 || forceRex)
        {
            hot.Byte(0x40 | rex);
        }

        if (e.Map != 0)
        {
            hot.Byte(0x0F);
        }

        if (e.Map > 1)
        {
            hot.Byte(e.Map == 2 ? 0x38 : 0x3A);
        }

        hot.Byte(e.Opcode);
    }

    private void EmitLoadSized(int size, bool joined)
    {
        int index = joined ? 0 : Host.R10;
        hot.Rex(size == 8, Host.R10, index, Host.R11);
        if (size <= 2)
        {
            // movzx
            hot.Byte(0x0F);
            hot.Byte(size == 1 ? 0xB6 : 0xB7);
        }
        else
        {
            hot.Byte(LoadMove);
        }

        if (joined)
        {
            hot.Memory(Host.R10, Host.R11, 0);
        }
        else
        {
            EmitJoined(Host.R10);
        }
    }

    private static bool NamesHighByte(in Instruction instruction) =>
        instruction.Op0Register is >= Register.AH and <= Register.BH || instruction.Op1Register is >= Register.AH and <= Register.BH;
}
