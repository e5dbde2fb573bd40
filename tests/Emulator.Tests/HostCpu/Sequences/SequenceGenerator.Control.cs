using Iced.Intel;

namespace Emulator.Tests.HostCpu.Sequences;

// Branches, loops, calls, and code that writes code.
internal sealed unsafe partial class SequenceGenerator
{
    private void Item()
    {
        int kind = random.Below(native ? 100 : 110);
        switch (kind)
        {
            case < 38:
                Plain(Common);
                break;
            case < 56:
                Plain(Integers);
                break;
            case < 66:
                Plain(Vectors);
                break;
            case < 68:
                Plain(Legacy);
                break;
            case < 76:
                Stack();
                break;
            case < 81 when depth < 3:
                Region();
                break;
            case < 85 when depth == 0:
                Loop();
                break;
            case < 87 when depth < 2:
                Call();
                break;
            case < 89:
                IndirectJump();
                break;
            case < 91:
                Divide();
                break;
            case < 94:
                StringOperation();
                break;
            case < 97:
                Pointer();
                break;
            case < 98:
                WriteCode();
                break;
            case < 100:
                FlagsImage();
                break;
            case < 104:
                Free();
                break;
            default:
                Plain(kind < 106 ? Divisions : Common);
                break;
        }
    }

    private void Body(int most)
    {
        depth++;
        for (int i = 1 + random.Below(most); i > 0 && !failed && sequence.Length < 700; i--)
        {
            Item();
        }

        depth--;
    }

    private void MoveStackTo(ulong value)
    {
        if (known.IsExact(Rsp) && known.Low(Rsp) == value)
        {
            return;
        }

        Emit(known.IsExact(Rsp)
            ? Instruction.Create(Code.Lea_r64_m, Register.RSP, new MemoryOperand(Register.RSP, (long)(value - known.Low(Rsp)), 8))
            : Instruction.Create(Code.Mov_r64_imm64, Register.RSP, value));
    }

    /// <summary>A conditional jump over some instructions.</summary>
    private void Region()
    {
        int condition = random.Below(16);
        int most = random.OneIn(3) ? 5 : 2;
        int end;
        bool near = false;
        if (most == 2 && random.OneIn(8))
        {
            end = EmitRaw(0xE3, 0);
        }
        else
        {
            Require(FlagFacts.OfCondition(condition));
            near = most > 2 || random.OneIn(4);
            end = near ? EmitRaw(0x0F, (byte)(0x80 + condition), 0, 0, 0, 0) : EmitRaw((byte)(0x70 + condition), 0);
        }

        Knowledge before = known;
        int stillPinned = pinned;
        Body(most);
        pinned = stillPinned;
        MoveStackTo(before.Low(Rsp));
        if (near)
        {
            Patch32(end, sequence.Length);
        }
        else
        {
            Patch8(end, sequence.Length);
        }

        known.Join(before);
    }

    /// <summary>One to four turns; sometimes a pointer walks along.</summary>
    private void Loop()
    {
        int counter = random.OneIn(4) && !IsPinned(Rcx) ? Rcx : FreeRegister();
        int turns = 1 + random.Below(4);
        ulong stack = known.Low(Rsp);
        int stillPinned = pinned;
        Emit(Instruction.Create(Code.Mov_r32_imm32, R32(counter), turns));
        pinned |= 1 << counter;
        int walker = -1;
        int stride = 0;
        ulong from = 0;
        if (random.OneIn(2))
        {
            walker = FreeRegister();
            pinned |= 1 << walker;
            stride = random.Pick<int>([1, 2, 4, 8, 16, 64, -8, -4, 24]);
            from = layout.Data + 4096 - 40 + (ulong)random.Below(80);
            Emit(Instruction.Create(Code.Mov_r64_imm64, R64(walker), from));
        }

        for (int i = 0; i < 16; i++)
        {
            if (!IsPinned(i))
            {
                known.Forget(i);
            }
        }

        known.Direction = 0;
        known.Forget(counter);
        ulong last = from + (ulong)(long)(stride * (turns - 1));
        if (walker >= 0)
        {
            known.SetRange(walker, Math.Min(from, last), Math.Max(from, last));
        }

        Knowledge head = known;
        int top = sequence.Length;
        Body(4);
        MoveStackTo(stack);
        if (walker >= 0)
        {
            Emit(random.OneIn(2)
                ? Instruction.Create(Code.Lea_r64_m, R64(walker), new MemoryOperand(R64(walker), stride, 1))
                : Instruction.Create(Code.Add_rm64_imm8, R64(walker), stride));
        }

        // What holds at the top holds there each time.
        if ((known.Undefined & ~head.Undefined) != 0)
        {
            Require(FlagFacts.Status);
        }

        CloseLoop(counter, top);
        pinned = stillPinned;
        known.Set(counter, 0);
        if (walker >= 0)
        {
            known.Set(walker, last + (ulong)(long)stride);
        }
    }

