using System.Numerics;
using Iced.Intel;

namespace Emulator.Tests.HostCpu;

/// <summary>
/// Makes instructions of a given opcode with random legal operands, and states in which they do not fault: memory
/// operands lie in the window, divisions fit, no exception is unmasked that would be raised at once.
/// </summary>
internal sealed unsafe class SampleGenerator : CodeWriter
{
    private const int Rax = 0, Rcx = 1, Rdx = 2, Rbx = 3, Rsp = 4, Rbp = 5, Rsi = 6, Rdi = 7;
    private const int Margin = 1280;

    private readonly DeterministicRandom random;
    private readonly HostMachine host;
    private readonly Encoder encoder;
    private readonly InstructionInfoFactory facts = new();
    private readonly List<byte> bytes = [];
    private readonly byte[] template = new byte[HostMachine.WindowSize];
    private Sample sample = null!;
    private Instruction instruction;
    private ulong memoryAddress;
    private bool hasMemory;

    internal SampleGenerator(ulong seed, HostMachine host)
    {
        random = new DeterministicRandom(seed);
        this.host = host;
        encoder = Encoder.Create(64, this);
        EdgeValues.Fill(random, template);
    }

    public override void WriteByte(byte value) => bytes.Add(value);

    /// <summary>Fills <paramref name="into"/>; an opcode that never works is a mistake of this class and throws.</summary>
    internal void Generate(Code code, Sample into)
    {
        for (int attempt = 0; attempt < 200; attempt++)
        {
            if (TryGenerate(code, into))
            {
                return;
            }
        }

        throw new InvalidOperationException($"No instance of {code} could be made.");
    }

    private bool TryGenerate(Code code, Sample into)
    {
        sample = into;
        template.CopyTo(sample.Window.AsSpan());
        RandomState(code);
        OpCodeInfo info = code.ToOpCode();
        instruction = default;
        instruction.Code = code;
        hasMemory = false;
        for (int operand = 0; operand < info.OpCount; operand++)
        {
            if (!SetOperand(info, operand, info.GetOpKind(operand)))
            {
                return false;
            }
        }

        SetPrefixes(info);
        bytes.Clear();
        if (!encoder.TryEncode(instruction, host.InstructionAddress, out _, out _))
        {
            return false;
        }

        sample.Bytes = [.. bytes];
        var decoder = Decoder.Create(64, sample.Bytes, host.InstructionAddress);
        decoder.Decode(out sample.Instruction);
        return sample.Instruction.Code == code && LeavesTheStackAlone() && SetValues();
    }

    private ulong Window(int offset) => host.WindowAddress + (ulong)offset;

    private Span<byte> At(ulong address, int size) => sample.Window.AsSpan((int)(address - host.WindowAddress), size);

    private void RandomState(Code code)
    {
        ref UserState state = ref sample.State;
        state = default;
        state.Rip = host.InstructionAddress;
        for (int i = 0; i < 16; i++)
        {
            state.Gpr[i] = EdgeValues.Integer(random);
        }

        state.Gpr[Rsp] = Window(4096 + (random.OneIn(8) ? random.Below(64) : 8 * random.Below(16)) - 64);
        state.Rflags = UserState.FixedFlags | (random.Next() & UserState.UserFlags);
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
        int masks = random.OneIn(2) ? 0x3F : (int)random.Next() & 0x3F;
        state.Fcw = (ushort)(0x40 | masks | (random.OneIn(2) ? 0x300 : (int)random.Next() & 0x1F00));
        int flags = (int)random.Next() & 0x477F;
        if (OfferedCodes.WaitsForX87(code) || !(OfferedCodes.IsX87(code) || code.ToOpCode().IsFpuNoWait))
        {
            flags &= ~0x3F | masks;
        }

        int summary = (flags & ~masks & 0x3F) != 0 ? 0x8080 : 0;
        state.Fsw = (ushort)((flags & 0x477F) | (random.OneIn(2) ? 0 : random.Below(8) << 11) | summary);
        state.Ftw = (byte)(random.Below(3) switch { 0 => 0xFF, 1 => 0, _ => (int)random.Next() });
    }

