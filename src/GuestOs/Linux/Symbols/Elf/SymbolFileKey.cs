namespace GuestOs.Linux.Symbols.Elf;

/// <summary>What tells one symbol file from another: two machines of which all this is equal can share one.</summary>
/// <param name="Release">What uname -r says.</param>
/// <param name="BuildId">The kernel's build id; null when it does not tell it, and then a file is never shared.</param>
/// <param name="KaslrOffset">Where it was loaded.</param>
/// <param name="Modules">The modules and where each is, as one text.</param>
/// <param name="HasTypes">It has types and functions, so that gdb looks for no debug package.</param>
public sealed record SymbolFileKey(string Release, string? BuildId, ulong? KaslrOffset, string Modules, bool HasTypes)
{
    /// <summary>Two images of this key are of the same kernel at the same place.</summary>
    public bool CanBeShared => BuildId is not null && KaslrOffset is not null;

    internal static SymbolFileKey Of(KernelImage image, bool types) => new(
        image.Release, image.BuildId, image.KaslrOffset, string.Join(' ', image.Modules.Select(module => $"{module.Name}@{module.TextAddress:x}+{module.TextLength:x}")), types);
}
