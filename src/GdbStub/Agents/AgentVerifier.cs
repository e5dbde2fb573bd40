using System.Buffers.Binary;
using System.Diagnostics.CodeAnalysis;

namespace GdbStub.Agents;

/// <summary>One checked bytecode.</summary>
/// <param name="Opcode">What it does.</param>
/// <param name="Operand">Constant, register, size or the like; of a jump the index it leads to; of a printf the index of its format.</param>
internal readonly record struct AgentInstruction(AgentOpcode Opcode, ulong Operand);

/// <summary>
/// Follows every path through a bytecode once. Each place must be reached with one stack depth, so that no path can find the stack
/// empty or full; jumps must lead to the start of a bytecode; no path may run off the end.
/// </summary>
internal ref struct AgentVerifier
{
    private const int Unseen = -1;

    private readonly ReadOnlySpan<byte> code;
    private readonly AgentArchitecture architecture;
    private readonly int[] depths;
    private readonly int[] lengths;
    private readonly Stack<int> open = [];

    private AgentVerifier(ReadOnlySpan<byte> code, AgentArchitecture architecture)
    {
        this.code = code;
        this.architecture = architecture;
        depths = new int[code.Length];
        lengths = new int[code.Length];
        depths.AsSpan().Fill(Unseen);
    }

    /// <summary>The deepest the stack gets.</summary>
    public int MaxDepth { get; private set; }

    /// <summary>What is wrong, null when nothing is.</summary>
    public string? Error { get; private set; }

    /// <summary>Checks; false with the reason.</summary>
    public static bool TryVerify(
        ReadOnlySpan<byte> code, AgentArchitecture architecture, [NotNullWhen(true)] out AgentInstruction[]? instructions,
        out PrintfFormat[] formats, out int maxDepth, [NotNullWhen(false)] out string? error)
    {
        var verifier = new AgentVerifier(code, architecture);
        verifier.Walk();
        instructions = null;
        formats = [];
        if (verifier.Error is null)
        {
            instructions = verifier.Emit(out formats);
        }

        maxDepth = verifier.MaxDepth;
        error = verifier.Error;
        return error is null;
    }

    private void Walk()
    {
        Reach(0, 0, 0);
        while (Error is null && open.TryPop(out int at))
        {
            Visit(at);
        }
    }

    private void Visit(int at)
    {
        var opcode = (AgentOpcode)code[at];
        AgentForm form = AgentForm.Of(opcode);
        if (!form.IsKnown)
        {
            Error = $"byte {at}: there is no bytecode 0x{code[at]:x2}";
            return;
        }

        int length = 1 + form.OperandBytes;
        if (length > code.Length - at)
        {
            Error = $"byte {at}: {opcode} is cut";
            return;
        }

        int takes = form.Takes;
        int leaves = form.Leaves;
        switch (opcode)
        {
            case AgentOpcode.Pick:
                takes = code[at + 1] + 1;
                leaves = takes + 1;
                break;

            case AgentOpcode.Printf:
                takes += code[at + 1];
                length += BinaryPrimitives.ReadUInt16BigEndian(code[(at + 2)..]);
                if (length > code.Length - at)
                {
                    Error = $"byte {at}: the format of Printf is cut";
                    return;
                }

                break;

            case AgentOpcode.Reg when Word(at) >= architecture.RegisterCount:
                Error = $"byte {at}: there is no register {Word(at)}";
                return;

            case AgentOpcode.Ext or AgentOpcode.ZeroExt when code[at + 1] == 0:
                Error = $"byte {at}: {opcode} of no bits";
                return;
        }

        int depth = depths[at];
        if (depth < takes)
        {
            Error = $"byte {at}: {opcode} takes {takes} values and the stack has {depth}";
            return;
        }

        depth += leaves - takes;
        if (depth > AgentExpression.MaxDepth)
        {
            Error = $"byte {at}: more than {AgentExpression.MaxDepth} values on the stack";
            return;
        }

        MaxDepth = Math.Max(MaxDepth, depth);
        lengths[at] = length;
        if (opcode is AgentOpcode.Goto or AgentOpcode.IfGoto)
        {
            Reach(at, Word(at), depth);
        }

        if (opcode is not (AgentOpcode.Goto or AgentOpcode.End))
        {
            Reach(at, at + length, depth);
        }
    }

    private void Reach(int from, int at, int depth)
    {
        if (Error is not null)
        {
            return;
        }

        if (at >= code.Length)
        {
            Error = $"byte {from}: leads to byte {at}, behind the end";
        }
        else if (depths[at] == Unseen)
        {
            depths[at] = depth;
            open.Push(at);
        }
        else if (depths[at] != depth)
        {
            Error = $"byte {at}: reached with {depths[at]} and with {depth} values on the stack";
        }
    }

    private AgentInstruction[] Emit(out PrintfFormat[] formats)
    {
        var printed = new List<PrintfFormat>();
        formats = [];
        var places = new int[code.Length];
        int count = 0;
        int end = 0;
        for (int at = 0; at < code.Length; at++)
        {
            if (depths[at] == Unseen)
            {
                continue;
            }

            if (at < end)
            {
                Error = $"byte {at}: a jump into the middle of a bytecode";
                return [];
            }

            places[at] = count++;
            end = at + lengths[at];
        }

        // What falls through goes to the next instruction in this order: it lies right behind, and what is skipped is unreached.
        var instructions = new AgentInstruction[count];
        for (int at = 0; at < code.Length; at++)
        {
            if (depths[at] == Unseen)
            {
                continue;
            }

            var opcode = (AgentOpcode)code[at];
            ReadOnlySpan<byte> operands = code.Slice(at + 1, lengths[at] - 1);
            ulong operand = 0;
            if (opcode is AgentOpcode.Goto or AgentOpcode.IfGoto)
            {
                operand = (ulong)places[Word(at)];
            }
            else if (opcode == AgentOpcode.Printf)
            {
                if (!PrintfFormat.TryParse(operands[3..], operands[0], out PrintfFormat? format, out string? wrong))
                {
                    Error = $"byte {at}: {wrong}";
                    return [];
                }

                operand = (ulong)printed.Count;
                printed.Add(format);
            }
            else
            {
                foreach (byte value in operands)
                {
                    operand = (operand << 8) | value;
                }
            }

            instructions[places[at]] = new AgentInstruction(opcode, operand);
        }

        formats = [.. printed];
        return instructions;
    }

    private readonly int Word(int at) => BinaryPrimitives.ReadUInt16BigEndian(code[(at + 1)..]);
}
