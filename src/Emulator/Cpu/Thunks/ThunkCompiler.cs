using System.Runtime.InteropServices;
using Iced.Intel;

namespace Emulator.Cpu.Thunks;

/// <summary>
/// Instructions that are pure functions of XMM, MMX, x87 and general registers, flags and one memory operand, run by the
/// host CPU itself: each shape is emitted once as a small function over <see cref="CpuState"/>. So the host is right by
/// construction, and must be x86-64. What the host does only with state of its own (control words, FXSAVE images,
/// instruction pointers) and the most frequent moves are C#.
/// </summary>
/// <remarks>
/// <para>At decode: <see cref="TryDescribe"/>. False: not ours, or not offered (then #UD). Keep <see cref="ThunkInfo.Thunk"/>
/// and <see cref="ThunkInfo.Operands"/> with the decoded instruction; both stay valid until this compiler is disposed.</para>
/// <para>At execution, in this order:</para>
/// <list type="number">
/// <item>The checks <see cref="Thunk.Class"/> names: #UD or #NM.</item>
/// <item>If <see cref="Thunk.Waits"/> and <see cref="X87State.Pending"/>: #MF, before any access to memory.</item>
/// <item>If <see cref="Thunk.Memory"/> is not None: the linear address of the memory operand (DS:rDI, or the override's
/// segment, for MASKMOVDQU and MASKMOVQ). #GP(0) (#SS(0) for the stack segment if not canonical or beyond the limit) if not
/// aligned to <see cref="Thunk.Alignment"/>. Read: load <see cref="Thunk.MemorySize"/> bytes to <see cref="CpuState.Scratch"/>.
/// ReadWrite: the same, faulting as a write would. Write: make sure the write cannot fault any more, since an x87 store pops.</item>
/// <item><c>thunk->Run(state, thunk, operands, rip, offset)</c>, with the address of this instruction and the offset of its
/// memory operand in its segment (x87 keeps them as FIP and FDP).</item>
/// <item>The outcome: <see cref="ThunkOutcome.Done"/>: if Memory is Write or ReadWrite, store MemorySize bytes from Scratch,
/// and the instruction has retired. <see cref="ThunkOutcome.DoneWithoutStore"/>: retired, store nothing. Else the fault it
/// names; nothing else has changed.</item>
/// </list>
/// <para>No thunk can fault on the host: SSE runs with every exception masked and commits nothing if one the guest has not
/// masked came up; an x87 exception only becomes pending and is raised by the next waiting instruction. MXCSR and the x87
/// control word are the runtime's again when Run is back. A thunk of the core's own making may use Scratch freely between
/// calls. Whoever restores a saved state calls <see cref="X87State.Summarize"/> and masks MXCSR with
/// <see cref="X87State.MxcsrMask"/>.</para>
/// <para>CPUID has to say: FCS and FDS are zero ((7,0):EBX bit 13), MXCSR_MASK is FFFFh, XCR0 at most 3, XSAVE area 576
/// bytes, XSAVEOPT (0Dh,1):EAX bit 0.</para>
/// <para>One compiler belongs to one thread at a time. The number of shapes is bounded by the ISA (below 30,000, of about
/// 100 bytes), whatever the guest executes.</para>
/// </remarks>
internal sealed unsafe class ThunkCompiler : IDisposable
{
    private const nuint ArenaSize = 8 << 20;
    private const int MaxThunks = 65536, ChunkSize = 512;

    private readonly HostCode arena = new(ArenaSize);
    private readonly ThunkEmitter emitter = new();
    private readonly InstructionInfoFactory facts = new();
    private readonly Dictionary<ulong, int> shapes = [];
    private readonly List<nint> chunks = [];
    private int count;

