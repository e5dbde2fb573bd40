namespace Emulator.Boot;

/// <summary>Limits for what a kernel file or a request may ask of the loaders.</summary>
public static class BootLimits
{
    /// <summary>Bytes of a command line without its terminating zero; Linux on x86 takes 2047, others have their own limit.</summary>
    public const int CommandLineBytes = 65535;

    /// <summary>Modules, initrd included.</summary>
    public const int Modules = 64;

    /// <summary>Program headers of an ELF kernel. Linux has 5.</summary>
    public const int ProgramHeaders = 256;

    /// <summary>Bytes of one ELF note segment that are searched for the PVH entry.</summary>
    public const int NoteBytes = 1 << 20;

    /// <summary>Entries of the memory map: what the zero page has room for.</summary>
    public const int MemoryMapEntries = 128;

    /// <summary>A Multiboot header begins within this many bytes (Multiboot 0.6.96 §3.1).</summary>
    public const int MultibootSearchBytes = 8192;
}
