using System.CommandLine;
using Cli.Archives;
using GuestOs.Linux.Symbols;
using GuestOs.Linux.Symbols.Elf;
using Snapshots;

namespace Cli.Commands;

/// <summary>gdbstub symbols: the file made from a guest's memory that gives any tool its kernel's symbols and types.</summary>
internal sealed class SymbolsCommand : Command, IExample
{
    private readonly Argument<string> archive = CommonOptions.ArchiveIdOrFile();
    private readonly Option<string?> output = new("--output", "-o")
    {
        Description = "Where to write it",
        HelpName = "file",
        Required = true,
    };

    private readonly Option<bool> noTypes = new("--no-types")
    {
        Description = "Symbols and unwinding only: gdb then takes the rest from the kernel's debug package, found by build id",
    };

    private readonly Option<string?> rawBase = CommonOptions.RawBase();
    private readonly Option<string?> store = CommonOptions.Store();

    /// <summary>The command.</summary>
    public SymbolsCommand()
        : base("symbols", "Writes an ELF file with the symbols, unwinding tables and types of an archived kernel, at the addresses it ran at.")
    {
        Add(archive);
        Add(output);
        Add(noTypes);
        Add(rawBase);
        Add(store);
        SetAction(parsed => Write(
            ArchiveReference.ResolvePath(parsed.GetRequiredValue(archive), CommonOptions.ReadStore(parsed, store)),
            CommonOptions.ReadRawBase(parsed, rawBase),
            parsed.GetValue(output)!,
            !parsed.GetValue(noTypes)));
    }

    /// <inheritdoc/>
    public string Example => """
        gdbstub symbols latest -o kernel.elf
        lldb kernel.elf -o 'gdb-remote 127.0.0.1:1234'
        """;

    private static void Write(string path, ulong? rawBase, string output, bool types)
    {
        using IMachineImage reader = CrashAnalysis.Open(path, rawBase);
        KernelImage image = KernelImage.Find(reader) ?? throw new UserError($"there is no Linux kernel in {path}");
        SymbolFile? file = image.CreateSymbolFile(types);
        foreach (string problem in image.Problems)
        {
            Console.Error.WriteLine($"gdbstub: {ArchiveText.Printable(problem)}");
        }

        if (file is null)
        {
            throw new UserError($"the symbols of Linux {image.Release} in {path} cannot be read");
        }

        // Under its name only when it is whole.
        string unfinished = $"{output}.{Environment.ProcessId}.tmp";
        try
        {
            using (FileStream stream = File.Create(unfinished))
            {
                file.WriteTo(stream);
            }

            File.Move(unfinished, output, overwrite: true);
        }
        catch
        {
            File.Delete(unfinished);
            throw;
        }

        Console.Out.WriteLine($"{output}: Linux {image.Release}, build id {image.BuildId ?? "unknown"}, {file.Length} bytes");
    }
}
