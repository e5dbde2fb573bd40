using Iced.Intel;

namespace Emulator.Translation;

// Where the guest's status flags are. They are computed in the host's flags and used there. Whatever else needs the host's
// flags (an access through the TLB, the budget) would lose them; so what they were computed of is put into the frame, or,
// where that is not known, an image of them. Between blocks they are always in the frame. Storing operands is cheap;
// recomputing flags is rare: only where somebody looks who is not the next instruction.
internal sealed unsafe partial class Translator
{
    private const int CarryFlag = (int)RflagsBits.CF;

    // Flags the host's flags have right now.
    private int hostMask;

    // The frame has them: as they came in, or stored since.
    private bool inFrame;

    // Of what they can be made, if they are not in the frame, or, with KeepsCarry, are there but for this.
    private FlagsRecipe recipe;

    // Our own code is about to change the host's flags.
    private void BeforeClobber(int index)
    {
        if (!inFrame && liveBefore[index] != 0 && recipe.Kind == FlagsKind.None)
        {
            EmitSaveImage();
        }

        hostMask = 0;
    }

    // The frame has the flags from here on. The host's flags stay.
    private void Settle()
    {
        if (inFrame)
        {
            return;
        }

        if (recipe.Kind == FlagsKind.None)
        {
            EmitSaveImage();
            return;
        }

        EmitStoreRecipe(hot, Host.R10);
        inFrame = true;
        recipe = default;
    }

    // Where code is left in the middle of an instruction: the frame must have the flags, but the straight way goes on without.
    private void SettleCold(int index)
    {
        if (!inFrame && liveBefore[index] != 0)
        {
            EmitStoreRecipe(cold, Host.R11);
        }
    }

    // Before an instruction that changes registers the recipe needs, or keeps a part of the flags.
    private void BeforeInstruction(in Instruction instruction, int index, int changes)
    {
        if (inFrame || recipe.Kind == FlagsKind.None)
        {
            return;
        }

        int stay = liveBefore[index + 1] & ~Operations.Overwrites(instruction);
        if (stay == 0)
        {
            return;
        }

        bool counts = Operations.IsCounting(instruction) && forms[index] == Form.Generic;
        if (recipe.Uses(changes) || (counts && !recipe.KeepsCarry))
        {
            Settle();
        }
    }

    // The instruction left flags in the host's.
    private void AfterWrite(in Instruction instruction, FlagsRecipe how = default)
    {
        if (((int)instruction.RflagsModified & Operations.Status) == 0)
        {
            return;
        }

        if (how.KeepsCarry)
        {
            // What the carry comes from is in the frame already, or nobody wants it.
            hostMask = (hostMask & CarryFlag) | (Operations.Status & ~CarryFlag);
        }
        else
        {
            hostMask = Operations.Status;
        }

        recipe = how;
        inFrame = false;
    }

    // The instruction reads flags, or leaves some alive that it does not write: they must be in the host's.
    private int FlagsNeeded(in Instruction instruction, int index)
    {
        int needed = (int)instruction.RflagsRead & Operations.Status;
        if (((int)instruction.RflagsModified & Operations.Status) != 0 && !Operations.IsCounting(instruction))
        {
            needed |= liveBefore[index + 1] & ~Operations.Overwrites(instruction);
        }

        return needed;
    }

    // INC and DEC leave the carry in the frame; if only the host has it, it goes there first.
    private void BeforeCounting(int index)
    {
        if (!inFrame && recipe.Kind == FlagsKind.None && (liveBefore[index + 1] & CarryFlag) != 0)
        {
            EmitSaveImage();
        }
    }

    // R10 is used on the way; R11 too, unless it is kept.
    private void FlagsToHost(int mask, bool keepR11 = false)
    {
        if ((hostMask & mask) == mask)
        {
            return;
        }

        if (recipe.Kind != FlagsKind.None && !recipe.KeepsCarry)
        {
            EmitRecipe();
        }
        else
        {
            if (keepR11)
            {
                hot.RegFrame(StoreMove, Host.R11, Trampolines.Temporary);
            }

            Settle();
            hot.Call(trampolines.Flags);
            if (keepR11)
            {
                hot.RegFrame(LoadMove, Host.R11, Trampolines.Temporary);
            }
        }

        hostMask = Operations.Status;
    }

