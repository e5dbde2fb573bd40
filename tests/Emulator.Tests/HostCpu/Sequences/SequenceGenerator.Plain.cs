using Iced.Intel;

namespace Emulator.Tests.HostCpu.Sequences;

// Instructions that only compute and move: any opcode there is, with random operands.
internal sealed unsafe partial class SequenceGenerator
{
    private static readonly Code[] Common =
    [
        Code.Mov_r8_rm8, Code.Mov_rm8_r8, Code.Mov_r16_rm16, Code.Mov_rm16_r16, Code.Mov_r32_rm32, Code.Mov_rm32_r32, Code.Mov_r64_rm64, Code.Mov_rm64_r64,
        Code.Mov_r64_rm64, Code.Mov_rm64_r64, Code.Mov_rm32_imm32, Code.Mov_rm8_imm8, Code.Movzx_r32_rm8, Code.Movzx_r64_rm16, Code.Movsx_r32_rm8, Code.Movsxd_r64_rm32,
        Code.Lea_r64_m, Code.Lea_r64_m, Code.Lea_r32_m, Code.Lea_r16_m,
        Code.Add_r64_rm64, Code.Add_rm32_r32, Code.Add_rm8_r8, Code.Sub_r32_rm32, Code.Sub_rm64_imm8, Code.Cmp_r64_rm64, Code.Cmp_rm8_imm8, Code.Cmp_rm32_imm32,
        Code.Test_rm32_r32, Code.Test_rm8_r8, Code.Test_rm64_imm32, Code.And_r32_rm32, Code.Or_rm64_r64, Code.Xor_r32_rm32, Code.Xor_rm8_r8,
        Code.Adc_r64_rm64, Code.Adc_rm32_r32, Code.Adc_rm8_imm8, Code.Sbb_r32_rm32, Code.Sbb_rm64_r64, Code.Adc_rm64_imm8,
        Code.Inc_rm32, Code.Dec_rm64, Code.Inc_rm8, Code.Neg_rm32, Code.Not_rm64, Code.Imul_r64_rm64, Code.Imul_r32_rm32_imm8, Code.Mul_rm64, Code.Mul_rm32,
        Code.Xchg_rm64_r64, Code.Xchg_rm8_r8, Code.Xadd_rm32_r32, Code.Xadd_rm64_r64, Code.Cmpxchg_rm64_r64, Code.Cmpxchg_rm32_r32, Code.Cmpxchg_rm8_r8,
        Code.Shl_rm64_imm8, Code.Shr_rm32_CL, Code.Sar_rm64_1, Code.Rol_rm32_imm8, Code.Rcr_rm64_1, Code.Rcl_rm32_CL, Code.Shld_rm64_r64_imm8, Code.Bswap_r64, Code.Bswap_r32,
        Code.Bt_rm64_imm8, Code.Bts_rm32_r32, Code.Popcnt_r64_rm64, Code.Cdq, Code.Cqo, Code.Cwde, Code.Cdqe, Code.Lahf, Code.Sahf, Code.Stc, Code.Clc, Code.Cmc,
        Code.Movups_xmm_xmmm128, Code.Movups_xmmm128_xmm, Code.Movaps_xmm_xmmm128, Code.Movq_xmm_rm64, Code.Movq_rm64_xmm, Code.Movsd_xmm_xmmm64, Code.Movss_xmmm32_xmm,
        Code.Movdqu_xmm_xmmm128, Code.Pxor_xmm_xmmm128, Code.Addsd_xmm_xmmm64, Code.Ucomisd_xmm_xmmm64, Code.Cvttsd2si_r64_xmmm64,
    ];

    private static readonly Code[] Integers = [.. OfferedCodes.All.Where(code => IsPlain(code) && Kind(code) == 0)];
    private static readonly Code[] Vectors = [.. OfferedCodes.All.Where(code => IsPlain(code) && Kind(code) == 1)];
    private static readonly Code[] Legacy = [.. OfferedCodes.All.Where(code => IsPlain(code) && Kind(code) == 2)];
    private static readonly Code[] Divisions = [Code.Div_rm8, Code.Div_rm16, Code.Div_rm32, Code.Div_rm64, Code.Idiv_rm8, Code.Idiv_rm16, Code.Idiv_rm32, Code.Idiv_rm64];

