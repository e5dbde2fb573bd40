using System.Runtime.InteropServices;
using Emulator.Cpu;
using Emulator.Cpu.Thunks;
using Iced.Intel;

namespace Emulator.Tests.HostCpu;

/// <summary>What the host cannot show without faulting, or must not show: unmasked exceptions, pointers, images, refusals.</summary>
public sealed unsafe class ThunkTests : IDisposable
{
    private const ulong Rip = 0x1_2345_6789, Offset = 0x7_0000_1234;

    private readonly ThunkCompiler compiler = new();
    private readonly CpuState* state = (CpuState*)NativeMemory.AlignedAlloc(CpuState.StateSize, 64);

    public ThunkTests()
    {
        *state = default;
        state->Cr0 = 1;
        state->Rflags = 0x202;
        state->Xcr0 = 3;
        state->Mxcsr = 0x1F80;
        X87State.Initialize(state);
    }

    public void Dispose()
    {
        compiler.Dispose();
        NativeMemory.AlignedFree(state);
    }

    // Columns: MXCSR, source and destination as two singles each, whether #XM comes, flags, and the result if not.
    // 0F 59 C1 is mulps xmm0, xmm1, 0F 5E C1 divps. Answers of a Zen 5, which agree with SDM vol. 1 §11.5.
    [Theory]
    [InlineData("0F59C1", 0x1F80, 0x7F800001_3F800000, 0x3F800000_3F800000, false, 0x01, 0x7FC00001_3F800000)]
    [InlineData("0F59C1", 0x1F80, 0x7F000000_7F800001, 0x7F000000_3F800000, false, 0x29, 0x7F800000_7FC00001)]
    [InlineData("0F59C1", 0x1F00, 0x7F000000_7F800001, 0x7F000000_3F800000, true, 0x01, 0)]
    [InlineData("0F59C1", 0x1B80, 0x7F000001_7F800001, 0x7F000001_3F800000, true, 0x29, 0)]
    [InlineData("0F59C1", 0x1B00, 0x7F000000_7F800001, 0x7F000000_3F800000, true, 0x01, 0)]
    [InlineData("0F59C1", 0x0F80, 0x7F000000_7F800001, 0x7F000000_3F800000, true, 0x29, 0)]
    [InlineData("0F59C1", 0x1E80, 0x7F000000_00000001, 0x7F000000_3F800000, true, 0x02, 0)]
    [InlineData("0F5EC1", 0x1D80, 0x3F800000_3F800000, 0x40400000_00000000, true, 0x04, 0)]
    [InlineData("0F5EC1", 0x1D80, 0x3F800000_00000001, 0x40400000_00000000, true, 0x04, 0)]
    [InlineData("0F5EC1", 0x1E80, 0x3F800000_00000001, 0x40400000_00000000, false, 0x24, 0x3EAAAAAB_7F800000)]
    [InlineData("0F59C1", 0x1F80, 0x3F800000_00800000, 0x3F800000_3F000000, false, 0x00, 0x3F800000_00400000)]
    [InlineData("0F59C1", 0x1780, 0x3F800000_00800000, 0x3F800000_3F000000, true, 0x10, 0)]
    [InlineData("0F59C1", 0x9780, 0x3F800000_00800000, 0x3F800000_3F000000, true, 0x10, 0)]
    [InlineData("0F59C1", 0x9F80, 0x3F800000_00800000, 0x3F800000_3F000000, false, 0x30, 0x3F800000_00000000)]
    [InlineData("0F59C1", 0x1780, 0x3F800000_00000001, 0x3F800000_3F800000, true, 0x12, 0)]
    [InlineData("0F59C1", 0x1F01, 0x3F800000_3F800000, 0x3F800000_3F000000, false, 0x01, 0x3F800000_3F000000)]
    [InlineData("0F59C1", 0x9700, 0x3F800000_3F800000, 0x3F800000_3F000000, false, 0x00, 0x3F800000_3F000000)]
    public void Simd_exceptions_the_guest_has_not_masked_commit_nothing_but_flags(
        string code, int mxcsr, long destination, long source, bool faults, int flags, long result)
    {
        state->Mxcsr = (uint)mxcsr;
        ulong* xmm = (ulong*)((byte*)state + CpuState.XmmOffset);
        const ulong Ones = 0x3F800000_3F800000;
        (xmm[0], xmm[1], xmm[2], xmm[3]) = ((ulong)destination, Ones, (ulong)source, Ones);

        ThunkOutcome outcome = Run(code);

        Assert.Equal(faults ? ThunkOutcome.SimdFault : ThunkOutcome.Done, outcome);
        Assert.Equal((uint)(mxcsr | flags), state->Mxcsr);
        Assert.Equal((ulong)(faults ? destination : result), xmm[0]);
    }

