using System.CommandLine;
using System.Text.Json;
using Cli.Archives;
using Snapshots;

namespace Cli.Commands;

/// <summary>gdbstub ls: the archives of the store, newest first.</summary>
internal sealed class ListCommand : Command, IExample
{
    private readonly Option<bool> json = new("--json") { Description = "An array of objects with id, title, time, bytes, state and more" };
    private readonly Option<string?> store = CommonOptions.Store();

    /// <summary>The command.</summary>
    public ListCommand()
        : base("ls", "Lists the archived crashes, newest first.")
    {
        Add(json);
        Add(store);
        SetAction(parsed => List(CommonOptions.ReadStore(parsed, store), parsed.GetValue(json)));
    }

    /// <inheritdoc/>
    public string Example => "gdbstub ls\ngdbstub ls --json";

    private static void List(string directory, bool json)
    {
        ArchiveDescription[] archives = [.. Store.Open(directory).List().Select(ArchiveDescription.Of)];
        if (json)
        {
            Console.Out.WriteLine(JsonSerializer.Serialize(archives, ArchiveDescriptionJson.Default.ArchiveDescriptionArray));
        }
        else if (archives.Length > 0)
        {
            Console.Out.Write(ArchiveText.Table(archives));
        }
        else
        {
            Console.Error.WriteLine($"no archives in {directory}");
        }
    }
}