    private static bool IsPlain(Code code)
    {
        OpCodeInfo info = code.ToOpCode();
        return code.FlowControl() == FlowControl.Next && !code.IsStackInstruction() && !code.IsStringInstruction()
            && info.Mnemonic is not (Mnemonic.Div or Mnemonic.Idiv or Mnemonic.Enter or Mnemonic.Leave or Mnemonic.Xlatb
                or Mnemonic.Maskmovq or Mnemonic.Maskmovdqu or Mnemonic.Ldmxcsr or Mnemonic.Cvtpi2ps
                or Mnemonic.Fxrstor or Mnemonic.Fxrstor64 or Mnemonic.Fldenv or Mnemonic.Frstor or Mnemonic.Fldcw
                or Mnemonic.Fnstenv or Mnemonic.Fnsave or Mnemonic.Fxsave or Mnemonic.Fxsave64);
    }

    private static int Kind(Code code)
    {
        OpCodeOperandKind[] kinds = [.. OfferedCodes.Kinds(code.ToOpCode())];
        if (OfferedCodes.WaitsForX87(code) || OfferedCodes.IsX87(code))
        {
            return 2;
        }

        return kinds.Any(kind => kind is OpCodeOperandKind.xmm_reg or OpCodeOperandKind.xmm_rm or OpCodeOperandKind.xmm_or_mem) ? 1 : 0;
    }

    private void Plain(Code[] codes)
    {
        for (int attempt = 0; attempt < 12; attempt++)
        {
            if (TryPlain(random.Pick<Code>(codes)))
            {
                return;
            }
        }
    }

    private bool TryPlain(Code code)
    {
        OpCodeInfo info = code.ToOpCode();
        var instruction = new Instruction { Code = code };

        // By a count of zero, which it has yet, RCL and RCR read nothing.
        Require(info.Mnemonic is Mnemonic.Rcl or Mnemonic.Rcr ? FlagFacts.Carry : FlagFacts.Bits(instruction.RflagsRead));
        int memory = -1;
        for (int operand = 0; operand < info.OpCount; operand++)
        {
            if (!SetOperand(ref instruction, info, operand, ref memory))
            {
                return false;
            }
        }

        if (info.Mnemonic is Mnemonic.Shld or Mnemonic.Shrd && instruction.Op1Register.GetSize() == 2
            && (instruction.Op2Kind != OpKind.Immediate8 || (instruction.Immediate8 & 31) > 16))
        {
            return false;
        }

        if (memory >= 0)
        {
            instruction.MemoryDisplSize = 4;
            instruction.MemoryDisplacement64 = layout.Data;
        }

        InstructionInfo use = facts.GetInfo(instruction);
        if (WritesPinned(use))
        {
            return false;
        }

        FaultFacts? fault = null;
        if (code is Code.Lea_r16_m or Code.Lea_r32_m or Code.Lea_r64_m)
        {
            SetAnyAddress(ref instruction);
        }
        else if (memory >= 0 && !SetMemoryOf(ref instruction, info, use.GetOpAccess(memory), out fault))
        {
            return false;
        }

        return Emit(instruction, droppable: true, fault);
    }

    private bool WritesPinned(in InstructionInfo use)
    {
        foreach (UsedRegister used in use.GetUsedRegisters())
        {
            Register full = used.Register.GetFullRegister();
            if (used.Access is OpAccess.Write or OpAccess.CondWrite or OpAccess.ReadWrite or OpAccess.ReadCondWrite
                && full is >= Register.RAX and <= Register.R15 && IsPinned(full - Register.RAX))
            {
                return true;
            }
        }

        return false;
    }

