using System.Text.Json.Serialization;

namespace Cli.Status;

/// <summary>A machine that runs now, as `gdbstub ps` tells of it. The names are a contract with scripts.</summary>
internal sealed record MachineStatus
{
    /// <summary>The process that runs it.</summary>
    public required int Pid { get; init; }

    /// <summary>Its name.</summary>
    public required string Machine { get; init; }

    /// <summary>"starting", "running", "frozen" at a crash, "waiting" to be started again, "ended" or "failed".</summary>
    public required string State { get; init; }

    /// <summary>Since when, by the host's clock.</summary>
    public required DateTimeOffset Since { get; init; }

    /// <summary>When it was first started.</summary>
    public required DateTimeOffset Started { get; init; }

    /// <summary>A debugger has it.</summary>
    public bool Debugger { get; init; }

    /// <summary>Starts after the first.</summary>
    public ulong Reboots { get; init; }

    /// <summary>Crashes so far.</summary>
    public long Crashes { get; init; }

    /// <summary>What the last one is called.</summary>
    public string? LastCrash { get; init; }

    /// <summary>The archive of the last one that was written.</summary>
    public string? LastArchive { get; init; }

    /// <summary>What gdb's target remote wants.</summary>
    public string? Gdb { get; init; }

    /// <summary>Its store.</summary>
    public required string Store { get; init; }

    /// <summary>Its kernel.</summary>
    public required string Kernel { get; init; }

    /// <summary>Bytes of its RAM.</summary>
    public required ulong MemoryBytes { get; init; }

    /// <summary>What becomes of it at a panic.</summary>
    public required string OnPanic { get; init; }

    /// <summary>What is wrong: why it failed, or why a crash is not on the disk.</summary>
    public string? Problem { get; init; }
}

/// <summary>How statuses become JSON.</summary>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull, WriteIndented = true)]
[JsonSerializable(typeof(MachineStatus[]))]
internal sealed partial class MachineStatusJson : JsonSerializerContext;