    [Theory]
    [InlineData("0F2EC1")] // ucomiss
    [InlineData("660F2FC1")] // comisd
    public void A_comparison_that_faults_leaves_the_flags(string code)
    {
        state->Mxcsr = 0x1F00;
        state->Rflags = 0x202 | 0x8D5;
        *(ulong*)((byte*)state + CpuState.XmmOffset) = code.StartsWith("66", StringComparison.Ordinal) ? 0x7FF0000000000001UL : 0x7F800001UL;

        Assert.Equal(ThunkOutcome.SimdFault, Run(code));
        Assert.Equal(0x202UL | 0x8D5, state->Rflags);
        Assert.Equal(0x1F01u, state->Mxcsr);
    }

    [Fact]
    public void A_conversion_to_mmx_that_faults_does_not_enter_mmx_state()
    {
        state->Mxcsr = 0x1F00;
        state->Fsw = 5 << 11;
        *(ulong*)X87State.St(state, 0) = 7;
        *(uint*)((byte*)state + CpuState.XmmOffset) = 0x7F800001;

        Assert.Equal(ThunkOutcome.SimdFault, Run("0F2CC0")); // cvttps2pi mm0, xmm0
        Assert.Equal(5 << 11, state->Fsw);
        Assert.Equal(0, X87State.Ftw(state));
        Assert.Equal(7UL, *(ulong*)X87State.St(state, 0));

        state->Mxcsr = 0x1F80;
        Assert.Equal(ThunkOutcome.Done, Run("0F2CC0"));
        Assert.Equal(0, state->Fsw);
        Assert.Equal(0xFF, X87State.Ftw(state));
        Assert.Equal(0x80000000UL, *(ulong*)X87State.St(state, 0));
        Assert.Equal(0xFFFFUL, *(ulong*)(X87State.St(state, 0) + 8));
    }

    [Fact]
    public void The_runtimes_own_control_words_are_back_after_every_kind_of_thunk()
    {
        using var memory = new HostCode(4096);
        // stmxcsr [rdi]; fnstcw [rdi+4]; ret
        nint read = memory.Add([0x0F, 0xAE, 0x1F, 0xD9, 0x7F, 0x04, 0xC3]);
        ulong before = 0, after = 0;
        ((delegate* unmanaged<ulong*, void>)read)(&before);
        state->Mxcsr = 0xFFC0;
        state->Fcw = 0xF7F;
        foreach (string code in new[] { "0F58C1", "F20F51C1", "0FFCC1", "D9E8", "DEC1", "0F2CC1", "DBF0", "D9FE" })
        {
            Assert.Equal(ThunkOutcome.Done, Run(code));
        }

        ((delegate* unmanaged<ulong*, void>)read)(&after);
        Assert.Equal(before, after);
        Assert.Equal(0x0000037F_00001F80UL, after & 0xFFFF_FFFFFFC0);
    }

    [Fact]
    public void Pointers_follow_computations_and_not_control_instructions()
    {
        Assert.Equal(ThunkOutcome.Done, Run("D9E8")); // fld1
        Assert.Equal((0x1E8, Rip, 0UL), (X87State.Fop(state), X87State.Fip(state), X87State.Fdp(state)));

        Assert.Equal(ThunkOutcome.Done, Run("DC6368", Rip + 2)); // fsub qword [rbx+68h]
        Assert.Equal((0x463, Rip + 2, Offset), (X87State.Fop(state), X87State.Fip(state), X87State.Fdp(state)));

        Assert.Equal(ThunkOutcome.Done, Run("D920")); // fldenv reads its own, so put zeros there first
        Assert.Equal((0, 0UL, 0UL), (X87State.Fop(state), X87State.Fip(state), X87State.Fdp(state)));

        Assert.Equal(ThunkOutcome.Done, Run("DBE3"));
        Assert.Equal(ThunkOutcome.Done, Run("41DD00", Rip + 4)); // fld qword [r8]: the prefix is not part of it
        Assert.Equal((0x500, Rip + 4, Offset), (X87State.Fop(state), X87State.Fip(state), X87State.Fdp(state)));

        foreach (string control in new[] { "D93B", "DD3B", "DFE0", "9B", "DBE2", "D92B" })
        {
            *(ushort*)state->Scratch = 0x37F;
            Assert.Equal(ThunkOutcome.Done, Run(control));
            Assert.Equal((0x500, Rip + 4, Offset), (X87State.Fop(state), X87State.Fip(state), X87State.Fdp(state)));
            if (control == "DD3B")
            {
                return; // fnsave resets them, and has stored what they were
            }
        }
    }

