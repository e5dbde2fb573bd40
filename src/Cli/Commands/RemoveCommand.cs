using System.CommandLine;
using Cli.Archives;
using Snapshots;

namespace Cli.Commands;

/// <summary>gdbstub rm: removes an archive from the store.</summary>
internal sealed class RemoveCommand : Command, IExample
{
    private readonly Argument<string> id = CommonOptions.ArchiveId();
    private readonly Option<string?> store = CommonOptions.Store();

    /// <summary>The command.</summary>
    public RemoveCommand()
        : base("rm", "Removes an archive from the store.")
    {
        Add(id);
        Add(store);
        SetAction(parsed => Remove(parsed.GetRequiredValue(id), CommonOptions.ReadStore(parsed, store)));
    }

    /// <inheritdoc/>
    public string Example => "gdbstub rm 3f9a";

    private static void Remove(string id, string directory)
    {
        StoredArchive archive = ArchiveReference.Find(id, directory);
        Store.Open(directory).Remove(archive.Id);
        Console.Out.WriteLine($"removed {archive.Id}: {ArchiveText.Printable(archive.Title)}");
    }
}
