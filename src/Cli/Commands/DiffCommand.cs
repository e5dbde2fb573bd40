using System.CommandLine;
using Cli.Archives;
using Cli.Comparison;

namespace Cli.Commands;

/// <summary>gdbstub diff: what differs between two crashes.</summary>
internal sealed class DiffCommand : Command, IExample
{
    private readonly Argument<string> first = new("first") { HelpName = "ID|FILE", Description = "The first crash: an archive or a file, as for show" };
    private readonly Argument<string> second = new("second") { HelpName = "ID|FILE", Description = "The second crash" };
    private readonly Option<bool> json = new("--json") { Description = "One object" };
    private readonly Option<bool> noPager = Pager.Option();
    private readonly Option<string?> rawBase = CommonOptions.RawBase();
    private readonly Option<string?> store = CommonOptions.Store();

    /// <summary>The command.</summary>
    public DiffCommand()
        : base("diff", "Says what differs between two crashes: facts, registers, stacks, tasks, modules, log, and pages of memory.")
    {
        Add(first);
        Add(second);
        Option[] options = [json, noPager, rawBase, store];
        foreach (Option option in options)
        {
            Add(option);
        }

        SetAction(parsed =>
        {
            string directory = CommonOptions.ReadStore(parsed, store);
            ulong? ram = CommonOptions.ReadRawBase(parsed, rawBase);
            using NamedImage one = NamedImage.Open(parsed.GetRequiredValue(first), directory, ram), other = NamedImage.Open(parsed.GetRequiredValue(second), directory, ram);
            CrashComparison? comparison = null;
            ProgressBar.ShowIfPossible("comparing", progress => comparison = CrashComparison.Read(one.Image, one.Describe, other.Image, other.Describe, progress));
            if (parsed.GetValue(json))
            {
                Console.Out.Write(ComparisonJson.Write(comparison!));
            }
            else
            {
                Pager.Show(ComparisonText.Write(comparison!), parsed.GetValue(noPager));
            }
        });
    }

    /// <inheritdoc/>
    public string Example => "gdbstub diff -2 -1\ngdbstub diff 3f9a ./vmcore --json";
}
