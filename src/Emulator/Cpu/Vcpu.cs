namespace Emulator.Cpu;

/// <summary>One virtual CPU.</summary>
public sealed class Vcpu;
