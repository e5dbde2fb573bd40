using System.CommandLine;
using Cli.Running;

namespace Cli.Commands;

/// <summary>gdbstub up: several machines from one description.</summary>
internal sealed class UpCommand : Command, IExample
{
    private readonly Argument<string> file = new("FILE")
    {
        Description = "JSON: {\"defaults\": {…}, \"machines\": [{\"name\": …, \"kernel\": …, \"initrd\": …, \"append\": …, \"memory\": …, \"onPanic\": …}, …]}; members are the options of run in camel case",
    };

    private readonly Option<bool> json = new("--json") { Description = "Report what happens on standard output, one JSON object a line" };
    private readonly Option<string?> store = CommonOptions.Store();

    /// <summary>The command.</summary>
    public UpCommand()
        : base("up", "Runs several machines at once, each supervised by itself. 'gdbstub ps' lists them; SIGTERM ends all in good order.")
    {
        Add(file);
        Add(json);
        Add(store);
        SetAction((parsed, _) => MachineFleet.RunAsync(
            MachineFile.Read(parsed.GetRequiredValue(file), CommonOptions.ReadStore(parsed, store)), parsed.GetValue(json), CommonOptions.ReadLogLevel(parsed)));
    }

    /// <inheritdoc/>
    public string Example => "gdbstub up machines.json\ngdbstub up machines.json --json --store /var/lib/gdbstub";
}
