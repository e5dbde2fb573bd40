using Iced.Intel;

namespace Emulator.Translation;

// The stack. Neighbouring pushes, or pops and the return behind them, are one access that lies in one page, or the interpreter does the first.
internal sealed unsafe partial class Translator
{
    private const int LongestRun = 12;

    // How many instructions from here on were translated as one; 0: none.
    private int EmitRun(ReadOnlySpan<Instruction> instructions, int index)
    {
        int run = 0;
        if (forms[index] == Form.Push)
        {
            while (run < LongestRun && index + run < block->Count && IsPlainPush(instructions[index + run], index + run))
            {
                run++;
            }

            if (run >= 2)
            {
                EmitPushes(instructions.Slice(index, run), index);
                GoOn(index + run - 1);
                return run;
            }
        }
        else if (forms[index] is Form.Pop or Form.Leave)
        {
            while (run < LongestRun && index + run < block->Count
                && (forms[index + run] == Form.Pop ? ops[index + run].Dst / 8 != Host.Rsp : run == 0 && forms[index] == Form.Leave))
            {
                run++;
            }

            bool returns = run > 0 && index + run < block->Count && forms[index + run] == Form.Return;
            if (run >= 2 || returns)
            {
                EmitPops(index, run, returns);
                if (!returns)
                {
                    GoOn(index + run - 1);
                }

                return run + (returns ? 1 : 0);
            }
        }

        return 0;
    }

    private bool IsPlainPush(in Instruction instruction, int index) =>
        forms[index] == Form.Push && instruction.Op0Kind != OpKind.Memory
        && !(instruction.Op0Kind == OpKind.Register && instruction.Op0Register == Register.RSP);

    // The last instruction of a block that does not jump goes on behind it.
    private void GoOn(int index)
    {
        if (index == block->Count - 1)
        {
            Settle();
            EmitJump(ops[index].NextRip, hot);
        }
    }

    private void EmitPushes(ReadOnlySpan<Instruction> instructions, int index)
    {
        int bytes = instructions.Length * 8;
        BeforeRun(index, 1 << Host.Rsp);
        hot.Lea(Host.R10, Host.GuestRsp, -1, 0, -bytes);
        EmitLookup(index, bytes, write: true);
        EmitJoin();
        for (int i = 0; i < instructions.Length; i++)
        {
            int place = bytes - ((i + 1) * 8);
            ref readonly Instruction instruction = ref instructions[i];
            if (instruction.Op0Kind == OpKind.Register)
            {
                hot.RegMemory(StoreMove, Read(instruction.Op0Register.GetNumber(), Host.R10), Host.R11, place);
            }
            else
            {
                hot.Rex(true, 0, 0, Host.R11);
                hot.Byte(0xC7);
                hot.Memory(0, Host.R11, place);
                hot.Int32((int)PushedConstant(instruction));
            }
        }

        hot.Lea(Host.GuestRsp, Host.GuestRsp, -1, 0, -bytes);
    }

    // LEAVE, pops, and a return.
    private void EmitPops(int index, int count, bool returns)
    {
        bool leaves = forms[index] == Form.Leave;
        int changes = 1 << Host.Rsp | (leaves ? 1 << Host.Rbp : 0);
        for (int i = leaves ? 1 : 0; i < count; i++)
        {
            changes |= 1 << (ops[index + i].Dst / 8);
        }

        BeforeRun(index, changes);
        if (returns)
        {
            Settle();
        }

        int stack = leaves ? Host.Rbp : Host.GuestRsp;
        int bytes = (count + (returns ? 1 : 0)) * 8;
        hot.Move(Host.R10, stack);
        EmitLookup(index, bytes, write: false);
        EmitJoin();
        hot.Lea(Host.GuestRsp, stack, -1, 0, bytes + (returns ? (int)ops[index + count].Imm : 0));
        for (int i = 0; i < count; i++)
        {
            int guest = i == 0 && leaves ? Host.Rbp : ops[index + i].Dst / 8;
            int host = HostOf(guest);
            hot.RegMemory(LoadMove, host < 0 ? Host.R10 : host, Host.R11, i * 8);
            Keep(guest, Host.R10);
        }

        if (returns)
        {
            hot.RegMemory(LoadMove, Host.R10, Host.R11, count * 8);
            EmitJumpIndirect();
        }
    }

    private void BeforeRun(int index, int changes)
    {
        if (recipe.Kind != FlagsKind.None && recipe.Uses(changes))
        {
            Settle();
        }

        BeforeClobber(index);
    }

    private static ulong PushedConstant(in Instruction instruction) =>
        (ulong)(long)(instruction.Code == Code.Pushq_imm8 ? instruction.Immediate8to64 : instruction.Immediate32to64);

    private void EmitLeaveFrame(int index)
    {
        BeforeClobber(index);
        hot.Move(Host.R10, Host.Rbp);
        EmitLookup(index, 8, write: false);
        hot.Lea(Host.GuestRsp, Host.Rbp, -1, 0, 8);
        EmitAccess(LoadMove, Host.Rbp);
    }

    private void EmitPush(in Instruction instruction, in Encoding e, int index)
    {
        BeforeClobber(index);
        if (e.IsMemory)
        {
            EmitAddress(e, ops + index);
            EmitLookup(index, 8, write: false);
            EmitAccess(LoadMove, Host.R10);
            hot.RegFrame(StoreMove, Host.R10, Trampolines.Temporary);
            EmitPushTemporary(index);
            return;
        }

        hot.Lea(Host.R10, Host.GuestRsp, -1, 0, -8);
        EmitLookup(index, 8, write: true);
        if (instruction.Code is not (Code.Push_r64 or Code.Push_rm64))
        {
            EmitStoreConstant(PushedConstant(instruction));
        }
        else if (HostOf(e.Rm) >= 0)
        {
            EmitAccess(StoreMove, HostOf(e.Rm));
        }
        else
        {
            EmitJoin();
            hot.RegMemory(StoreMove, Read(e.Rm, Host.R10), Host.R11, 0);
        }

        hot.Lea(Host.GuestRsp, Host.GuestRsp, -1, 0, -8);
    }

    private void EmitPushTemporary(int index)
    {
        hot.Lea(Host.R10, Host.GuestRsp, -1, 0, -8);
        EmitLookup(index, 8, write: true);
        EmitJoin();
        hot.RegFrame(LoadMove, Host.R10, Trampolines.Temporary);
        hot.RegMemory(StoreMove, Host.R10, Host.R11, 0);
        hot.Lea(Host.GuestRsp, Host.GuestRsp, -1, 0, -8);
    }

    // Stores eight bytes at [r11+r10].
    private void EmitStoreConstant(ulong value)
    {
        if ((long)value == (int)value)
        {
            EmitAccess(0xC7, 0);
            hot.Int32((int)value);
            return;
        }

        EmitJoin();
        hot.MoveConstant(Host.R10, value);
        hot.RegMemory(StoreMove, Host.R10, Host.R11, 0);
    }

    private void EmitPop(in Encoding e, int index)
    {
        BeforeClobber(index);
        hot.Move(Host.R10, Host.GuestRsp);
        EmitLookup(index, 8, write: false);
        int host = HostOf(e.Rm);
        EmitAccess(LoadMove, host < 0 ? Host.R10 : host);
        Keep(e.Rm, Host.R10);
        if (e.Rm != Host.Rsp)
        {
            hot.Lea(Host.GuestRsp, Host.GuestRsp, -1, 0, 8);
        }
    }
}
