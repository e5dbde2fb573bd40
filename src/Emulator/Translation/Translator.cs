using System.Runtime.Intrinsics.X86;
using Emulator.Cpu;
using Iced.Intel;

namespace Emulator.Translation;

/// <summary>
/// Turns a decoded block into host code that does the same, bit for bit, as the interpreter. Guest registers live in the
/// host registers of the same name (RSP in R9; R9, R10 and R11 in the frame), guest flags in the host's flags as far as
/// they are alive. What it does not translate, C# is called for: the interpreter runs that one instruction.
/// </summary>
internal sealed unsafe partial class Translator
{
    private static readonly bool FlagsAsAmd = IsAmd();

    private readonly CodeCache cache;
    private readonly HostEmitter hot;
    private readonly HostEmitter cold;
    private readonly Trampolines trampolines;
    private readonly uint state;
    private readonly SoftTlb tlb;
    private readonly Form[] forms = new Form[Cpu.Decoder.MaxBlockOps];
    private readonly int[] liveBefore = new int[Cpu.Decoder.MaxBlockOps + 1];
    private Block* block;
    private Op* ops;
    private AccessMode mode;
    private uint readTable;
    private uint writeTable;

    internal Translator(CodeCache cache, SoftTlb tlb)
    {
        this.cache = cache;
        this.tlb = tlb;
        hot = cache.Hot;
        cold = cache.Cold;
        trampolines = cache.Trampolines;
        state = (uint)(nuint)cache.State;
    }

    /// <summary>Blocks translated since the start.</summary>
    internal long Translated { get; private set; }

    /// <summary>Told of the host code of each block: where it is, and its bytes.</summary>
    internal Action<nint, int>? CodeEmitted { get; set; }

    /// <summary>Translates a block of 64-bit code and notes the code in it.</summary>
    internal void Translate(Block* target, Op* operations, ReadOnlySpan<Instruction> instructions, ReadOnlySpan<byte> bytes)
    {
        block = target;
        ops = operations;
        mode = ModeOf(target->Mode);
        readTable = (uint)(nuint)tlb.ReadTable(mode);
        writeTable = (uint)(nuint)tlb.WriteTable(mode);
        int count = instructions.Length;
        Classify(instructions);
        block->Code = (nint)hot.At;
        EmitEntry(count, forms.AsSpan(0, count).Contains(Form.Vector));
        hostMask = 0;
        inFrame = true;
        recipe = default;
        int at = 0;
        for (int i = 0, run; i < count; i += run)
        {
            run = EmitRun(instructions, i);
            if (run == 0)
            {
                run = 1;
                Emit(instructions[i], bytes.Slice(at, instructions[i].Length), i);
            }

            for (int done = 0; done < run; done++)
            {
                at += instructions[i + done].Length;
            }
        }

        Translated++;
        CodeEmitted?.Invoke(block->Code, (int)(hot.At - (byte*)block->Code));
    }

    /// <summary>Makes a jump inside a page go straight to its target from now on.</summary>
    internal static void Link(Site* site, Block* target)
    {
        site->Next = target->Links;
        target->Links = (uint)(nuint)site;
        byte* place = (byte*)site->Resume;
        HostEmitter.Patch(place, (byte*)target->Code);
        if (*(int*)place == 0 && place[-1] == HostEmitter.JumpOpcode)
        {
            // A jump to what stands behind it.
            HostEmitter.PatchNothing(place);
        }
    }

    /// <summary>Makes jumps that go straight to a block leave translated code again.</summary>
    internal static void Unlink(Block* target)
    {
        for (var site = (Site*)target->Links; site != null; site = (Site*)site->Next)
        {
            byte* place = (byte*)site->Resume;
            if (HostEmitter.IsNothing(place))
            {
                place[-1] = HostEmitter.JumpOpcode;
            }

            HostEmitter.Patch(place, (byte*)site->Exit);
        }

        target->Links = 0;
    }