    /// <summary>
    /// Describes how to run <paramref name="instruction"/>. <paramref name="bytes"/> is its encoding (for FOP). False if it is
    /// none of ours or nothing the guest's CPUID offers.
    /// </summary>
    internal bool TryDescribe(in Instruction instruction, ReadOnlySpan<byte> bytes, out ThunkInfo info)
    {
        info = default;
        Code code = instruction.Code;
        if (!ThunkTables.IsOffered(code))
        {
            return false;
        }

        ulong key = Key(instruction, out ulong operands);
        if (!shapes.TryGetValue(key, out int index))
        {
            index = Allocate();
            *At(index) = Compile(instruction);
            shapes.Add(key, index);
        }

        Thunk* thunk = At(index);
        if ((thunk->Traits & ThunkTraits.SetsPointers) != 0)
        {
            operands |= (ulong)X87Opcode(bytes) << 32;
        }

        info = new ThunkInfo(thunk, operands);
        return true;
    }

    public void Dispose()
    {
        arena.Dispose();
        foreach (nint chunk in chunks)
        {
            NativeMemory.Free((void*)chunk);
        }

        chunks.Clear();
        shapes.Clear();
        GC.SuppressFinalize(this);
    }

    /// <summary>The last 11 bits of an x87 opcode: 3 of the first byte (no prefix looks like it), then ModRM (SDM vol. 1 §8.1.9).</summary>
    private static uint X87Opcode(ReadOnlySpan<byte> bytes)
    {
        for (int i = 0; i + 1 < bytes.Length; i++)
        {
            if (bytes[i] is >= 0xD8 and <= 0xDF)
            {
                return ((uint)(bytes[i] & 7) << 8) | bytes[i + 1];
            }
        }

        return 0;
    }

    /// <summary>What distinguishes shapes; and where the registers of this one instruction are.</summary>
    private static ulong Key(in Instruction instruction, out ulong operands)
    {
        ulong key = (ulong)instruction.Code << 32;
        if (instruction.CodeSize == CodeSize.Code64)
        {
            key |= 1 << 24;
        }

        operands = 0;
        int position = 0;
        for (int i = 0; i < instruction.OpCount; i++)
        {
            switch (instruction.GetOpKind(i))
            {
                case OpKind.Register:
                    Register register = instruction.GetOpRegister(i);
                    if (register.IsST())
                    {
                        key |= (ulong)(register - Register.ST0) << (8 + (3 * i));
                    }

                    operands |= RegisterOffset(register) << (16 * position++);
                    break;
                case OpKind.Memory:
                    key |= 1 << 16;
                    operands |= (ulong)ScratchLayout.Start << (16 * position++);
                    break;
                case OpKind.Immediate8:
                    key |= instruction.Immediate8;
                    break;
            }
        }

        return key;
    }

    private static ulong RegisterOffset(Register register)
    {
        if (register.IsXMM())
        {
            return CpuState.XmmOffset + (16 * (ulong)(register - Register.XMM0));
        }

        if (register.IsMM())
        {
            return CpuState.FxOffset + 32 + (16 * (ulong)(register - Register.MM0));
        }

        if (register is >= Register.AH and <= Register.BH)
        {
            return (8 * (ulong)(register - Register.AH)) + 1;
        }

        return register.IsGPR() ? 8 * (ulong)(register.GetFullRegister() - Register.RAX) : 0;
    }

