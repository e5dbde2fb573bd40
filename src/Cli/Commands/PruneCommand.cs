using System.CommandLine;
using Cli.Archives;
using Snapshots;

namespace Cli.Commands;

/// <summary>gdbstub prune: removes what the store need not keep.</summary>
internal sealed class PruneCommand : Command, IExample
{
    private readonly KeepOptions keep = new();
    private readonly Option<string?> machine = new("--machine") { Description = "Only of the machine with this name", HelpName = "name" };
    private readonly Option<bool> dryRun = new("--dry-run") { Description = "Only say what would go" };
    private readonly Option<string?> store = CommonOptions.Store();

    /// <summary>The command.</summary>
    public PruneCommand()
        : base("prune", "Removes old archives from the store. Damaged ones stay: rm removes them.")
    {
        keep.AddTo(this);
        Add(machine);
        Add(dryRun);
        Add(store);
        SetAction(parsed =>
        {
            KeepRules rules = keep.Read(parsed) with { Machine = parsed.GetValue(machine) };
            if (rules.KeepAll)
            {
                throw new UsageError("nothing says what to keep: give --keep N, --keep-bytes SIZE or --keep-per-title");
            }

            Prune(Store.Open(CommonOptions.ReadStore(parsed, store)), rules, parsed.GetValue(dryRun));
        });
    }

    /// <inheritdoc/>
    public string Example => "gdbstub prune --keep 20 --keep-per-title\ngdbstub prune --keep-bytes 2G --dry-run";

    private static void Prune(Store store, KeepRules rules, bool dryRun)
    {
        foreach (StoredArchive archive in dryRun ? rules.Surplus(store.List()) : store.Prune(rules))
        {
            Console.Out.WriteLine($"{(dryRun ? "would remove" : "removed")} {archive.Id}: {ArchiveText.Printable(archive.Title)}");
        }
    }
}
