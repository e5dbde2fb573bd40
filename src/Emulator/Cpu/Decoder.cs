using System.Runtime.InteropServices;
using Emulator.Cpu.Thunks;
using Emulator.Memory;
using Iced.Intel;

namespace Emulator.Cpu;

/// <summary>Turns guest code into blocks of <see cref="Op"/>: Iced decodes, <see cref="OpTable"/> picks the function.</summary>
internal sealed unsafe class Decoder : IDisposable
{
    /// <summary>Operations in a block at the most.</summary>
    internal const int MaxBlockOps = 48;

    private const int MaxInstructionLength = 15;

    private readonly Vcpu cpu;
    private readonly PageReader reader = new();
    private readonly Iced.Intel.Decoder[] decoders;
    private readonly Op* ops = (Op*)NativeMemory.AlignedAlloc((nuint)(MaxBlockOps * sizeof(Op)), 64);
    private readonly Instruction[] instructions = new Instruction[MaxBlockOps];
    private readonly InstructionInfoFactory infos = new();
    private readonly ThunkCompiler thunks = new();
    private readonly Block* crossing;
    private readonly Op* crossingOp;
    private readonly byte[] page = new byte[GuestMemory.PageSize + MaxInstructionLength];

    internal Decoder(Vcpu cpu)
    {
        this.cpu = cpu;
        decoders = [Create(16), Create(32), Create(64)];
        crossing = (Block*)NativeMemory.AllocZeroed((nuint)sizeof(Block));
        crossingOp = (Op*)NativeMemory.AlignedAlloc((nuint)sizeof(Op), 64);
        crossing->Ops = crossingOp;

        Iced.Intel.Decoder Create(int bitness) => Iced.Intel.Decoder.Create(bitness, reader, DecoderOptions.None);
    }

    /// <summary>
    /// Decodes the block at a linear address. False: fetching raised a fault. An instruction that crosses into the next
    /// page makes a block of its own, which is the right one only as long as the same page stands behind.
    /// </summary>
    internal bool TryDecode(ulong linear, ulong physicalPage, CodeMode mode, ulong csBase, HashSet<ulong> breakpoints, out Block* block)
    {
        int offset = (int)(linear & 0xFFF);
        bool inRam = cpu.TryReadCode(physicalPage, offset, page.AsSpan(offset, GuestMemory.PageSize - offset));
        Iced.Intel.Decoder decoder = DecoderOf(mode);
        reader.Reset(page, offset, GuestMemory.PageSize);
        ulong rip = linear - csBase;
        if ((mode & CodeMode.Bits64) == 0)
        {
            rip = (uint)rip;
        }

        decoder.IP = rip;
        ulong start = rip;
        int count = 0;
        while (count < MaxBlockOps)
        {
            if (count > 0 && breakpoints.Count != 0 && breakpoints.Contains(linear + (rip - start)))
            {
                break;
            }

            int instructionStart = reader.Position;
            ref Instruction instruction = ref instructions[count];
            decoder.Decode(out instruction);
            if (decoder.LastError == DecoderError.NoMoreBytes)
            {
                if (count == 0)
                {
                    return TryDecodeCrossing(decoder, linear, physicalPage, inRam, instructionStart, start, mode, csBase, breakpoints, out block);
                }

                break;
            }

            Translate(instruction, instructionStart, rip, mode, out ops[count]);
            rip = decoder.IP;
            count++;
            if ((ops[count - 1].Flags & OpFlags.EndsBlock) != 0 || reader.Position >= GuestMemory.PageSize)
            {
                break;
            }
        }

        Block decoded = new()
        {
            Count = (ushort)count,
            Rip = start,
            CsBase = csBase,
            PhysicalPage = physicalPage,
            Mode = mode,
            Breakpoint = breakpoints.Contains(linear) ? (byte)1 : (byte)0,
            Granules = BlockCache.Granules(offset, (int)(rip - start)),
        };
        if (!inRam)
        {
            crossing->Breakpoint = decoded.Breakpoint;
            crossing->Count = 1;
            *crossingOp = ops[0];
            block = crossing;
            return true;
        }

        cpu.MakeRoom();
        ReadOnlySpan<byte> bytes = page.AsSpan(offset, (int)(rip - start));
        block = cpu.Blocks.Add(decoded, bytes, out bool firstOfPage);
        if (firstOfPage)
        {
            cpu.CodePageAdded(physicalPage);
        }

        if ((mode & CodeMode.Bits64) != 0 && cpu.Translator is { } translator)
        {
            translator.Translate(block, ops, instructions.AsSpan(0, count), bytes);
        }
        else
        {
            cpu.Blocks.Keep(block, new ReadOnlySpan<Op>(ops, count));
        }

        return true;
    }