    [Theory]
    [InlineData("D933", true, "7F03FFFF0028FFFFFF3FFFFF8967452300002305123456070000FFFF", 28)]
    [InlineData("66D933", true, "7F030028FF3F896700001234000000", 14)]
    [InlineData("D933", false, "7F03FFFF0028FFFFFF3FFFFF8967FFFF235534021234FFFF00607500", 28)]
    [InlineData("66D933", false, "7F030028FF3F896723551234006000", 14)]
    public void Environments_have_the_layout_of_the_mode(string code, bool protectedMode, string expected, int length)
    {
        state->Cr0 = protectedMode ? 1UL : 0;
        state->Fsw = 5 << 11;
        X87State.Ftw(state) = 0x80;
        *(ulong*)X87State.St(state, 2) = 1UL << 63;
        *(ushort*)(X87State.St(state, 2) + 8) = 0x3FFF;
        X87State.Fop(state) = 0x523;
        X87State.Fip(state) = 0x23456789;
        X87State.Fdp(state) = 0x07563412;

        Assert.Equal(ThunkOutcome.Done, Run(code));
        Assert.Equal(expected[..(2 * length)], Convert.ToHexString(new ReadOnlySpan<byte>(state->Scratch, length)));
    }

    [Theory]
    [InlineData("D9E8", "MathFault")] // fld1
    [InlineData("9B", "MathFault")]
    [InlineData("D92B", "MathFault")] // fldcw
    [InlineData("0FEFC0", "MathFault")] // pxor mm0, mm0
    [InlineData("0F77", "MathFault")] // emms
    [InlineData("0FE703", "MathFault")] // movntq
    [InlineData("0FF7C1", "MathFault")] // maskmovq
    [InlineData("0F2AC0", "MathFault")] // cvtpi2ps xmm0, mm0
    [InlineData("DFE0", "Done")] // fnstsw ax
    [InlineData("D93B", "Done")] // fnstcw
    [InlineData("D933", "Done")] // fnstenv
    [InlineData("DBE2", "Done")] // fnclex
    [InlineData("DBE3", "Done")] // fninit
    [InlineData("0FAE03", "Done")] // fxsave
    [InlineData("660FEFC0", "Done")] // pxor xmm0, xmm0
    [InlineData("0F2A03", "Done")] // cvtpi2ps xmm0, [rbx]
    public void A_pending_x87_exception_is_raised_by_the_next_waiting_instruction(string code, string expected)
    {
        X87State.SetControl(state, 0x37E);
        state->Fsw = 1;
        X87State.Summarize(state);
        Assert.Equal(0x8081, state->Fsw);

        ThunkInfo info = Describe(code);
        Assert.Equal(expected == "MathFault", info.Thunk->Waits);
        Assert.Equal(expected, Run(code).ToString());
        if (expected == "MathFault")
        {
            Assert.Equal(0x8081, state->Fsw);
        }
    }

