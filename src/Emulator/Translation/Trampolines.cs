using System.Numerics;
using Emulator.Cpu;

namespace Emulator.Translation;

/// <summary>
/// The fixed code around translated code: the way in, the ways out, and the call into C# when an access misses the TLB.
/// The frame at [rsp] while guest code runs: budget, saved flags, the registers that have no host register of their own.
/// </summary>
internal sealed unsafe class Trampolines
{
    /// <summary>
    /// Places in the frame. Status flags: <see cref="FlagsForm"/> has the address of code that makes them of
    /// <see cref="FlagsA"/> and <see cref="FlagsB"/> or of <see cref="FlagsImage"/>, and in its upper half, unless that is 0, the
    /// address of code that makes all but CF of <see cref="FlagsStep"/>. From <see cref="Temporary"/> on there are four places that last
    /// for one instruction. What an 8-bit displacement does not reach is used by trampolines alone.
    /// </summary>
    internal const int Budget = 0, FlagsImage = 8, Spilled = 16, Vectors = 40, HostMxcsr = 44, FlagsForm = 48, FlagsA = 56, FlagsB = 64, FlagsStep = 72,
        Temporary = 80, Target = 112;
    private const int Saved = 120, SavedSite = 176, SavedAddress = 184, FrameSize = 200;
    private const int Test = 0x85, And = 4, ShiftLeft = 4, ShiftRight = 5, LoadMove = 0x8B, StoreMove = 0x89;
    internal const int RflagsOffset = 144;
    internal const int StatusMask = 0x8D5;
    private const int GprRsp = 32, Rflags = RflagsOffset, RipOffset = 136, MxcsrOffset = CpuState.FxOffset + 24;

    private static readonly int[] Identity = [Host.Rcx, Host.Rdx, Host.Rbx, Host.Rbp, Host.Rsi, Host.Rdi, Host.R8, 12, 13, 14, 15];
    private static readonly int[] Volatile = [Host.Rax, Host.Rcx, Host.Rdx, Host.Rsi, Host.Rdi, Host.R8, Host.R9];

    // By kind and size of the operation.
    private readonly uint[] forms = new uint[((int)FlagsKind.Decrement + 1) * 4];
    private readonly uint state;
    private readonly HostEmitter e;

    // Leaves with the guest's RIP in R10.
    private readonly byte* leaveByJump;

    internal Trampolines(uint state, HostEmitter emitter)
    {
        this.state = state;
        e = emitter;
        EmitForms();
        Flags = e.At;
        EmitFlags();
        Enter = (delegate* unmanaged<nint, long, Site*>)e.At;
        EmitEnter();
        Leave = e.At;
        EmitLeave();
        leaveByJump = e.At;
        e.RegAbsolute(0x89, Host.R10, state + RipOffset);
        e.Jump(Leave);
        Operation = e.At;
        EmitOperation();
        Miss = e.At;
        EmitMiss();
        FindJump = e.At;
        EmitFindJump();
        LoadVectors = e.At;
        EmitLoadVectors();
    }

    /// <summary>Runs code with a budget until it is left at a site; null: nothing is left to do there.</summary>
    internal delegate* unmanaged<nint, long, Site*> Enter { get; }

    /// <summary>Leaves at the site in R11, the guest's flags in the frame, as they are for all ways below.</summary>
    internal byte* Leave { get; }

    /// <summary>Has C# run one operation, and goes on behind it or wherever it leads.</summary>
    internal byte* Operation { get; }

    /// <summary>An access at the linear address in R10 missed.</summary>
    internal byte* Miss { get; }

    /// <summary>Goes to the guest address in R10, which the jump cache does not know.</summary>
    internal byte* FindJump { get; }

    /// <summary>Called by blocks that use XMM registers: loads them, or leaves at the site in R11.</summary>
    internal byte* LoadVectors { get; }

    /// <summary>Called by code that wants the guest's status flags in the host's; uses R10 and R11.</summary>
    internal byte* Flags { get; }

    /// <summary>The form of flags that stand in <see cref="FlagsImage"/>.</summary>
    internal uint ImageForm { get; private set; }

    /// <summary>The form of flags that came about in a certain way.</summary>
    internal uint FormOf(FlagsKind kind, int size) => forms[((int)kind * 4) + BitOperations.Log2((uint)size)];

    /// <summary>Saves the host's status flags into the frame, by way of R10, and leaves them.</summary>
    internal static void EmitSaveImage(HostEmitter e, uint form)
    {
        e.Move(Host.R10, Host.Rax);
        EmitImage(e);
        e.Move(Host.Rax, Host.R10);
        e.FrameConstant(FlagsForm, (int)form);
    }