    private bool SetMemoryOf(ref Instruction instruction, OpCodeInfo info, OpAccess access, out FaultFacts? fault)
    {
        fault = null;
        int size = Math.Max(instruction.MemorySize.GetSize(), 1);
        bool touches = access is not (OpAccess.NoMemAccess or OpAccess.None);
        bool write = access is OpAccess.Write or OpAccess.CondWrite or OpAccess.ReadWrite or OpAccess.ReadCondWrite;
        bool exchanges = info.Mnemonic is Mnemonic.Xchg or Mnemonic.Cmpxchg8b or Mnemonic.Cmpxchg16b;
        instruction.HasLockPrefix = info.CanUseLockPrefix && write && random.OneIn(6);

        // Misaligned locked accesses are legal but some hosts punish them.
        int alignment = instruction.HasLockPrefix || exchanges ? size : RequiredAlignment(info, size);
        bool offsets = info.Mnemonic is Mnemonic.Bt or Mnemonic.Bts or Mnemonic.Btr or Mnemonic.Btc && instruction.Op1Kind == OpKind.Register;
        if (offsets)
        {
            Register register = instruction.Op1Register.GetFullRegister();
            if (known.IsJunk(register - Register.RAX) || known.High(register - Register.RAX) > 2040)
            {
                return false;
            }

            // The bit lies up to 255 bytes further on.
            int stillPinned = pinned;
            pinned |= 1 << (register - Register.RAX);
            bool set = SetMemory(ref instruction, size + 256, write, alignment, false, out fault);
            pinned = stillPinned;
            return set;
        }

        bool wantFault = touches && random.OneIn(native ? 60 : 30);
        return SetMemory(ref instruction, size, write, alignment, wantFault, out fault);
    }

    private static int RequiredAlignment(OpCodeInfo info, int size) => info.Mnemonic switch
    {
        Mnemonic.Movups or Mnemonic.Movupd or Mnemonic.Movdqu or Mnemonic.Lddqu or Mnemonic.Pcmpestri or Mnemonic.Pcmpestri64
            or Mnemonic.Pcmpestrm or Mnemonic.Pcmpestrm64 or Mnemonic.Pcmpistri or Mnemonic.Pcmpistrm => 1,
        _ => size == 16 ? 16 : 1,
    };

    /// <summary>LEA computes with anything.</summary>
    private void SetAnyAddress(ref Instruction instruction)
    {
        bool narrow = random.OneIn(8);
        int index = random.Below(16);
        instruction.MemoryIndexScale = 1;
        instruction.MemoryBase = (narrow ? Register.EAX : Register.RAX) + random.Below(16);
        if (index != Rsp && random.OneIn(2))
        {
            instruction.MemoryIndex = (narrow ? Register.EAX : Register.RAX) + index;
            instruction.MemoryIndexScale = 1 << random.Below(4);
        }

        int displacement = random.Below(3) switch { 0 => 0, 1 => (sbyte)random.Next(), _ => (int)random.Next() };
        instruction.MemoryDisplSize = displacement == 0 ? 0 : displacement == (sbyte)displacement ? 1 : narrow ? 4 : 8;
        instruction.MemoryDisplacement64 = narrow ? (uint)displacement : (ulong)displacement;
    }

