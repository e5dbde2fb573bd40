namespace Emulator;

/// <summary>
/// Two engines made different machines of the same one: a mistake of ours, never the guest's. The message has the instruction and
/// what differs behind it.
/// </summary>
public sealed class EngineDifferenceException : Exception
{
    /// <summary>Without a word.</summary>
    public EngineDifferenceException()
    {
    }

    /// <summary>Says what differs.</summary>
    public EngineDifferenceException(string message)
        : base(message)
    {
    }

    /// <summary>Says what differs, and what came before.</summary>
    public EngineDifferenceException(string message, Exception inner)
        : base(message, inner)
    {
    }
}
