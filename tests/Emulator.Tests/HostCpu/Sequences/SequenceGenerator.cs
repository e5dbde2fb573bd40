using Iced.Intel;

namespace Emulator.Tests.HostCpu.Sequences;

/// <summary>
/// Makes random sequences of 64-bit code from a seed. Sequences for the host never read a flag the architecture leaves
/// undefined, and memory operands lie where the generator says: it knows for each register a value, a range, or nothing,
/// keeps a few pointers out of the way of other instructions, and follows branches and loops with that knowledge. Where it
/// wants a fault, the instruction faults whenever it is reached. Sequences that only engines of ours run are freer.
/// </summary>
internal sealed unsafe partial class SequenceGenerator : CodeWriter
{
    private const int Rax = 0, Rcx = 1, Rdx = 2, Rbx = 3, Rsp = 4, Rbp = 5, Rsi = 6, Rdi = 7;

    /// <summary>How many contents of the data pages there are.</summary>
    internal const int DataVariants = 32;

    private readonly SequenceLayout layout;
    private readonly bool native;
    private readonly Encoder encoder;
    private readonly InstructionInfoFactory facts = new();
    private readonly byte[] encoded = new byte[32];
    private int encodedLength;
    private DeterministicRandom random = new(0);
    private Sequence sequence = null!;
    private Knowledge known;
    private int pinned;
    private int depth;
    private bool failed;
    private bool learned;

    // Bytes of the stack that hold a return address still to be used.
    private ulong protectedFrom, protectedTo;

    /// <param name="layout">Where the sequences stand.</param>
    /// <param name="native">They are to run on the host, too.</param>
    internal SequenceGenerator(SequenceLayout layout, bool native)
    {
        this.layout = layout;
        this.native = native;
        encoder = Encoder.Create(64, this);
    }

    public override void WriteByte(byte value) => encoded[encodedLength++] = value;

    /// <summary>Fills the prepared contents of three data pages.</summary>
    internal static byte[][] MakeData(ulong seed)
    {
        var random = new DeterministicRandom(seed);
        byte[][] data = new byte[DataVariants][];
        for (int i = 0; i < DataVariants; i++)
        {
            data[i] = new byte[3 * SequenceLayout.PageSize];
            for (int at = 0; at < data[i].Length; at += 32)
            {
                EdgeValues.Fill(random, data[i].AsSpan(at, 32));
            }
        }

        return data;
    }

    /// <summary>The sequence number <paramref name="index"/> of a seed, whatever was made before.</summary>
    internal void Generate(ulong seed, int index, Sequence into)
    {
        random = new DeterministicRandom(seed ^ ((ulong)(uint)index << 32) ^ 0x5EC5);
        do
        {
            Start(seed, index, into);
            int items = 2 + random.Below(random.OneIn(4) ? 23 : 12);
            for (int i = 0; i < items && !failed && sequence.Length < 600; i++)
            {
                Item();
            }

            sequence.Exits.Sort((a, b) => a.Offset.CompareTo(b.Offset));
            sequence.Exits.Add(new SequenceExit(sequence.Length, 5, -1, 0, 0, known.Undefined, sequence.Items.Count));
            ReadOnlySpan<byte> tail = [0xF4, 0x90, 0x90, 0x90, 0x90];
            tail.CopyTo(sequence.Code.AsSpan(sequence.Length));
        }
        while (failed || sequence.Items.Count == 0 || sequence.Exits.Count > NativeRunner.MaximumExits);
    }

    private void Start(ulong seed, int index, Sequence into)
    {
        sequence = into;
        sequence.Seed = seed;
        sequence.Index = index;
        sequence.Length = 0;
        sequence.Items.Clear();
        sequence.Exits.Clear();
        sequence.IsStraight = true;
        sequence.Cpl = random.OneIn(3) ? 0 : 3;
        sequence.DataVariant = random.Below(DataVariants);

        // Some across a page's end, most anywhere.
        int offset = random.OneIn(6)
            ? (SequenceLayout.PageSize * (1 + random.Below(3))) - random.Below(200)
            : random.Below((SequenceLayout.CodePages * SequenceLayout.PageSize) - Sequence.MaximumLength - 64);
        sequence.Address = layout.Code + (ulong)offset;
        if (offset + Sequence.MaximumLength + 64 > SequenceLayout.CodePages * SequenceLayout.PageSize)
        {
            sequence.Address -= Sequence.MaximumLength + 64;
        }

        failed = false;
        depth = 0;
        protectedFrom = protectedTo = 0;
        known = default;
        pinned = 1 << Rsp;
        RandomState();
    }

