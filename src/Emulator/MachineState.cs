using Emulator.Devices;

namespace Emulator;

/// <summary>
/// Everything a machine is apart from its RAM, as a versioned plain record: archives keep it, a machine can be made from
/// it, and its canonical form goes into the state hash.
/// </summary>
public sealed record MachineState
{
    /// <summary>The version this build writes and reads.</summary>
    public const int CurrentVersion = 1;

    /// <summary>Version of the layout.</summary>
    public required int Version { get; init; }

    /// <summary>Guest nanoseconds since power-on.</summary>
    public required ulong InstructionCount { get; init; }

    /// <summary>Seed of everything that looks random to the guest.</summary>
    public required ulong Seed { get; init; }

    /// <summary>Random numbers drawn so far.</summary>
    public required ulong RandomDraws { get; init; }

    /// <summary>The vCPUs.</summary>
    public required VcpuState[] Vcpus { get; init; }

    /// <summary>The devices.</summary>
    public required ChipsetState Devices { get; init; }
}
