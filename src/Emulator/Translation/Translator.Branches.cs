using Emulator.Cpu;
using Iced.Intel;

namespace Emulator.Translation;

// Instructions that end a block, and the ways from one block to the next.
internal sealed unsafe partial class Translator
{
    private void EmitBranch(Form form, in Instruction instruction, in Encoding e, Op* op, int index)
    {
        switch (form)
        {
            case Form.Jump:
                Settle();
                EmitJump(op->Imm, hot);
                break;
            case Form.JumpIf:
                FlagsToHost(FlagsNeeded(instruction, index));
                Settle();
                byte* place = hot.JumpIf((int)op->Data, cold.At);
                EmitTaken(op->Imm, place);
                EmitJump(op->NextRip, hot);
                break;
            case Form.JumpIndirect:
                EmitTarget(e, op, index);
                EmitJumpIndirect();
                break;
            case Form.Call:
                Settle();
                EmitPushReturn(op, index);
                EmitJump(op->Imm, hot);
                break;
            case Form.CallIndirect:
                EmitCallIndirect(e, op, index);
                break;
            default:
                Settle();
                hot.Move(Host.R10, Host.GuestRsp);
                EmitLookup(index, 8, write: false);
                EmitAccess(LoadMove, Host.R10);
                hot.Lea(Host.GuestRsp, Host.GuestRsp, -1, 0, 8 + (int)op->Imm);
                EmitJumpIndirect();
                break;
        }
    }

    // The target of an indirect jump in R10, flags saved.
    private void EmitTarget(in Encoding e, Op* op, int index)
    {
        Settle();
        if (e.IsMemory)
        {
            EmitAddress(e, op);
            EmitLookup(index, 8, write: false);
            EmitAccess(LoadMove, Host.R10);
        }
        else
        {
            int from = Read(e.Rm, Host.R10);
            if (from != Host.R10)
            {
                hot.Move(Host.R10, from);
            }
        }
    }

    private void EmitCallIndirect(in Encoding e, Op* op, int index)
    {
        EmitTarget(e, op, index);
        hot.RegFrame(StoreMove, Host.R10, Trampolines.Temporary);
        EmitPushReturn(op, index);
        hot.RegFrame(LoadMove, Host.R10, Trampolines.Temporary);
        EmitJumpIndirect();
    }

    private void EmitPushReturn(Op* op, int index)
    {
        hot.Lea(Host.R10, Host.GuestRsp, -1, 0, -8);
        EmitLookup(index, 8, write: true);
        EmitStoreConstant(op->NextRip);
        hot.Lea(Host.GuestRsp, Host.GuestRsp, -1, 0, -8);
    }

    // To the block at R10, by way of the jump cache.
    private void EmitJumpIndirect()
    {
        uint jumps = cache.JumpCache(mode);
        hot.Rorx(Host.R11, Host.R10, CodeCache.JumpShift, wide: true);
        hot.RegReg(ExclusiveOr, Host.R11, Host.R10, wide: false);
        hot.Immediate(And, Host.R11, CodeCache.JumpEntries - 1);
        hot.Shift(ShiftLeft, Host.R11, 4);
        hot.RegMemory(Compare, Host.R10, Host.R11, (int)jumps);
        hot.JumpIf(5, cold.At);
        EmitLeave(cold, AddSite(SiteKind.Jump, 0), trampolines.FindJump);
        // jmp [r11 + jumps + 8]
        hot.Bytes([0x41, 0xFF, 0xA3]);
        hot.Int32((int)jumps + 8);
    }

    // A conditional jump whose displacement stands at `place` is taken to here in the cold part, or to its target.
    private void EmitTaken(ulong target, byte* place)
    {
        HostEmitter.Patch(place, cold.At);
        if (IsLinked(target))
        {
            EmitLink(target, place);
        }
        else
        {
            EmitFarJump(target, cold);
        }
    }

    private void EmitJump(ulong target, HostEmitter e)
    {
        if (IsLinked(target))
        {
            e.Jump(cold.At);
            EmitLink(target, e.At - 4);
        }
        else
        {
            EmitFarJump(target, e);
        }
    }

    // Inside a page a jump may stay as long as the block it is in.
    private bool IsLinked(ulong target) => (target ^ block->Rip) < Memory.GuestMemory.PageSize;

    private void EmitLink(ulong target, byte* place)
    {
        Site* site = AddSite(SiteKind.Link, 0);
        site->Target = target;
        site->Exit = (uint)(nuint)cold.At;
        site->Resume = (uint)(nuint)place;
        EmitLeave(cold, site, trampolines.Leave);
    }

    private void EmitFarJump(ulong target, HostEmitter e)
    {
        uint entry = cache.JumpCache(mode) + (CodeCache.JumpIndex(target) * 16);
        e.MoveConstant(Host.R10, target);
        e.RegAbsolute(Compare, Host.R10, entry);
        // Over the way out: JE.
        byte* found = e.JumpIf(4, e.At);
        EmitLeave(e, AddSite(SiteKind.Jump, 0), trampolines.FindJump);
        HostEmitter.Patch(found, e.At);
        // jmp [entry + 8]
        e.Bytes([0xFF, 0x24, 0x25]);
        e.Int32((int)entry + 8);
    }
}
