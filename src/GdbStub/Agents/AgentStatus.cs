namespace GdbStub.Agents;

/// <summary>How an evaluation ended.</summary>
public enum AgentStatus
{
    /// <summary>At its end; there is a value.</summary>
    Done,

    /// <summary>A register's value is not known.</summary>
    NoRegister,

    /// <summary>Memory that is not there.</summary>
    NoMemory,

    /// <summary>A division by zero.</summary>
    DivideByZero,

    /// <summary>More than <see cref="AgentExpression.MaxSteps"/> steps: a loop that does not end.</summary>
    TooManySteps,
}
