using System.CommandLine;
using System.Text.Json;
using Cli.Archives;
using Snapshots;

namespace Cli.Commands;

/// <summary>gdbstub show: everything an archive says about itself.</summary>
internal sealed class ShowCommand : Command, IExample
{
    private readonly Argument<string> id = CommonOptions.ArchiveIdOrFile();
    private readonly Option<string?> rawBase = CommonOptions.RawBase();
    private readonly Option<bool> json = new("--json") { Description = "One object" };
    private readonly Option<string?> store = CommonOptions.Store();

    /// <summary>The command.</summary>
    public ShowCommand()
        : base("show", "Shows what is known of an archived crash, the guest's own report included.")
    {
        Add(id);
        Add(json);
        Add(rawBase);
        Add(store);
        SetAction(parsed => Show(
            parsed.GetRequiredValue(id), CommonOptions.ReadStore(parsed, store), CommonOptions.ReadRawBase(parsed, rawBase), parsed.GetValue(json)));
    }

    /// <inheritdoc/>
    public string Example => "gdbstub show latest\ngdbstub show 3f --json\ngdbstub show ./vmcore";

    private static void Show(string name, string directory, ulong? rawBase, bool json)
    {
        ArchiveDescription description = Describe(name, directory, rawBase);
        Console.Out.Write(json
            ? JsonSerializer.Serialize(description, ArchiveDescriptionJson.Default.ArchiveDescription) + Environment.NewLine
            : ArchiveText.Details(description));
    }

    private static ArchiveDescription Describe(string name, string directory, ulong? rawBase)
    {
        if (ArchiveReference.IsFile(name) || (File.Exists(name) && !ArchiveReference.IsInStore(name, directory)))
        {
            string path = ArchiveReference.ResolvePath(name, directory);
            using IMachineImage image = DumpDescription.Open(path, rawBase);
            return ArchiveDescription.Of(image, DumpDescription.Complete(image));
        }

        StoredArchive archive = ArchiveReference.Find(name, directory);
        ArchiveDescription description = ArchiveDescription.Of(archive);
        if (archive.State == ArchiveState.Whole)
        {
            using ArchiveReader reader = ArchiveReader.Open(archive.Path);
            description = description.With(reader);
        }

        return description;
    }
}
