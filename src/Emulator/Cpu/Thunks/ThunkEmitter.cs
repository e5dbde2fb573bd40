using Iced.Intel;

namespace Emulator.Cpu.Thunks;

/// <summary>
/// Emits the code of thunks for the System V calling convention: RDI is the state, RSI and RDX the addresses of the
/// operands (moved to R8, since RDX is an implicit operand of some). The instruction runs on fixed registers: XMM1/XMM2,
/// MM1/MM2 or R10/R11 for operands 0 and 1, implicit ones as they are. All of them may be clobbered by a callee.
/// </summary>
internal sealed class ThunkEmitter : CodeWriter
{
    private const int FxResult = ScratchLayout.FxResult;
    private readonly byte[] code = new byte[256];
    private readonly Encoder encoder;
    private int length;

    internal ThunkEmitter() => encoder = Encoder.Create(64, this);

    /// <summary>Code of the last thunk emitted.</summary>
    internal ReadOnlySpan<byte> Emitted => code.AsSpan(0, length);

    public override void WriteByte(byte value) => code[length++] = value;

    /// <summary>Code for an x87 computation: guest image in, instruction, guest image out to <see cref="ScratchLayout.FxResult"/>.</summary>
    internal void EmitX87(in Instruction instruction, bool flags)
    {
        length = 0;
        Emit(Instruction.Create(Code.Stmxcsr_m32, State(ScratchLayout.HostMxcsr)));
        Emit(Instruction.Create(Code.Fnstcw_m2byte, State(ScratchLayout.HostFcw)));
        Emit(Instruction.Create(Code.Fxrstor64_m512byte, State(CpuState.FxOffset)));
        if (flags)
        {
            Emit(Instruction.Create(Code.Mov_r32_rm32, Register.EAX, State(RflagsOffset)));
            Emit(Instruction.Create(Code.And_EAX_imm32, Register.EAX, ScratchLayout.StatusFlags));
            Emit(Instruction.Create(Code.Push_r64, Register.RAX));
            Emit(Instruction.Create(Code.Popfq));
        }

        Instruction fixedOperands = instruction;
        Fix(ref fixedOperands);
        Emit(fixedOperands);
        if (flags)
        {
            StoreFlags();
        }

        Emit(Instruction.Create(Code.Fxsave64_m512byte, State(FxResult)));
        Emit(Instruction.Create(Code.Fninit));
        Emit(Instruction.Create(Code.Fldcw_m2byte, State(ScratchLayout.HostFcw)));
        Emit(Instruction.Create(Code.Ldmxcsr_m32, State(ScratchLayout.HostMxcsr)));
        Emit(Instruction.Create(Code.Retnq));
    }

    /// <summary>
    /// Code for an instruction on XMM, MMX and general registers. With <paramref name="simd"/> it runs under the guest's
    /// MXCSR with everything masked; EAX comes back with the newly raised flags that the guest has not masked, and only
    /// if there are none are the results and the flags committed.
    /// </summary>
    internal void EmitVector(in Instruction instruction, ImplicitOperands implicitOperands, bool simd, bool flags, bool writesOperand0)
    {
        length = 0;
        bool mmx = instruction.Op0Register.IsMM() || instruction.Op1Register.IsMM();
        Emit(Instruction.Create(Code.Mov_r64_rm64, Register.R8, Register.RDX));
        if (simd)
        {
            LoadGuestMxcsr();
        }

        Load(instruction, 0, Register.RSI);
        Load(instruction, 1, Register.R8);
        if ((implicitOperands & ImplicitOperands.ReadsXmm0) != 0)
        {
            Emit(Instruction.Create(Code.Movups_xmm_xmmm128, Register.XMM0, State(CpuState.XmmOffset)));
        }

        if ((implicitOperands & ImplicitOperands.ReadsLengths) != 0)
        {
            Emit(Instruction.Create(Code.Mov_r64_rm64, Register.RAX, State(0)));
            Emit(Instruction.Create(Code.Mov_r64_rm64, Register.RDX, State(16)));
        }

        Instruction fixedOperands = instruction;
        Fix(ref fixedOperands);
        Emit(fixedOperands);
        if (flags)
        {
            StoreFlags();
        }

        int skip = simd ? SkipUnlessMasked() : 0;
        if (writesOperand0)
        {
            Store(instruction);
        }

        if ((implicitOperands & ImplicitOperands.WritesXmm0) != 0)
        {
            Emit(Instruction.Create(Code.Movups_xmmm128_xmm, State(CpuState.XmmOffset), Register.XMM0));
        }

        if ((implicitOperands & ImplicitOperands.WritesEcx) != 0)
        {
            Emit(Instruction.Create(Code.Mov_rm64_r64, State(8), Register.RCX));
        }

        if (simd)
        {
            code[skip] = (byte)(length - skip - 1);
        }

        if (mmx)
        {
            Emit(Instruction.Create(Code.Emms));
        }

        if (simd)
        {
            Emit(Instruction.Create(Code.Mov_r32_rm32, Register.EAX, Register.R9D));
        }

        Emit(Instruction.Create(Code.Retnq));
    }

    private const int RflagsOffset = 144, MxcsrOffset = CpuState.FxOffset + 24;

    private static MemoryOperand State(int offset) => new(Register.RDI, offset);

    private void Emit(in Instruction instruction) => encoder.Encode(instruction, 0);

