namespace Emulator.Boot;

/// <summary>What the ACPI tables tell about a machine that is not the same for all.</summary>
public sealed record AcpiOptions
{
    /// <summary>vCPUs, numbered from 0 with APIC IDs to match; at most <see cref="MaximumProcessors"/>.</summary>
    public required int ProcessorCount { get; init; }

    /// <summary>APIC IDs in MADT entries of the 8-bit kind end here; FFh is broadcast.</summary>
    public const int MaximumProcessors = 255;
}
