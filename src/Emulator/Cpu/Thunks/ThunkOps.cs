using Iced.Intel;

namespace Emulator.Cpu.Thunks;

/// <summary>
/// Operations of the interpreter that run a thunk: the checks, the memory operand, the outcome, in the order
/// <see cref="ThunkCompiler"/> asks for. <see cref="Op.Data"/> is the thunk, <see cref="Op.Imm"/> its operands.
/// </summary>
internal static unsafe class ThunkOps
{
    /// <summary>Makes <paramref name="op"/> run the instruction as a thunk; false if it is none.</summary>
    internal static bool TrySelect(ThunkCompiler compiler, in Instruction instruction, ReadOnlySpan<byte> bytes, CodeMode mode, ref Op op)
    {
        if (!compiler.TryDescribe(instruction, bytes, out ThunkInfo info))
        {
            return false;
        }

        Thunk* thunk = info.Thunk;
        op.Data = (nint)thunk;
        op.Imm = info.Operands;
        if (instruction.Op0Kind is OpKind.MemorySegRDI or OpKind.MemorySegEDI or OpKind.MemorySegDI)
        {
            op.Base = Registers.Rdi;
            op.AddressShift = instruction.Op0Kind switch { OpKind.MemorySegRDI => 0, OpKind.MemorySegEDI => 32, _ => 48 };
            Decoder.SetSegment(instruction.MemorySegment, mode, ref op);
        }

        if (thunk->Memory != MemoryUse.None)
        {
            op.MemorySize = (byte)Math.Min((int)thunk->MemorySize, byte.MaxValue);
        }

        op.Run = thunk->Class == ThunkClass.Sse
            ? thunk->Memory switch
            {
                MemoryUse.None => &SseRegisters,
                MemoryUse.Read => &SseLoad,
                MemoryUse.Write => &SseStore,
                _ => &Any,
            }
            : &Any;
        return true;
    }

    /// <summary>SSE without a memory operand.</summary>
    private static Step SseRegisters(CpuState* s, Op* op)
    {
        var thunk = (Thunk*)op->Data;
        if (!SseAllowed(s))
        {
            return SseRefused(s);
        }

        ThunkOutcome outcome = thunk->Run(s, thunk, op->Imm, 0, 0);
        return outcome == ThunkOutcome.Done ? Step.Next : Raise(s, outcome);
    }

    /// <summary>SSE that reads its memory operand.</summary>
    private static Step SseLoad(CpuState* s, Op* op)
    {
        var thunk = (Thunk*)op->Data;
        if (!SseAllowed(s))
        {
            return SseRefused(s);
        }

        ulong linear = Operand.Linear(s, op);
        if ((linear & (ulong)(thunk->Alignment - 1)) != 0)
        {
            return Fault.Protection(s);
        }

        if (!Operand.TryLoadBytes(s, op, linear, s->Scratch, thunk->MemorySize))
        {
            return Step.Fault;
        }

        ThunkOutcome outcome = thunk->Run(s, thunk, op->Imm, 0, 0);
        return outcome == ThunkOutcome.Done ? Step.Next : Raise(s, outcome);
    }

    /// <summary>SSE that writes its memory operand: it changes nothing else, so the store may still fault.</summary>
    private static Step SseStore(CpuState* s, Op* op)
    {
        var thunk = (Thunk*)op->Data;
        if (!SseAllowed(s))
        {
            return SseRefused(s);
        }

        ulong linear = Operand.Linear(s, op);
        if ((linear & (ulong)(thunk->Alignment - 1)) != 0)
        {
            return Fault.Protection(s);
        }

        thunk->Run(s, thunk, op->Imm, 0, 0);
        return Operand.TryStoreBytes(s, op, linear, s->Scratch, thunk->MemorySize) ? Step.Next : Step.Fault;
    }

