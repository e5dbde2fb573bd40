using System.CommandLine;
using System.Text.Json;
using Cli.Archives;
using Snapshots;

namespace Cli.Commands;

/// <summary>gdbstub ls: the archives of the store, newest first.</summary>
internal sealed class ListCommand : Command, IExample
{
    private readonly Option<bool> json = new("--json") { Description = "An array of objects with id, title, time, bytes, state and more" };
    private readonly Option<bool> group = new("--group") { Description = "One line a title: how many crashes, the first, the last, and the newest's ID" };
    private readonly FilterOptions filters = new();
    private readonly Option<string?> store = CommonOptions.Store();

    /// <summary>The command.</summary>
    public ListCommand()
        : base("ls", "Lists the archived crashes, newest first.")
    {
        Add(json);
        Add(group);
        filters.AddTo(this);
        Add(store);
        SetAction(parsed =>
        {
            ArchiveFilter filter = filters.Read(parsed);
            List(CommonOptions.ReadStore(parsed, store), filter, parsed.GetValue(json), parsed.GetValue(group));
        });
    }

    /// <inheritdoc/>
    public string Example => "gdbstub ls\ngdbstub ls --group\ngdbstub ls --since 7d --release 6.1 -n 5\ngdbstub ls --json";

    private static void List(string directory, ArchiveFilter filter, bool json, bool group)
    {
        var store = Store.Open(directory);
        IReadOnlyList<StoredArchive> all = store.List();
        StoredArchive[] archives = [.. filter.Apply(all)];
        IReadOnlyDictionary<string, TitleCount> counts = store.Count(all, filter.Machine);
        if (group)
        {
            TitleGroup[] groups = TitleGroup.Of(archives, counts);
            Write(json ? JsonSerializer.Serialize(groups, ArchiveDescriptionJson.Default.TitleGroupArray) + Environment.NewLine : ArchiveText.Table(groups));
        }
        else
        {
            ArchiveDescription[] descriptions = [.. archives.Select(archive => ArchiveDescription.Of(archive) with { Count = counts.GetValueOrDefault(archive.Title)?.Count })];
            Write(json ? JsonSerializer.Serialize(descriptions, ArchiveDescriptionJson.Default.ArchiveDescriptionArray) + Environment.NewLine : ArchiveText.Table(descriptions));
        }

        if (!json && archives.Length == 0)
        {
            Console.Error.WriteLine(all.Count == 0 ? $"no archives in {directory}" : $"none of the {all.Count} archives in {directory} is meant");
        }
    }

    private static void Write(string text) => Console.Out.Write(text);
}
