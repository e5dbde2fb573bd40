using System.Buffers.Binary;
using System.Diagnostics.CodeAnalysis;

namespace GdbStub.Agents;

/// <summary>
/// An expression a debugger compiled for the target to evaluate: a condition, or a command, of a breakpoint. Compiled once
/// into a form whose every jump, register and stack depth was checked, so that evaluating can neither leave it nor throw.
/// Source: "The GDB Agent Expression Mechanism" in gdb's manual.
/// </summary>
/// <remarks>
/// Where the manual leaves a choice: arithmetic wraps; a shift by 64 or more leaves no bit of the value; <c>ext</c> and
/// <c>zero_ext</c> of 64 bits or more change nothing; floating-point values are doubles, and <c>d_to_l</c> saturates;
/// <c>tracev</c> leaves the stack as it is, as gdb itself expects.
/// </remarks>
public sealed class AgentExpression
{
    /// <summary>Longest bytecode, in bytes.</summary>
    public const int MaxLength = 16384;

    /// <summary>Deepest stack.</summary>
    public const int MaxDepth = 128;

    /// <summary>Steps after which an evaluation is given up; a longer string than this is cut where one is printed or recorded.</summary>
    public const int MaxSteps = 65536;

    private readonly AgentInstruction[] instructions;
    private readonly PrintfFormat[] formats;
    private readonly int depth;
    private readonly bool bigEndian;
    private readonly LongDoubleFormat longDouble;

    private AgentExpression(AgentInstruction[] instructions, PrintfFormat[] formats, int depth, AgentArchitecture architecture)
    {
        this.instructions = instructions;
        this.formats = formats;
        this.depth = depth;
        bigEndian = architecture.BigEndian;
        longDouble = architecture.LongDouble;
    }

    /// <summary>Checks and compiles bytecode; false with what is wrong with it, and where.</summary>
    public static bool TryCompile(
        ReadOnlySpan<byte> bytecode, AgentArchitecture architecture,
        [NotNullWhen(true)] out AgentExpression? expression, [NotNullWhen(false)] out string? error)
    {
        expression = null;
        if (bytecode.Length > MaxLength)
        {
            error = $"an expression of {bytecode.Length} bytes; at most {MaxLength} are taken";
            return false;
        }

        if (!AgentVerifier.TryVerify(bytecode, architecture, out AgentInstruction[]? instructions, out PrintfFormat[] formats, out int depth, out error))
        {
            return false;
        }

        expression = new AgentExpression(instructions, formats, depth, architecture);
        return true;
    }

    /// <summary>
    /// Evaluates: the value on top of the stack at the end, 0 when it is empty. Allocates nothing and ends after at most
    /// <see cref="MaxSteps"/> steps; throws only what the context throws.
    /// </summary>
    public AgentStatus Evaluate<TContext>(ref TContext context, out ulong value)
        where TContext : struct, IAgentContext
    {
        // One unused element below, so that the top can be read whatever the depth.
        Span<ulong> stack = stackalloc ulong[depth + 1];
        AgentInstruction[] code = instructions;
        int at = 0;
        int top = 0;
        value = 0;
        for (int steps = 0; steps < MaxSteps; steps++)
        {
            AgentInstruction instruction = code[at++];
            ref ulong last = ref stack[top];
            switch (instruction.Opcode)
            {
                case AgentOpcode.Const8 or AgentOpcode.Const16 or AgentOpcode.Const32 or AgentOpcode.Const64:
                    stack[++top] = instruction.Operand;
                    break;

                case AgentOpcode.Reg:
                    if (!context.TryReadRegister((int)instruction.Operand, out ulong register))
                    {
                        return AgentStatus.NoRegister;
                    }

                    stack[++top] = register;
                    break;

                case AgentOpcode.Ref8 or AgentOpcode.Ref16 or AgentOpcode.Ref32 or AgentOpcode.Ref64
                    or AgentOpcode.RefFloat or AgentOpcode.RefDouble or AgentOpcode.RefLongDouble:
                    if (!TryLoad(ref context, instruction.Opcode, ref last))
                    {
                        return AgentStatus.NoMemory;
                    }

                    break;

                case AgentOpcode.Goto:
                    at = (int)instruction.Operand;
                    break;

                case AgentOpcode.IfGoto:
                    at = last != 0 ? (int)instruction.Operand : at;
                    top--;
                    break;

                case AgentOpcode.End:
                    value = top == 0 ? 0 : last;
                    return AgentStatus.Done;

                case AgentOpcode.Dup:
                    stack[++top] = last;
                    break;

                case AgentOpcode.Pop:
                    top--;
                    break;

                case AgentOpcode.Pick:
                    stack[top + 1] = stack[top - (int)instruction.Operand];
                    top++;
                    break;

                case AgentOpcode.Swap:
                    (last, stack[top - 1]) = (stack[top - 1], last);
                    break;

                case AgentOpcode.Rot:
                    (stack[top - 2], stack[top - 1], last) = (last, stack[top - 2], stack[top - 1]);
                    break;

                case AgentOpcode.LogNot:
                    last = last == 0 ? 1UL : 0;
                    break;

                case AgentOpcode.BitNot:
                    last = ~last;
                    break;

                case AgentOpcode.Ext:
                    last = instruction.Operand >= 64 ? last : (ulong)((long)(last << (64 - (int)instruction.Operand)) >> (64 - (int)instruction.Operand));
                    break;

                case AgentOpcode.ZeroExt:
                    last = instruction.Operand >= 64 ? last : last & ((1UL << (int)instruction.Operand) - 1);
                    break;

                case AgentOpcode.LToD:
                    last = BitConverter.DoubleToUInt64Bits((long)last);
                    break;

                case AgentOpcode.DToL:
                    last = (ulong)Saturate(BitConverter.UInt64BitsToDouble(last));
                    break;

                case AgentOpcode.GetV:
                    stack[++top] = instruction.Operand < (ulong)context.Variables.Length ? (ulong)context.Variables[(int)instruction.Operand] : 0;
                    break;

                case AgentOpcode.SetV:
                    if (instruction.Operand < (ulong)context.Variables.Length)
                    {
                        context.Variables[(int)instruction.Operand] = (long)last;
                    }

                    break;

                case AgentOpcode.TraceV:
                    break;

                case AgentOpcode.TraceQuick or AgentOpcode.Trace16:
                    context.Record(last, instruction.Operand);
                    break;

                case AgentOpcode.Trace:
                    context.Record(stack[top - 1], last);
                    top -= 2;
                    break;

                case AgentOpcode.TraceNz:
                    if (!TryMeasure(ref context, stack[top - 1], last, out ulong length))
                    {
                        return AgentStatus.NoMemory;
                    }

                    context.Record(stack[top - 1], length);
                    top -= 2;
                    break;

                case AgentOpcode.Printf:
                    PrintfFormat format = formats[(int)instruction.Operand];

                    // On top the function and the channel, which only a program in a process could use; then the first argument.
                    top -= 2 + format.Arguments;
                    if (!format.Print(ref context, stack.Slice(top + 1, format.Arguments)))
                    {
                        return AgentStatus.NoMemory;
                    }

                    break;

                default:
                    if (last == 0 && instruction.Opcode is >= AgentOpcode.DivSigned and <= AgentOpcode.RemUnsigned)
                    {
                        return AgentStatus.DivideByZero;
                    }

                    stack[--top] = Combine(instruction.Opcode, stack[top], last);
                    break;
            }
        }

        return AgentStatus.TooManySteps;
    }

