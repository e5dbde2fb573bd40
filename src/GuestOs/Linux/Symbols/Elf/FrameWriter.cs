namespace GuestOs.Linux.Symbols.Elf;

/// <summary>
/// Turns ORC into call frame information (DWARF 4, chapter 6.4), a description for each function. Where ORC has nothing
/// to say inside a function, behind a call that never returns, what held before goes on: a debugger that looks up the
/// return address itself would find nothing there. Where exceptions enter, all registers are on the stack and the frame
/// is marked as a signal's, so that the interrupted instruction is looked up and not the one before it; the entries of
/// system calls are not, because debuggers show no name for such a frame. Functions that go over to an interrupt's stack
/// are told as if their frame were there: gdb takes a stack that goes backwards for corrupt, except at a signal's frame.
/// </summary>
internal sealed class FrameWriter
{
    /// <summary>Bytes written in all. Debian's kernel takes 3 MB.</summary>
    public const int MaxBytes = 1 << 27;

    private const byte Rbp = 6, Rsp = 7, ReturnAddress = 16;
    private const byte AdvanceLoc = 0x40, Offset = 0x80, Restore = 0xC0;
    private const byte AdvanceLoc1 = 2, AdvanceLoc2 = 3, AdvanceLoc4 = 4, Undefined = 7, SameValue = 8, DefCfa = 0xC, DefCfaOffset = 0xE,
        DefCfaExpression = 0xF, Expression = 0x10, OffsetExtendedSf = 0x11, ValOffset = 0x14, ValExpression = 0x16;
    private const byte OpDeref = 6, OpConstS = 0x11, OpPlus = 0x22, OpPlusConst = 0x23, OpBreg0 = 0x70;

    // DWARF's numbers of the registers in struct pt_regs, from its beginning: r15 r14 r13 r12 bp bx r11 r10 r9 r8 ax cx dx si di.
    private static readonly byte[] PtRegs = [15, 14, 13, 12, 6, 3, 11, 10, 9, 8, 0, 2, 1, 4, 5];

    // What a CPU pushes besides RIP and RSP, and its bytes above RIP: CS, RFLAGS, SS (System V ABI for x86-64, figure 3.36).
    private static readonly (byte Register, int Above)[] Pushed = [(51, 8), (49, 16), (52, 32)];
    private static readonly byte[] GeneralRegisters = [0, 1, 2, 3, 4, 5, 6, 8, 9, 10, 11, 12, 13, 14, 15];
    private static readonly string[] NamedEntries = ["entry_SYSCALL", "entry_SYSENTER", "entry_INT80", "ret_from_fork"];

    // Called by entries that are marked; others that change stacks (do_softirq, and in 5.10 asm_call_…) are marked themselves.
    private static readonly string[] CalledByEntries = ["sysvec_", "fred_sysvec_", "common_interrupt", "spurious_interrupt", "xen_pv_evtchn_do_upcall"];

    private readonly ByteBuffer frames = new(4 << 20);
    private readonly int plain, signal;
    private ulong at;
    private State state;
    private long rowsLeft;

    private readonly bool stackSwitchesOnly;

    /// <param name="stackSwitchesOnly">Only functions that go over to another stack, which compilers' own tables describe wrongly.</param>
    public FrameWriter(bool stackSwitchesOnly = false)
    {
        this.stackSwitchesOnly = stackSwitchesOnly;
        plain = WriteCommon("\0"u8, false);
        signal = WriteCommon("zS\0"u8, false);
        if (stackSwitchesOnly)
        {
            return;
        }

        int outermost = WriteCommon("\0"u8, true);

        // A call to nowhere, and user code: nobody in the kernel called that.
        WriteRange(plain, 0, 0x1000);
        WriteRange(outermost, 0x1000, 0x0000_7FFF_FFFF_F000);
    }

    private enum Rule : byte
    {
        Usual,
        AllSaved,
        InterruptFrame,
        Nobody,
        OtherStack,
    }

    public ReadOnlyMemory<byte> Written => frames.Written;

