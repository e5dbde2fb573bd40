using System.Text.Json;
using Cli.DemoGuest;

namespace Cli.Tests.Program;

/// <summary>A run by the ordinary build.</summary>
public sealed class OrdinaryRunTests : RunTests
{
    internal override ValueTask<BuiltProgram> FindAsync() => BuiltProgram.OrdinaryAsync();
}

/// <summary>A run by the native program.</summary>
public sealed class NativeRunTests : RunTests
{
    internal override ValueTask<BuiltProgram> FindAsync() => BuiltProgram.NativeAsync();
}

/// <summary>Whole runs of small guests.</summary>
public abstract class RunTests : ProgramTests
{
    private readonly TemporaryDirectory directory = new();

    public override ValueTask DisposeAsync()
    {
        directory.Dispose();
        return base.DisposeAsync();
    }

    [Fact]
    public async Task A_panic_is_archived_and_every_step_told_in_JSON()
    {
        string kernel = Path.Combine(directory.Path, "guest.elf");
        await File.WriteAllBytesAsync(kernel, DemoGuestImage.Build(), TestContext.Current.CancellationToken);
        (int code, string output, string error) = await Built.RunAsync(
            $"run --kernel {kernel} --on-panic exit --gdb none --console none --json --store {directory.Path}");
        Assert.Equal(3, code);
        Assert.Contains("gdbstub: archived as ", error);
        Dictionary<string, JsonElement> events = Events(output);
        Assert.Equal(["started", "trapped", "frozen", "archived", "ended"], events.Keys);
        Assert.Equal("Kernel panic - not syncing: demo guest: a task followed a bad pointer", events["trapped"].GetProperty("title").GetString());
        Assert.True(File.Exists(events["archived"].GetProperty("path").GetString()));
    }

    [Theory]
    [InlineData("interpreter")]
    [InlineData("translator")]
    [InlineData("both")]
    public async Task Statistics_come_last_and_count_instructions(string engine)
    {
        // mov al, 2; out F4h, al: the exit port ends the run with (2<<1)|1, in the second instruction.
        string kernel = Path.Combine(directory.Path, "guest");
        await File.WriteAllBytesAsync(kernel, [0xB0, 2, 0xE6, 0xF4], TestContext.Current.CancellationToken);
        (int code, string output, string error) = await Built.RunAsync(
            $"run --kernel {kernel} --flat 0x7c00:real --exit-port --engine {engine} --gdb none --console none --json --stats --store {directory.Path}");
        Assert.Equal(5, code);
        Dictionary<string, JsonElement> events = Events(output);
        Assert.Equal(["started", "trapped", "ended", "statistics"], events.Keys);
        Assert.Equal(engine, events["started"].GetProperty("engine").GetString());
        Dictionary<string, double> counters = events["statistics"].GetProperty("counters").EnumerateArray()
            .ToDictionary(counter => counter.GetProperty("name").GetString()!, counter => counter.GetProperty("value").GetDouble());
        Assert.Equal(2, counters["instructions executed"]);
        Assert.InRange(counters["bytes of memory of the process at its most"], 1 << 20, 1 << 30);
        Assert.Contains(" 2 instructions executed\n", error);
    }

    private static Dictionary<string, JsonElement> Events(string output) => output.Split('\n', StringSplitOptions.RemoveEmptyEntries)
        .Select(line => JsonDocument.Parse(line).RootElement)
        .ToDictionary(happened => happened.GetProperty("event").GetString()!);
}
