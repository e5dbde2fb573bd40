using Iced.Intel;

namespace Emulator.Tests.HostCpu;

/// <summary>One instruction with everything it starts from.</summary>
internal sealed class Sample
{
    internal Instruction Instruction;
    internal byte[] Bytes = [];
    internal UserState State;
    internal readonly byte[] Window = new byte[HostMachine.WindowSize];
}
