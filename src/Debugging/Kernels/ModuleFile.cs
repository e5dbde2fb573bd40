using System.Globalization;
using GuestOs.Linux.Symbols;

namespace Debugging.Kernels;

/// <summary>How gdb is told where a module's debug file was loaded.</summary>
public static class ModuleFile
{
    // The kernel lays the first two where it pleases; the others are gone once the module runs.
    private static readonly string[] Untold = [".symtab", ".strtab", ".modinfo", "__versions"];

    /// <summary>The command for a file that lies anywhere: <c>add-symbol-file</c>, with each section's place.</summary>
    public static string Command(KernelModule module, string file)
    {
        ArgumentNullException.ThrowIfNull(module);
        return $"add-symbol-file {file}" + string.Concat(Places(module).Select(section => string.Create(CultureInfo.InvariantCulture, $" -s {section.Key} 0x{section.Value:x}")));
    }

    /// <summary>Copies a module's debug file, with its sections at the places where the module has them, so that gdb needs no other word.</summary>
    /// <param name="module">The module.</param>
    /// <param name="file">Its debug file.</param>
    /// <param name="copy">Where to; must not exist.</param>
    public static void WritePlaced(KernelModule module, DebugFile file, string copy)
    {
        ArgumentNullException.ThrowIfNull(module);
        ArgumentNullException.ThrowIfNull(file);
        using (FileStream from = File.OpenRead(file.Path), to = File.Create(copy))
        {
            from.CopyTo(to);
        }

        Dictionary<string, ulong> places = Places(module);
        ElfHeader.TryPlace(copy, name => places.TryGetValue(name, out ulong place) ? place : null);
    }

    private static Dictionary<string, ulong> Places(KernelModule module) => module.Sections
        .Where(section => !Untold.Contains(section.Name) && !section.Name.StartsWith(".init.", StringComparison.Ordinal) && section.Name.All(letter => char.IsAsciiLetterOrDigit(letter) || letter is '.' or '_' or '-'))
        .DistinctBy(section => section.Name).ToDictionary(section => section.Name, section => section.Address);
}