    /// <summary>
    /// The operations of a block that has none: decoded again from its bytes. They are the block's from then on, or, where there is
    /// no room for that, stand until something is decoded again.
    /// </summary>
    internal Op* Redecode(Block* block)
    {
        int offset = (int)((block->Rip + block->CsBase) & 0xFFF);
        new ReadOnlySpan<byte>(block->Bytes, block->Size).CopyTo(page.AsSpan(offset));
        Iced.Intel.Decoder decoder = DecoderOf(block->Mode);
        reader.Reset(page, offset, offset + block->Size);
        decoder.IP = block->Rip;
        for (int i = 0; i < block->Count; i++)
        {
            int position = reader.Position;
            ulong rip = decoder.IP;
            decoder.Decode(out Instruction instruction);
            Translate(instruction, position, rip, block->Mode, out ops[i]);
        }

        cpu.Blocks.Keep(block, new ReadOnlySpan<Op>(ops, block->Count));
        return block->Ops != null ? block->Ops : ops;
    }

    private Iced.Intel.Decoder DecoderOf(CodeMode mode) => decoders[(mode & CodeMode.Bits64) != 0 ? 2 : (mode & CodeMode.Bits32) != 0 ? 1 : 0];

    private bool TryDecodeCrossing(
        Iced.Intel.Decoder decoder, ulong linear, ulong physicalPage, bool firstInRam, int offset, ulong rip, CodeMode mode, ulong csBase,
        HashSet<ulong> breakpoints, out Block* block)
    {
        block = crossing;
        if (!cpu.TryTranslateFetch(NextPage(linear, mode), out ulong nextPage))
        {
            return false;
        }

        bool inRam = cpu.TryReadCode(nextPage, 0, page.AsSpan(GuestMemory.PageSize, MaxInstructionLength));
        reader.Reset(page, offset, page.Length);
        decoder.IP = rip;
        decoder.Decode(out Instruction instruction);
        Translate(instruction, offset, rip, mode, out *ops);
        var decoded = new Block
        {
            Count = 1,
            Rip = rip,
            CsBase = csBase,
            PhysicalPage = physicalPage,
            Mode = mode,
            Breakpoint = breakpoints.Contains(linear) ? (byte)1 : (byte)0,
            Granules = BlockCache.Granules(offset, GuestMemory.PageSize - offset),
        };
        int tail = offset + instruction.Length - GuestMemory.PageSize;
        if (!firstInRam || !inRam || tail <= 0)
        {
            *crossing = decoded;
            *crossingOp = *ops;
            crossing->Ops = crossingOp;
            return true;
        }

        block = cpu.Blocks.Add(decoded, page.AsSpan(offset, instruction.Length), out bool firstOfPage);
        cpu.Blocks.Keep(block, new ReadOnlySpan<Op>(ops, 1));
        if (firstOfPage)
        {
            cpu.CodePageAdded(physicalPage);
        }

        if (cpu.Blocks.AddTail(block, nextPage, tail))
        {
            cpu.CodePageAdded(nextPage);
        }

        return true;
    }

    /// <summary>Where an instruction that crosses out of the page of an address goes on.</summary>
    internal static ulong NextPage(ulong linear, CodeMode mode)
    {
        ulong next = (linear & ~0xFFFUL) + GuestMemory.PageSize;
        return (mode & CodeMode.Bits64) != 0 ? next : (uint)next;
    }

    private void Translate(in Instruction instruction, int position, ulong rip, CodeMode mode, out Op op)
    {
        op = default;
        op.Rip = rip;
        op.Length = (byte)instruction.Length;
        op.Code = (ushort)instruction.Code;
        op.Base = CpuState.ZeroRegister;
        op.Index = CpuState.ZeroRegister;
        op.SegmentBase = SegmentBaseOf(SegmentIndex.Flat);
        op.Segment = SegmentIndex.Ds;
        op.LinearShift = (mode & CodeMode.Bits64) != 0 ? (byte)0 : (byte)32;
        if (instruction.HasRepPrefix)
        {
            op.Flags |= OpFlags.Rep;
        }

        if (instruction.HasRepnePrefix)
        {
            op.Flags |= OpFlags.Repne;
        }

        if (instruction.HasLockPrefix)
        {
            op.Flags |= OpFlags.Lock;
        }

        if (instruction.IsInvalid || !CpuFeatures.Offers(instruction))
        {
            // What the decoder gave up on after 15 bytes is too long, which is #GP (SDM vol. 2A §2.3.11).
            op.Run = instruction.IsInvalid && instruction.Length >= MaxInstructionLength ? &Fault.TooLong : &Fault.Undefined;
            op.Flags |= OpFlags.EndsBlock | OpFlags.Undefined;
            return;
        }

        for (int i = 0; i < instruction.OpCount; i++)
        {
            if (instruction.GetOpKind(i) == OpKind.Memory)
            {
                SetMemory(instruction, mode, ref op);
            }
        }

        if (instruction.FlowControl != FlowControl.Next)
        {
            op.Flags |= OpFlags.EndsBlock;
        }

        op.Run = OpTable.Select(instruction, page.AsSpan(position, instruction.Length), mode, thunks, ref op);
        if ((mode & CodeMode.Checked) != 0 && op.MemorySize != 0 && instruction.Mnemonic is not (Mnemonic.Lea or Mnemonic.Nop))
        {
            op.Inner = op.Run;
            op.Run = &CheckedMemory;
        }
    }

