namespace GdbStub.Agents;

/// <summary>What is to happen at a breakpoint that was hit.</summary>
public enum BreakpointVerdict
{
    /// <summary>Stop and tell the debugger.</summary>
    Stop,

    /// <summary>Run on as if nothing had been there.</summary>
    RunOn,
}

/// <summary>
/// The conditions and commands of one breakpoint. Immutable and stateless: one object may be evaluated by several threads.
/// </summary>
/// <param name="Conditions">One of them has to hold; none means always. gdb sends one for each breakpoint of its user at the address.</param>
/// <param name="Commands">What to do at a hit; then the target runs on.</param>
/// <param name="Persistent">The commands are to go on when the debugger leaves; a target may decline.</param>
public sealed record BreakpointProgram(
    IReadOnlyList<AgentExpression> Conditions, IReadOnlyList<AgentExpression> Commands, bool Persistent = false)
{
    private readonly AgentExpression[] conditions = [.. Conditions];
    private readonly AgentExpression[] commands = [.. Commands];

    /// <summary>
    /// Decides about a hit. Allocates nothing, ends after a bounded number of steps and throws only what the context
    /// throws. A condition that cannot be evaluated stops: the debugger then evaluates it again and its user learns why.
    /// </summary>
    public BreakpointVerdict Hit<TContext>(ref TContext context)
        where TContext : struct, IAgentContext
    {
        bool holds = conditions.Length == 0;
        foreach (AgentExpression condition in conditions)
        {
            if (condition.Evaluate(ref context, out ulong value) != AgentStatus.Done)
            {
                return BreakpointVerdict.Stop;
            }

            if (value != 0)
            {
                holds = true;
                break;
            }
        }

        if (!holds)
        {
            return BreakpointVerdict.RunOn;
        }

        foreach (AgentExpression command in commands)
        {
            if (command.Evaluate(ref context, out _) != AgentStatus.Done)
            {
                return BreakpointVerdict.Stop;
            }
        }

        return commands.Length == 0 ? BreakpointVerdict.Stop : BreakpointVerdict.RunOn;
    }
}
