namespace Emulator;

/// <summary>An x86-64 PC.</summary>
public sealed class Machine;
