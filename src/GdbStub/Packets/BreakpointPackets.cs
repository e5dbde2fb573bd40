using GdbStub.Agents;
using GdbStub.Sessions;
using GdbStub.Targets;
using GdbStub.Wire;

namespace GdbStub.Packets;

/// <summary>
/// Z and z, with conditions and commands as agent bytecode where the target takes them. Source: "Packets" in gdb's manual:
/// <c>Z0,ADDRESS,KIND[;X LENGTH,BYTECODE…][;cmds:PERSIST,X LENGTH,BYTECODE…]</c>.
/// </summary>
internal static class BreakpointPackets
{
    /// <summary>Most conditions, and most commands, of one breakpoint.</summary>
    public const int MaxExpressions = 64;

    private const string Form = "Z TYPE,ADDRESS,KIND[;X LENGTH,BYTECODE...][;cmds:PERSIST,X LENGTH,BYTECODE...]";

    public static void Insert(GdbSession session, PacketArguments arguments)
    {
        if (!TryRead(session, ref arguments, out IBreakpoints? breakpoints, out TargetBreakpoint breakpoint))
        {
            return;
        }

        if (arguments.AtEnd)
        {
            Answer(session, breakpoint, true, breakpoints.Insert(breakpoint));
        }
        else if (breakpoint.Kind > BreakpointKind.Hardware)
        {
            session.ReplyError(new TargetError(TargetError.Invalid, "only breakpoints have conditions and commands here; keep a watchpoint's in the debugger"));
        }
        else if (!TryProgram(session, arguments, out BreakpointProgram? program))
        {
            return;
        }
        else if (breakpoints is IProgrammableBreakpoints programmable)
        {
            Answer(session, breakpoint, true, programmable.Insert(breakpoint, program));
        }
        else if (program.Commands.Count > 0)
        {
            session.ReplyError(new TargetError(TargetError.Invalid, "this process takes no commands of breakpoints; 'set dprintf-style gdb' keeps them in the debugger"));
        }
        else
        {
            // Every hit stops, and gdb evaluates a condition again whoever was to do it.
            Answer(session, breakpoint, true, breakpoints.Insert(breakpoint));
        }
    }

    public static void Remove(GdbSession session, PacketArguments arguments)
    {
        if (!TryRead(session, ref arguments, out IBreakpoints? breakpoints, out TargetBreakpoint breakpoint))
        {
            return;
        }

        if (!arguments.AtEnd)
        {
            session.ReplyMalformed("z TYPE,ADDRESS,KIND");
            return;
        }

        Answer(session, breakpoint, false, breakpoints.Remove(breakpoint));
    }

    private static bool TryRead(
        GdbSession session, ref PacketArguments arguments,
        [System.Diagnostics.CodeAnalysis.NotNullWhen(true)] out IBreakpoints? breakpoints, out TargetBreakpoint breakpoint)
    {
        breakpoints = session.Target.Breakpoints;
        breakpoint = default;
        if (!arguments.TryHex(out ulong type) || !arguments.TryTake(',') || !arguments.TryRange(out ulong address, out ulong length))
        {
            session.ReplyMalformed("Z TYPE,ADDRESS,KIND");
            return false;
        }

        if (breakpoints is null || type > (ulong)BreakpointKind.Access)
        {
            session.ReplyEmpty();
            return false;
        }

        breakpoint = new TargetBreakpoint((BreakpointKind)type, address, length);
        if (breakpoint.Kind >= BreakpointKind.Write && length == 0)
        {
            session.ReplyMalformed("Z TYPE,ADDRESS,KIND: a watchpoint of no bytes");
            return false;
        }

        return true;
    }

    private static bool TryProgram(GdbSession session, PacketArguments arguments, [System.Diagnostics.CodeAnalysis.NotNullWhen(true)] out BreakpointProgram? program)
    {
        program = null;
        var conditions = new List<AgentExpression>();
        var commands = new List<AgentExpression>();
        List<AgentExpression> list = conditions;
        bool persistent = false;
        while (!arguments.AtEnd)
        {
            arguments.TryTake(';');
            if (arguments.TryTake("cmds:"u8))
            {
                if (list == commands || !arguments.TryHex(out ulong persist) || !arguments.TryTake(','))
                {
                    session.ReplyMalformed(Form);
                    return false;
                }

                persistent = persist != 0;
                list = commands;
                continue;
            }

            if (!arguments.TryTake('X') || !arguments.TryHex(out ulong length) || !arguments.TryTake(',')
                || length > (ulong)arguments.Rest.Length / 2 || list.Count == MaxExpressions)
            {
                session.ReplyMalformed(Form);
                return false;
            }

            byte[] bytecode = new byte[(int)length];
            if (!Hex.TryDecode(arguments.Take((int)length * 2), bytecode))
            {
                session.ReplyMalformed(Form);
                return false;
            }

            if (!AgentExpression.TryCompile(bytecode, AgentArchitecture.Of(session.Target.Description), out AgentExpression? expression, out string? error))
            {
                session.ReplyError(new TargetError(TargetError.Invalid, $"agent expression: {error}"));
                return false;
            }

            list.Add(expression);
        }

        program = new BreakpointProgram(conditions, commands, persistent);
        return true;
    }

    private static void Answer(GdbSession session, TargetBreakpoint breakpoint, bool insert, TargetError? error)
    {
        if (error is null)
        {
            // A range that the session steps through itself ends at a breakpoint in it.
            if (breakpoint.Kind <= BreakpointKind.Hardware)
            {
                _ = insert ? session.General.Breakpoints.Add((breakpoint.Kind, breakpoint.Address)) : session.General.Breakpoints.Remove((breakpoint.Kind, breakpoint.Address));
            }

            session.ReplyOk();
        }
        else
        {
            session.ReplyError(error);
        }
    }
}
