using System.Buffers.Binary;
using System.Text;
using CsCheck;
using GdbStub.Agents;

namespace GdbStub.Tests.Agents;

/// <summary>Values by "Bytecode Descriptions" in gdb's manual, worked out by hand.</summary>
public sealed class AgentTests
{
    private static readonly AgentArchitecture Little = new(4, BigEndian: false, LongDoubleFormat.Extended80);

    /// <summary>Memory is at 100h: 01 02 03 … 10, then 1.5 as a float (110h), -2.25 as a double (118h), 3 as an 80-bit number (120h), "hi" (130h).</summary>
    [Theory]
    [InlineData("add", "22 05 22 07 02 27", 12)]
    [InlineData("sub wraps", "22 05 22 07 03 27", -2)]
    [InlineData("mul", "23 01 00 23 01 00 04 27", 0x10000)]
    [InlineData("div_signed", "22 f9 16 08 22 02 05 27", -3)]
    [InlineData("div_signed of the one quotient that does not fit", "25 8000000000000000 22 ff 16 08 05 27", long.MinValue)]
    [InlineData("div_unsigned", "25 ffffffffffffffff 22 02 06 27", long.MaxValue)]
    [InlineData("rem_signed", "22 f9 16 08 22 02 07 27", -1)]
    [InlineData("rem_signed by -1", "25 8000000000000000 22 ff 16 08 07 27", 0)]
    [InlineData("rem_unsigned", "22 f9 22 0a 08 27", 9)]
    [InlineData("lsh", "22 01 22 3f 09 27", long.MinValue)]
    [InlineData("lsh by everything", "22 01 22 40 09 27", 0)]
    [InlineData("rsh_signed", "25 8000000000000000 22 3e 0a 27", -2)]
    [InlineData("rsh_signed by everything", "25 8000000000000000 22 ff 0a 27", -1)]
    [InlineData("rsh_unsigned", "25 8000000000000000 22 3e 0b 27", 2)]
    [InlineData("rsh_unsigned by everything", "25 8000000000000000 22 40 0b 27", 0)]
    [InlineData("log_not of something", "22 05 0e 27", 0)]
    [InlineData("log_not of nothing", "22 00 0e 27", 1)]
    [InlineData("bit_and", "22 0c 22 0a 0f 27", 8)]
    [InlineData("bit_or", "22 0c 22 0a 10 27", 14)]
    [InlineData("bit_xor", "22 0c 22 0a 11 27", 6)]
    [InlineData("bit_not", "22 00 12 27", -1)]
    [InlineData("equal", "22 05 22 05 13 27", 1)]
    [InlineData("not equal", "22 05 22 06 13 27", 0)]
    [InlineData("less_signed", "22 ff 16 08 22 00 14 27", 1)]
    [InlineData("less_unsigned", "22 ff 16 08 22 00 15 27", 0)]
    [InlineData("ext", "22 80 16 08 27", -128)]
    [InlineData("ext of all bits", "22 80 16 40 27", 128)]
    [InlineData("zero_ext", "23 ff ff 2a 04 27", 15)]
    [InlineData("zero_ext of more than all bits", "23 ff ff 2a ff 27", 65535)]
    [InlineData("ref8", "23 01 00 17 27", 0x01)]
    [InlineData("ref16", "23 01 00 18 27", 0x0201)]
    [InlineData("ref32", "23 01 00 19 27", 0x04030201)]
    [InlineData("ref64", "23 01 00 1a 27", 0x0807060504030201)]
    [InlineData("ref_float", "23 01 10 1b 1f 27", 1)]
    [InlineData("ref_double", "23 01 18 1c 1f 27", -2)]
    [InlineData("ref_long_double", "23 01 20 1d 1f 27", 3)]
    [InlineData("l_to_d", "22 01 1e 27", 0x3ff0000000000000)]
    [InlineData("d_to_l saturates", "25 7fefffffffffffff 1f 27", long.MaxValue)]
    [InlineData("d_to_l of no number", "25 7ff8000000000000 1f 27", 0)]
    [InlineData("if_goto taken", "22 01 20 00 08 22 63 27 22 2a 27", 42)]
    [InlineData("if_goto not taken", "22 00 20 00 08 22 63 27 22 2a 27", 99)]
    [InlineData("goto", "21 00 04 00 22 07 27", 7)]
    [InlineData("const8 without a sign", "22 ff 27", 255)]
    [InlineData("const16", "23 12 34 27", 0x1234)]
    [InlineData("const32", "24 89 ab cd ef 27", 0x89abcdef)]
    [InlineData("const64", "25 0123456789abcdef 27", 0x0123456789abcdef)]
    [InlineData("reg", "26 00 02 27", 0x1002)]
    [InlineData("end of an empty stack", "27", 0)]
    [InlineData("dup", "22 05 28 02 27", 10)]
    [InlineData("pop", "22 05 22 06 29 27", 5)]
    [InlineData("swap", "22 05 22 06 2b 03 27", 1)]
    [InlineData("pick", "22 05 22 06 22 07 32 02 27", 5)]
    [InlineData("pick like dup", "22 05 32 00 02 27", 10)]
    [InlineData("rot brings the second to the top", "22 01 22 02 22 03 33 27", 2)]
    [InlineData("rot brings the first second", "22 01 22 02 22 03 33 29 27", 1)]
    [InlineData("rot sinks the top", "22 01 22 02 22 03 33 29 29 27", 3)]
    [InlineData("getv", "2c 00 01 27", 77)]
    [InlineData("getv of none", "2c ff ff 27", 0)]
    [InlineData("setv leaves its value", "22 09 2d 00 00 2c 00 00 02 27", 18)]
    [InlineData("tracev leaves the stack", "22 09 2e 00 00 27", 9)]
    [InlineData("trace_quick leaves the address", "23 01 00 0d 08 27", 0x100)]
    [InlineData("trace16 leaves the address", "23 01 00 30 01 00 27", 0x100)]
    [InlineData("a loop: 10 + 9 + … + 1", "22 00 22 0a 28 0e 20 00 14 28 33 02 2b 22 01 03 21 00 04 00 29 27", 55)]
    public void A_bytecode_does_what_the_manual_says(string what, string bytecode, long expected)
    {
        var context = new Context(new List<string>());
        Assert.Equal(AgentStatus.Done, Compile(bytecode).Evaluate(ref context, out ulong value));
        Assert.True((long)value == expected, $"{what}: 0x{value:x}");
    }