    private bool SetOperand(ref Instruction instruction, OpCodeInfo info, int operand, ref int memory)
    {
        OpCodeOperandKind kind = info.GetOpKind(operand);
        bool register = random.Below(5) < 2;
        switch (kind)
        {
            case OpCodeOperandKind.r8_reg or OpCodeOperandKind.r8_opcode:
                return Set(ref instruction, operand, Register.AL + random.Below(20));
            case OpCodeOperandKind.r16_reg or OpCodeOperandKind.r16_rm or OpCodeOperandKind.r16_opcode or OpCodeOperandKind.r16_reg_mem:
                return Set(ref instruction, operand, Register.AX + Index(operand));
            case OpCodeOperandKind.r32_reg or OpCodeOperandKind.r32_rm or OpCodeOperandKind.r32_opcode or OpCodeOperandKind.r32_reg_mem:
                return Set(ref instruction, operand, Register.EAX + Index(operand));
            case OpCodeOperandKind.r64_reg or OpCodeOperandKind.r64_rm or OpCodeOperandKind.r64_opcode or OpCodeOperandKind.r64_reg_mem:
                return Set(ref instruction, operand, Register.RAX + Index(operand));
            case OpCodeOperandKind.r8_or_mem when register:
                return Set(ref instruction, operand, Register.AL + random.Below(20));
            case OpCodeOperandKind.r16_or_mem when register:
                return Set(ref instruction, operand, Register.AX + Index(operand));
            case OpCodeOperandKind.r32_or_mem when register:
                return Set(ref instruction, operand, Register.EAX + Index(operand));
            case OpCodeOperandKind.r64_or_mem when register:
                return Set(ref instruction, operand, Register.RAX + Index(operand));
            case OpCodeOperandKind.xmm_reg or OpCodeOperandKind.xmm_rm:
            case OpCodeOperandKind.xmm_or_mem when register:
                return Set(ref instruction, operand, Register.XMM0 + random.Below(16));
            case OpCodeOperandKind.mm_reg or OpCodeOperandKind.mm_rm:
            case OpCodeOperandKind.mm_or_mem when register:
                return Set(ref instruction, operand, Register.MM0 + random.Below(8));
            case OpCodeOperandKind.sti_opcode:
                return Set(ref instruction, operand, Register.ST0 + random.Below(8));
            case OpCodeOperandKind.st0:
                return Set(ref instruction, operand, Register.ST0);
            case OpCodeOperandKind.al:
                return Set(ref instruction, operand, Register.AL);
            case OpCodeOperandKind.cl:
                return Set(ref instruction, operand, Register.CL);
            case OpCodeOperandKind.ax:
                return Set(ref instruction, operand, Register.AX);
            case OpCodeOperandKind.eax:
                return Set(ref instruction, operand, Register.EAX);
            case OpCodeOperandKind.rax:
                return Set(ref instruction, operand, Register.RAX);
            case OpCodeOperandKind.mem or OpCodeOperandKind.r8_or_mem or OpCodeOperandKind.r16_or_mem or OpCodeOperandKind.r32_or_mem
                or OpCodeOperandKind.r64_or_mem or OpCodeOperandKind.xmm_or_mem or OpCodeOperandKind.mm_or_mem:
                instruction.SetOpKind(operand, OpKind.Memory);
                memory = operand;
                return true;
            default:
                return SetImmediate(ref instruction, operand, kind);
        }
    }

    // What comes first is most often written.
    private int Index(int operand) => operand == 0 ? FreeRegister() : random.Below(16);

    private static bool Set(ref Instruction instruction, int operand, Register register)
    {
        instruction.SetOpKind(operand, OpKind.Register);
        instruction.SetOpRegister(operand, register);
        return true;
    }

    private bool SetImmediate(ref Instruction instruction, int operand, OpCodeOperandKind kind)
    {
        OpKind opKind = kind switch
        {
            OpCodeOperandKind.imm8 or OpCodeOperandKind.imm8_const_1 => OpKind.Immediate8,
            OpCodeOperandKind.imm8sex16 => OpKind.Immediate8to16,
            OpCodeOperandKind.imm8sex32 => OpKind.Immediate8to32,
            OpCodeOperandKind.imm8sex64 => OpKind.Immediate8to64,
            OpCodeOperandKind.imm16 => OpKind.Immediate16,
            OpCodeOperandKind.imm32 => OpKind.Immediate32,
            OpCodeOperandKind.imm32sex64 => OpKind.Immediate32to64,
            OpCodeOperandKind.imm64 => OpKind.Immediate64,
            _ => OpKind.Register,
        };
        if (opKind == OpKind.Register)
        {
            return false;
        }

        ulong value = kind == OpCodeOperandKind.imm8_const_1 ? 1 : EdgeValues.Integer(random);
        instruction.SetOpKind(operand, opKind);
        instruction.SetImmediate(operand, opKind switch
        {
            OpKind.Immediate8 => (byte)value,
            OpKind.Immediate16 => (ushort)value,
            OpKind.Immediate32 => (uint)value,
            OpKind.Immediate64 => value,
            OpKind.Immediate32to64 => (ulong)(int)value,
            _ => (ulong)(sbyte)value,
        });
        return true;
    }
}
