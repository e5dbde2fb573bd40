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

    /// <summary>What the guest has reported of a crash so far.</summary>
    public ReportState Report { get; init; } = new(null, null, 0, []);
}

/// <summary>A crash report in progress.</summary>
/// <param name="Instant">When the first report of this start was written; null: none was.</param>
/// <param name="Deadline">When a report without a reset is to be noticed; null: not waiting.</param>
/// <param name="PvPanicEvents">Events reported on the pvpanic port.</param>
/// <param name="NewRecords">Ids of the error records written since the guest was started.</param>
public sealed record ReportState(ulong? Instant, ulong? Deadline, byte PvPanicEvents, ulong[] NewRecords);