    /// <summary>Writes descriptions of the functions among <paramref name="symbols"/> that lie between two addresses.</summary>
    public void Write(SymbolTable symbols, OrcTable orc, ulong start, ulong end)
    {
        if (orc.Count == 0)
        {
            return;
        }

        // Each row belongs to one function and the next begins in the last one's; a table out of order must not be read over and over.
        rowsLeft = (2L * orc.Count) + (2L * symbols.Count);
        int symbol = Next(symbols, symbols.After(start - 1), end);
        int row = -1;
        while (symbol >= 0 && frames.Length < MaxBytes && rowsLeft > 0)
        {
            ulong from = symbols.AddressOf(symbol);
            int next = Next(symbols, symbols.After(from), end);
            ulong to = next < 0 ? end : symbols.AddressOf(next);

            // Rows go along with the functions; a table that is not in order is searched instead.
            if (row < 0 || orc.PlaceOf(row) > from)
            {
                row = orc.IndexOf(from);
            }

            while (row + 1 < orc.Count && orc.PlaceOf(row + 1) <= from)
            {
                row++;
            }

            if (row >= 0)
            {
                row = WriteFunction(symbols, symbol, orc, row, from, to);
            }

            symbol = next;
        }
    }

    private static int Next(SymbolTable symbols, int index, ulong end)
    {
        while (index < symbols.Count && symbols.AddressOf(index) < end)
        {
            if (symbols.IsText(index))
            {
                return index;
            }

            index++;
        }

        return -1;
    }

    private int WriteCommon(ReadOnlySpan<byte> augmentation, bool outermost)
    {
        int start = frames.Length;
        frames.U32(0);
        frames.U32(uint.MaxValue);
        frames.U8(1);
        frames.Bytes(augmentation);
        frames.Unsigned(1);
        frames.Signed(-8);
        frames.U8(ReturnAddress);
        if (augmentation[0] == 'z')
        {
            frames.Unsigned(0);
        }

        frames.U8(DefCfa);
        frames.Unsigned(Rsp);
        frames.Unsigned(8);
        frames.U8(outermost ? Undefined : (byte)(Offset | ReturnAddress));
        frames.Unsigned(outermost ? ReturnAddress : 1u);
        frames.U8(ValOffset);
        frames.Unsigned(Rsp);
        frames.Unsigned(0);

        // ORC keeps track of the frame pointer alone: what a caller had in the others is not known, rather than what they hold now.
        foreach (byte register in GeneralRegisters)
        {
            frames.U8(register == Rbp ? SameValue : Undefined);
            frames.Unsigned(register);
        }

        Finish(start);
        return start;
    }

    private void WriteRange(int common, ulong start, ulong length)
    {
        int at = Begin(common, start, length);
        Finish(at);
    }

    private int Begin(int common, ulong start, ulong length)
    {
        int begin = frames.Length;
        frames.U32(0);
        frames.U32((uint)common);
        frames.U64(start);
        frames.U64(length);
        if (common == signal)
        {
            frames.Unsigned(0);
        }

        return begin;
    }

    private void Finish(int start)
    {
        // Zero is "no operation".
        frames.Align(8);
        frames.Patch32(start, (uint)(frames.Length - start - 4));
    }

    private int WriteFunction(SymbolTable symbols, int symbol, OrcTable orc, int row, ulong from, ulong to)
    {
        int last = row;
        bool anyKnown = false, anySignal = false, changesStack = false;
        for (int i = row; i < orc.Count && rowsLeft > 0 && (i == row || orc.PlaceOf(i) < to); i++)
        {
            OrcRow entry = orc[i];
            anyKnown |= entry.Kind != OrcKind.Undefined;
            anySignal |= entry.Kind is OrcKind.Registers or OrcKind.InterruptFrame;
            changesStack |= entry.Kind == OrcKind.Call && entry.Sp == OrcBase.SpIndirect;
            last = i;
            rowsLeft--;
        }

        if (!anyKnown || (stackSwitchesOnly && !changesStack))
        {
            return last;
        }

        // Up to the first row that says something there is nothing to describe.
        int first = row;
        while (orc[first].Kind == OrcKind.Undefined)
        {
            first++;
        }

        ulong begin = Math.Max(from, orc.PlaceOf(first));
        ReadOnlySpan<byte> name = symbols.NameBytes(symbol);
        bool marked = (anySignal && !StartsWithAny(name, NamedEntries)) || (changesStack && !StartsWithAny(name, CalledByEntries)) || name.StartsWith("asm_call_"u8);
        int common = marked ? signal : plain;
        int start = Begin(common, begin, to - begin);
        state = State.Initial;
        at = begin;
        int before = -1;
        for (int i = first; i <= last; i++)
        {
            if (before >= 0 && orc.IsSame(before, i))
            {
                continue;
            }

            OrcRow entry = orc[i];
            ulong place = Math.Max(begin, orc.PlaceOf(i));
            if (entry.Kind != OrcKind.Undefined && place < to && place >= at)
            {
                WriteRow(entry, place);
                before = i;
            }
        }

        Finish(start);
        return last;
    }

