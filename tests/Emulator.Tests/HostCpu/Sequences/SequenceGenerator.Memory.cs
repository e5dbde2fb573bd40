using Iced.Intel;

namespace Emulator.Tests.HostCpu.Sequences;

/// <summary>An exception to come, and what it must show.</summary>
internal readonly record struct FaultFacts(int Vector, uint Error, ulong Address);

// Memory operands: where they lie and how they are addressed.
internal sealed unsafe partial class SequenceGenerator
{
    private const ulong NonCanonical = 0x0000_9000_0000_0000;

    /// <summary>
    /// Gives the instruction's memory operand an address of <paramref name="size"/> bytes: anywhere in the data, often
    /// across a page's end; or, when a fault is wanted, where it will fault.
    /// </summary>
    private bool SetMemory(ref Instruction instruction, int size, bool write, int alignment, bool wantFault, out FaultFacts? fault)
    {
        fault = null;
        if (wantFault && alignment == 1 && random.OneIn(6))
        {
            return SetNonCanonical(ref instruction, out fault);
        }

        int shape = random.Below(12);
        bool narrow = random.OneIn(12);
        Register segment = random.Below(native ? 14 : 10) switch { 0 => Register.GS, 1 when !native => Register.FS, 2 when random.OneIn(4) => Register.DS, _ => Register.None };
        ulong segmentBase = segment == Register.GS ? layout.GsBase : segment == Register.FS ? layout.FsBase : 0;
        ulong sum = 0, span = 0;
        instruction.SegmentPrefix = segment;
        instruction.MemoryIndexScale = 1;
        if (shape >= 2)
        {
            int pointer = KnownRegister();
            instruction.MemoryBase = (narrow ? Register.EAX : Register.RAX) + pointer;
            sum = known.Low(pointer);
            span = known.High(pointer) - sum;
            int index = random.Below(16);
            if (shape >= 8 && index != Rsp && !known.IsJunk(index) && known.High(index) - known.Low(index) <= 256)
            {
                int scale = random.Below(4);
                instruction.MemoryIndex = (narrow ? Register.EAX : Register.RAX) + index;
                instruction.MemoryIndexScale = 1 << scale;
                sum += known.Low(index) << scale;
                span += (known.High(index) - known.Low(index)) << scale;
            }

            if (span != 0 && (wantFault || alignment > 1))
            {
                return false;
            }
        }

        ulong target = 0;
        bool near = false;
        bool misaligned = wantFault && alignment >= 16 && random.OneIn(3);
        for (int attempt = 0; attempt < 6 && !near && shape >= 2 && !wantFault && !narrow; attempt++)
        {
            target = sum + segmentBase + (attempt == 0 ? 0 : (ulong)(long)(sbyte)random.Next());
            near = random.OneIn(2) && IsReachable(target, size + (int)span, write) && target % (ulong)alignment == 0;
        }

        if (!near && !PickTarget(size + (int)span, write, alignment, wantFault && !misaligned, out target))
        {
            return false;
        }

        if (misaligned)
        {
            target = layout.Data + 1024 + (ulong)(1 + random.Below(15));
            fault = new FaultFacts(13, 0, 0);
        }
        else if (wantFault)
        {
            fault = PageFault(target, size, write);
        }

        ulong offset = target - segmentBase;
        if (narrow)
        {
            offset = (uint)offset;
        }

        if (shape == 0)
        {
            instruction.MemoryBase = narrow ? Register.EIP : Register.RIP;
            instruction.MemoryDisplSize = narrow ? 4 : 8;
            instruction.MemoryDisplacement64 = offset;
            return (long)(offset - sequence.Address) is > int.MinValue + 4096L and < int.MaxValue - 4096L;
        }

        long displacement = (long)(offset - sum);
        if (narrow)
        {
            // What is added stays below 4 GiB: a range must not wrap.
            displacement = (int)displacement;
        }
        else if (displacement != (int)displacement)
        {
            return false;
        }

        bool small = displacement == (sbyte)displacement && shape >= 2 && !wantFault && !random.OneIn(4);
        instruction.MemoryDisplSize = shape == 1 ? narrow ? 4 : 8 : displacement == 0 && small ? 0 : small ? 1 : narrow ? 4 : 8;
        instruction.MemoryDisplacement64 = narrow ? (uint)displacement : (ulong)displacement;
        return true;
    }

