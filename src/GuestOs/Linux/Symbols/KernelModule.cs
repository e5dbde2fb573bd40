namespace GuestOs.Linux.Symbols;

/// <summary>A range of a module's memory.</summary>
/// <param name="Name">The section's name in the module's file, or what the memory is for.</param>
/// <param name="Address">Where it is loaded.</param>
/// <param name="Length">Bytes; 0 when only the beginning is known.</param>
public readonly record struct ModuleSection(string Name, ulong Address, ulong Length);

/// <summary>A loaded module.</summary>
public sealed class KernelModule
{
    internal KernelModule(string name, ulong address)
    {
        Name = name;
        Address = address;
    }

    /// <summary>Its name, as lsmod shows it.</summary>
    public string Name { get; }

    /// <summary>Where its struct module is.</summary>
    public ulong Address { get; }

    /// <summary>Where its code is.</summary>
    public ulong TextAddress { get; internal set; }

    /// <summary>Bytes of its code.</summary>
    public ulong TextLength { get; internal set; }

    /// <summary>Bytes of all its memory that stays after its initialisation.</summary>
    public ulong Length { get; internal set; }

    /// <summary>How often it is in use; less than 0 when not known.</summary>
    public int References { get; internal set; } = -1;

    /// <summary>Its sections and where they were loaded: what a debugger is told with the module's own file.</summary>
    public IReadOnlyList<ModuleSection> Sections { get; internal set; } = [];

    /// <summary>The build id of its file in lower-case hexadecimal digits; null when it is not known.</summary>
    public string? BuildId { get; internal set; }

    /// <summary>Its symbols; null when they cannot be read.</summary>
    public SymbolTable? Symbols { get; internal set; }

    /// <summary>Its types, continuing the kernel's; null when it has none.</summary>
    public Btf? Types { get; internal set; }

    internal OrcTable? Orc { get; set; }

    /// <summary>Its code holds this address.</summary>
    public bool Contains(ulong address) => address - TextAddress < TextLength;

    /// <inheritdoc/>
    public override string ToString() => Name;
}
