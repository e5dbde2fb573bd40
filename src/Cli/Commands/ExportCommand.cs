using System.CommandLine;
using Cli.Archives;
using Snapshots;

namespace Cli.Commands;

/// <summary>gdbstub export: an archive in a form that other tools read.</summary>
internal sealed class ExportCommand : Command, IExample
{
    private static readonly (string Word, DumpForm Value)[] Forms =
        [("elf", DumpForm.Elf), ("kdump", DumpForm.Kdump), ("kdump-zlib", DumpForm.KdumpZlib), ("raw", DumpForm.Raw)];

    private static readonly (string Word, PageFilter Value)[] Filters =
        [("free", PageFilter.Free), ("cache", PageFilter.Cache), ("user", PageFilter.User), ("zero", PageFilter.Zero)];

    private readonly Argument<string> archive = CommonOptions.ArchiveIdOrFile();

    private readonly Option<string?> format = new("--format")
    {
        Description = "elf: a vmcore for crash, drgn, gdb and makedumpfile; kdump: kdump-compressed with zstd, for crash and drgn; kdump-zlib: with zlib, for every tool; raw: RAM alone [default: elf]",
        HelpName = "elf|kdump|kdump-zlib|raw",
    };

    private readonly Option<string> output = new("--output", "-o") { Description = "The file to write; it must not exist", HelpName = "file", Required = true };

    private readonly Option<string?> filter = new("--filter")
    {
        Description = "What to leave out, with commas: free pages, cache of files, user (processes' own pages), zero (runs of zeros)",
        HelpName = "free,cache,user,zero",
    };

    private readonly Option<string?> rawBase = CommonOptions.RawBase();
    private readonly Option<string?> store = CommonOptions.Store();

    /// <summary>The command.</summary>
    public ExportCommand()
        : base("export", "Writes an archived machine in a form that other tools read.")
    {
        Add(archive);
        Option[] options = [format, output, filter, rawBase, store];
        foreach (Option option in options)
        {
            Add(option);
        }

        SetAction(parsed =>
        {
            DumpForm form = CommonOptions.ReadWord(parsed, format, Forms, DumpForm.Elf);
            PageFilter left = CommonOptions.Read(parsed, filter, ReadFilter, PageFilter.None);
            if (left != PageFilter.None && form == DumpForm.Raw)
            {
                throw new UsageError("--filter is not for --format raw: it is RAM from the first byte to the last (zeros are holes of the file)");
            }

            ulong? ram = CommonOptions.ReadRawBase(parsed, rawBase);
            string path = ArchiveReference.ResolvePath(parsed.GetRequiredValue(archive), CommonOptions.ReadStore(parsed, store));
            Export(path, ram, form, left, parsed.GetRequiredValue(output));
        });
    }

    /// <inheritdoc/>
    public string Example => """
        gdbstub export latest -o vmcore
        gdbstub export latest --format kdump-zlib --filter free,cache,user,zero -o vmcore.small
        gdbstub export latest --format raw -o memory.raw
        """;

    private static bool ReadFilter(string text, out PageFilter value, out string error)
    {
        value = PageFilter.None;
        foreach (string word in text.Split(','))
        {
            PageFilter one = Array.Find(Filters, pair => pair.Word == word).Value;
            if (one == PageFilter.None)
            {
                error = $"'{word}' is not one of {string.Join(", ", Filters.Select(pair => pair.Word))}";
                return false;
            }

            value |= one;
        }

        error = "";
        return true;
    }

    private static void Export(string path, ulong? rawBase, DumpForm form, PageFilter filter, string output)
    {
        using IMachineImage image = CrashAnalysis.Open(path, rawBase);
        CaptureInfo capture = CrashAnalysis.Complete(image);
        ProgressBar.ShowIfPossible("exporting", progress => DumpFile.Write(output, image, capture, form, filter, new ArchiveShare(progress)));
        Console.Out.WriteLine($"wrote {output} ({ArchiveText.Size(new FileInfo(output).Length)})");
    }
}