    private static bool StartsWithAny(ReadOnlySpan<byte> name, string[] words)
    {
        foreach (string word in words)
        {
            if (name.Length >= word.Length && System.Text.Ascii.Equals(name[..word.Length], word))
            {
                return true;
            }
        }

        return false;
    }

    private void WriteRow(in OrcRow row, ulong place)
    {
        State next = State.Of(row);
        if (next == state)
        {
            return;
        }

        Advance(place);
        if (next.Rule == Rule.OtherStack)
        {
            WriteOtherStack(next);
            state = next;
            return;
        }

        if (next.Rule != state.Rule)
        {
            WriteRule(next.Rule);
        }

        if (next.Cfa != state.Cfa || next.CfaOffset != state.CfaOffset)
        {
            WriteCfa(next);
        }

        // Where all are saved RBP is among them, and the way back has restored it.
        if (next.Rule is not (Rule.AllSaved or Rule.Nobody) && (next.Bp != state.Bp || next.BpOffset != state.BpOffset || next.Rule != state.Rule))
        {
            WriteBp(next);
        }

        state = next;
    }

    private void Advance(ulong place)
    {
        ulong delta = place - at;
        at = place;
        switch (delta)
        {
            case 0:
                break;
            case < 0x40:
                frames.U8((byte)(AdvanceLoc | delta));
                break;
            case <= byte.MaxValue:
                frames.U8(AdvanceLoc1);
                frames.U8((byte)delta);
                break;
            case <= ushort.MaxValue:
                frames.U8(AdvanceLoc2);
                frames.U16((ushort)delta);
                break;
            default:
                frames.U8(AdvanceLoc4);
                frames.U32((uint)delta);
                break;
        }
    }

    private void WriteRule(Rule rule)
    {
        switch (rule)
        {
            case Rule.AllSaved:
                for (int i = 0; i < PtRegs.Length; i++)
                {
                    SavedAbove(PtRegs[i], i * 8);
                }

                WritePushed(128);
                break;
            case Rule.InterruptFrame:
                // The CPU pushed RIP CS RFLAGS RSP SS and nothing else: the other registers still hold what they held.
                foreach (byte register in GeneralRegisters)
                {
                    frames.U8(SameValue);
                    frames.Unsigned(register);
                }

                WritePushed(0);
                break;
            case Rule.Nobody:
                frames.U8(Undefined);
                frames.Unsigned(ReturnAddress);
                break;
            default:
                foreach (byte register in GeneralRegisters)
                {
                    frames.U8((byte)(Restore | register));
                }

                foreach ((byte register, _) in Pushed)
                {
                    frames.U8((byte)(Restore | register));
                }

                frames.U8(Restore | Rsp);
                frames.U8(Restore | ReturnAddress);
                break;
        }
    }

    private void WritePushed(int at)
    {
        SavedAbove(ReturnAddress, at);
        SavedAbove(Rsp, at + 24);
        foreach ((byte register, int above) in Pushed)
        {
            SavedAbove(register, at + above);
        }
    }

    // The word that RSP points at leads to the caller's stack; the frame itself is taken to end on this one.
    private void WriteOtherStack(in State next)
    {
        frames.U8(DefCfa);
        frames.Unsigned(Rsp);
        frames.Unsigned(8);
        WriteThroughStack(Expression, ReturnAddress, next.CfaOffset - 8);
        WriteThroughStack(ValExpression, Rsp, next.CfaOffset);
        if (next.Bp == OrcBase.PreviousSp)
        {
            WriteThroughStack(Expression, Rbp, next.CfaOffset + next.BpOffset);
        }
        else
        {
            WriteBp(next);
        }
    }