    private void LoadGuestMxcsr()
    {
        Emit(Instruction.Create(Code.Stmxcsr_m32, State(ScratchLayout.HostMxcsr)));
        Emit(Instruction.Create(Code.Mov_r32_rm32, Register.EAX, State(MxcsrOffset)));
        Emit(Instruction.Create(Code.Mov_r32_rm32, Register.R9D, Register.EAX));
        Emit(Instruction.Create(Code.And_EAX_imm32, Register.EAX, 0xE040));
        Emit(Instruction.Create(Code.Or_EAX_imm32, Register.EAX, 0x1F80));
        Emit(Instruction.Create(Code.Mov_rm32_r32, State(ScratchLayout.ThunkMxcsr), Register.EAX));
        Emit(Instruction.Create(Code.Ldmxcsr_m32, State(ScratchLayout.ThunkMxcsr)));
    }

    // R9D becomes raised & ~masked; gives the position of a short jump's displacement to fill in.
    private int SkipUnlessMasked()
    {
        Emit(Instruction.Create(Code.Stmxcsr_m32, State(ScratchLayout.ThunkMxcsr)));
        Emit(Instruction.Create(Code.Ldmxcsr_m32, State(ScratchLayout.HostMxcsr)));
        Emit(Instruction.Create(Code.Mov_r32_rm32, Register.EAX, State(ScratchLayout.ThunkMxcsr)));
        Emit(Instruction.Create(Code.And_rm32_imm8, Register.EAX, X87State.Exceptions));
        Emit(Instruction.Create(Code.Shr_rm32_imm8, Register.R9D, 7));
        Emit(Instruction.Create(Code.Not_rm32, Register.R9D));
        Emit(Instruction.Create(Code.And_r32_rm32, Register.R9D, Register.EAX));
        Emit(Instruction.CreateBranch(Code.Jne_rel8_64, 2));
        int displacement = length - 1;
        Emit(Instruction.Create(Code.Or_rm32_r32, State(MxcsrOffset), Register.EAX));
        return displacement;
    }

    private void StoreFlags()
    {
        Emit(Instruction.Create(Code.Pushfq));
        Emit(Instruction.Create(Code.Pop_r64, Register.RAX));
        Emit(Instruction.Create(Code.Mov_rm64_r64, State(ScratchLayout.Flags), Register.RAX));
    }

    private void Load(in Instruction instruction, int operand, Register address)
    {
        if (operand >= instruction.OpCount || instruction.GetOpKind(operand) != OpKind.Register)
        {
            return;
        }

        Register register = instruction.GetOpRegister(operand);
        Register target = FixedRegister(register, operand);
        Code load = register.IsXMM() ? Code.Movups_xmm_xmmm128
            : register.IsMM() ? Code.Movq_mm_mmm64
            : Code.Mov_r64_rm64;
        Emit(Instruction.Create(load, register.IsGPR() ? target.GetFullRegister() : target, new MemoryOperand(address)));
    }

    private void Store(in Instruction instruction)
    {
        if (instruction.Op0Kind != OpKind.Register)
        {
            return;
        }

        Register register = instruction.Op0Register;
        Register source = FixedRegister(register, 0);
        Code store = register.IsXMM() ? Code.Movups_xmmm128_xmm
            : register.IsMM() ? Code.Movq_mmm64_mm
            : Code.Mov_rm64_r64;
        Emit(Instruction.Create(store, new MemoryOperand(Register.RSI), register.IsGPR() ? source.GetFullRegister() : source));
    }

    /// <summary>Puts the fixed registers and addresses into the instruction and takes its prefixes away.</summary>
    private static void Fix(ref Instruction instruction)
    {
        instruction.HasRepPrefix = false;
        instruction.HasRepnePrefix = false;
        instruction.HasXacquirePrefix = false;
        instruction.HasXreleasePrefix = false;
        instruction.SegmentPrefix = Register.None;
        for (int operand = 0; operand < Math.Min(instruction.OpCount, 2); operand++)
        {
            switch (instruction.GetOpKind(operand))
            {
                case OpKind.Register:
                    instruction.SetOpRegister(operand, FixedRegister(instruction.GetOpRegister(operand), operand));
                    break;
                case OpKind.Memory:
                    instruction.MemoryBase = operand == 0 ? Register.RSI : Register.R8;
                    instruction.MemoryIndex = Register.None;
                    instruction.MemoryIndexScale = 1;
                    instruction.MemoryDisplSize = 0;
                    instruction.MemoryDisplacement64 = 0;
                    break;
            }
        }
    }

    private static Register FixedRegister(Register register, int operand)
    {
        if (register.IsXMM())
        {
            return Register.XMM1 + operand;
        }

        if (register.IsMM())
        {
            return Register.MM1 + operand;
        }

        return register.GetSize() switch
        {
            _ when register.IsST() => register,
            8 => Register.R10 + operand,
            4 => Register.R10D + operand,
            2 => Register.R10W + operand,
            _ => Register.R10L + operand,
        };
    }
}

/// <summary>Operands of SSE4 instructions that their encoding does not name.</summary>
[Flags]
internal enum ImplicitOperands
{
    None = 0,

    /// <summary>BLENDVPS, BLENDVPD, PBLENDVB.</summary>
    ReadsXmm0 = 1,

    /// <summary>PCMPESTRM, PCMPISTRM.</summary>
    WritesXmm0 = 2,

    /// <summary>PCMPESTRI, PCMPISTRI.</summary>
    WritesEcx = 4,

    /// <summary>PCMPESTRI, PCMPESTRM: RAX and RDX.</summary>
    ReadsLengths = 8,
}
