using System.CommandLine;
using Cli.Archives;
using Cli.Arguments;
using Snapshots;

namespace Cli.Commands;

/// <summary>gdbstub prune: removes what the store need not keep.</summary>
internal sealed class PruneCommand : Command, IExample
{
    private readonly Option<string?> keep = new("--keep") { Description = "Keep so many of the newest", HelpName = "n" };
    private readonly Option<string?> keepBytes = new("--keep-bytes") { Description = "Keep the newest that fit into so much together, for example 2G", HelpName = "size" };
    private readonly Option<bool> perTitle = new("--keep-per-title") { Description = "Keep only the first and the last of those with the same title" };
    private readonly Option<bool> dryRun = new("--dry-run") { Description = "Only say what would go" };
    private readonly Option<string?> store = CommonOptions.Store();

    /// <summary>The command.</summary>
    public PruneCommand()
        : base("prune", "Removes old archives from the store. Damaged ones stay: rm removes them.")
    {
        Add(keep);
        Add(keepBytes);
        Add(perTitle);
        Add(dryRun);
        Add(store);
        SetAction(parsed =>
        {
            var rules = new KeepRules
            {
                Archives = CommonOptions.Read<int?>(parsed, keep, ReadCount, null),
                Bytes = CommonOptions.Read<long?>(parsed, keepBytes, ReadBytes, null),
                CollapseTitles = parsed.GetValue(perTitle),
            };
            if (rules == new KeepRules())
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
        foreach (StoredArchive archive in rules.Surplus(store.List()))
        {
            if (!dryRun)
            {
                try
                {
                    store.Remove(archive.Id);
                }
                catch (ArchiveException) when (!File.Exists(archive.Path))
                {
                    continue; // somebody else removed it just now
                }
            }

            Console.Out.WriteLine($"{(dryRun ? "would remove" : "removed")} {archive.Id}: {ArchiveText.Printable(archive.Title)}");
        }
    }

    private static bool ReadCount(string text, out int? value, out string error)
    {
        bool read = Number.TryParse(text, out ulong number) && number <= int.MaxValue;
        value = (int)Math.Min(number, int.MaxValue);
        error = read ? "" : $"'{text}' is not a count: give 0 or more";
        return read;
    }

    private static bool ReadBytes(string text, out long? value, out string error)
    {
        bool read = MemorySize.TryParse(text, out ulong bytes, out _);
        value = (long)bytes;
        error = read ? "" : $"'{text}' is not a size: give a number and a unit, 1M to 512G";
        return read;
    }
}