    private bool SetNonCanonical(ref Instruction instruction, out FaultFacts? fault)
    {
        int register = FreeRegister();
        Emit(Instruction.Create(Code.Mov_r64_imm64, R64(register), NonCanonical + random.Next() % 4096));
        instruction.MemoryBase = R64(register);
        instruction.MemoryIndexScale = 1;
        instruction.MemoryDisplSize = 8;
        instruction.MemoryDisplacement64 = (ulong)random.Below(4096);
        fault = new FaultFacts(register == Rbp ? 12 : 13, 0, 0);
        return true;
    }

    /// <summary>A register whose range is narrow; if there is none, one is made to point at the data.</summary>
    private int KnownRegister()
    {
        for (int attempt = 0; attempt < 12; attempt++)
        {
            int register = random.Below(16);
            if (!known.IsJunk(register) && known.High(register) - known.Low(register) <= 1024)
            {
                return register;
            }
        }

        int made = FreeRegister();
        ulong pointer = RandomPointer();
        if (random.OneIn(2))
        {
            Emit(Instruction.Create(Code.Mov_r64_imm64, R64(made), pointer));
        }
        else
        {
            Emit(Instruction.Create(Code.Mov_r32_imm32, R32(made), (uint)pointer));
        }

        return made;
    }

    private bool PickTarget(int size, bool write, int alignment, bool fault, out ulong target)
    {
        for (int attempt = 0; attempt < 8; attempt++)
        {
            target = (fault ? FaultyTarget(size, write) : GoodTarget(size, write)) & (ulong)-alignment;
            if (fault ? PageFault(target, size, write) != null : IsReachable(target, size, write))
            {
                return true;
            }
        }

        target = 0;
        return false;
    }

    private ulong GoodTarget(int size, bool write)
    {
        ulong middle = layout.Data + 4096;
        return random.Below(10) switch
        {
            0 or 1 => middle - 1 - (ulong)random.Below(Math.Max(1, size - 1)),
            2 => random.OneIn(2) ? middle : middle - (ulong)size,
            3 => layout.Aliased + (ulong)random.Below(4096),
            4 => layout.ReadOnly - (ulong)size,
            5 => write ? layout.Aliased + 4096 - (ulong)size : layout.ReadOnly - (ulong)(size / 2) + (ulong)(random.OneIn(2) ? 0 : random.Below(4096)),
            6 => layout.Data + (ulong)random.Below(8192),
            _ => middle - 96 + (ulong)random.Below(192),
        };
    }

    private ulong FaultyTarget(int size, bool write) => random.Below(6) switch
    {
        0 => layout.Absent + (ulong)random.Below(4096 - size),
        1 => layout.Absent - (ulong)random.Below(size),
        2 => layout.Data - (ulong)random.Below(size) - 1,
        3 when write => layout.ReadOnly + (ulong)random.Below(4096),
        4 when write => layout.ReadOnly - (ulong)random.Below(size),
        _ => layout.Supervisor + (ulong)random.Below(4096 - size),
    };

    /// <summary>Every byte may be accessed, and no return address is overwritten.</summary>
    private bool IsReachable(ulong target, int size, bool write)
    {
        ulong last = target + (ulong)size;
        bool inside = (target >= layout.Data && last <= (write ? layout.ReadOnly : layout.Absent))
            || (target >= layout.Aliased && last <= layout.Aliased + 4096);
        return inside && last > target && !(write && target < protectedTo && last > protectedFrom);
    }

    /// <summary>The page fault of an access; null if there is none.</summary>
    private FaultFacts? PageFault(ulong target, int size, bool write)
    {
        ulong next = (target + (ulong)size - 1) & ~0xFFFUL;
        return PageFaultAt(target, write) ?? (next > target ? PageFaultAt(next, write) : null);
    }

    private FaultFacts? PageFaultAt(ulong address, bool write)
    {
        bool user = sequence.Cpl == 3;
        ulong page = address & ~0xFFFUL;
        bool present = page != layout.Absent && page != layout.Data - 4096;
        bool allowed = page == layout.ReadOnly ? !write : page != layout.Supervisor || !user;
        return present && allowed
            ? null
            : new FaultFacts(14, (present ? 1u : 0) | (write ? 2u : 0) | (user ? 4u : 0), address);
    }
}
