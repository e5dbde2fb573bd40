namespace Emulator.Tests.HostCpu;

/// <summary>How an executor ended.</summary>
internal enum ExecutionOutcome
{
    /// <summary>The instruction retired.</summary>
    Retired,

    /// <summary>It raised an exception; the number is the executor's own affair.</summary>
    Faulted,

    /// <summary>This executor does not cover it.</summary>
    NotCovered,
}

/// <summary>
/// Something that executes one x86-64 user-mode instruction. The window is the only memory; it stands at
/// <see cref="HostMachine.WindowAddress"/> and the code at <see cref="UserState.Rip"/>, for every executor alike.
/// </summary>
internal interface IInstructionExecutor
{
    /// <summary>Executes <paramref name="code"/> once: one turn of a repeated string instruction or all of them until it is finished.</summary>
    ExecutionOutcome Execute(ReadOnlySpan<byte> code, ref UserState state, Span<byte> window);
}
