using System.Diagnostics.CodeAnalysis;

namespace GdbStub.Agents;

/// <summary>
/// An expression a debugger compiled for the target to evaluate: a condition, or a command, of a breakpoint. Compiled once
/// into a form whose every jump, register and stack depth was checked, so that evaluating can neither leave it nor throw.
/// Source: "The GDB Agent Expression Mechanism" in gdb's manual.
/// </summary>
public sealed partial class AgentExpression
{
    /// <summary>Longest bytecode, in bytes.</summary>
    public const int MaxLength = 16384;

    /// <summary>Deepest stack.</summary>
    public const int MaxDepth = 128;

    /// <summary>Steps after which an evaluation is given up.</summary>
    public const int MaxSteps = 65536;

    /// <summary>Checks and compiles bytecode; false with what is wrong with it, and where.</summary>
    public static bool TryCompile(
        ReadOnlySpan<byte> bytecode, AgentArchitecture architecture,
        [NotNullWhen(true)] out AgentExpression? expression, [NotNullWhen(false)] out string? error) =>
        throw new NotImplementedException();

    /// <summary>
    /// Evaluates: the value on top of the stack at the end, 0 when it is empty. Allocates nothing and ends after at most
    /// <see cref="MaxSteps"/> steps; throws only what the context throws.
    /// </summary>
    public AgentStatus Evaluate<TContext>(ref TContext context, out ulong value)
        where TContext : IAgentContext, allows ref struct =>
        throw new NotImplementedException();
}
