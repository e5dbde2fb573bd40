using GdbStub.Targets;

namespace GdbStub.Agents;

/// <summary>How a long double lies in memory.</summary>
public enum LongDoubleFormat
{
    /// <summary>As a double: 8 bytes.</summary>
    Double,

    /// <summary>The 80-bit format with an explicit integer bit: 10 bytes.</summary>
    Extended80,
}

/// <summary>What compiling an agent expression must know of the architecture.</summary>
/// <param name="RegisterCount">Registers are 0 to this less one.</param>
/// <param name="BigEndian">Byte order of memory.</param>
/// <param name="LongDouble">For <c>ref_long_double</c>.</param>
public readonly record struct AgentArchitecture(int RegisterCount, bool BigEndian, LongDoubleFormat LongDouble = LongDoubleFormat.Double)
{
    /// <summary>As a target describes itself.</summary>
    public static AgentArchitecture Of(TargetDescription description)
    {
        ArgumentNullException.ThrowIfNull(description);
        return new AgentArchitecture(description.Registers.Count, description.BigEndian, description.LongDouble);
    }
}
