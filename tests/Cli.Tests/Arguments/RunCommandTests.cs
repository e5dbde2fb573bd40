using System.CommandLine;
using Cli.Arguments;
using Cli.Commands;
using Cli.Running;
using Cli.Supervision;
using Emulator;
using Emulator.Boot;
using GdbStub.Sessions;

namespace Cli.Tests.Arguments;

public sealed class RunCommandTests
{
    [Fact]
    public void A_kernel_is_all_that_has_to_be_given()
    {
        RunOptions options = Read("--kernel", "/boot/vmlinuz", "--store", "/s");
        Assert.Equal("/boot/vmlinuz", options.Kernel);
        Assert.Equal("vmlinuz", options.Name);
        Assert.Null(options.Initrd);
        Assert.Equal("", options.Append);
        Assert.Equal(268435456UL, options.Memory);
        Assert.Equal("127.0.0.1:0", options.Gdb!.TargetRemote);
        Assert.Equal(PanicAction.Freeze, options.OnPanic);
        Assert.Null(options.MaximumReboots);
        Assert.Equal(new ConsoleDestination.Stdio(), options.Console);
        Assert.Equal(Pace.Turbo, options.Pace);
        Assert.Equal(0UL, options.Seed);
        Assert.Equal(Engine.Translator, options.Engine);
        Assert.False(options.Json || options.Statistics || options.Wait || options.ExitPort || options.GdbExpose);
        Assert.Null(options.DebugPort);
        Assert.Null(options.Flat);
        Assert.Empty(options.Modules);
        Assert.Equal("/s", options.Store);
    }

    [Fact]
    public void Every_option_arrives()
    {
        RunOptions options = Read(
            "--kernel", "k", "--initrd", "i", "--append", "console=ttyS0 panic=1", "--memory", "4G", "--gdb", "tcp:0.0.0.0:7", "--gdb-expose",
            "--wait", "--on-panic", "reboot", "--max-reboots", "0", "--store", "/s", "--console", "/tmp/log", "--pace", "real", "--seed", "0xF",
            "--name", "web 1", "--json", "--exit-port", "--debug-port", "console", "--flat", "0x7c00:real", "--cpus", "1", "--engine", "both", "--stats",
            "--module", "m1", "--module", "dir/m2 a b");
        Assert.Equal("k", options.Kernel);
        Assert.Equal("i", options.Initrd);
        Assert.Equal("console=ttyS0 panic=1", options.Append);
        Assert.Equal(4UL << 30, options.Memory);
        Assert.Equal("0.0.0.0:7", options.Gdb!.TargetRemote);
        Assert.True(options.GdbExpose && options.Wait && options.Json && options.ExitPort && options.Statistics);
        Assert.Equal(PanicAction.Reboot, options.OnPanic);
        Assert.Equal(0UL, options.MaximumReboots);
        Assert.Equal(new ConsoleDestination.File("/tmp/log"), options.Console);
        Assert.Equal(Pace.Real, options.Pace);
        Assert.Equal(15UL, options.Seed);
        Assert.Equal(Engine.Both, options.Engine);
        Assert.Equal("web 1", options.Name);
        Assert.Equal("console", options.DebugPort);
        Assert.Equal(new FlatPlacement(0x7C00, FlatEntryMode.Real), options.Flat);
        Assert.Equal([new ModuleFile("m1", "m1"), new ModuleFile("dir/m2", "a b")], options.Modules);
    }

    [Theory]
    [InlineData("interpreter", Engine.Interpreter)]
    [InlineData("translator", Engine.Translator)]
    [InlineData("both", Engine.Both)]
    public void The_engines_have_these_names(string word, Engine engine) =>
        Assert.Equal(engine, Read("--kernel", "k", "--engine", word).Engine);

    [Theory]
    [InlineData("freeze", PanicAction.Freeze)]
    [InlineData("reboot", PanicAction.Reboot)]
    [InlineData("exit", PanicAction.Exit)]
    public void The_policies_have_these_names(string word, object action) =>
        Assert.Equal(action, Read("--kernel", "k", "--on-panic", word).OnPanic);

    [Fact]
    public void A_debugger_on_stdio_takes_the_place_of_the_console()
    {
        RunOptions options = Read("--kernel", "k", "--gdb", "stdio");
        Assert.IsType<GdbEndpoint.Stdio>(options.Gdb);
        Assert.Equal(new ConsoleDestination.None(), options.Console);
    }

    [Theory]
    [InlineData("--memory", "lots")]
    [InlineData("--on-panic", "panic")]
    [InlineData("--max-reboots", "-1")]
    [InlineData("--max-reboots", "many")]
    [InlineData("--pace", "fast")]
    [InlineData("--seed", "dice")]
    [InlineData("--engine", "jit")]
    [InlineData("--cpus", "2")]
    [InlineData("--flat", "here")]
    [InlineData("--gdb", "tcp:0.0.0.0:1")]
    [InlineData("--gdb", "1234")]
    public void A_value_that_cannot_be_meant_is_wrong_usage(string option, string value)
    {
        UsageError error = Assert.Throws<UsageError>(() => Read("--kernel", "k", option, value));
        Assert.DoesNotContain('\n', error.Message);
    }

    [Theory]
    [InlineData("--wait", "--gdb", "none")]
    [InlineData("--gdb", "stdio", "--json")]
    [InlineData("--gdb", "stdio", "--console", "stdio")]
    public void Options_that_contradict_each_other_are_wrong_usage(params string[] options) =>
        Assert.Throws<UsageError>(() => Read(["--kernel", "k", .. options]));

    private static RunOptions Read(params string[] arguments)
    {
        var command = new RunCommand();
        ParseResult parsed = command.Parse(arguments);
        Assert.Empty(parsed.Errors);
        return command.Read(parsed);
    }
}
