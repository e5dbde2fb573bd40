namespace Emulator.Boot;

/// <summary>How a kernel file is to be understood.</summary>
public enum KernelFormat
{
    /// <summary>Linux bzImage, entered by the 64-bit boot protocol.</summary>
    LinuxBzImage,

    /// <summary>ELF with a Xen PHYS32_ENTRY note, entered by the PVH protocol.</summary>
    Pvh,

    /// <summary>Multiboot 1: ELF, or any file whose header has the address fields.</summary>
    Multiboot,

    /// <summary>Bytes to be put at an address and entered at the first of them.</summary>
    Flat,
}

/// <summary>The mode of the CPU at the first instruction of a flat binary.</summary>
public enum FlatEntryMode
{
    /// <summary>16-bit real mode, as a BIOS enters a boot sector.</summary>
    Real,

    /// <summary>32-bit protected mode, flat segments, paging off.</summary>
    Protected,

    /// <summary>64-bit mode, the first 4 GiB mapped to themselves.</summary>
    Long,
}

/// <summary>A file handed to the kernel beside itself.</summary>
/// <param name="Name">What the kernel is told: Multiboot's module string, PVH's module command line.</param>
/// <param name="Content">The bytes.</param>
public sealed record BootModule(string Name, ReadOnlyMemory<byte> Content);

/// <summary>What to boot, and the machine it finds.</summary>
public sealed record BootRequest
{
    /// <summary>The kernel file.</summary>
    public required ReadOnlyMemory<byte> Kernel { get; init; }

    /// <summary>What RAM there is, ascending and not overlapping: <see cref="E820.Build"/>.</summary>
    public required IReadOnlyList<E820Entry> MemoryMap { get; init; }

    /// <summary>The initial RAM disk; PVH and Multiboot get it as their first module.</summary>
    public ReadOnlyMemory<byte>? Initrd { get; init; }

    /// <summary>Further modules, for PVH and Multiboot only.</summary>
    public IReadOnlyList<BootModule> Modules { get; init; } = [];

    /// <summary>The kernel's command line, passed as it stands, in UTF-8.</summary>
    public string CommandLine { get; init; } = "";

    /// <summary>Physical address of the ACPI RSDP, or 0.</summary>
    public ulong RsdpAddress { get; init; }

    /// <summary>Takes the file for this format instead of recognising one.</summary>
    public KernelFormat? Format { get; init; }

    /// <summary>Where a flat binary goes: its first byte's physical address, which is also its entry.</summary>
    public ulong? FlatAddress { get; init; }

    /// <summary>The mode a flat binary is entered in.</summary>
    public FlatEntryMode FlatEntryMode { get; init; }
}

/// <summary>A stretch of guest-physical memory the loader filled.</summary>
/// <param name="What">For people: "kernel", "initrd", "boot parameters", …</param>
/// <param name="Start">First address.</param>
/// <param name="Length">Bytes that belong to it, zeroed ones included.</param>
public readonly record struct BootPlacement(string What, ulong Start, ulong Length);

/// <summary>A guest ready for its first instruction.</summary>
/// <param name="Format">What the kernel file was.</param>
/// <param name="Vcpu">The state of the first vCPU; the MSRs only where the boot protocol has an opinion.</param>
/// <param name="Placements">What went where, in the order it was placed.</param>
public sealed record BootedGuest(KernelFormat Format, VcpuState Vcpu, IReadOnlyList<BootPlacement> Placements);