    [Theory]
    [InlineData("23 01 00 22 08 0c 27", "record 100 8")]
    [InlineData("23 01 00 0d 04 27", "record 100 4")]
    [InlineData("23 01 00 30 01 02 27", "record 100 102")]
    [InlineData("23 01 30 22 20 2f 27", "record 130 3")]
    [InlineData("23 01 30 22 01 2f 27", "record 130 1")]
    public void Tracing_asks_for_memory_to_be_recorded(string bytecode, string expected)
    {
        var context = new Context(new List<string>());
        Assert.Equal(AgentStatus.Done, Compile(bytecode).Evaluate(ref context, out _));
        Assert.Equal([expected], context.Calls);
    }

    /// <summary>gdb pushes the last argument first, then the channel and the function.</summary>
    [Theory]
    [InlineData("plain %%\\n", "", "plain %\n")]
    [InlineData("%d %u", "2a ff", "42 255")]
    [InlineData("[%5d|%-5d|%05d|%+d]", "2a 2a 2a 2a", "[   42|42   |00042|+42]")]
    [InlineData("%x %#x %X %o %#o", "2a 2a 2a 08 08", "2a 0x2a 2A 10 010")]
    [InlineData("%#08x|%.4d|%8.4d", "2a 2a 2a", "0x00002a|0042|    0042")]
    [InlineData("%c%c", "68 69", "hi")]
    [InlineData("%p", "10", "0x10")]
    [InlineData("%s|%5s|%-5s|%.1s", "@ @ @ @", "hi|   hi|hi   |h")]
    [InlineData("%lx %llu %zd %hhx", "ff ff ff ff", "ff 255 255 ff")]
    [InlineData("\\101\\t\\\"\\\\", "", "A\t\"\\")]
    public void A_printf_prints_as_Cs_does(string format, string arguments, string expected)
    {
        var bytes = new List<byte>();
        foreach (string argument in arguments.Split(' ', StringSplitOptions.RemoveEmptyEntries).Reverse())
        {
            bytes.AddRange(argument == "@" ? [0x23, 0x01, 0x30] : [0x22, Convert.ToByte(argument, 16)]);
        }

        int count = arguments.Split(' ', StringSplitOptions.RemoveEmptyEntries).Length;
        bytes.AddRange([0x22, 0, 0x22, 0, 0x34, (byte)count, 0, (byte)(format.Length + 1), .. Encoding.ASCII.GetBytes(format), 0, 0x27]);
        var context = new Context(new List<string>());
        Assert.True(AgentExpression.TryCompile(bytes.ToArray(), Little, out AgentExpression? expression, out string? error), error);
        Assert.Equal(AgentStatus.Done, expression.Evaluate(ref context, out _));
        Assert.Equal(["print " + expected], context.Calls);
    }

