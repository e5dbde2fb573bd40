using Cli.Arguments;
using Cli.Running;
using Cli.Supervision;
using Cli.Tests.Program;
using Emulator;
using Snapshots;

namespace Cli.Tests.Arguments;

public sealed class MachineFileTests : IDisposable
{
    private readonly TemporaryDirectory directory = new();

    public void Dispose() => directory.Dispose();

    [Fact]
    public void Members_are_the_options_of_run_and_files_lie_beside_the_description()
    {
        IReadOnlyList<RunOptions> machines = Read("""
            {
              "defaults": { "kernel": "vmlinuz", "memory": "512M", "keep": 20, "onPanic": "reboot" },
              "machines": [
                {
                  "name": "one", "initrd": "/boot/initrd", "append": "console=ttyS0 panic=1 a=\"b c\" -- -x", "maxReboots": 7, "backoff": "none", "keepPerTitle": true,
                  "keepBytes": "2G", "console": "logs/one", "seed": 5, "engine": "interpreter", "gdb": "none", "module": ["m1 a b", "/m2"], "exitPort": true, "store": "crashes",
                },
                { "memory": "1G", "keep": null, "console": "stdio", "wait": false, "debugPort": "console" },
              ]
            }
            """);
        RunOptions one = machines[0], two = machines[1];
        Assert.Equal(("one", Here("vmlinuz"), "/boot/initrd"), (one.Name, one.Kernel, one.Initrd));
        Assert.Equal("console=ttyS0 panic=1 a=\"b c\" -- -x", one.Append);
        Assert.Equal((512UL << 20, PanicAction.Reboot, 7UL, TimeSpan.Zero), (one.Memory, one.OnPanic, one.MaximumReboots!.Value, one.LongestBackoff));
        Assert.Equal(new KeepRules { Archives = 20, Bytes = 2L << 30, CollapseTitles = true, Machine = "one" }, one.Keep);
        Assert.Equal(new ConsoleDestination.File(Here("logs/one")), one.Console);
        Assert.Equal((5UL, Engine.Interpreter, true, Here("crashes")), (one.Seed, one.Engine, one.ExitPort, one.Store));
        Assert.Null(one.Gdb);
        Assert.Equal([new ModuleFile(Here("m1"), "a b"), new ModuleFile("/m2", "m2")], one.Modules);
        Assert.Equal(("vmlinuz", 1UL << 30, "/elsewhere"), (two.Name, two.Memory, two.Store));
        Assert.Equal(new ConsoleDestination.Stdio(), two.Console);
        Assert.Equal("console", two.DebugPort);
        Assert.Null(two.Keep.Archives);
        Assert.False(two.Wait);
    }

    [Theory]
    [InlineData("""{"machines": [{"kernel": "k", "memry": "1G"}]}""", "machine 1: there is no member \"memry\"")]
    [InlineData("""{"machines": [{"kernel": "k", "json": true}]}""", "no member \"json\"")]
    [InlineData("""{"machines": [{"kernel": "k"}, {"kernel": "k"}]}""", "machine 2: there is another machine 'k'")]
    [InlineData("""{"machines": [{"kernel": "k", "memory": "lots"}]}""", "machine 1: --memory: 'lots'")]
    [InlineData("""{"machines": [{"kernel": "k", "gdb": "stdio"}]}""", "standard input and output")]
    [InlineData("""{"machines": [{"kernel": "k", "gdb": "tcp:0.0.0.0:1"}]}""", "--gdb-expose")]
    [InlineData("""{"machines": [{"kernel": "k", "append": {"a": 1}}]}""", "machine 1: append: a text")]
    [InlineData("""{"machines": [{"kernel": "k", "module": [1]}]}""", "an array of texts")]
    [InlineData("""{"machines": [{"name": "n"}]}""", "--kernel")]
    [InlineData("""{"machines": [5]}""", "machine 1: it must be an object")]
    [InlineData("""{"machines": [], "defaults": {}}""", "0 machines")]
    [InlineData("""{"machine": [{}]}""", "\"machines\" is needed")]
    [InlineData("""{"machines": [{"kernel": "k"}], "version": 1}""", "no member \"version\"")]
    [InlineData("""[]""", "\"machines\" is needed")]
    [InlineData("{\n\"machines\": [\n{]", "line 3")]
    [InlineData("", "line 1")]
    public void What_cannot_be_meant_names_the_file_the_machine_and_the_member(string text, string named)
    {
        UserError error = Assert.Throws<UserError>(() => Read(text));
        Assert.StartsWith(Here("machines.json") + ": ", error.Message);
        Assert.Contains(named, error.Message);
    }

    private string Here(string name) => Path.Combine(directory.Path, name);

    private IReadOnlyList<RunOptions> Read(string text)
    {
        File.WriteAllText(Here("machines.json"), text);
        return MachineFile.Read(Here("machines.json"), "/elsewhere");
    }
}