    private Thunk Compile(in Instruction instruction)
    {
        Mnemonic mnemonic = instruction.Mnemonic;
        bool memory = instruction.Op0Kind == OpKind.Memory || instruction.Op1Kind == OpKind.Memory;
        bool xmm = HasRegister(instruction, xmm: true);
        bool mmx = HasRegister(instruction, xmm: false);
        InstructionInfo info = facts.GetInfo(instruction, InstructionInfoOptions.NoRegisterUsage | InstructionInfoOptions.NoMemoryUsage);
        bool writesOperand0 = info.Op0Access is OpAccess.Write or OpAccess.CondWrite or OpAccess.ReadWrite or OpAccess.ReadCondWrite;
        bool simd = ThunkTables.UsesMxcsr(mnemonic);
        bool flags = instruction.RflagsModified != RflagsBits.None;

        Thunk thunk = default;
        thunk.Class = Classify(instruction, xmm, mmx);
        if (ThunkTables.TryMemory(mnemonic, out int size, out thunk.Memory))
        {
            thunk.MemorySize = (ushort)size;
        }
        else if (memory)
        {
            thunk.MemorySize = (ushort)instruction.MemorySize.GetSize();
            thunk.Memory = instruction.Op0Kind == OpKind.Memory && writesOperand0 ? MemoryUse.Write : MemoryUse.Read;
        }

        thunk.Alignment = thunk.Memory == MemoryUse.None ? (byte)1 : ThunkTables.Alignment(mnemonic, thunk.MemorySize);
        if (instruction.CodeSize == CodeSize.Code64)
        {
            thunk.Traits |= ThunkTraits.LongMode;
        }

        if (mmx || (thunk.Class == ThunkClass.X87 && !instruction.Code.ToOpCode().IsFpuNoWait) || mnemonic is Mnemonic.Wait or Mnemonic.Emms)
        {
            thunk.Traits |= ThunkTraits.Waits;
        }

        thunk.Run = DirectThunks.Find(instruction.Code, memory);
        if (thunk.Run != null)
        {
            return thunk;
        }

        thunk.Traits |= flags ? ThunkTraits.WritesFlags : 0;
        if (thunk.Class == ThunkClass.X87)
        {
            thunk.Traits |= ThunkTraits.SetsPointers;
            emitter.EmitX87(instruction, flags || instruction.RflagsRead != RflagsBits.None);
            thunk.Run = &NativeRunners.X87;
        }
        else
        {
            thunk.Traits |= (mmx && writesOperand0 && instruction.Op0Register.IsMM() ? ThunkTraits.WritesMmx : 0) | ThunkTables.Underflow(mnemonic);
            emitter.EmitVector(instruction, ThunkTables.Implicit(mnemonic), simd, flags, writesOperand0);
            thunk.Run = (simd, mmx, flags) switch
            {
                (true, true, _) => &NativeRunners.SimdMmx,
                (true, false, _) => &NativeRunners.Simd,
                (false, true, _) => &NativeRunners.Mmx,
                (false, false, true) => &NativeRunners.WithFlags,
                _ => &NativeRunners.Plain,
            };
        }

        thunk.Native = arena.Add(emitter.Emitted);
        return thunk;
    }

    private static ThunkClass Classify(in Instruction instruction, bool xmm, bool mmx)
    {
        switch (instruction.Mnemonic)
        {
            case Mnemonic.Wait:
                return ThunkClass.Wait;
            case Mnemonic.Fxsave or Mnemonic.Fxsave64 or Mnemonic.Fxrstor or Mnemonic.Fxrstor64:
                return ThunkClass.X87;
            case Mnemonic.Xsave or Mnemonic.Xsave64 or Mnemonic.Xsaveopt or Mnemonic.Xsaveopt64 or Mnemonic.Xrstor or Mnemonic.Xrstor64:
                return ThunkClass.Xsave;
            case Mnemonic.Ldmxcsr or Mnemonic.Stmxcsr:
                return ThunkClass.Sse;
            case Mnemonic.Emms:
                return ThunkClass.Mmx;
        }

        return xmm ? ThunkClass.Sse
            : mmx ? ThunkClass.Mmx
            : ThunkTables.IsX87(instruction.Code) ? ThunkClass.X87
            : ThunkClass.General;
    }

    private static bool HasRegister(in Instruction instruction, bool xmm)
    {
        for (int i = 0; i < instruction.OpCount; i++)
        {
            if (instruction.GetOpKind(i) == OpKind.Register
                && (xmm ? instruction.GetOpRegister(i).IsXMM() : instruction.GetOpRegister(i).IsMM()))
            {
                return true;
            }
        }

        return false;
    }

    private Thunk* At(int index) => (Thunk*)chunks[index / ChunkSize] + (index % ChunkSize);

    private int Allocate()
    {
        if (count == MaxThunks)
        {
            throw new InvalidOperationException("More shapes of instructions than the ISA has.");
        }

        if (count == chunks.Count * ChunkSize)
        {
            chunks.Add((nint)NativeMemory.AllocZeroed(ChunkSize, (nuint)sizeof(Thunk)));
        }

        return count++;
    }
}
