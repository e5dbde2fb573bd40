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
        // r11 counts eighths of an entry's bytes.
        const int Eighths = JumpEntry.Size / 8;
        uint jumps = cache.Jumps.TableOf(mode);
        hot.Lea(Host.R11, -1, Host.R10, 2, 0, wide: false);
        hot.Immediate(And, Host.R11, (JumpCache.Entries - 1) * Eighths);
        // cmp r10, [r11*8 + jumps]
        hot.Bytes([0x4E, Compare, 0x14, 0xDD]);
        hot.Int32((int)jumps);
        hot.JumpIf(5, cold.At);
        EmitLeave(cold, AddSite(SiteKind.Jump, 0), trampolines.FindJump);
        // jmp [r11*8 + jumps + 8]
        hot.Bytes([0x42, 0xFF, 0x24, 0xDD]);
        hot.Int32((int)jumps + JumpEntry.CodeOffset);
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
        // cmp [entry], target; or by way of R10, if it is no sign-extended constant
        uint entry = (uint)(nuint)cache.Jumps.EntryOf(mode, target);
        byte* missed = cold.At;
        bool inCold = e == cold;
        if ((long)target == (int)target)
        {
            e.Bytes([0x48, 0x81, 0x3C, 0x25]);
            e.Int32((int)entry);
            e.Int32((int)target);
        }
        else
        {
            e.MoveConstant(Host.R10, target);
            e.RegAbsolute(Compare, Host.R10, entry);
        }

        byte* miss = e.JumpIf(5, missed);
        // jmp [entry's code]
        e.Bytes([0xFF, 0x24, 0x25]);
        e.Int32((int)entry + JumpEntry.CodeOffset);
        if (inCold)
        {
            HostEmitter.Patch(miss, cold.At);
        }

        cold.MoveConstant(Host.R10, target);
        EmitLeave(cold, AddSite(SiteKind.Jump, 0), trampolines.FindJump);
    }
}
