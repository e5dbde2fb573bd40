using GdbStub.Agents;

namespace GdbStub.Targets;

/// <summary>The types of Z packets, by number.</summary>
public enum BreakpointKind
{
    /// <summary>Z0.</summary>
    Software = 0,

    /// <summary>Z1.</summary>
    Hardware = 1,

    /// <summary>Z2.</summary>
    Write = 2,

    /// <summary>Z3.</summary>
    Read = 3,

    /// <summary>Z4.</summary>
    Access = 4,
}

/// <summary>A breakpoint or a watchpoint.</summary>
/// <param name="Kind">Which.</param>
/// <param name="Address">Its address.</param>
/// <param name="Length">Bytes watched; for breakpoints the architecture's kind.</param>
public readonly record struct TargetBreakpoint(BreakpointKind Kind, ulong Address, ulong Length);

/// <summary>
/// Stops at instructions and accesses. Inserting what is there, and removing what is not, succeeds and changes nothing.
/// A target that cannot run now but may later (an image that can be forked) should take breakpoints all the same: a
/// debugger that was once told there are none does not ask again.
/// </summary>
public interface IBreakpoints
{
    /// <summary>Sets one; null when it holds.</summary>
    TargetError? Insert(TargetBreakpoint breakpoint);

    /// <summary>Takes one away; null when it is gone.</summary>
    TargetError? Remove(TargetBreakpoint breakpoint);
}

/// <summary>
/// Breakpoints that the target itself decides about, where the instructions are executed: a hit whose condition is false
/// costs no round trip to the debugger. Announced to gdb as ConditionalBreakpoints and BreakpointCommands.
/// </summary>
public interface IProgrammableBreakpoints : IBreakpoints
{
    /// <summary>
    /// Sets one whose hits <see cref="BreakpointProgram.Hit{TContext}"/> decides about. Setting one that is there replaces
    /// its program; <see cref="IBreakpoints.Insert"/> takes the program away.
    /// </summary>
    TargetError? Insert(TargetBreakpoint breakpoint, BreakpointProgram program);
}