    [Theory]
    [InlineData("D91B", 0x37F, 0x7FFEFFFFFFFFFFFFL, -1L, "Done")] // fstp dword: overflow masked: infinity
    [InlineData("D91B", 0x377, 0x7FFEFFFFFFFFFFFFL, -1L, "DoneWithoutStore")] // overflow
    [InlineData("D91B", 0x36F, 0x00018000000000000L, long.MinValue, "DoneWithoutStore")] // underflow
    [InlineData("D91B", 0x35F, 0x3FFFL, -0x5555555555555555L, "Done")] // inexact: stored all the same
    [InlineData("DB1B", 0x37E, 0x43FFL, long.MinValue, "DoneWithoutStore")] // fistp dword: invalid
    public void A_store_that_meets_an_unmasked_exception_does_not_store(string code, int control, long high, long low, string expected)
    {
        X87State.SetControl(state, (ushort)control);
        X87State.Ftw(state) = 1;
        *(long*)X87State.St(state, 0) = low;
        *(ushort*)(X87State.St(state, 0) + 8) = (ushort)(high >> 48 != 0 ? high >> 48 : high);

        Assert.Equal(expected, Run(code).ToString());
        Assert.Equal((control & 0x3F) != 0x3F, X87State.Pending(state));
    }

    [Theory]
    [InlineData(0x1F80u, "Done")]
    [InlineData(0xFFFFu, "Done")]
    [InlineData(0x11F80u, "GeneralProtection")]
    [InlineData(0x21F80u, "GeneralProtection")]
    public void Reserved_bits_of_mxcsr_are_refused(uint mxcsr, string expected)
    {
        foreach ((string code, int at) in new[] { ("0FAE13", 0), ("0FAE0B", 24), ("480FAE0B", 24), ("0FAE2B", 24) })
        {
            state->Mxcsr = 0x1F80;
            state->Gpr[0] = 3;
            new Span<byte>(state->Scratch, 1024).Clear();
            *(uint*)(state->Scratch + at) = mxcsr;
            Assert.Equal(expected, Run(code).ToString());
            Assert.Equal(expected == "Done" ? mxcsr : 0x1F80u, state->Mxcsr);
        }
    }

    [Theory]
    [InlineData(0ul, 0ul, 0ul, "Done")]
    [InlineData(3ul, 0ul, 0ul, "Done")]
    [InlineData(4ul, 0ul, 0ul, "GeneralProtection")] // a component XCR0 has not enabled
    [InlineData(3ul, 1ul << 63, 0ul, "GeneralProtection")] // the compacted form
    [InlineData(3ul, 1ul, 0ul, "GeneralProtection")]
    [InlineData(3ul, 0ul, 1ul, "GeneralProtection")]
    public void Xrstor_refuses_a_header_the_standard_form_cannot_have(ulong present, ulong compaction, ulong reserved, string expected)
    {
        new Span<byte>(state->Scratch, 1024).Clear();
        *(uint*)(state->Scratch + 24) = 0x1F80;
        ulong* header = (ulong*)(state->Scratch + 512);
        (header[0], header[1], header[2]) = (present, compaction, reserved);
        state->Gpr[0] = 3;

        Assert.Equal(expected, Run("0FAE2B").ToString());
    }

    [Theory]
    [InlineData(1u, 1ul, false, true)]
    [InlineData(2u, 2ul, true, false)]
    [InlineData(3u, 3ul, true, true)]
    [InlineData(4u, 0ul, false, false)]
    public void Xsave_writes_the_components_asked_for_and_xrstor_brings_them_back(uint asked, ulong expected, bool sse, bool x87)
    {
        new Span<byte>(state->Scratch, 1024).Fill(0xEE);
        *(ulong*)(state->Scratch + 512) = 0;
        state->Gpr[0] = asked;
        state->Gpr[2] = 0xFFFFFFFF;
        state->Mxcsr = 0x1FA0;
        *(ulong*)((byte*)state + CpuState.XmmOffset + 240) = 0x1122334455667788;
        X87State.Fip(state) = 0x123456789A;
        state->Fcw = 0x27F;

        Assert.Equal(ThunkOutcome.Done, Run("480FAE23")); // xsave64
        Assert.Equal(expected, *(ulong*)(state->Scratch + 512));
        Assert.Equal(0xEEEEEEEEEEEEEEEEUL, *(ulong*)(state->Scratch + 520));
        Assert.Equal(sse ? 0x1122334455667788UL : 0xEEEEEEEEEEEEEEEEUL, *(ulong*)(state->Scratch + 400));
        Assert.Equal(sse ? 0x1FA0u : 0xEEEEEEEEu, *(uint*)(state->Scratch + 24));
        Assert.Equal(x87 ? 0x123456789AUL : 0xEEEEEEEEEEEEEEEEUL, *(ulong*)(state->Scratch + 8));
        Assert.Equal(x87 ? 0x27F : 0xEEEE, *(ushort*)state->Scratch);

        // Restoring an absent component initializes it; MXCSR comes from memory as soon as SSE is asked for.
        new Span<byte>(state->Scratch + 512, 64).Clear();
        *(uint*)(state->Scratch + 24) = 0x1F80;
        Assert.Equal(ThunkOutcome.Done, Run("480FAE2B"));
        Assert.Equal(sse ? 0UL : 0x1122334455667788UL, *(ulong*)((byte*)state + CpuState.XmmOffset + 240));
        Assert.Equal(sse ? 0x1F80u : 0x1FA0u, state->Mxcsr);
        Assert.Equal(x87 ? 0x37F : 0x27F, state->Fcw);
        Assert.Equal(x87 ? 0UL : 0x123456789AUL, X87State.Fip(state));
    }

