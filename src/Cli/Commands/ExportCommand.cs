using System.CommandLine;
using Cli.Archives;
using Snapshots;

namespace Cli.Commands;

/// <summary>gdbstub export: an archive in a form that other tools read.</summary>
internal sealed class ExportCommand : Command, IExample
{
    private static readonly (string Word, string Value)[] Formats = [("elf", "elf"), ("kdump", "kdump"), ("raw", "raw")];

    private readonly Argument<string> archive = CommonOptions.ArchiveIdOrFile();

    private readonly Option<string?> format = new("--format")
    {
        Description = "elf: a vmcore for crash, drgn, gdb and makedumpfile; kdump: kdump-compressed with zstd; raw: RAM alone [default: elf]",
        HelpName = "elf|kdump|raw",
    };

    private readonly Option<string> output = new("--output", "-o") { Description = "The file to write; it must not exist", HelpName = "file", Required = true };

    private readonly Option<string?> filter = new("--filter")
    {
        Description = "What to leave out of an ELF file: zero, runs of zeros",
        HelpName = "zero",
    };

    private readonly Option<string?> rawBase = CommonOptions.RawBase();
    private readonly Option<string?> store = CommonOptions.Store();

    /// <summary>The command.</summary>
    public ExportCommand()
        : base("export", "Writes an archived machine in a form that other tools read.")
    {
        foreach (Symbol symbol in (Symbol[])[archive, format, output, filter, rawBase, store])
        {
            if (symbol is Option option)
            {
                Add(option);
            }
            else
            {
                Add((Argument)symbol);
            }
        }

        SetAction(parsed =>
        {
            string word = CommonOptions.ReadWord(parsed, format, Formats, "elf");
            bool zero = CommonOptions.ReadWord(parsed, filter, [("zero", true)], false);
            if (zero && word != "elf")
            {
                throw new UsageError($"--filter zero is for --format elf: {word} stores zeros once, or as holes of the file");
            }

            ulong? ram = CommonOptions.ReadRawBase(parsed, rawBase);
            string path = ArchiveReference.ResolvePath(parsed.GetRequiredValue(archive), CommonOptions.ReadStore(parsed, store));
            Export(path, ram, word, zero, parsed.GetRequiredValue(output));
        });
    }

    /// <inheritdoc/>
    public string Example => "gdbstub export latest -o vmcore\ngdbstub export latest --format raw -o memory.raw";

    private static void Export(string path, ulong? rawBase, string format, bool withoutZeros, string output)
    {
        using IMachineImage image = DumpDescription.Open(path, rawBase);
        CaptureInfo capture = DumpDescription.Complete(image);
        ProgressBar.ShowIfPossible("exporting", progress =>
        {
            var share = new ArchiveShare(progress);
            if (format == "kdump")
            {
                ArchiveWriter.Write(output, "0", image, (image as ArchiveReader)?.SavedState, capture, progress: share);
            }
            else
            {
                DumpExport.Write(output, image, capture, format == "raw" ? ExportFormat.Raw : ExportFormat.Elf, withoutZeros, share);
            }
        });
        Console.Out.WriteLine($"wrote {output} ({ArchiveText.Size(new FileInfo(output).Length)})");
    }
}