    // LAHF; SETO AL; and AX into the frame: AH as LAHF has it, AL the overflow flag.
    private static void EmitImage(HostEmitter e) => e.Bytes([0x9F, 0x0F, 0x90, 0xC0, 0x66, 0x89, 0x44, 0x24, FlagsImage]);

    // Small functions that leave flags. They come as a call: the frame stands 8 higher.
    private void EmitForms()
    {
        const int A = FlagsA + 8, B = FlagsB + 8, Step = FlagsStep + 8;
        ImageForm = (uint)(nuint)e.At;
        e.Move(Host.R10, Host.Rax);
        e.Bytes([0x66, 0x8B, 0x44, 0x24, FlagsImage + 8, 0x04, 0x7F, 0x9E]);
        e.Move(Host.Rax, Host.R10);
        e.Byte(0xC3);
        for (FlagsKind kind = FlagsKind.Logic; kind <= FlagsKind.Decrement; kind++)
        {
            for (int size = 1; size <= 8; size *= 2)
            {
                forms[((int)kind * 4) + BitOperations.Log2((uint)size)] = (uint)(nuint)e.At;
                e.RegFrame(LoadMove, Host.R10, kind >= FlagsKind.Increment ? Step : A);
                switch (kind)
                {
                    case FlagsKind.Logic:
                        e.Sized(0x84, size, Host.R10, Host.R10);
                        break;
                    case FlagsKind.Compare:
                        e.SizedFrame(0x3A, size, Host.R10, B);
                        break;
                    case FlagsKind.Test:
                        e.SizedFrame(0x84, size, Host.R10, B);
                        break;
                    case FlagsKind.Add:
                        e.SizedFrame(0x2A, size, Host.R10, B);
                        e.SizedFrame(0x02, size, Host.R10, B);
                        break;
                    case FlagsKind.Subtract:
                        e.SizedFrame(0x02, size, Host.R10, B);
                        e.SizedFrame(0x3A, size, Host.R10, B);
                        break;
                    case FlagsKind.Negate:
                        e.SizedUnary(0xF6, 3, size, Host.R10);
                        e.SizedUnary(0xF6, 3, size, Host.R10);
                        break;
                    case FlagsKind.Increment:
                        e.Lea(Host.R10, Host.R10, -1, 0, -1);
                        e.SizedUnary(0xFE, 0, size, Host.R10);
                        break;
                    default:
                        e.Lea(Host.R10, Host.R10, -1, 0, 1);
                        e.SizedUnary(0xFE, 1, size, Host.R10);
                        break;
                }

                e.Byte(0xC3);
            }
        }
    }

    // Comes as a call too. Mostly that of the form is all there is to do.
    private void EmitFlags()
    {
        // cmp dword [rsp + form's upper half], 0
        e.Bytes([0x83, 0x7C, 0x24, FlagsForm + 4 + 8, 0]);
        byte* steps = e.JumpIf(5, e.At);
        e.RegFrame(LoadMove, Host.R10, FlagsForm + 8, wide: false);
        // jmp r10
        e.Bytes([0x41, 0xFF, 0xE2]);
        HostEmitter.Patch(steps, e.At);
        // pop r11; call r10, for CF; call r10, for the others; jmp r11
        e.Bytes([0x41, 0x5B]);
        e.RegFrame(LoadMove, Host.R10, FlagsForm, wide: false);
        e.Bytes([0x41, 0xFF, 0xD2]);
        e.RegFrame(LoadMove, Host.R10, FlagsForm + 4, wide: false);
        e.Bytes([0x41, 0xFF, 0xD2, 0x41, 0xFF, 0xE3]);
    }

    private void EmitEnter()
    {
        e.Bytes([0x53, 0x55, 0x41, 0x54, 0x41, 0x55, 0x41, 0x56, 0x41, 0x57]);
        e.Bytes([0x48, 0x81, 0xEC]);
        e.Int32(FrameSize);
        e.RegFrame(0x89, Host.Rsi, Budget);
        e.RegFrame(0x89, Host.Rdi, Target);
        e.Bytes([0x31, 0xC0]);
        e.RegFrame(0x89, Host.Rax, Vectors);
        EmitLoadState();
    }

