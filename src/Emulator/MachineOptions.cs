using Emulator.Devices;

namespace Emulator;

/// <summary>What a machine is made of.</summary>
public sealed record MachineOptions
{
    /// <summary>Bytes of RAM, a multiple of 4 KiB, at least 1 MiB.</summary>
    public ulong Memory { get; init; } = 256UL << 20;

    /// <summary>vCPUs.</summary>
    public int Vcpus { get; init; } = 1;

    /// <summary>What executes the guest.</summary>
    public Engine Engine { get; init; } = Engine.Translator;

    /// <summary>Seed of everything that looks random to the guest.</summary>
    public ulong Seed { get; init; }

    /// <summary>The error record store; it survives the machine's resets, and the machine if the caller keeps it.</summary>
    public ErstStore ErstStore { get; init; } = new();

    /// <summary>What the real-time clock shows at power-on.</summary>
    public DateTimeOffset StartTime { get; init; } = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    /// <summary>Bytes COM1 sends.</summary>
    public Action<byte>? Com1Output { get; init; }

    /// <summary>Bytes COM2 sends.</summary>
    public Action<byte>? Com2Output { get; init; }

    /// <summary>Bytes written to port E9h.</summary>
    public Action<byte>? DebugOutput { get; init; }

    /// <summary>Port F4h ends the run.</summary>
    public bool ExitPort { get; init; }

    /// <summary>
    /// Called while every vCPU is halted, with the nanoseconds until something is due; gives back how many of them passed
    /// (at least 1, at most what was offered). Null: they pass at once.
    /// </summary>
    public Func<ulong, ulong>? Idle { get; init; }

    /// <summary>Instructions between looks at what other threads want.</summary>
    public ulong Slice { get; init; } = 100_000;

    /// <summary>Told of the host code of each block that was translated, where it is and its bytes: for who looks into it.</summary>
    internal Action<nint, int>? CodeEmitted { get; init; }
}