    // By way of R10.
    private void EmitSaveImage()
    {
        Trampolines.EmitSaveImage(hot, trampolines.ImageForm);
        inFrame = true;
        recipe = default;
    }

    private void EmitStoreRecipe(HostEmitter e, int scratch)
    {
        bool counts = recipe.KeepsCarry;
        EmitStoreOperand(e, recipe.PlaceOfA, recipe.A, counts ? Trampolines.FlagsStep : Trampolines.FlagsA, scratch);
        EmitStoreOperand(e, recipe.PlaceOfB, recipe.B, Trampolines.FlagsB, scratch);
        uint form = trampolines.FormOf(recipe.Kind, recipe.Size);
        if (counts)
        {
            e.FrameConstant(Trampolines.FlagsForm + 4, (int)form, wide: false);
        }
        else
        {
            e.FrameConstant(Trampolines.FlagsForm, (int)form);
        }
    }

    private void EmitStoreOperand(HostEmitter e, Place place, int value, int slot, int scratch)
    {
        if (place == Place.Constant)
        {
            e.FrameConstant(slot, value);
        }
        else if (place == Place.Register)
        {
            int host = HostOf(value);
            if (host < 0)
            {
                e.RegFrame(LoadMove, scratch, SlotOf(value));
                host = scratch;
            }

            e.RegFrame(StoreMove, host, slot);
        }
    }

    // Does once more what the flags came from, by way of R10.
    private void EmitRecipe()
    {
        int size = recipe.Size;
        if (recipe.Kind == FlagsKind.Logic && recipe.PlaceOfA == Place.Register && HostOf(recipe.A) is var host and >= 0)
        {
            hot.Sized(0x84, size, host, host);
            return;
        }

        EmitLoadOperand(recipe.PlaceOfA, recipe.A, Trampolines.FlagsA);
        switch (recipe.Kind)
        {
            case FlagsKind.Logic:
                hot.Sized(0x84, size, Host.R10, Host.R10);
                break;
            case FlagsKind.Compare:
                EmitWithB(7, size);
                break;
            case FlagsKind.Test when recipe.PlaceOfB == Place.Constant:
                hot.SizedImmediate(0xF6, 0, size, Host.R10, recipe.B);
                break;
            case FlagsKind.Test when recipe.PlaceOfB == Place.Register && HostOf(recipe.B) >= 0:
                hot.Sized(0x84, size, HostOf(recipe.B), Host.R10);
                break;
            case FlagsKind.Test:
                hot.SizedFrame(0x84, size, Host.R10, recipe.PlaceOfB == Place.Register ? SlotOf(recipe.B) : Trampolines.FlagsB);
                break;
            case FlagsKind.Add:
                EmitWithB(5, size);
                EmitWithB(0, size);
                break;
            case FlagsKind.Subtract:
                EmitWithB(0, size);
                EmitWithB(7, size);
                break;
            default:
                hot.SizedUnary(0xF6, 3, size, Host.R10);
                hot.SizedUnary(0xF6, 3, size, Host.R10);
                break;
        }
    }

    private void EmitLoadOperand(Place place, int value, int slot)
    {
        if (place == Place.Constant)
        {
            hot.MoveConstant(Host.R10, (ulong)(long)value);
        }
        else if (place == Place.Register && HostOf(value) >= 0)
        {
            hot.Move(Host.R10, HostOf(value));
        }
        else
        {
            hot.RegFrame(LoadMove, Host.R10, place == Place.Register ? SlotOf(value) : slot);
        }
    }

    // One of the eight operations of group 1 on R10 and operand B.
    private void EmitWithB(int operation, int size)
    {
        if (recipe.PlaceOfB == Place.Constant)
        {
            hot.SizedImmediate(0x80, operation, size, Host.R10, recipe.B);
        }
        else if (recipe.PlaceOfB == Place.Register && HostOf(recipe.B) >= 0)
        {
            hot.Sized((operation << 3) | 2, size, Host.R10, HostOf(recipe.B));
        }
        else
        {
            hot.SizedFrame((operation << 3) | 2, size, Host.R10, recipe.PlaceOfB == Place.Register ? SlotOf(recipe.B) : Trampolines.FlagsB);
        }
    }
}