    [Fact]
    public void Fxsave_outside_64_bit_code_knows_eight_xmm_registers_and_narrow_pointers()
    {
        new Span<byte>(state->Scratch, 512).Fill(0xEE);
        new Span<byte>((byte*)state + CpuState.XmmOffset, 256).Fill(0x11);
        X87State.Fip(state) = 0x123456789A;

        Assert.Equal(ThunkOutcome.Done, Run("0FAE03", bitness: 32));
        Assert.Equal(0x3456789AUL, *(ulong*)(state->Scratch + 8));
        Assert.Equal(0x11, state->Scratch[287]);
        Assert.Equal(0xEE, state->Scratch[288]);
        Assert.Equal(0xFFFFu, *(uint*)(state->Scratch + 28));
    }

    [Theory]
    [InlineData("C5F858C1")] // vaddps: AVX
    [InlineData("660F38DCC1")] // aesenc
    [InlineData("660F3A44C100")] // pclmulqdq
    [InlineData("0F38C8C1")] // sha1nexte
    [InlineData("0F38F003")] // movbe
    [InlineData("660F38F6C1")] // adcx
    [InlineData("C4E278F2C1")] // andn
    [InlineData("660F79C1")] // extrq: SSE4A
    [InlineData("0F0E")] // femms
    [InlineData("0F0FC19E")] // pfadd
    [InlineData("F30FBDC1")] // lzcnt
    [InlineData("660F38CFC1")] // gf2p8mulb
    [InlineData("0FC723")] // xsavec
    [InlineData("0FAEE8")] // lfence: the core's
    [InlineData("0F1803")] // prefetchnta: the core's
    [InlineData("0F01D0")] // xgetbv: the core's
    [InlineData("0F44C1")] // cmove: the core's
    [InlineData("01C8")] // add
    public void What_is_not_offered_or_not_ours_is_declined(string code)
    {
        byte[] bytes = Convert.FromHexString(code);
        Iced.Intel.Decoder.Create(64, bytes, Rip).Decode(out Instruction instruction);
        Assert.False(compiler.TryDescribe(instruction, bytes, out _));
    }