    [Theory]
    [InlineData("", "byte 0: leads to byte 0, behind the end")]
    [InlineData("22", "byte 0: Const8 is cut")]
    [InlineData("22 01", "byte 0: leads to byte 2, behind the end")]
    [InlineData("01 27", "byte 0: there is no bytecode 0x01")]
    [InlineData("31 27", "byte 0: there is no bytecode 0x31")]
    [InlineData("ff", "byte 0: there is no bytecode 0xff")]
    [InlineData("02 27", "byte 0: Add takes 2 values and the stack has 0")]
    [InlineData("22 01 32 01 27", "byte 2: Pick takes 2 values and the stack has 1")]
    [InlineData("26 00 04 27", "byte 0: there is no register 4")]
    [InlineData("21 ff ff", "byte 0: leads to byte 65535, behind the end")]
    [InlineData("22 00 20 00 06 22 27 27", "byte 6: a jump into the middle of a bytecode")]
    [InlineData("22 01 21 00 00", "byte 0: reached with 0 and with 1 values on the stack")]
    [InlineData("22 00 16 00 27", "byte 2: Ext of no bits")]
    [InlineData("22 00 22 00 34 00 00 05 41 00 27", "byte 4: the format of Printf is cut")]
    [InlineData("22 00 22 00 34 00 00 01 41 27", "byte 4: a format without a NUL at its end")]
    [InlineData("22 00 22 00 34 00 00 03 25 64 00 27", "byte 4: a format with more conversions than its 0 arguments")]
    [InlineData("22 00 22 00 34 00 00 03 25 6e 00 27", "byte 4: a conversion that is not taken, at 'n', byte 1 of the format")]
    public void What_is_wrong_is_refused_with_where(string bytecode, string expected)
    {
        Assert.False(AgentExpression.TryCompile(Bytes(bytecode), Little, out _, out string? error));
        Assert.Equal(expected, error);
    }

    [Fact]
    public void A_stack_has_an_end()
    {
        byte[] bytecode = [.. Enumerable.Repeat<byte[]>([0x22, 1], AgentExpression.MaxDepth).SelectMany(one => one), 0x27];
        Assert.True(AgentExpression.TryCompile(bytecode, Little, out _, out _));
        Assert.False(AgentExpression.TryCompile([0x22, 1, .. bytecode], Little, out _, out string? error));
        Assert.Equal("byte 256: more than 128 values on the stack", error);
        Assert.False(AgentExpression.TryCompile(new byte[AgentExpression.MaxLength + 1], Little, out _, out _));
    }

    [Theory]
    [InlineData("22 01 22 00 05 27", AgentStatus.DivideByZero)]
    [InlineData("22 01 22 00 08 27", AgentStatus.DivideByZero)]
    [InlineData("22 00 17 27", AgentStatus.NoMemory)]
    [InlineData("23 01 3f 18 27", AgentStatus.NoMemory)]
    [InlineData("26 00 03 27", AgentStatus.NoRegister)]
    [InlineData("21 00 00", AgentStatus.TooManySteps)]
    public void What_cannot_be_evaluated_says_why(string bytecode, AgentStatus expected)
    {
        var context = new Context(new List<string>());
        Assert.Equal(expected, Compile(bytecode).Evaluate(ref context, out _));
    }

    [Fact]
    public void Memory_is_read_in_the_architectures_order()
    {
        Assert.True(AgentExpression.TryCompile(Bytes("23 01 00 19 27"), new AgentArchitecture(0, BigEndian: true), out AgentExpression? expression, out _));
        var context = new Context(new List<string>());
        expression.Evaluate(ref context, out ulong value);
        Assert.Equal(0x01020304UL, value);
    }

    [Theory]
    [InlineData("", "", BreakpointVerdict.Stop)]
    [InlineData("22 00 27", "", BreakpointVerdict.RunOn)]
    [InlineData("22 01 27", "", BreakpointVerdict.Stop)]
    [InlineData("22 00 27|22 01 27", "", BreakpointVerdict.Stop)]
    [InlineData("22 00 27|22 00 27", "", BreakpointVerdict.RunOn)]
    [InlineData("22 00 17 27", "", BreakpointVerdict.Stop)]
    [InlineData("", "22 00 27", BreakpointVerdict.RunOn)]
    [InlineData("22 00 27", "22 00 27", BreakpointVerdict.RunOn)]
    [InlineData("22 01 27", "22 00 27", BreakpointVerdict.RunOn)]
    [InlineData("22 01 27", "22 00 17 27", BreakpointVerdict.Stop)]
    public void A_program_decides_about_a_hit(string conditions, string commands, BreakpointVerdict expected)
    {
        var program = new BreakpointProgram(All(conditions), All(commands));
        var context = new Context(new List<string>());
        Assert.Equal(expected, program.Hit(ref context));

        static AgentExpression[] All(string text) => [.. text.Split('|', StringSplitOptions.RemoveEmptyEntries).Select(Compile)];
    }