    // The guest's registers and flags from their places in memory, then to the target.
    private void EmitLoadState()
    {
        e.RegAbsolute(0x8B, Host.Rax, state + Rflags, wide: false);
        // AH as LAHF has it, AL the overflow flag.
        e.Bytes([0x89, 0xC1, 0xC1, 0xE9, 11, 0x83, 0xE1, 1, 0xC1, 0xE0, 8, 0x25]);
        e.Int32(0xD500);
        e.Bytes([0x09, 0xC8]);
        e.RegFrame(0x89, Host.Rax, FlagsImage);
        e.FrameConstant(FlagsForm, (int)ImageForm);
        for (int i = 0; i < 3; i++)
        {
            e.RegAbsolute(0x8B, Host.Rax, state + (uint)((9 + i) * 8));
            e.RegFrame(0x89, Host.Rax, Spilled + (i * 8));
        }

        e.RegAbsolute(0x8B, Host.GuestRsp, state + GprRsp);
        foreach (int register in Identity)
        {
            e.RegAbsolute(0x8B, register, state + (uint)(register * 8));
        }

        e.RegAbsolute(0x8B, Host.Rax, state);
        e.Bytes([0xFF, 0x64, 0x24, Target]);
    }

    // The guest's registers and flags to their places in memory; R11 stays.
    private void EmitSaveState()
    {
        e.RegAbsolute(0x89, Host.Rax, state);
        e.RegAbsolute(0x89, Host.GuestRsp, state + GprRsp);
        foreach (int register in Identity)
        {
            e.RegAbsolute(0x89, register, state + (uint)(register * 8));
        }

        for (int i = 0; i < 3; i++)
        {
            e.RegFrame(0x8B, Host.Rax, Spilled + (i * 8));
            e.RegAbsolute(0x89, Host.Rax, state + (uint)((9 + i) * 8));
        }

        e.RegFrame(StoreMove, Host.R11, SavedSite);
        e.Call(Flags);
        e.RegFrame(LoadMove, Host.R11, SavedSite);
        EmitImage(e);
        EmitStatusFlags(e, Host.Rax, Host.Rcx);
        e.RegAbsolute(0x8B, Host.Rcx, state + Rflags, wide: false);
        e.Bytes([0x81, 0xE1]);
        e.Int32(~StatusMask);
        e.Bytes([0x09, 0xC1]);
        e.RegAbsolute(0x89, Host.Rcx, state + Rflags, wide: false);
        EmitIfVectors(EmitStoreVectors);
        e.RegFrame(0x8B, Host.Rax, Budget);
        e.RegAbsolute(0x89, Host.Rax, state + CpuState.BudgetOffset);
    }

    /// <summary>Puts the status flags of the image where RFLAGS has them, in a register; another is used on the way.</summary>
    internal static void EmitStatusFlags(HostEmitter e, int to, int scratch)
    {
        // movzx r32, word [image]
        e.Rex(false, to, 0, Host.Rsp);
        e.Bytes([0x0F, 0xB7]);
        e.Memory(to, Host.Rsp, FlagsImage);
        e.RegReg(0x8B, scratch, to, wide: false);
        e.Immediate(And, scratch, 1);
        e.Shift(ShiftLeft, scratch, 11);
        e.Shift(ShiftRight, to, 8);
        e.Immediate(And, to, 0xD5);
        e.RegReg(0x0B, to, scratch, wide: false);
    }

    private void EmitReturn()
    {
        e.Bytes([0x48, 0x81, 0xC4]);
        e.Int32(FrameSize);
        e.Bytes([0x41, 0x5F, 0x41, 0x5E, 0x41, 0x5D, 0x41, 0x5C, 0x5D, 0x5B, 0xC3]);
    }

    private void EmitLeave()
    {
        EmitSaveState();
        e.Move(Host.Rax, Host.R11);
        EmitReturn();
    }

    private void EmitOperation()
    {
        EmitSaveState();
        e.Move(Host.Rdi, Host.R11);
        e.MoveConstant(Host.Rsi, state);
        EmitCall((nint)(delegate* unmanaged<Site*, CpuState*, nint>)&Vcpu.RunOperation);
        e.RegReg(Test, Host.Rax, Host.Rax);
        byte* go = e.JumpIf(5, e.At);
        EmitReturn();
        HostEmitter.Patch(go, e.At);
        e.RegFrame(0x89, Host.Rax, Target);
        EmitIfVectors(() =>
        {
            // cmp byte [VectorsKept], 0: a block's beginning looks for itself.
            e.Bytes([0x80, 0x3C, 0x25]);
            e.Int32((int)(state + CpuState.VectorsKeptOffset));
            e.Byte(0);
            byte* kept = e.JumpIf(5, e.At);
            e.Bytes([0xC6, 0x44, 0x24, Vectors, 0]);
            byte* done = e.JumpIf(4, e.At);
            HostEmitter.Patch(kept, e.At);
            EmitReloadVectors();
            HostEmitter.Patch(done, e.At);
        });
        e.RegAbsolute(0x8B, Host.Rax, state + CpuState.BudgetOffset);
        e.RegFrame(0x89, Host.Rax, Budget);
        EmitLoadState();
    }