    private void RandomState()
    {
        ref UserState state = ref sequence.State;
        state = default;
        state.Rip = sequence.Address;
        for (int i = 0; i < 16; i++)
        {
            state.Gpr[i] = EdgeValues.Integer(random);
            known.Forget(i);
        }

        int pointers = 1 + random.Below(4);
        for (int i = 0; i < pointers; i++)
        {
            Initially(random.Below(16), RandomPointer(), pin: i < 2);
        }

        Initially(random.Below(16), (ulong)random.Below(200), pin: random.OneIn(2));
        Initially(Rsp, RandomStack(), pin: true);
        state.Rflags = UserState.FixedFlags | (random.Next() & UserState.UserFlags);
        known.Direction = (state.Rflags & 0x400) != 0 ? 1 : -1;
        fixed (byte* fx = state.Fx)
        {
            for (int i = 0; i < 8; i++)
            {
                EdgeValues.FillExtended(random, new Span<byte>(fx + 32 + (16 * i), 16));
            }

            for (int i = 0; i < 16; i++)
            {
                EdgeValues.Fill(random, new Span<byte>(fx + 160 + (16 * i), 16));
            }
        }

        state.Mxcsr = 0x1F80 | (random.OneIn(2) ? 0 : (uint)random.Next() & 0xE07F);
        state.Fcw = (ushort)(0x7F | (random.OneIn(2) ? 0x300 : (int)random.Next() & 0x0F00));
        state.Fsw = (ushort)(random.OneIn(2) ? 0 : random.Below(8) << 11);
        state.Ftw = (byte)(random.Below(3) switch { 0 => 0xFF, 1 => 0, _ => (int)random.Next() });
    }

    private void Initially(int register, ulong value, bool pin)
    {
        sequence.State.Gpr[register] = value;
        known.Set(register, value);
        pinned |= pin ? 1 << register : 0;
    }

    private ulong RandomPointer() => random.Below(8) switch
    {
        0 => layout.Aliased + (ulong)random.Below(4000),
        1 or 2 or 3 => layout.Data + 4096 - 64 + (ulong)random.Below(128),
        4 => layout.ReadOnly - (ulong)random.Below(64),
        _ => layout.Data + (ulong)random.Below(8100),
    };

    private ulong RandomStack()
    {
        ulong at = random.Below(4) switch
        {
            0 => layout.Aliased + 2048,
            1 => layout.Data + 600 + (ulong)random.Below(6000),
            _ => layout.Data + 4096 - 64 + (ulong)random.Below(128),
        };
        return random.OneIn(8) ? at : at & ~7UL;
    }

    private bool IsPinned(int register) => (pinned >> register & 1) != 0;

    /// <summary>A register other instructions may overwrite.</summary>
    private int FreeRegister()
    {
        int register;
        do
        {
            register = random.Below(16);
        }
        while (IsPinned(register));
        return register;
    }

    private static Register R64(int register) => Register.RAX + register;

    private static Register R32(int register) => Register.EAX + register;

    private bool Emit(in Instruction instruction, bool droppable = false, FaultFacts? fault = null)
    {
        if (sequence.Length > Sequence.MaximumLength - 64)
        {
            failed = true;
            return false;
        }

        ulong rip = sequence.EndAddress;
        encodedLength = 0;
        if (!encoder.TryEncode(instruction, rip, out _, out _))
        {
            return false;
        }

        int padding = fault == null ? 0 : Math.Max(0, 5 - encodedLength);
        int start = sequence.Length;
        sequence.Code.AsSpan(start, padding).Fill(0x3E);
        encoded.AsSpan(0, encodedLength).CopyTo(sequence.Code.AsSpan(start + padding));
        int length = padding + encodedLength;
        ulong undefined = known.Undefined;
        if (fault is { } facts)
        {
            sequence.Exits.Add(new SequenceExit(start, length, facts.Vector, facts.Error, facts.Address, undefined, sequence.Items.Count));
        }
        else
        {
            Learn(instruction);
            droppable &= !learned && (undefined & ~known.Undefined) == 0;
        }

        sequence.Items.Add(new SequenceItem(start, length, droppable && fault == null));
        sequence.Length += length;
        return true;
    }

    /// <summary>Bytes that change nothing the generator follows.</summary>
    private int EmitRaw(params ReadOnlySpan<byte> bytes)
    {
        bytes.CopyTo(sequence.Code.AsSpan(sequence.Length));
        sequence.Items.Add(new SequenceItem(sequence.Length, bytes.Length, false));
        sequence.Length += bytes.Length;
        sequence.IsStraight = false;
        failed |= sequence.Length > Sequence.MaximumLength - 64;
        return sequence.Length;
    }

