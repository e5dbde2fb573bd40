namespace Cli.Tests.Program;

/// <summary>What the ordinary build says to arguments.</summary>
public sealed class OrdinaryUsageTests : UsageTests
{
    internal override ValueTask<BuiltProgram> FindAsync() => BuiltProgram.OrdinaryAsync();
}

/// <summary>The same of the native program.</summary>
public sealed class NativeUsageTests : UsageTests
{
    internal override ValueTask<BuiltProgram> FindAsync() => BuiltProgram.NativeAsync();
}

/// <summary>Right and wrong arguments.</summary>
public abstract class UsageTests : ProgramTests
{
    [Theory]
    [InlineData("")]
    [InlineData("frobnicate")]
    [InlineData("run")]
    [InlineData("run --kernel")]
    [InlineData("run --kernel k --frobnicate")]
    [InlineData("run --kernel k --memory 5")]
    [InlineData("run --kernel k --gdb tcp:0.0.0.0:1")]
    [InlineData("run --kernel k --on-panic laugh")]
    [InlineData("run --kernel k --wait --gdb none")]
    [InlineData("run --kernel k --log-level loud")]
    [InlineData("ls extra")]
    [InlineData("ls --since yesteryear")]
    [InlineData("ls -n few")]
    [InlineData("prune")]
    [InlineData("prune --keep some")]
    [InlineData("show")]
    [InlineData("show --frobnicate")]
    [InlineData("serve latest --gdb nowhere")]
    [InlineData("serve latest --gdb tcp:0.0.0.0:1")]
    [InlineData("verify")]
    [InlineData("rm")]
    [InlineData("import")]
    [InlineData("serve latest --raw-base nowhere")]
    [InlineData("export latest")]
    [InlineData("export latest --format tar -o x")]
    [InlineData("export latest --filter cold -o x")]
    [InlineData("up")]
    [InlineData("ps extra")]
    [InlineData("diff latest")]
    [InlineData("inspect latest")]
    [InlineData("inspect latest -c bt --timeout never")]
    [InlineData("inspect latest -c bt --jobs 0")]
    [InlineData("inspect latest -c bt --json --junit")]
    [InlineData("inspect latest -n 2 -c bt")]
    [InlineData("run --kernel k --backoff soon")]
    [InlineData("run --kernel k --keep-bytes much")]
    [InlineData("export latest --format raw --filter zero -o x")]
    public async Task Wrong_usage_is_one_line_and_exit_code_2(string arguments)
    {
        (int code, string output, string error) = await Built.RunAsync(arguments);
        Assert.Equal(2, code);
        Assert.Equal("", output);
        Assert.StartsWith("gdbstub", error);
        Assert.EndsWith("--help)\n", error);
        Assert.Equal(1, error.Count(letter => letter == '\n'));
    }

    [Theory]
    [InlineData("")]
    [InlineData("run")]
    [InlineData("ls")]
    [InlineData("show")]
    [InlineData("serve")]
    [InlineData("debug")]
    [InlineData("verify")]
    [InlineData("rm")]
    [InlineData("import")]
    [InlineData("export")]
    [InlineData("prune")]
    [InlineData("up")]
    [InlineData("ps")]
    [InlineData("diff")]
    [InlineData("inspect")]
    [InlineData("symbols")]
    [InlineData("demo")]
    public async Task Every_help_has_an_example(string command)
    {
        (int code, string output, string error) = await Built.RunAsync($"{command} --help");
        Assert.Equal(0, code);
        Assert.Equal("", error);
        Assert.Contains($"\nExample:\n  gdbstub {command}".TrimEnd(), output);
    }

    [Theory]
    [InlineData("run --kernel /nonexistent/vmlinuz --store {0}", "/nonexistent/vmlinuz")]
    [InlineData("run --kernel /dev/null --store {0}", "empty")]
    [InlineData("show latest --store {0}", "no archive")]
    [InlineData("rm abc --store {0}", "no archive")]
    [InlineData("verify /nonexistent/archive --store {0}", "/nonexistent/archive")]
    public async Task An_error_is_one_line_that_names_what_is_wrong_and_exit_code_1(string arguments, string named)
    {
        using var store = new TemporaryDirectory();
        (int code, string output, string error) = await Built.RunAsync(string.Format(null, arguments, store.Path));
        Assert.Equal(1, code);
        Assert.Equal("", output);
        Assert.StartsWith("gdbstub: ", error);
        Assert.Contains(named, error);
        Assert.Equal(1, error.Count(letter => letter == '\n'));
    }
}
