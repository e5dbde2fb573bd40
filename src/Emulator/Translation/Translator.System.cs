using Emulator.Cpu;

namespace Emulator.Translation;

// System instructions that are frequent and change nothing that translated code depends on.
internal sealed unsafe partial class Translator
{
    private const int Or = 1, And = 4, ShiftLeft = 4;

    private void EmitSystem(Form form, Op* op, int index)
    {
        switch (form)
        {
            case Form.ClearInterrupts:
                BeforeClobber(index);
                EmitRflags(And, ~(int)Cpu.Flags.If);
                break;
            case Form.SetInterrupts:
                EmitSetInterrupts(index);
                break;
            case Form.ClearDirection:
                BeforeClobber(index);
                EmitRflags(And, ~(int)Cpu.Flags.Df);
                break;
            case Form.SwapGs:
                uint active = state + Cpu.Decoder.SegmentBaseOf(SegmentIndex.Gs), other = state + CpuState.KernelGsBaseOffset;
                hot.RegAbsolute(LoadMove, Host.R10, active);
                hot.RegAbsolute(LoadMove, Host.R11, other);
                hot.RegAbsolute(StoreMove, Host.R10, other);
                hot.RegAbsolute(StoreMove, Host.R11, active);
                break;
            case Form.ReadTimeStamp:
                EmitReadTimeStamp(op, index);
                break;
            case Form.ReadSelector:
                EmitReadSelector(op);
                break;
            case Form.ReadControl:
                uint offset = op->Data switch { 0 => CpuState.Cr0Offset, 2 => CpuState.Cr2Offset, 3 => CpuState.Cr3Offset, _ => CpuState.Cr4Offset };
                int host = HostOf(op->Dst / 8);
                hot.RegAbsolute(LoadMove, host < 0 ? Host.R10 : host, state + offset);
                Keep(op->Dst / 8, Host.R10);
                break;
            default:
                EmitPushFlags(index);
                break;
        }
    }

    // An operation with a constant on the low half of RFLAGS, whose status flags stand elsewhere.
    private void EmitRflags(int operation, int value)
    {
        hot.Bytes([0x81, (byte)(0x04 | (operation << 3)), 0x25]);
        hot.Int32((int)state + Trampolines.RflagsOffset);
        hot.Int32(value);
    }

    // With something to look at between instructions C# decides. Else nothing can come before the next one is done, whose block this is.
    private void EmitSetInterrupts(int index)
    {
        BeforeClobber(index);
        EmitCompare(CpuState.AttentionOffset, 0);
        hot.JumpIf(5, cold.At);
        EmitOperationCold(index);
        EmitRflags(Or, (int)Cpu.Flags.If);
    }

    // cmp dword [state + offset], value
    private void EmitCompare(int offset, byte value)
    {
        hot.Bytes([0x83, 0x3C, 0x25]);
        hot.Int32((int)state + offset);
        hot.Byte(value);
    }

    // The count is what it will be at the end of the budget, less what is left of it, less what of this block is to come.
    private void EmitReadTimeStamp(Op* op, int index)
    {
        if (mode == AccessMode.User)
        {
            BeforeClobber(index);
            // test dword [CR4], TSD
            hot.Bytes([0xF7, 0x04, 0x25]);
            hot.Int32((int)state + CpuState.Cr4Offset);
            hot.Int32((int)ControlRegisters.Tsd);
            hot.JumpIf(5, cold.At);
            EmitOperationCold(index);
        }

        hot.RegAbsolute(LoadMove, Host.Rax, state + CpuState.CountBaseOffset);
        hot.RegFrame(LoadMove, Host.R10, Trampolines.Budget);
        // not r10: less the budget, and less one
        hot.Bytes([0x49, 0xF7, 0xD2]);
        hot.Lea(Host.Rax, Host.Rax, Host.R10, 0, 1 + index - block->Count);
        hot.RegAbsolute(LoadMove, Host.R10, state + CpuState.TscOffsetOffset);
        hot.Lea(Host.Rax, Host.Rax, Host.R10, 0, 0);
        hot.Rorx(Host.Rdx, Host.Rax, 32, wide: true);
        hot.RegReg(LoadMove, Host.Rdx, Host.Rdx, wide: false);
        hot.RegReg(LoadMove, Host.Rax, Host.Rax, wide: false);
        if ((Iced.Intel.Code)op->Code == Iced.Intel.Code.Rdtscp)
        {
            hot.RegAbsolute(LoadMove, Host.Rcx, state + CpuState.TscAuxOffset, wide: false);
        }
    }

    private void EmitReadSelector(Op* op)
    {
        int guest = op->Dst / 8, host = HostOf(guest) < 0 ? Host.R10 : HostOf(guest);
        // movzx r32, word [selector]
        hot.Rex(false, host, 0, 0);
        hot.Bytes([0x0F, 0xB7, (byte)(0x04 | ((host & 7) << 3)), 0x25]);
        hot.Int32((int)state + CpuState.SegmentsOffset + (op->Src * 16));
        Keep(guest, host);
    }

    private void EmitPushFlags(int index)
    {
        FlagsToHost(Operations.Status);
        EmitSaveImage();
        hostMask = 0;
        Trampolines.EmitStatusFlags(hot, Host.R10, Host.R11);
        hot.RegAbsolute(LoadMove, Host.R11, state + Trampolines.RflagsOffset, wide: false);
        hot.Immediate(And, Host.R11, ~(Trampolines.StatusMask | (int)(Cpu.Flags.Vm | Cpu.Flags.Rf)));
        hot.RegReg(0x0B, Host.R10, Host.R11, wide: false);
        hot.RegFrame(StoreMove, Host.R10, Trampolines.Temporary);
        EmitPushTemporary(index);
    }
}
