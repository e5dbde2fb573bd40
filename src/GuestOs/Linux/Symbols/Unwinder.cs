namespace GuestOs.Linux.Symbols;

/// <summary>
/// Walks a stack from frame to frame by ORC, exactly as the kernel's own unwinder does (arch/x86/kernel/unwind_orc.c).
/// </summary>
internal sealed class Unwinder(KernelImage image)
{
    /// <summary>Frames of one stack. The kernel's stacks have 16 KiB, so no more than 2048 words.</summary>
    public const int MaxFrames = 1024;

    private const int PtRegsRip = 128, PtRegsRsp = 152;

    // struct pt_regs: r15 r14 r13 r12 bp bx r11 r10 r9 r8 ax cx dx si di orig_ax ip cs flags sp ss.
    private static readonly int[] PtRegs = [15, 14, 13, 12, 5, 3, 11, 10, 9, 8, 0, 1, 2, 6, 7];

    private static readonly OrcRow FramePointer = new(OrcBase.Bp, 16, OrcBase.PreviousSp, -16, OrcKind.Call, false);
    private static readonly OrcRow CalledNowhere = new(OrcBase.Sp, 8, OrcBase.Undefined, 0, OrcKind.Call, false);

    /// <summary>The frames from <paramref name="start"/> on, innermost first: at least one.</summary>
    public IReadOnlyList<StackFrame> Unwind(KernelRegisters start)
    {
        var frames = new List<StackFrame>();
        KernelRegisters registers = start.Copy();
        bool interrupted = true;
        while (frames.Count < MaxFrames)
        {
            frames.Add(image.Describe(registers.Pc, registers.Sp, interrupted));
            ulong sp = registers.Sp;
            if (!Step(registers, ref interrupted, frames.Count == 1))
            {
                break;
            }

            // A call leaves at least its return address behind, though an interrupt's stack may lie anywhere.
            if (!interrupted && registers.Sp == sp)
            {
                break;
            }
        }

        return frames;
    }

    private bool Step(KernelRegisters registers, ref bool interrupted, bool first)
    {
        ulong pc = registers.Pc;
        if (!image.TryFindRow(interrupted ? pc : pc - 1, out OrcRow row))
        {
            if (pc == 0 && first)
            {
                row = CalledNowhere;
            }
            else if (image.IsKernelAddress(pc) && registers.TryGet(KernelRegisters.Rbp, out _))
            {
                row = FramePointer;
            }
            else
            {
                return false;
            }
        }

        if (row.Kind is OrcKind.Undefined or OrcKind.EndOfStack || !TryCfa(registers, row, out ulong cfa))
        {
            return false;
        }

        switch (row.Kind)
        {
            case OrcKind.Call:
                if (!image.Memory.TryRead(cfa - 8, out ulong caller))
                {
                    return false;
                }

                TakeBp(registers, row, cfa);
                registers.KeepFrame();
                registers.Set(KernelRegisters.Rip, caller);
                registers.Set(KernelRegisters.Rsp, cfa);
                break;
            case OrcKind.Registers:
                Span<byte> saved = stackalloc byte[PtRegsRsp + 8];
                if (image.Memory.Read(cfa, saved) != saved.Length)
                {
                    return false;
                }

                for (int i = 0; i < PtRegs.Length; i++)
                {
                    registers.Set(PtRegs[i], BitConverter.ToUInt64(saved[(i * 8)..]));
                }

                registers.Set(KernelRegisters.Rip, BitConverter.ToUInt64(saved[PtRegsRip..]));
                registers.Set(KernelRegisters.Rsp, BitConverter.ToUInt64(saved[PtRegsRsp..]));
                break;
            default:
                if (!image.Memory.TryRead(cfa, out ulong rip) || !image.Memory.TryRead(cfa + (PtRegsRsp - PtRegsRip), out ulong rsp))
                {
                    return false;
                }

                TakeBp(registers, row, cfa);
                registers.Set(KernelRegisters.Rip, rip);
                registers.Set(KernelRegisters.Rsp, rsp);
                break;
        }

        interrupted = row.Signal;
        return registers.Pc != 0;
    }

    private bool TryCfa(KernelRegisters registers, in OrcRow row, out ulong cfa)
    {
        int register = row.Sp switch
        {
            OrcBase.Sp or OrcBase.SpIndirect => KernelRegisters.Rsp,
            OrcBase.Bp or OrcBase.BpIndirect => KernelRegisters.Rbp,
            OrcBase.Ax => 0,
            OrcBase.Dx => 2,
            OrcBase.Di => 7,
            OrcBase.R10 => 10,
            OrcBase.R13 => 13,
            _ => -1,
        };
        if (!registers.TryGet(register, out cfa))
        {
            return false;
        }

        ulong offset = (ulong)(long)row.SpOffset;
        switch (row.Sp)
        {
            case OrcBase.Sp or OrcBase.Bp:
                cfa = unchecked(cfa + offset);
                return true;
            case OrcBase.BpIndirect:
                return image.Memory.TryRead(unchecked(cfa + offset), out cfa);
            case OrcBase.SpIndirect:
                bool there = image.Memory.TryRead(cfa, out cfa);
                cfa = unchecked(cfa + offset);
                return there;
            default:
                return true;
        }
    }

    private void TakeBp(KernelRegisters registers, in OrcRow row, ulong cfa)
    {
        ulong at = unchecked((row.Bp == OrcBase.Bp && registers.TryGet(KernelRegisters.Rbp, out ulong bp) ? bp : cfa) + (ulong)(long)row.BpOffset);
        if (row.Bp is not (OrcBase.PreviousSp or OrcBase.Bp))
        {
            return;
        }

        if (image.Memory.TryRead(at, out ulong value))
        {
            registers.Set(KernelRegisters.Rbp, value);
        }
        else
        {
            registers.Forget(KernelRegisters.Rbp);
        }
    }
}
