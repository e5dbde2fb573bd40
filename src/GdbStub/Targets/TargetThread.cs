namespace GdbStub.Targets;

/// <summary>A thread as a debugger lists it.</summary>
/// <param name="Id">Positive; never changes while the target is open.</param>
/// <param name="Name">What it is.</param>
/// <param name="State">What it is doing, for a person; may be empty.</param>
/// <param name="Core">The processor it runs on, from 0; null when unknown.</param>
public readonly record struct TargetThread(int Id, string Name, string State, int? Core = null);