    private bool SetOperand(OpCodeInfo info, int operand, OpCodeOperandKind kind)
    {
        switch (kind)
        {
            case OpCodeOperandKind.r8_reg or OpCodeOperandKind.r8_opcode:
                return SetRegister(operand, RandomByteRegister());
            case OpCodeOperandKind.r16_reg or OpCodeOperandKind.r16_rm or OpCodeOperandKind.r16_opcode or OpCodeOperandKind.r16_reg_mem:
                return SetRegister(operand, Register.AX + random.Below(16));
            case OpCodeOperandKind.r32_reg or OpCodeOperandKind.r32_rm or OpCodeOperandKind.r32_opcode or OpCodeOperandKind.r32_reg_mem:
                return SetRegister(operand, Register.EAX + random.Below(16));
            case OpCodeOperandKind.r64_reg or OpCodeOperandKind.r64_rm or OpCodeOperandKind.r64_opcode or OpCodeOperandKind.r64_reg_mem:
                return SetRegister(operand, Register.RAX + random.Below(16));
            case OpCodeOperandKind.r8_or_mem:
                return random.OneIn(2) ? SetRegister(operand, RandomByteRegister()) : SetMemory(info, operand);
            case OpCodeOperandKind.r16_or_mem:
                return random.OneIn(2) ? SetRegister(operand, Register.AX + random.Below(16)) : SetMemory(info, operand);
            case OpCodeOperandKind.r32_or_mem:
                return random.OneIn(2) ? SetRegister(operand, Register.EAX + random.Below(16)) : SetMemory(info, operand);
            case OpCodeOperandKind.r64_or_mem:
                return random.OneIn(2) ? SetRegister(operand, Register.RAX + random.Below(16)) : SetMemory(info, operand);
            case OpCodeOperandKind.xmm_reg or OpCodeOperandKind.xmm_rm:
                return SetRegister(operand, Register.XMM0 + random.Below(16));
            case OpCodeOperandKind.xmm_or_mem:
                return random.OneIn(2) ? SetRegister(operand, Register.XMM0 + random.Below(16)) : SetMemory(info, operand);
            case OpCodeOperandKind.mm_reg or OpCodeOperandKind.mm_rm:
                return SetRegister(operand, Register.MM0 + random.Below(8));
            case OpCodeOperandKind.mm_or_mem:
                return random.OneIn(2) ? SetRegister(operand, Register.MM0 + random.Below(8)) : SetMemory(info, operand);
            case OpCodeOperandKind.sti_opcode:
                return SetRegister(operand, Register.ST0 + random.Below(8));
            case OpCodeOperandKind.st0:
                return SetRegister(operand, Register.ST0);
            case OpCodeOperandKind.al:
                return SetRegister(operand, Register.AL);
            case OpCodeOperandKind.cl:
                return SetRegister(operand, Register.CL);
            case OpCodeOperandKind.ax:
                return SetRegister(operand, Register.AX);
            case OpCodeOperandKind.eax:
                return SetRegister(operand, Register.EAX);
            case OpCodeOperandKind.rax:
                return SetRegister(operand, Register.RAX);
            case OpCodeOperandKind.imm8:
                return SetImmediate(operand, OpKind.Immediate8);
            case OpCodeOperandKind.imm8_const_1:
                instruction.SetOpKind(operand, OpKind.Immediate8);
                instruction.Immediate8 = 1;
                return true;
            case OpCodeOperandKind.imm8sex16:
                return SetImmediate(operand, OpKind.Immediate8to16);
            case OpCodeOperandKind.imm8sex32:
                return SetImmediate(operand, OpKind.Immediate8to32);
            case OpCodeOperandKind.imm8sex64:
                return SetImmediate(operand, OpKind.Immediate8to64);
            case OpCodeOperandKind.imm16:
                return SetImmediate(operand, OpKind.Immediate16);
            case OpCodeOperandKind.imm32:
                return SetImmediate(operand, OpKind.Immediate32);
            case OpCodeOperandKind.imm32sex64:
                return SetImmediate(operand, OpKind.Immediate32to64);
            case OpCodeOperandKind.imm64:
                return SetImmediate(operand, OpKind.Immediate64);
            case OpCodeOperandKind.mem:
                return SetMemory(info, operand);
            case OpCodeOperandKind.mem_offs:
                PickAddress(info);
                instruction.SetOpKind(operand, OpKind.Memory);
                instruction.MemoryDisplSize = 8;
                instruction.MemoryDisplacement64 = memoryAddress;
                return true;
            case OpCodeOperandKind.seg_rSI:
                instruction.SetOpKind(operand, OpKind.MemorySegRSI);
                sample.State.Gpr[Rsi] = Window(Margin + random.Below(HostMachine.WindowSize - (2 * Margin)));
                return true;
            case OpCodeOperandKind.es_rDI or OpCodeOperandKind.seg_rDI:
                instruction.SetOpKind(operand, kind == OpCodeOperandKind.es_rDI ? OpKind.MemoryESRDI : OpKind.MemorySegRDI);
                sample.State.Gpr[Rdi] = Window(Margin + random.Below(HostMachine.WindowSize - (2 * Margin)));
                return true;
            case OpCodeOperandKind.seg_rBX_al:
                instruction.SetOpKind(operand, OpKind.Memory);
                instruction.MemoryBase = Register.RBX;
                instruction.MemoryIndex = Register.AL;
                sample.State.Gpr[Rbx] = Window(Margin + random.Below(4096));
                return true;
            case OpCodeOperandKind.br64_1 or OpCodeOperandKind.br64_4:
                instruction.SetOpKind(operand, OpKind.NearBranch64);
                instruction.NearBranch64 = host.BranchTarget;
                return true;
            default:
                throw new NotSupportedException($"{info.Code}: operands of kind {kind}.");
        }
    }