    private void WriteThroughStack(byte operation, byte register, int offset)
    {
        var expression = new ByteBuffer(16);
        expression.U8(OpBreg0 + Rsp);
        expression.Signed(0);
        expression.U8(OpDeref);
        Add(expression, offset);
        frames.U8(operation);
        frames.Unsigned(register);
        frames.Unsigned((uint)expression.Length);
        frames.Bytes(expression.Written.Span);
    }

    private void SavedAbove(int register, int bytes)
    {
        frames.U8(OffsetExtendedSf);
        frames.Unsigned((uint)register);
        frames.Signed(-(bytes / 8));
    }

    private void WriteCfa(in State next)
    {
        bool onRegister = next.Cfa is OrcBase.Sp or OrcBase.Bp;
        if (onRegister && next.CfaOffset >= 0)
        {
            if (next.Cfa == state.Cfa)
            {
                frames.U8(DefCfaOffset);
            }
            else
            {
                frames.U8(DefCfa);
                frames.Unsigned(next.Cfa == OrcBase.Sp ? (uint)Rsp : Rbp);
            }

            frames.Unsigned((uint)next.CfaOffset);
            return;
        }

        var expression = new ByteBuffer(16);
        int register = next.Cfa switch
        {
            OrcBase.Bp or OrcBase.BpIndirect => Rbp,
            OrcBase.Ax => 0,
            OrcBase.Dx => 1,
            OrcBase.Di => 5,
            OrcBase.R10 => 10,
            OrcBase.R13 => 13,
            _ => Rsp,
        };
        expression.U8((byte)(OpBreg0 + register));
        expression.Signed(onRegister || next.Cfa == OrcBase.BpIndirect ? next.CfaOffset : 0);
        if (next.Cfa is OrcBase.BpIndirect or OrcBase.SpIndirect)
        {
            expression.U8(OpDeref);
        }

        if (next.Cfa == OrcBase.SpIndirect)
        {
            Add(expression, next.CfaOffset);
        }

        frames.U8(DefCfaExpression);
        frames.Unsigned((uint)expression.Length);
        frames.Bytes(expression.Written.Span);
    }

    private void WriteBp(in State next)
    {
        if (next.Bp is not (OrcBase.PreviousSp or OrcBase.Bp))
        {
            frames.U8(SameValue);
            frames.Unsigned(Rbp);
        }
        else if (next.Bp == OrcBase.PreviousSp && next.BpOffset % 8 == 0 && next.BpOffset <= 0)
        {
            frames.U8(Offset | Rbp);
            frames.Unsigned((uint)(-next.BpOffset / 8));
        }
        else
        {
            // An expression begins with the CFA on its stack.
            var expression = new ByteBuffer(16);
            if (next.Bp == OrcBase.Bp)
            {
                expression.U8(OpBreg0 + Rbp);
                expression.Signed(next.BpOffset);
            }
            else
            {
                Add(expression, next.BpOffset);
            }

            frames.U8(Expression);
            frames.Unsigned(Rbp);
            frames.Unsigned((uint)expression.Length);
            frames.Bytes(expression.Written.Span);
        }
    }

    private static void Add(ByteBuffer expression, int value)
    {
        if (value >= 0)
        {
            expression.U8(OpPlusConst);
            expression.Unsigned((uint)value);
        }
        else
        {
            expression.U8(OpConstS);
            expression.Signed(value);
            expression.U8(OpPlus);
        }
    }

    private readonly record struct State(OrcBase Cfa, short CfaOffset, OrcBase Bp, short BpOffset, Rule Rule)
    {
        public static State Initial => new(OrcBase.Sp, 8, OrcBase.Undefined, 0, Rule.Usual);

        public static State Of(in OrcRow row)
        {
            Rule rule = row.Kind switch
            {
                OrcKind.Registers => Rule.AllSaved,
                OrcKind.InterruptFrame => Rule.InterruptFrame,
                OrcKind.EndOfStack => Rule.Nobody,
                OrcKind.Call when row.Sp == OrcBase.SpIndirect => Rule.OtherStack,
                _ => Rule.Usual,
            };
            return row.Sp is OrcBase.Undefined or OrcBase.PreviousSp
                ? new State(OrcBase.Sp, 8, OrcBase.Undefined, 0, Rule.Nobody)
                : new State(row.Sp, row.SpOffset, row.Bp, row.BpOffset, rule);
        }
    }
}
