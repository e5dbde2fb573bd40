using Emulator;

namespace Guests;

/// <summary>How a guest is put into a machine.</summary>
public enum GuestFormat
{
    /// <summary>Multiboot 1, ELF32.</summary>
    Multiboot,

    /// <summary>ELF64 with a PVH note.</summary>
    Pvh,

    /// <summary>512 bytes at 7C00h, entered in real mode.</summary>
    BootSector,
}

/// <summary>
/// A guest small enough to be understood whole. It prints to COM1 and either ends by writing port F4h, as QEMU's
/// isa-debug-exit takes it, or resets the machine. Each has been seen to do under QEMU what it says here.
/// </summary>
public sealed record Guest
{
    /// <summary>Unique; also the first word it prints.</summary>
    public required string Name { get; init; }

    /// <summary>What it shows.</summary>
    public required string Purpose { get; init; }

    /// <summary>How to boot <see cref="Image"/>.</summary>
    public required GuestFormat Format { get; init; }

    /// <summary>The file.</summary>
    public required byte[] Image { get; init; }

    /// <summary>The whole of what it prints to COM1 when all is well.</summary>
    public required string Output { get; init; }

    /// <summary>The value it writes to port F4h; a process then ends with <see cref="ExitCode"/>. Null when it resets instead.</summary>
    public int? ExitValue { get; init; }

    /// <summary>How it resets the machine, if it does.</summary>
    public ResetCause? Reset { get; init; }

    /// <summary>The command line it wants, if it looks at it.</summary>
    public string CommandLine { get; init; } = "";

    /// <summary>Its output only matches on a machine whose TSC runs at 1 GHz (for QEMU: -icount shift=0).</summary>
    public bool NeedsGigahertzTsc { get; init; }

    /// <summary>What a process ends with when the guest writes <see cref="ExitValue"/>.</summary>
    public int? ExitCode => (ExitValue << 1) | 1;
}