    private Register RandomByteRegister() => Register.AL + random.Below(20);

    private bool SetRegister(int operand, Register register)
    {
        instruction.SetOpKind(operand, OpKind.Register);
        instruction.SetOpRegister(operand, register);
        return true;
    }

    private bool SetImmediate(int operand, OpKind kind)
    {
        instruction.SetOpKind(operand, kind);
        ulong value = EdgeValues.Integer(random);
        if (instruction.Mnemonic == Mnemonic.Enter)
        {
            value = operand == 0 ? value & 0x1FF : value & 3;
        }

        switch (kind)
        {
            case OpKind.Immediate8:
                instruction.Immediate8 = (byte)value;
                break;
            case OpKind.Immediate16:
                instruction.Immediate16 = (ushort)value;
                break;
            case OpKind.Immediate32:
                instruction.Immediate32 = (uint)value;
                break;
            case OpKind.Immediate64:
                instruction.Immediate64 = value;
                break;
            case OpKind.Immediate8to16:
                instruction.Immediate8to16 = (sbyte)value;
                break;
            case OpKind.Immediate8to32:
                instruction.Immediate8to32 = (sbyte)value;
                break;
            case OpKind.Immediate8to64:
                instruction.Immediate8to64 = (sbyte)value;
                break;
            default:
                instruction.Immediate32to64 = (int)value;
                break;
        }

        // The second immediate of ENTER.
        if (instruction.Mnemonic == Mnemonic.Enter && operand == 1)
        {
            instruction.SetOpKind(1, OpKind.Immediate8_2nd);
            instruction.Immediate8_2nd = (byte)value;
        }

        return true;
    }

    private void PickAddress(OpCodeInfo info)
    {
        int size = Math.Max(info.MemorySize.GetSize(), 1);
        int alignment = RequiredAlignment(info, size);
        int offset = random.OneIn(4)
            ? 4096 - random.Below(size + 2)
            : Margin + random.Below(HostMachine.WindowSize - (2 * Margin) - 512);
        memoryAddress = Window(offset & -alignment);
        hasMemory = true;
    }

    // Misaligned locked accesses are legal but some hosts punish them.
    private static int RequiredAlignment(OpCodeInfo info, int size) => info.Mnemonic switch
    {
        Mnemonic.Movups or Mnemonic.Movupd or Mnemonic.Movdqu or Mnemonic.Lddqu or Mnemonic.Pcmpestri or Mnemonic.Pcmpestri64
            or Mnemonic.Pcmpestrm or Mnemonic.Pcmpestrm64 or Mnemonic.Pcmpistri or Mnemonic.Pcmpistrm => 1,
        _ when size == 16 || info.Code.ToOpCode().MemorySize is MemorySize.Fxsave_512Byte or MemorySize.Fxsave64_512Byte => 16,
        _ when info.CanUseLockPrefix || info.Mnemonic == Mnemonic.Xchg => size,
        _ => 1,
    };

