namespace Emulator.Devices;

/// <summary>What can be chosen about the devices of a machine.</summary>
public sealed record ChipsetOptions
{
    /// <summary>Bytes of RAM: what the CMOS memory tells.</summary>
    public required ulong MemoryBytes { get; init; }

    /// <summary>The error records; hand the same store to the next machine and they have survived.</summary>
    public required ErstStore ErstStore { get; init; }

    /// <summary>What the real-time clock shows at power-on (its UTC time, whole seconds). Never the host's clock unless whoever starts the machine says so.</summary>
    public DateTimeOffset StartTime { get; init; } = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    /// <summary>Takes what the guest sends on COM1; null: nobody listens.</summary>
    public Action<byte>? Com1Output { get; init; }

    /// <summary>Takes what the guest sends on COM2.</summary>
    public Action<byte>? Com2Output { get; init; }

    /// <summary>Takes what the guest writes to port E9h.</summary>
    public Action<byte>? DebugOutput { get; init; }

    /// <summary>Port F4h ends the run.</summary>
    public bool ExitPort { get; init; }

    /// <summary>Physical address bits CPUID offers (32–52): the width of the local APIC's base.</summary>
    public int PhysicalAddressBits { get; init; } = 40;
}
