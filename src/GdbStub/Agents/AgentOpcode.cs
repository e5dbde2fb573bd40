namespace GdbStub.Agents;

/// <summary>
/// The bytecodes, under the manual's names. Source: "Bytecode Descriptions" in gdb's manual. 01h (<c>float</c>) and 31h
/// have a number and no meaning there; an expression with one of them is refused.
/// </summary>
internal enum AgentOpcode : byte
{
    Add = 0x02,
    Sub = 0x03,
    Mul = 0x04,
    DivSigned = 0x05,
    DivUnsigned = 0x06,
    RemSigned = 0x07,
    RemUnsigned = 0x08,
    Lsh = 0x09,
    RshSigned = 0x0A,
    RshUnsigned = 0x0B,
    Trace = 0x0C,
    TraceQuick = 0x0D,
    LogNot = 0x0E,
    BitAnd = 0x0F,
    BitOr = 0x10,
    BitXor = 0x11,
    BitNot = 0x12,
    Equal = 0x13,
    LessSigned = 0x14,
    LessUnsigned = 0x15,
    Ext = 0x16,
    Ref8 = 0x17,
    Ref16 = 0x18,
    Ref32 = 0x19,
    Ref64 = 0x1A,
    RefFloat = 0x1B,
    RefDouble = 0x1C,
    RefLongDouble = 0x1D,
    LToD = 0x1E,
    DToL = 0x1F,
    IfGoto = 0x20,
    Goto = 0x21,
    Const8 = 0x22,
    Const16 = 0x23,
    Const32 = 0x24,
    Const64 = 0x25,
    Reg = 0x26,
    End = 0x27,
    Dup = 0x28,
    Pop = 0x29,
    ZeroExt = 0x2A,
    Swap = 0x2B,
    GetV = 0x2C,
    SetV = 0x2D,
    TraceV = 0x2E,
    TraceNz = 0x2F,
    Trace16 = 0x30,
    Pick = 0x32,
    Rot = 0x33,
    Printf = 0x34,
}

/// <summary>A bytecode's form: operand bytes behind it, values it takes from the stack and leaves there.</summary>
internal readonly record struct AgentForm(bool IsKnown, int OperandBytes, int Takes, int Leaves)
{
    /// <summary>The form of a bytecode; printf's and pick's depend on their operands.</summary>
    public static AgentForm Of(AgentOpcode opcode) => opcode switch
    {
        >= AgentOpcode.Add and <= AgentOpcode.RshUnsigned => new(true, 0, 2, 1),
        AgentOpcode.Trace or AgentOpcode.TraceNz => new(true, 0, 2, 0),
        AgentOpcode.TraceQuick => new(true, 1, 1, 1),
        AgentOpcode.Trace16 => new(true, 2, 1, 1),
        AgentOpcode.LogNot or AgentOpcode.BitNot => new(true, 0, 1, 1),
        >= AgentOpcode.BitAnd and <= AgentOpcode.BitXor => new(true, 0, 2, 1),
        >= AgentOpcode.Equal and <= AgentOpcode.LessUnsigned => new(true, 0, 2, 1),
        AgentOpcode.Ext or AgentOpcode.ZeroExt => new(true, 1, 1, 1),
        >= AgentOpcode.Ref8 and <= AgentOpcode.DToL => new(true, 0, 1, 1),
        AgentOpcode.IfGoto => new(true, 2, 1, 0),
        AgentOpcode.Goto => new(true, 2, 0, 0),
        AgentOpcode.Const8 => new(true, 1, 0, 1),
        AgentOpcode.Const16 or AgentOpcode.Reg or AgentOpcode.GetV => new(true, 2, 0, 1),
        AgentOpcode.Const32 => new(true, 4, 0, 1),
        AgentOpcode.Const64 => new(true, 8, 0, 1),
        AgentOpcode.End => new(true, 0, 0, 0),
        AgentOpcode.Dup => new(true, 0, 1, 2),
        AgentOpcode.Pop => new(true, 0, 1, 0),
        AgentOpcode.Swap => new(true, 0, 2, 2),
        AgentOpcode.SetV => new(true, 2, 1, 1),
        AgentOpcode.TraceV => new(true, 2, 0, 0),
        AgentOpcode.Pick => new(true, 1, 0, 1),
        AgentOpcode.Rot => new(true, 0, 3, 3),
        AgentOpcode.Printf => new(true, 3, 2, 0),
        _ => default,
    };
}