    private bool SetMemory(OpCodeInfo info, int operand)
    {
        PickAddress(info);
        instruction.SetOpKind(operand, OpKind.Memory);
        instruction.MemoryIndexScale = 1;
        bool narrow = random.OneIn(8);
        int shape = random.Below(8);
        if (shape == 0)
        {
            instruction.MemoryBase = narrow ? Register.EIP : Register.RIP;
            instruction.MemoryDisplSize = narrow ? 4 : 8;
            instruction.MemoryDisplacement64 = memoryAddress;
            return true;
        }

        if (shape == 1)
        {
            instruction.MemoryDisplSize = 4;
            instruction.MemoryDisplacement64 = memoryAddress;
            return true;
        }

        int baseRegister = random.Below(16);
        int indexRegister = shape >= 5 ? random.Below(16) : Rsp;
        if (indexRegister == baseRegister)
        {
            return false;
        }

        int displacement = shape is 2 or 5 ? 0 : random.OneIn(2) || baseRegister == Rsp ? random.Below(256) - 128 : (int)random.Next();
        ulong address = memoryAddress - (ulong)displacement;
        if (indexRegister != Rsp)
        {
            int scale = random.Below(4);
            instruction.MemoryIndex = (narrow ? Register.EAX : Register.RAX) + indexRegister;
            instruction.MemoryIndexScale = 1 << scale;
            if (baseRegister == Rsp)
            {
                sample.State.Gpr[indexRegister] = (ulong)random.Below(16);
            }

            address -= sample.State.Gpr[indexRegister] << scale;
        }

        instruction.MemoryBase = (narrow ? Register.EAX : Register.RAX) + baseRegister;
        instruction.MemoryDisplSize = displacement == 0 ? 0 : displacement == (sbyte)displacement ? 1 : narrow ? 4 : 8;
        instruction.MemoryDisplacement64 = narrow ? (uint)displacement : (ulong)displacement;
        sample.State.Gpr[baseRegister] = narrow && baseRegister != Rsp ? (uint)address | (random.Next() << 32) : address;
        return true;
    }

    private void SetPrefixes(OpCodeInfo info)
    {
        if (instruction.IsStringInstruction)
        {
            // REP is known as F3 to all of them, REPNE (F2) to the two that compare.
            int prefix = random.Below(3);
            instruction.HasRepPrefix = prefix == 1;
            instruction.HasRepnePrefix = prefix == 2 && info.CanUseRepnePrefix;
            if (prefix != 0)
            {
                sample.State.Gpr[Rcx] = (ulong)random.Below(12);
            }
        }
        else if (info.CanUseLockPrefix && instruction.Op0Kind == OpKind.Memory && random.OneIn(3))
        {
            instruction.HasLockPrefix = true;
        }

        if (hasMemory && random.OneIn(16))
        {
            instruction.SegmentPrefix = random.Pick<Register>([Register.ES, Register.CS, Register.SS, Register.DS]);
        }
    }

    /// <summary>RSP may be an operand as long as it stays where the host can have its stack.</summary>
    private bool LeavesTheStackAlone()
    {
        InstructionInfo info = facts.GetInfo(sample.Instruction);
        if (sample.Instruction.Mnemonic is Mnemonic.Leave or Mnemonic.Enter)
        {
            sample.State.Gpr[Rbp] = Window(4096 + (8 * random.Below(16)));
        }

        for (int i = 0; i < sample.Instruction.OpCount; i++)
        {
            if (sample.Instruction.GetOpKind(i) == OpKind.Register
                && sample.Instruction.GetOpRegister(i).GetFullRegister() == Register.RSP
                && info.GetOpAccess(i) is not (OpAccess.Read or OpAccess.CondRead or OpAccess.NoMemAccess or OpAccess.None))
            {
                return false;
            }
        }

        return true;
    }

    private bool SetValues()
    {
        ref Instruction i = ref sample.Instruction;
        if (hasMemory)
        {
            int size = Math.Max(i.MemorySize.GetSize(), 1);
            int length = Math.Min(size + 16, 528);
            EdgeValues.Fill(random, At(memoryAddress, size >= 10 ? size : length));
        }

        EdgeValues.Fill(random, At(sample.State.Gpr[Rsp] & ~7UL, 64));
        switch (i.Mnemonic)
        {
            case Mnemonic.Bt or Mnemonic.Bts or Mnemonic.Btr or Mnemonic.Btc when hasMemory && i.Op1Kind == OpKind.Register:
                return LimitBitOffset();
            case Mnemonic.Div or Mnemonic.Idiv:
                return DivisionFits();
            case Mnemonic.Shld or Mnemonic.Shrd when i.Op1Register.GetSize() == 2:
                return ShiftCount() <= 16;
            case Mnemonic.Ldmxcsr:
                return MaskMxcsr(memoryAddress);
            case Mnemonic.Fxrstor or Mnemonic.Fxrstor64:
                return MaskMxcsr(memoryAddress + 24);
            case Mnemonic.Popf or Mnemonic.Popfq:
                BitConverter.TryWriteBytes(At(sample.State.Gpr[Rsp], 8), UserState.FixedFlags | (random.Next() & UserState.UserFlags));
                return true;
            case Mnemonic.Ret:
                BitConverter.TryWriteBytes(At(sample.State.Gpr[Rsp], 8), host.BranchTarget);
                return true;
            case Mnemonic.Cmpxchg or Mnemonic.Cmpxchg8b or Mnemonic.Cmpxchg16b when random.OneIn(2):
                return MakeEqual();
        }

        return i.FlowControl is not (FlowControl.IndirectBranch or FlowControl.IndirectCall) || PointAtBranchTarget();
    }