    // Columns: encoding, use of memory, bytes, alignment, class: names, since the enumerations are internal.
    [Theory]
    [InlineData("0F5803", "Read", 16, 16, "Sse")] // addps
    [InlineData("F30F5803", "Read", 4, 1, "Sse")] // addss
    [InlineData("0F1003", "Read", 16, 1, "Sse")] // movups
    [InlineData("0F1103", "Write", 16, 1, "Sse")]
    [InlineData("0F2903", "Write", 16, 16, "Sse")] // movaps
    [InlineData("F30F6F03", "Read", 16, 1, "Sse")] // movdqu
    [InlineData("F20FF003", "Read", 16, 1, "Sse")] // lddqu
    [InlineData("660FE703", "Write", 16, 16, "Sse")] // movntdq
    [InlineData("660F382A03", "Read", 16, 16, "Sse")] // movntdqa
    [InlineData("660F3A630300", "Read", 16, 1, "Sse")] // pcmpistri
    [InlineData("660F3A0F0300", "Read", 16, 16, "Sse")] // palignr
    [InlineData("0F3A0F0300", "Read", 8, 1, "Mmx")]
    [InlineData("660F382003", "Read", 8, 1, "Sse")] // pmovsxbw
    [InlineData("660F382203", "Read", 2, 1, "Sse")] // pmovsxbq
    [InlineData("660F3A140300", "Write", 1, 1, "Sse")] // pextrb
    [InlineData("660FC40300", "Read", 2, 1, "Sse")] // pinsrw
    [InlineData("0F6003", "Read", 4, 1, "Mmx")] // punpcklbw
    [InlineData("660F6003", "Read", 16, 16, "Sse")]
    [InlineData("660FF7C1", "ReadWrite", 16, 1, "Sse")] // maskmovdqu
    [InlineData("0FF7C1", "ReadWrite", 8, 1, "Mmx")]
    [InlineData("0F2A03", "Read", 8, 1, "Sse")] // cvtpi2ps xmm, m64
    [InlineData("0F2AC0", "None", 0, 1, "Sse")]
    [InlineData("0F5BC0", "None", 0, 1, "Sse")]
    [InlineData("0FAE03", "ReadWrite", 512, 16, "X87")] // fxsave
    [InlineData("0FAE0B", "Read", 512, 16, "X87")] // fxrstor
    [InlineData("0FAE23", "ReadWrite", 576, 64, "Xsave")]
    [InlineData("0FAE2B", "Read", 576, 64, "Xsave")]
    [InlineData("0FAE33", "ReadWrite", 576, 64, "Xsave")] // xsaveopt
    [InlineData("0FAE13", "Read", 4, 1, "Sse")] // ldmxcsr
    [InlineData("0FAE1B", "Write", 4, 1, "Sse")]
    [InlineData("D903", "Read", 4, 1, "X87")] // fld
    [InlineData("DB3B", "Write", 10, 1, "X87")] // fstp m80
    [InlineData("DF33", "Write", 10, 1, "X87")] // fbstp
    [InlineData("DD23", "Read", 108, 1, "X87")] // frstor
    [InlineData("DD33", "Write", 108, 1, "X87")] // fnsave
    [InlineData("66D933", "Write", 14, 1, "X87")] // fnstenv
    [InlineData("9B", "None", 0, 1, "Wait")]
    [InlineData("0F77", "None", 0, 1, "Mmx")]
    [InlineData("F20F38F103", "Read", 4, 1, "General")] // crc32
    [InlineData("F3480FB803", "Read", 8, 1, "General")] // popcnt
    [InlineData("0FC303", "Write", 4, 1, "General")] // movnti
    public void The_caller_is_told_what_to_do_with_memory(string code, string use, int size, int alignment, string checks)
    {
        Thunk* thunk = Describe(code).Thunk;
        Assert.Equal((use, size, alignment, checks), (thunk->Memory.ToString(), thunk->MemorySize, thunk->Alignment, thunk->Class.ToString()));
    }

    [Fact]
    public void Instructions_that_differ_in_registers_share_a_thunk()
    {
        ThunkInfo first = Describe("660F3800C1"); // pshufb xmm0, xmm1
        ThunkInfo second = Describe("66450F3800CA"); // pshufb xmm9, xmm10
        ThunkInfo memory = Describe("660F380003");
        Assert.True(first.Thunk == second.Thunk);
        Assert.False(first.Thunk == memory.Thunk);
        Assert.NotEqual(first.Operands, second.Operands);
    }

    [Theory]
    [InlineData(16, "0F58C1")]
    [InlineData(16, "D9E8")]
    [InlineData(16, "0FFC07")]
    [InlineData(32, "660F6EC0")]
    [InlineData(32, "660F3A16C000")]
    [InlineData(32, "D91D00000000")]
    [InlineData(32, "0F2A0500000000")]
    public void Code_of_16_and_32_bits_uses_the_same_thunks(int bitness, string code) =>
        Assert.Equal(ThunkOutcome.Done, Run(code, bitness: bitness));

    private ThunkInfo Describe(string code, int bitness = 64)
    {
        byte[] bytes = Convert.FromHexString(code);
        Iced.Intel.Decoder.Create(bitness, bytes, Rip).Decode(out Instruction instruction);
        Assert.True(compiler.TryDescribe(instruction, bytes, out ThunkInfo info), instruction.ToString());
        return info;
    }

    private ThunkOutcome Run(string code, ulong rip = Rip, int bitness = 64)
    {
        ThunkInfo info = Describe(code, bitness);
        return info.Thunk->Run(state, info.Thunk, info.Operands, rip, Offset);
    }
}