    [Fact]
    public void Deciding_allocates_nothing()
    {
        var program = new BreakpointProgram([Compile("26 00 01 23 01 00 1a 13 27")], []);
        var context = new Context([]);
        program.Hit(ref context);
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < 1000; i++)
        {
            program.Hit(ref context);
        }

        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
    }

    /// <summary>Hostile bytecode: bytes at random, and bytes that are mostly bytecodes; compiling and evaluating end and throw nothing.</summary>
    [Fact]
    public void No_bytecode_does_harm()
    {
        int compiled = 0;
        Gen<byte[]> mostlyCodes = Gen.OneOf(
            Gen.Byte[2, 0x34].Select(code => new[] { code }),
            Gen.Byte.Select(value => new byte[] { 0x22, value }),
            Gen.Select(Gen.Byte[0x20, 0x21], Gen.Byte[0, 60]).Select((jump, to) => new byte[] { jump, 0, to }),
            Gen.Select(Gen.Byte[0, 3], Gen.String[Gen.Char["%sdxlc-0123. \\n"], 0, 12]).Select((count, format) =>
                (byte[])[0x22, 0, 0x22, 0, 0x34, count, 0, (byte)(format.Length + 1), .. Encoding.ASCII.GetBytes(format), 0]))
            .Array[0, 30].Select(parts => (byte[])[.. parts.SelectMany(part => part), 0x27]);
        Gen.OneOf(Gen.Byte.Array[0, 60], mostlyCodes).Sample(
            bytecode =>
            {
                if (!AgentExpression.TryCompile(bytecode, Little, out AgentExpression? expression, out string? error))
                {
                    Assert.StartsWith("byte ", error, StringComparison.Ordinal);
                    return;
                }

                Interlocked.Increment(ref compiled);
                var context = new Context([]);
                expression.Evaluate(ref context, out _);
            },
            iter: 100_000, seed: "0N0XIzNsQ0O2");
        Assert.True(compiled > 1000, $"only {compiled} were valid");
    }

    private static AgentExpression Compile(string bytecode)
    {
        Assert.True(AgentExpression.TryCompile(Bytes(bytecode), Little, out AgentExpression? expression, out string? error), error);
        return expression;
    }

    private static byte[] Bytes(string hex) => Convert.FromHexString(hex.Replace(" ", "", StringComparison.Ordinal));

    private readonly struct Context(List<string> calls) : IAgentContext
    {
        private static readonly byte[] Memory = Build();

        private readonly long[] variables = [5, 77];

        public List<string> Calls => calls;

        public Span<long> Variables => variables;

        public bool TryReadRegister(int register, out ulong value)
        {
            value = 0x1000UL + (ulong)register;
            return register != 3;
        }

        public bool TryReadMemory(ulong address, Span<byte> destination)
        {
            ulong offset = address - 0x100;
            bool there = offset < (ulong)Memory.Length && (ulong)destination.Length <= (ulong)Memory.Length - offset;
            if (there)
            {
                Memory.AsSpan((int)offset, destination.Length).CopyTo(destination);
            }

            return there;
        }

        public void Record(ulong address, ulong length) => calls.Add($"record {address:x} {length:x}");

        public void Print(ReadOnlySpan<byte> text) => calls.Add("print " + Encoding.Latin1.GetString(text));

        private static byte[] Build()
        {
            byte[] memory = new byte[64];
            for (int i = 0; i < 16; i++)
            {
                memory[i] = (byte)(i + 1);
            }

            BinaryPrimitives.WriteSingleLittleEndian(memory.AsSpan(16), 1.5f);
            BinaryPrimitives.WriteDoubleLittleEndian(memory.AsSpan(24), -2.25);

            // 3 = 1.1b * 2^1: exponent 16383 + 1, the integer bit stands in the fraction.
            BinaryPrimitives.WriteUInt64LittleEndian(memory.AsSpan(32), 0xC000000000000000);
            BinaryPrimitives.WriteUInt16LittleEndian(memory.AsSpan(40), 0x4000);
            "hi\0"u8.CopyTo(memory.AsSpan(48));
            return memory;
        }
    }
}