    private bool PointAtBranchTarget()
    {
        if (sample.Instruction.Op0Kind == OpKind.Register)
        {
            Register register = sample.Instruction.Op0Register;
            if (register == Register.RSP)
            {
                return false;
            }

            sample.State.Gpr[register - Register.RAX] = host.BranchTarget;
            return true;
        }

        // CALL [RSP] and the like would overwrite what they read; that is fine, but RSP's own window must not move.
        BitConverter.TryWriteBytes(At(memoryAddress, 8), host.BranchTarget);
        return true;
    }

    private bool LimitBitOffset()
    {
        Register offset = sample.Instruction.Op1Register;
        Register full = offset.GetFullRegister();
        if (full == sample.Instruction.MemoryBase.GetFullRegister() || full == sample.Instruction.MemoryIndex.GetFullRegister() || full == Register.RSP)
        {
            return false;
        }

        // Within 1000 bytes to either side.
        sample.State.Gpr[full - Register.RAX] = (ulong)(random.Below(16000) - 8000);
        return true;
    }

    private int ShiftCount()
    {
        bool immediate = sample.Instruction.Op2Kind == OpKind.Immediate8;
        return (immediate ? sample.Instruction.Immediate8 : (int)sample.State.Gpr[Rcx]) & 31;
    }

    private bool MaskMxcsr(ulong address)
    {
        uint value = BitConverter.ToUInt32(At(address, 4));
        BitConverter.TryWriteBytes(At(address, 4), (value & 0xFFFF) | 0x1F80);
        return true;
    }

    private bool MakeEqual()
    {
        if (!hasMemory)
        {
            Register destination = sample.Instruction.Op0Register;
            sample.State.Gpr[Rax] = destination.GetFullRegister() == Register.RSP ? 0 : sample.State.Gpr[destination.GetFullRegister() - Register.RAX];
            return true;
        }

        if (sample.Instruction.MemoryBase.GetFullRegister() is Register.RAX or Register.RDX
            || sample.Instruction.MemoryIndex.GetFullRegister() is Register.RAX or Register.RDX)
        {
            return true;
        }

        Span<byte> memory = At(memoryAddress, 16);
        bool narrow = sample.Instruction.Mnemonic == Mnemonic.Cmpxchg8b;
        sample.State.Gpr[Rax] = BitConverter.ToUInt64(memory);
        sample.State.Gpr[Rdx] = narrow ? BitConverter.ToUInt32(memory[4..]) : BitConverter.ToUInt64(memory[8..]);
        return true;
    }

    private bool DivisionFits()
    {
        ref Instruction i = ref sample.Instruction;
        bool signed = i.Mnemonic == Mnemonic.Idiv;
        int size = i.Op0Kind == OpKind.Memory ? i.MemorySize.GetSize() : i.Op0Register.GetSize();
        Span<byte> operand = stackalloc byte[8];
        operand.Clear();
        if (i.Op0Kind == OpKind.Memory)
        {
            At(memoryAddress, size).CopyTo(operand);
        }
        else
        {
            ulong register = i.Op0Register is >= Register.AH and <= Register.BH
                ? sample.State.Gpr[i.Op0Register - Register.AH] >> 8
                : sample.State.Gpr[i.Op0Register.GetFullRegister() - Register.RAX];
            BitConverter.TryWriteBytes(operand, register);
        }

        var divisor = new BigInteger(operand[..size], isUnsigned: !signed);
        Span<byte> wide = stackalloc byte[16];
        BitConverter.TryWriteBytes(wide, sample.State.Gpr[Rax]);
        if (size > 1)
        {
            BitConverter.TryWriteBytes(wide[size..], sample.State.Gpr[Rdx]);
        }

        var dividend = new BigInteger(wide[..(2 * size)], isUnsigned: !signed);
        if (divisor.IsZero)
        {
            return false;
        }

        BigInteger quotient = BigInteger.Divide(dividend, divisor);
        BigInteger limit = BigInteger.One << ((8 * size) - (signed ? 1 : 0));
        return signed ? quotient < limit && quotient >= -limit : quotient < limit;
    }
}
