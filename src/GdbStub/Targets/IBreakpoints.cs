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

/// <summary>Stops at instructions and accesses. Inserting what is there, and removing what is not, succeeds and changes nothing.</summary>
public interface IBreakpoints
{
    /// <summary>Sets one; null when it holds.</summary>
    TargetError? Insert(TargetBreakpoint breakpoint);

    /// <summary>Takes one away; null when it is gone.</summary>
    TargetError? Remove(TargetBreakpoint breakpoint);
}
