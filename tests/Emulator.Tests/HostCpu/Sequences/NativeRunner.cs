using System.Runtime.InteropServices;
using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Emulator.Tests.HostCpu.Sequences;

/// <summary>
/// Runs sequences on the host CPU: one mapping at a fixed address below 2 GiB holds code and data where the guest sees
/// them, all of it writable and executable. Instructions that fault in the guest are replaced by jumps that leave, so
/// that nothing here ever faults. Belongs to the thread that made it, whose GS base it sets.
/// </summary>
internal sealed unsafe partial class NativeRunner : IDisposable
{
    internal const int MaximumExits = 32;
    private const int StateOffset = 0x1000, HostRsp = 768, HostMxcsr = HostRsp + 8, HostFcw = HostRsp + 16, Taken = HostRsp + 24, Target = HostRsp + 32;
    private const int ReadWriteExecute = 7, PrivateAnonymous = 0x22, FixedNoReplace = 0x10_0000, ArchitecturePrctl = 158, SetGs = 0x1001;

    private readonly ulong[] exits = new ulong[MaximumExits];
    private readonly byte* start;

    internal NativeRunner()
    {
        start = null;
        for (ulong address = 0x2000_0000; start == null && address < 0x7000_0000; address += 0x0800_0000)
        {
            nint mapped = Map((nint)address, SequenceLayout.Size, ReadWriteExecute, PrivateAnonymous | FixedNoReplace, -1, 0);
            if (mapped == (nint)address)
            {
                start = (byte*)mapped;
            }
            else if (mapped != -1)
            {
                _ = Unmap(mapped, SequenceLayout.Size);
            }
        }

        Assert.True(start != null, "The host has no memory below 2 GiB for the sequences.");
        Layout = new SequenceLayout((ulong)start);
        Assemble();
        Assert.Equal(0, SystemCall(ArchitecturePrctl, SetGs, (nint)Layout.GsBase));
    }

    internal SequenceLayout Layout { get; }

    /// <summary>The byte at a linear address.</summary>
    internal byte* At(ulong address) => start + (address - Layout.Start);

    internal Span<byte> Page(ulong address) => new(At(address), SequenceLayout.PageSize);

    /// <summary>Runs from what is in the data pages; gives back the number of the exit taken.</summary>
    internal int Execute(Sequence sequence, ref UserState state)
    {
        byte* code = At(sequence.Address);
        sequence.Code.AsSpan(0, sequence.Length).CopyTo(new Span<byte>(code, sequence.Length));
        for (int i = 0; i < sequence.Exits.Count; i++)
        {
            byte* at = code + sequence.Exits[i].Offset;
            *at = 0xE9;
            *(int*)(at + 1) = (int)(exits[i] - ((ulong)at + 5));
        }

        var block = (UserState*)(start + StateOffset);
        *block = state;
        *(ulong*)(start + StateOffset + Target) = sequence.Address;
        ((delegate* unmanaged<void>)start)();
        state = *block;
        int taken = *(int*)(start + StateOffset + Taken);
        for (int i = 0; i < sequence.Exits.Count; i++)
        {
            SequenceExit exit = sequence.Exits[i];
            sequence.Code.AsSpan(exit.Offset, exit.Length).CopyTo(new Span<byte>(code + exit.Offset, exit.Length));
        }

        state.Rip = sequence.Address + (ulong)sequence.Exits[taken].Offset;
        return taken;
    }

    public void Dispose()
    {
        _ = SystemCall(ArchitecturePrctl, SetGs, 0);
        _ = Unmap((nint)start, SequenceLayout.Size);
    }

    private void Assemble()
    {
        ulong state = (ulong)start + StateOffset;
        AssemblerRegister64[] registers = [rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15];
        AssemblerRegister64[] saved = [rbx, rbp, r12, r13, r14, r15];
        var c = new Assembler(64);
        foreach (AssemblerRegister64 register in saved)
        {
            c.push(register);
        }

        c.mov(__qword_ptr[state + HostRsp], rsp);
        c.stmxcsr(__dword_ptr[state + HostMxcsr]);
        c.fnstcw(__word_ptr[state + HostFcw]);
        c.fxrstor64(__[state + UserState.FxOffset]);
        c.push(__qword_ptr[state + 128]);
        c.popfq();
        for (int i = 0; i < 16; i++)
        {
            c.mov(registers[i], __qword_ptr[state + (8 * (ulong)i)]);
        }

        c.jmp(__qword_ptr[state + Target]);
        Label end = c.CreateLabel();
        var labels = new Label[MaximumExits];
        for (int i = 0; i < MaximumExits; i++)
        {
            labels[i] = c.CreateLabel();
            c.Label(ref labels[i]);
            c.mov(__dword_ptr[state + Taken], i);
            c.jmp(end);
        }

        c.Label(ref end);
        for (int i = 0; i < 16; i++)
        {
            c.mov(__qword_ptr[state + (8 * (ulong)i)], registers[i]);
        }

        c.mov(rsp, __qword_ptr[state + HostRsp]);
        c.pushfq();
        c.pop(__qword_ptr[state + 128]);
        c.cld();
        c.fxsave64(__[state + UserState.FxOffset]);
        c.fninit();
        c.fldcw(__word_ptr[state + HostFcw]);
        c.ldmxcsr(__dword_ptr[state + HostMxcsr]);
        foreach (AssemblerRegister64 register in saved.Reverse())
        {
            c.pop(register);
        }

        c.ret();
        using var stream = new MemoryStream();
        AssemblerResult result = c.Assemble(new StreamCodeWriter(stream), (ulong)start, BlockEncoderOptions.ReturnNewInstructionOffsets);
        Assert.True(stream.Length < StateOffset);
        stream.ToArray().CopyTo(new Span<byte>(start, StateOffset));
        for (int i = 0; i < MaximumExits; i++)
        {
            exits[i] = result.GetLabelRIP(labels[i]);
        }
    }

    [LibraryImport("libc", EntryPoint = "mmap")]
    private static partial nint Map(nint address, nint length, int protection, int flags, int file, nint offset);

    [LibraryImport("libc", EntryPoint = "munmap")]
    private static partial int Unmap(nint address, nint length);

    [LibraryImport("libc", EntryPoint = "syscall")]
    private static partial nint SystemCall(nint number, nint first, nint second);
}