    // C# is asked something of R10 and the site in R11; both are kept, the answer is in RAX and compared with 0.
    private void EmitAsk(nint function)
    {
        for (int i = 0; i < Volatile.Length; i++)
        {
            e.RegFrame(0x89, Volatile[i], Saved + (i * 8));
        }

        e.RegFrame(0x89, Host.R11, SavedSite);
        e.RegFrame(0x89, Host.R10, SavedAddress);
        EmitIfVectors(EmitStoreVectors);
        e.Move(Host.Rdi, Host.R10);
        e.Move(Host.Rsi, Host.R11);
        e.MoveConstant(Host.Rdx, state);
        EmitCall(function);
        EmitIfVectors(EmitReloadVectors);
        e.RegFrame(0x8B, Host.R11, SavedSite);
        e.RegReg(Test, Host.Rax, Host.Rax);
    }

    private void EmitCall(nint function)
    {
        e.MoveConstant(Host.Rax, (ulong)function);
        e.Bytes([0xFF, 0xD0]);
    }

    private void EmitMiss()
    {
        EmitAsk((nint)(delegate* unmanaged<ulong, Site*, CpuState*, nint>)&Vcpu.TranslateForCode);
        byte* failed = e.JumpIf(4, e.At);
        e.RegMemory(0x8B, Host.Rsi, Host.R11, Site.ResumeOffset, wide: false);
        e.RegFrame(0x89, Host.Rsi, Target);
        e.Move(Host.R11, Host.Rax);
        e.Bytes([0x45, 0x31, 0xD2]);
        EmitReloadVolatile();
        e.Bytes([0xFF, 0x64, 0x24, Target]);
        HostEmitter.Patch(failed, e.At);
        EmitReloadVolatile();
        e.Jump(Operation);
    }

    private void EmitFindJump()
    {
        EmitAsk((nint)(delegate* unmanaged<ulong, Site*, CpuState*, nint>)&Vcpu.FindCode);
        byte* failed = e.JumpIf(4, e.At);
        e.RegFrame(0x89, Host.Rax, Target);
        EmitReloadVolatile();
        e.Bytes([0xFF, 0x64, 0x24, Target]);
        HostEmitter.Patch(failed, e.At);
        e.RegFrame(0x8B, Host.R10, SavedAddress);
        EmitReloadVolatile();
        e.Jump(leaveByJump);
    }

    private void EmitReloadVolatile()
    {
        for (int i = Volatile.Length - 1; i >= 0; i--)
        {
            e.RegFrame(0x8B, Volatile[i], Saved + (i * 8));
        }
    }

    // Comes as a call: [rsp] is the return address, so the frame stands 8 higher.
    private void EmitLoadVectors()
    {
        e.Bytes([0x80, 0x3C, 0x25]);
        e.Int32((int)(state + CpuState.VectorsReadyOffset));
        e.Byte(0);
        byte* refused = e.JumpIf(4, e.At);
        e.Bytes([0xC6, 0x44, 0x24, Vectors + 8, 1]);
        e.Bytes([0x0F, 0xAE, 0x5C, 0x24, HostMxcsr + 8]);
        EmitReloadVectors();
        e.Byte(0xC3);
        HostEmitter.Patch(refused, e.At);
        e.Bytes([0x48, 0x8D, 0x64, 0x24, 8]);
        e.Jump(Leave);
    }

    private void EmitIfVectors(Action body)
    {
        e.Bytes([0x80, 0x7C, 0x24, Vectors, 0]);
        byte* skip = e.JumpIf(4, e.At);
        body();
        HostEmitter.Patch(skip, e.At);
    }

    private void EmitStoreVectors()
    {
        for (int i = 0; i < 16; i++)
        {
            EmitVector(0x11, i);
        }

        e.Bytes([0x0F, 0xAE, 0x1C, 0x25]);
        e.Int32((int)state + MxcsrOffset);
        e.Bytes([0x0F, 0xAE, 0x54, 0x24, HostMxcsr]);
    }

    private void EmitReloadVectors()
    {
        for (int i = 0; i < 16; i++)
        {
            EmitVector(0x10, i);
        }

        e.Bytes([0x0F, 0xAE, 0x14, 0x25]);
        e.Int32((int)state + MxcsrOffset);
    }

    private void EmitVector(int opcode, int register)
    {
        e.Rex(false, register, 0, 0);
        e.Bytes([0x0F, (byte)opcode, (byte)(0x04 | ((register & 7) << 3)), 0x25]);
        e.Int32((int)state + CpuState.XmmOffset + (register * 16));
    }
}