    private void CloseLoop(int counter, int top)
    {
        int way = random.Below(counter == Rcx ? 4 : 3);
        if (way == 3)
        {
            Patch8(EmitRaw(0xE2, 0), top);
            return;
        }

        Emit(way switch
        {
            0 => Instruction.Create(Code.Dec_rm32, R32(counter)),
            1 => Instruction.Create(Code.Sub_rm64_imm8, R64(counter), 1),
            _ => Instruction.Create(Code.Add_rm32_imm8, R32(counter), -1),
        });

        // JNE, or JG after what leaves OF clear.
        byte condition = random.OneIn(3) ? (byte)0xF : (byte)5;
        if (sequence.Length - top > 100 || random.OneIn(3))
        {
            Patch32(EmitRaw(0x0F, (byte)(0x80 + condition), 0, 0, 0, 0), top);
        }
        else
        {
            Patch8(EmitRaw((byte)(0x70 + condition), 0), top);
        }
    }

    private bool StackHasRoom(int bytes) =>
        known.IsExact(Rsp) && IsReachable(known.Low(Rsp) - (ulong)bytes, bytes, write: true);

    private void Call()
    {
        if (!StackHasRoom(8) || !StackHasRoom(128))
        {
            return;
        }

        bool before = random.OneIn(2);
        int over = EmitSkipIf(before);
        int function = 0, call = 0;
        int way = before ? 0 : random.Below(3);
        if (!before)
        {
            call = way == 0 ? EmitRaw(0xE8, 0, 0, 0, 0) : EmitIndirect(way, 0x10);
            over = EmitRaw(0xE9, 0, 0, 0, 0);
            function = sequence.Length;
            Patch32(call, function);
        }

        function = sequence.Length;
        ulong stack = known.Low(Rsp);
        (ulong oldFrom, ulong oldTo) = (protectedFrom, protectedTo);
        known.Set(Rsp, stack - 8);
        protectedFrom = stack - 8;
        protectedTo = Math.Max(oldTo, stack);
        if (oldTo == 0)
        {
            protectedTo = stack;
        }

        Body(3);
        MoveStackTo(stack - 8);
        (protectedFrom, protectedTo) = (oldFrom, oldTo);
        EmitRaw(0xC3);
        known.Set(Rsp, stack);
        Patch32(over, sequence.Length);
        if (before)
        {
            Patch32(EmitRaw(0xE8, 0, 0, 0, 0), function);
        }
    }

    private int EmitSkipIf(bool wanted) => wanted ? EmitRaw(0xE9, 0, 0, 0, 0) : 0;