    internal static AccessMode ModeOf(CodeMode mode) =>
        (mode & CodeMode.Unchecked) != 0 ? AccessMode.SupervisorUnchecked
        : (mode & CodeMode.Supervisor) != 0 ? AccessMode.Supervisor
        : AccessMode.User;

    private static bool IsAmd()
    {
        (_, int b, int c, int d) = X86Base.CpuId(0, 0);
        return (b, d, c) == (0x6874_7541, 0x6974_6E65, 0x444D_4163);
    }

    // The form of each instruction, and the flags alive before it.
    private void Classify(ReadOnlySpan<Instruction> instructions)
    {
        int count = instructions.Length;
        for (int i = 0; i < count; i++)
        {
            forms[i] = Operations.FormOf(instructions[i], ops + i, mode);
        }

        // Sti holds interrupts back for one instruction, which must be of the same block.
        if (forms[count - 1] == Form.SetInterrupts)
        {
            forms[count - 1] = Form.None;
        }

        liveBefore[count] = Operations.Status;
        bool again;
        do
        {
            again = false;
            int live = Operations.Status;
            for (int i = count - 1; i >= 0; i--)
            {
                ref readonly Instruction instruction = ref instructions[i];
                if (!FlagsAsAmd && forms[i] != Form.None && (Operations.Undefined(instruction) & live) != 0)
                {
                    forms[i] = Form.None;
                    again = true;
                }

                live &= ~Operations.Overwrites(instruction);
                live |= (int)instruction.RflagsRead & Operations.Status;
                if (forms[i] is Form.None or Form.Divide or Form.SetInterrupts or Form.ReadTimeStamp || MayFault(instruction, i))
                {
                    live = Operations.Status;
                }

                liveBefore[i] = live;
            }

        }
        while (again);
    }

    private bool MayFault(in Instruction instruction, int index) =>
        forms[index] is Form.Push or Form.PushFlags or Form.RepeatStore or Form.RepeatMove or Form.Pop or Form.Leave or Form.Call or Form.CallIndirect or Form.Return
        || (forms[index] is Form.Generic or Form.BitString or Form.Vector or Form.JumpIndirect
            && (instruction.Op0Kind == OpKind.Memory || instruction.Op1Kind == OpKind.Memory));

    private Site* AddSite(SiteKind kind, int index)
    {
        Site* site = cache.AddSite();
        site->Block = block;
        site->Kind = kind;
        site->Index = (ushort)index;
        return site;
    }

    private void EmitEntry(int count, bool vectors)
    {
        hot.Bytes([0x48, 0x83, 0x2C, 0x24, (byte)count]);
        hot.JumpIf(8, cold.At);
        cold.Bytes([0x48, 0x83, 0x04, 0x24, (byte)count]);
        EmitLeave(cold, AddSite(SiteKind.Budget, 0), trampolines.Leave);
        if (vectors)
        {
            hot.Bytes([0x80, 0x7C, 0x24, Trampolines.Vectors, 0]);
            hot.JumpIf(4, cold.At);
            cold.MoveConstant(Host.R11, (ulong)AddSite(SiteKind.Vectors, 0));
            cold.Call(trampolines.LoadVectors);
            cold.Jump(hot.At);
        }
    }

    private static void EmitLeave(HostEmitter e, Site* site, byte* way)
    {
        e.MoveConstant(Host.R11, (ulong)site);
        e.Jump(way);
    }

    // C# runs the instruction, in place of what is emitted for it from here on: nothing of that was executed.
    private void EmitOperationCold(int index)
    {
        SettleCold(index);
        EmitLeave(cold, AddSite(SiteKind.Operation, index), trampolines.Operation);
    }

    // C# runs the instruction, and code goes on behind it.
    private void EmitOperation(int index)
    {
        Settle();
        hostMask = 0;
        Site* site = AddSite(SiteKind.Operation, index);
        EmitLeave(hot, site, trampolines.Operation);
        site->Resume = (ops[index].Flags & OpFlags.EndsBlock) != 0 ? 0 : (uint)(nuint)hot.At;
    }
}