    /// <summary>Byte offset in <see cref="CpuState"/> of a segment's base.</summary>
    internal static ushort SegmentBaseOf(int index) => (ushort)(CpuState.SegmentsOffset + (index * 16) + 8);

    /// <summary>Byte offset in <see cref="CpuState"/> of a general register of any width.</summary>
    internal static byte RegisterOffset(Register register)
    {
        if (register is >= Register.AH and <= Register.BH)
        {
            return (byte)(((register - Register.AH) * 8) + 1);
        }

        return (byte)(register.GetFullRegister().GetNumber() * 8);
    }

    /// <summary>The number of a segment register.</summary>
    internal static byte SegmentNumber(Register register) => (byte)(register - Register.ES);

    private void SetMemory(in Instruction instruction, CodeMode mode, ref Op op)
    {
        op.MemorySize = (byte)Math.Min(instruction.MemorySize.GetSize(), 255);
        if (op.MemorySize == 0)
        {
            // Operands whose size Iced does not say (FXSAVE and the like) are checked by their family.
            op.MemorySize = 1;
        }

        Register baseRegister = instruction.MemoryBase;
        int addressBits = baseRegister == Register.RIP ? 64
            : baseRegister == Register.EIP ? 32
            : AddressBits(baseRegister, instruction);
        op.AddressShift = (byte)(64 - addressBits);
        op.Disp = (long)instruction.MemoryDisplacement64;
        if (baseRegister is not (Register.None or Register.RIP or Register.EIP))
        {
            op.Base = (byte)(baseRegister.GetNumber() * 8);
        }

        if (instruction.MemoryIndex != Register.None)
        {
            op.Index = (byte)(instruction.MemoryIndex.GetNumber() * 8);
            op.Scale = (byte)System.Numerics.BitOperations.Log2((uint)instruction.MemoryIndexScale);
        }

        SetSegment(instruction.MemorySegment, mode, ref op);
        InstructionInfoFlags(instruction, ref op);
    }

    /// <summary>Makes the memory operand go through a segment.</summary>
    internal static void SetSegment(Register segment, CodeMode mode, ref Op op)
    {
        op.Segment = SegmentNumber(segment);
        bool flat = (mode & CodeMode.Bits64) != 0 && segment is not (Register.FS or Register.GS);
        op.SegmentBase = SegmentBaseOf(flat ? SegmentIndex.Flat : op.Segment);
    }

    private static int AddressBits(Register baseRegister, in Instruction instruction)
    {
        Register register = baseRegister != Register.None ? baseRegister : instruction.MemoryIndex;
        if (register != Register.None)
        {
            return register.GetSize() * 8;
        }

        return instruction.MemoryDisplSize * 8;
    }

    private void InstructionInfoFlags(in Instruction instruction, ref Op op)
    {
        for (int i = 0; i < instruction.OpCount; i++)
        {
            if (instruction.GetOpKind(i) != OpKind.Memory)
            {
                continue;
            }

            OpAccess access = AccessOf(instruction, i);
            if (access is OpAccess.Write or OpAccess.CondWrite or OpAccess.ReadWrite or OpAccess.ReadCondWrite)
            {
                op.Flags |= OpFlags.Writes;
            }

            if (access is OpAccess.Read or OpAccess.CondRead or OpAccess.ReadWrite or OpAccess.ReadCondWrite)
            {
                op.Flags |= OpFlags.Reads;
            }
        }
    }

    private OpAccess AccessOf(in Instruction instruction, int operand) =>
        infos.GetInfo(instruction, InstructionInfoOptions.NoMemoryUsage | InstructionInfoOptions.NoRegisterUsage).GetOpAccess(operand);

    // Legacy code whose data segments are not all flat: limit and rights come before the access itself.
    private static Step CheckedMemory(CpuState* s, Op* op)
    {
        uint offset = (uint)Operand.Offset(s, op);
        return Segmentation.TryCheck(s, op->Segment, offset, op->MemorySize, (op->Flags & OpFlags.Writes) != 0)
            ? op->Inner(s, op)
            : Step.Fault;
    }

    public void Dispose()
    {
        thunks.Dispose();
        NativeMemory.Free(crossing);
        NativeMemory.AlignedFree(crossingOp);
        NativeMemory.AlignedFree(ops);
    }

    private sealed class PageReader : CodeReader
    {
        private byte[] bytes = [];
        private int end;

        internal int Position { get; private set; }

        internal void Reset(byte[] source, int start, int stop)
        {
            bytes = source;
            Position = start;
            end = stop;
        }

        public override int ReadByte() => Position < end ? bytes[Position++] : -1;
    }
}
