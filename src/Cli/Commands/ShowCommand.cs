using System.CommandLine;
using System.Text.Json;
using Cli.Archives;
using Snapshots;

namespace Cli.Commands;

/// <summary>gdbstub show: everything an archive says about itself.</summary>
internal sealed class ShowCommand : Command, IExample
{
    private readonly Argument<string> id = CommonOptions.ArchiveId();
    private readonly Option<bool> json = new("--json") { Description = "One object" };
    private readonly Option<string?> store = CommonOptions.Store();

    /// <summary>The command.</summary>
    public ShowCommand()
        : base("show", "Shows what is known of an archived crash, the guest's own report included.")
    {
        Add(id);
        Add(json);
        Add(store);
        SetAction(parsed => Show(parsed.GetRequiredValue(id), CommonOptions.ReadStore(parsed, store), parsed.GetValue(json)));
    }

    /// <inheritdoc/>
    public string Example => "gdbstub show latest\ngdbstub show 3f --json";

    private static void Show(string id, string directory, bool json)
    {
        StoredArchive archive = ArchiveReference.Find(id, directory);
        ArchiveDescription description = ArchiveDescription.Of(archive);
        if (archive.State == ArchiveState.Whole)
        {
            using ArchiveReader reader = ArchiveReader.Open(archive.Path);
            description = description.With(reader);
        }

        Console.Out.Write(json
            ? JsonSerializer.Serialize(description, ArchiveDescriptionJson.Default.ArchiveDescription) + Environment.NewLine
            : ArchiveText.Details(description));
    }
}