    private static ulong Combine(AgentOpcode opcode, ulong a, ulong b) => opcode switch
    {
        AgentOpcode.Add => a + b,
        AgentOpcode.Sub => a - b,
        AgentOpcode.Mul => a * b,

        // The one quotient that does not fit wraps, and .NET would throw.
        AgentOpcode.DivSigned => (long)b == -1 ? 0 - a : (ulong)((long)a / (long)b),
        AgentOpcode.DivUnsigned => a / b,
        AgentOpcode.RemSigned => (long)b == -1 ? 0 : (ulong)((long)a % (long)b),
        AgentOpcode.RemUnsigned => a % b,
        AgentOpcode.Lsh => b > 63 ? 0 : a << (int)b,
        AgentOpcode.RshSigned => (ulong)((long)a >> (int)Math.Min(b, 63)),
        AgentOpcode.RshUnsigned => b > 63 ? 0 : a >> (int)b,
        AgentOpcode.BitAnd => a & b,
        AgentOpcode.BitOr => a | b,
        AgentOpcode.BitXor => a ^ b,
        AgentOpcode.Equal => a == b ? 1UL : 0,
        AgentOpcode.LessSigned => (long)a < (long)b ? 1UL : 0,
        AgentOpcode.LessUnsigned => a < b ? 1UL : 0,
        _ => 0,
    };

    private bool TryLoad<TContext>(ref TContext context, AgentOpcode opcode, ref ulong value)
        where TContext : struct, IAgentContext
    {
        const int extended = 10;
        int size = opcode switch
        {
            AgentOpcode.Ref8 => 1,
            AgentOpcode.Ref16 => 2,
            AgentOpcode.Ref32 or AgentOpcode.RefFloat => 4,
            AgentOpcode.RefLongDouble when longDouble == LongDoubleFormat.Extended80 => extended,
            _ => 8,
        };
        Span<byte> bytes = stackalloc byte[16];
        bytes.Clear();
        if (!context.TryReadMemory(value, bigEndian ? bytes.Slice(16 - size, size) : bytes[..size]))
        {
            return false;
        }

        ulong bits = bigEndian ? BinaryPrimitives.ReadUInt64BigEndian(bytes[8..]) : BinaryPrimitives.ReadUInt64LittleEndian(bytes);
        value = opcode == AgentOpcode.RefFloat ? BitConverter.DoubleToUInt64Bits(BitConverter.UInt32BitsToSingle((uint)bits))
            : size == extended ? BitConverter.DoubleToUInt64Bits(FromExtended(
                bigEndian ? BinaryPrimitives.ReadUInt16BigEndian(bytes[6..]) : BinaryPrimitives.ReadUInt16LittleEndian(bytes[8..]), bits))
            : bits;
        return true;
    }

    private static double FromExtended(ushort head, ulong fraction)
    {
        const int bias = 16383;
        int exponent = head & 0x7FFF;
        double size = exponent == 0x7FFF
            ? (fraction << 1) == 0 ? double.PositiveInfinity : double.NaN
            : Math.ScaleB(fraction, Math.Max(exponent, 1) - bias - 63);
        return (head & 0x8000) != 0 ? -size : size;
    }

    private static long Saturate(double value) =>
        double.IsNaN(value) ? 0 : value >= 9223372036854775808.0 ? long.MaxValue : value <= -9223372036854775808.0 ? long.MinValue : (long)value;

    /// <summary>Bytes of a string to and with its NUL, at most <paramref name="limit"/>; false when memory ends before.</summary>
    private static bool TryMeasure<TContext>(ref TContext context, ulong address, ulong limit, out ulong length)
        where TContext : struct, IAgentContext
    {
        Span<byte> one = stackalloc byte[1];
        for (length = 0; length < limit && length < MaxSteps; length++)
        {
            if (!context.TryReadMemory(address + length, one))
            {
                return false;
            }

            if (one[0] == 0)
            {
                length++;
                break;
            }
        }

        return true;
    }
}