    /// <summary>
    /// A jump (digit 20h) or call (10h) through a register or memory to a place not known yet; gives back the end of the
    /// LEA whose displacement is to be patched.
    /// </summary>
    private int EmitIndirect(int way, int digit)
    {
        int register = FreeRegister();
        int lea = EmitRaw((byte)(0x48 | (register >> 3 << 2)), 0x8D, (byte)(5 | ((register & 7) << 3)), 0, 0, 0, 0);
        known.Forget(register);
        if (way == 1)
        {
            _ = register < 8 ? EmitRaw(0xFF, (byte)(0xC0 | digit | register)) : EmitRaw(0x41, 0xFF, (byte)(0xC0 | digit | (register & 7)));
            return lea;
        }

        // An address that nothing else knows of is used at once; on the way of a call it may lie across a page's end.
        var store = new Instruction { Code = Code.Mov_rm64_r64, Op0Kind = OpKind.Memory, Op1Kind = OpKind.Register, Op1Register = R64(register) };
        ulong slot = layout.Data + 4096 - 12 + (ulong)random.Below(16);
        if (!IsReachable(slot, 8, write: true) || slot + 8 > known.Low(Rsp) - 8 && slot < known.Low(Rsp) + 8)
        {
            slot = layout.Data + 16;
        }

        store.MemoryDisplSize = 8;
        store.MemoryDisplacement64 = slot;
        Emit(store);
        EmitRaw(0xFF, (byte)(0x04 | digit), 0x25, (byte)slot, (byte)(slot >> 8), (byte)(slot >> 16), (byte)(slot >> 24));
        return lea;
    }

    /// <summary>A jump over bytes that are no code.</summary>
    private void IndirectJump()
    {
        int way = random.Below(4);
        int end;
        if (way == 0)
        {
            end = EmitRaw(0xE9, 0, 0, 0, 0);
        }
        else if (way == 3 && StackHasRoom(16))
        {
            int register = FreeRegister();
            end = EmitRaw((byte)(0x48 | (register >> 3 << 2)), 0x8D, (byte)(5 | ((register & 7) << 3)), 0, 0, 0, 0);
            known.Forget(register);
            Emit(Instruction.Create(Code.Push_r64, R64(register)));
            EmitRaw(0xC3);
            known.Set(Rsp, known.Low(Rsp) + 8);
        }
        else
        {
            end = EmitIndirect(way == 3 ? 1 : way, 0x20);
        }

        for (int i = random.Below(4); i > 0; i--)
        {
            EmitRaw((byte)random.Next());
        }

        Patch32(end, sequence.Length);
    }

    /// <summary>A store into the immediate of an instruction to come.</summary>
    private void WriteCode()
    {
        int value = random.Below(16), end;
        bool whole = random.OneIn(2), aliased = !native && random.OneIn(3);
        if (aliased)
        {
            // Through the other mapping of the page: the address is patched in below.
            whole = true;
            end = EmitRaw((byte)(0x40 | (value >> 3 << 2)), 0x89, (byte)(4 | ((value & 7) << 3)), 0x25, 0, 0, 0, 0);
        }
        else if (whole)
        {
            end = EmitRaw((byte)(0x40 | (value >> 3 << 2)), 0x89, (byte)(5 | ((value & 7) << 3)), 0, 0, 0, 0);
        }
        else
        {
            end = EmitRaw(0x40, 0xC6, 0x05, 0, 0, 0, 0, (byte)random.Next());
        }

        if (random.OneIn(2))
        {
            Body(2);
        }

        int target = FreeRegister();
        int start = sequence.Length;
        if (random.OneIn(2))
        {
            EmitRaw((byte)(0x40 | (target >> 3)), (byte)(0xB8 + (target & 7)), 1, 2, 3, 4);
        }
        else
        {
            EmitRaw((byte)(0x48 | (target >> 3)), 0x81, (byte)(0xC0 | (target & 7)), 1, 2, 3, 4);
            known.Undefined = 0;
        }

        known.Forget(target);
        int at = sequence.Length - 4 + (whole ? 0 : random.Below(4));
        if (!native && random.OneIn(3))
        {
            // Anywhere near: opcodes as well.
            at = Math.Max(0, start - 12 + random.Below(24));
        }

        int displacement = whole ? end : end - 1;
        int to = aliased ? (int)(layout.CodeAlias + (sequence.Address - layout.Code)) + at : at - end;
        BitConverter.TryWriteBytes(sequence.Code.AsSpan(displacement - 4), to);
    }
}