    private void Patch8(int end, int target)
    {
        int distance = target - end;
        failed |= distance is > 127 or < -128;
        sequence.Code[end - 1] = (byte)distance;
    }

    private void Patch32(int end, int target) => BitConverter.TryWriteBytes(sequence.Code.AsSpan(end - 4), target - end);

    /// <summary>Follows what an instruction writes.</summary>
    private void Learn(in Instruction instruction)
    {
        Knowledge before = known;
        foreach (UsedRegister used in facts.GetInfo(instruction).GetUsedRegisters())
        {
            Register full = used.Register.GetFullRegister();
            bool writes = used.Access is OpAccess.Write or OpAccess.CondWrite or OpAccess.ReadWrite or OpAccess.ReadCondWrite;
            if (writes && full is >= Register.RAX and <= Register.R15)
            {
                known.Forget(full - Register.RAX);
            }
        }

        int stack = instruction.StackPointerIncrement;
        if (stack != 0 && instruction.Mnemonic is not (Mnemonic.Leave or Mnemonic.Enter) && before.IsExact(Rsp))
        {
            known.Set(Rsp, before.Low(Rsp) + (ulong)stack);
        }

        learned = LearnValue(instruction, before);
        known.Undefined = FlagFacts.UndefinedAfter(instruction, before.Undefined);
        switch (instruction.Mnemonic)
        {
            case Mnemonic.Cld:
                known.Direction = -1;
                learned = true;
                break;
            case Mnemonic.Std:
                known.Direction = 1;
                learned = true;
                break;
        }
    }

    private bool LearnValue(in Instruction i, in Knowledge before)
    {
        if (i.Op0Kind != OpKind.Register || i.Op0Register.GetSize() < 4)
        {
            return false;
        }

        int target = i.Op0Register.GetFullRegister() - Register.RAX;
        if (target is < 0 or > 15)
        {
            return false;
        }

        bool wide = i.Op0Register.GetSize() == 8;
        switch (i.Mnemonic)
        {
            case Mnemonic.Mov when i.Op1Kind is OpKind.Immediate64 or OpKind.Immediate32 or OpKind.Immediate32to64:
                known.Set(target, wide ? i.GetImmediate(1) : (uint)i.GetImmediate(1));
                return true;
            case Mnemonic.Mov when wide && i.Op1Kind == OpKind.Register && i.Op1Register is >= Register.RAX and <= Register.R15:
                known.Copy(target, i.Op1Register - Register.RAX);
                return !known.IsJunk(target);
            case Mnemonic.Movzx when i.Op1Kind == OpKind.Register ? i.Op1Register.GetSize() == 1 : i.MemorySize.GetSize() == 1:
                known.SetRange(target, 0, 255);
                return true;
            case Mnemonic.And when i.Op1Kind is OpKind.Immediate8to32 or OpKind.Immediate8to64 && (sbyte)i.Immediate8 >= 0:
                known.SetRange(target, 0, i.Immediate8);
                return true;
            case Mnemonic.Add or Mnemonic.Sub when wide && i.Op1Kind is OpKind.Immediate8to64 or OpKind.Immediate32to64 && before.IsExact(target):
                ulong amount = i.GetImmediate(1);
                known.Set(target, i.Mnemonic == Mnemonic.Add ? before.Low(target) + amount : before.Low(target) - amount);
                return true;
            case Mnemonic.Lea when wide && i.MemoryBase == Register.RIP:
                known.Set(target, i.MemoryDisplacement64);
                return true;
            case Mnemonic.Lea when wide && i.MemoryIndex == Register.None && i.MemoryBase is >= Register.RAX and <= Register.R15:
                int from = i.MemoryBase - Register.RAX;
                if (before.IsJunk(from))
                {
                    return false;
                }

                known.SetRange(target, before.Low(from) + i.MemoryDisplacement64, before.High(from) + i.MemoryDisplacement64);
                return true;
            default:
                return false;
        }
    }

    /// <summary>Makes flags defined where the host is the oracle and the next instruction will read them.</summary>
    private void Require(ulong flags)
    {
        if (!native || (known.Undefined & flags) == 0)
        {
            return;
        }

        int a = random.Below(16), b = random.Below(16);
        _ = random.Below(3) switch
        {
            0 => Emit(Instruction.Create(Code.Cmp_rm64_r64, R64(a), R64(b))),
            1 => Emit(Instruction.Create(Code.Cmp_rm32_imm8, R32(a), random.Below(256) - 128)),
            _ => Emit(Instruction.Create(Code.Cmp_r8_rm8, Register.AL + random.Below(4), Register.AL + random.Below(4))),
        };
    }
}
