using System.CommandLine;
using Cli.Archives;
using Snapshots;

namespace Cli.Commands;

/// <summary>gdbstub import: takes a dump somebody else wrote, or an archive from elsewhere, into the store.</summary>
internal sealed class ImportCommand : Command, IExample
{
    private readonly Argument<string> file = new("FILE")
    {
        Description = "An ELF vmcore, a kdump-compressed file (flattened or not), LiME, VMware's vmss or vmem, or with --raw-base plain RAM",
    };

    private readonly Option<string?> rawBase = CommonOptions.RawBase();
    private readonly Option<string?> store = CommonOptions.Store();

    /// <summary>The command.</summary>
    public ImportCommand()
        : base("import", "Takes a dump that QEMU, makedumpfile, LiME or VMware wrote into the store. The file itself stays as it is.")
    {
        Add(file);
        Add(rawBase);
        Add(store);
        SetAction(parsed => Import(
            parsed.GetRequiredValue(file), CommonOptions.ReadRawBase(parsed, rawBase), CommonOptions.ReadStore(parsed, store)));
    }

    /// <inheritdoc/>
    public string Example => "gdbstub import /var/crash/202605011200/vmcore\ngdbstub import --raw-base 0 memory.raw";

    private static void Import(string path, ulong? rawBase, string directory)
    {
        using IMachineImage image = CrashAnalysis.Open(path, rawBase);
        CaptureInfo capture = CrashAnalysis.Complete(image);
        StoredArchive? archive = null;
        ProgressBar.ShowIfPossible("importing", progress => archive = Store.Open(directory).Write(
            image, (image as ArchiveReader)?.SavedState, capture, progress: new ArchiveShare(progress)));
        Console.Out.WriteLine($"imported {archive!.Id}: {ArchiveText.Printable(archive.Title)}");
    }
}
