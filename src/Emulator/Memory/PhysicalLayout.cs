namespace Emulator.Memory;

/// <summary>
/// Where things stand in the guest-physical address space. RAM fills from 0 up to <see cref="LowRamLimit"/> and goes on at
/// 4 GiB; the hole between belongs to devices, at the addresses PC chipsets have made customary.
/// </summary>
public static class PhysicalLayout
{
    /// <summary>RAM below 4 GiB ends here at the latest.</summary>
    public const ulong LowRamLimit = 0xC000_0000;

    /// <summary>RAM beyond <see cref="LowRamLimit"/> bytes appears from here.</summary>
    public const ulong HighRamStart = 0x1_0000_0000;

    /// <summary>The VGA window: no RAM shows here (the bytes are still counted as RAM).</summary>
    public const ulong VgaStart = 0xA0000;

    /// <summary>End of the VGA window.</summary>
    public const ulong VgaEnd = 0xC0000;

    /// <summary>ACPI tables and the RSDP: the BIOS area below 1 MiB.</summary>
    public const ulong AcpiTables = 0xE0000;

    /// <summary>I/O APIC.</summary>
    public const ulong IoApic = 0xFEC0_0000;

    /// <summary>HPET.</summary>
    public const ulong Hpet = 0xFED0_0000;

    /// <summary>ERST's action registers.</summary>
    public const ulong ErstRegisters = 0xFED8_0000;

    /// <summary>ERST's exchange buffer, 64 KiB of device memory.</summary>
    public const ulong ErstBuffer = 0xFED9_0000;

    /// <summary>Bytes of ERST's exchange buffer.</summary>
    public const ulong ErstBufferSize = 0x1_0000;

    /// <summary>Local APIC, until the guest moves it.</summary>
    public const ulong LocalApic = 0xFEE0_0000;
}
