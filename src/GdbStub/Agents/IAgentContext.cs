namespace GdbStub.Agents;

/// <summary>
/// What an agent expression sees and does: the stopped thread's registers and memory. Implement it as a struct:
/// evaluation is generic over it and then allocates nothing and calls nothing through an interface.
/// </summary>
public interface IAgentContext
{
    /// <summary>
    /// A register by its number in the target description, without sign extension; of one wider than 64 bits the low 64.
    /// False when its value is not known: the expression then fails.
    /// </summary>
    bool TryReadRegister(int register, out ulong value);

    /// <summary>Fills <paramref name="destination"/> from memory as the thread sees it; false when any byte is not there.</summary>
    bool TryReadMemory(ulong address, Span<byte> destination);

    /// <summary>
    /// The trace state variables, by number; empty where there are none. Numbers beyond it read as 0, and writing them does nothing.
    /// </summary>
    Span<long> Variables { get; }

    /// <summary>A trace bytecode asks to record memory; what keeps no trace frames does nothing.</summary>
    void Record(ulong address, ulong length);

    /// <summary>Text of a printf bytecode, in pieces, valid during the call. It is for the debugger's user.</summary>
    void Print(ReadOnlySpan<byte> text);
}
