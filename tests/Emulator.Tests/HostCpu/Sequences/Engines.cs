using Emulator.Cpu;
using Emulator.Devices;
using Emulator.Memory;
using Emulator.Time;

namespace Emulator.Tests.HostCpu.Sequences;

/// <summary>Makes the vCPU under test.</summary>
internal delegate Vcpu EngineFactory(PhysicalSpace space, VirtualClock clock, IMachineSignals signals, RandomSource random);

/// <summary>The executors the sequences run on: whatever is named here is compared.</summary>
public static class Engines
{
    internal static EngineFactory Interpreter { get; } = (space, clock, signals, random) => new Vcpu(0, space, clock, signals, random);

    /// <summary>What is held against the interpreter.</summary>
    internal static EngineFactory Candidate { get; } = (space, clock, signals, random) =>
        new Vcpu(0, space, clock, signals, random, Engine.Translator);

    /// <summary>The names of what is held against the host.</summary>
    public static TheoryData<string> Names => Candidate == Interpreter ? [nameof(Interpreter)] : [nameof(Interpreter), nameof(Candidate)];

    internal static EngineFactory ByName(string name) => name == nameof(Interpreter) ? Interpreter : Candidate;
}
