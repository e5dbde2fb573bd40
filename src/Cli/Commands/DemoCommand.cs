using System.CommandLine;
using Cli.Demonstration;

namespace Cli.Commands;

/// <summary>gdbstub demo: the product in one go.</summary>
internal sealed class DemoCommand : Command, IExample
{
    private readonly Option<string?> store = CommonOptions.Store();
    private readonly Option<string?> engine = CommonOptions.Engine();

    /// <summary>The command.</summary>
    public DemoCommand()
        : base("demo", "Shows it all: a panic, the trap, the freeze, the archive, the reboot, and gdb on the machine and on the archive.")
    {
        Add(store);
        Add(engine);
        SetAction((parsed, _) => Demo.RunAsync(CommonOptions.ReadStore(parsed, store), CommonOptions.ReadEngine(parsed, engine)));
    }

    /// <inheritdoc/>
    public string Example => "gdbstub demo";
}