    /// <summary>Everything else.</summary>
    private static Step Any(CpuState* s, Op* op)
    {
        var thunk = (Thunk*)op->Data;
        if (!Allowed(s, thunk->Class))
        {
            return Refused(s, thunk->Class);
        }

        if (thunk->Waits && X87State.Pending(s))
        {
            return Raise(s, ThunkOutcome.MathFault);
        }

        ulong linear = 0, offset = 0;
        bool stores = thunk->Memory is MemoryUse.Write or MemoryUse.ReadWrite;
        if (thunk->Memory != MemoryUse.None)
        {
            offset = Operand.Offset(s, op);
            linear = Operand.Linear(s, op);
            if ((linear & (ulong)(thunk->Alignment - 1)) != 0)
            {
                return Fault.Protection(s);
            }

            // A store that pops must not fault afterwards; one of general registers changes nothing else.
            bool loads = thunk->Memory != MemoryUse.Write || thunk->Class != ThunkClass.General;
            if (loads && !(stores
                ? Vcpu.Of(s).LoadBytesSlow(op, linear, s->Scratch, thunk->MemorySize, forStore: true)
                : Operand.TryLoadBytes(s, op, linear, s->Scratch, thunk->MemorySize)))
            {
                return Step.Fault;
            }
        }

        ThunkOutcome outcome = thunk->Run(s, thunk, op->Imm, op->Rip, offset);
        switch (outcome)
        {
            case ThunkOutcome.Done:
                return !stores || Operand.TryStoreBytes(s, op, linear, s->Scratch, thunk->MemorySize) ? Step.Next : Step.Fault;
            case ThunkOutcome.DoneWithoutStore:
                return Step.Next;
            default:
                return Raise(s, outcome);
        }
    }

    private static bool SseAllowed(CpuState* s) =>
        (s->Cr0 & (ControlRegisters.Em | ControlRegisters.Ts)) == 0 && (s->Cr4 & ControlRegisters.OsFxsr) != 0;

    private static Step SseRefused(CpuState* s) =>
        (s->Cr0 & ControlRegisters.Em) != 0 || (s->Cr4 & ControlRegisters.OsFxsr) == 0
            ? Fault.Raise(s, Fault.InvalidOpcode)
            : Fault.Raise(s, Fault.DeviceNotAvailable);

    private static bool Allowed(CpuState* s, ThunkClass thunkClass) => thunkClass switch
    {
        ThunkClass.General => true,
        ThunkClass.Sse => SseAllowed(s),
        ThunkClass.Wait => (s->Cr0 & (ControlRegisters.Mp | ControlRegisters.Ts)) != (ControlRegisters.Mp | ControlRegisters.Ts),
        ThunkClass.Xsave => (s->Cr4 & ControlRegisters.OsXsave) != 0 && (s->Cr0 & ControlRegisters.Ts) == 0,
        _ => (s->Cr0 & (ControlRegisters.Em | ControlRegisters.Ts)) == 0,
    };

    private static Step Refused(CpuState* s, ThunkClass thunkClass)
    {
        bool undefined = thunkClass switch
        {
            ThunkClass.Sse => (s->Cr0 & ControlRegisters.Em) != 0 || (s->Cr4 & ControlRegisters.OsFxsr) == 0,
            ThunkClass.Mmx => (s->Cr0 & ControlRegisters.Em) != 0,
            ThunkClass.Xsave => (s->Cr4 & ControlRegisters.OsXsave) == 0,
            _ => false,
        };
        return Fault.Raise(s, undefined ? Fault.InvalidOpcode : Fault.DeviceNotAvailable);
    }

    private static Step Raise(CpuState* s, ThunkOutcome outcome) => outcome switch
    {
        ThunkOutcome.MathFault => Fault.Raise(s, Fault.MathFault),
        ThunkOutcome.SimdFault => Fault.Raise(s, (s->Cr4 & ControlRegisters.OsXmmExcept) != 0 ? Fault.SimdException : Fault.InvalidOpcode),
        _ => Fault.Protection(s),
    };
}
