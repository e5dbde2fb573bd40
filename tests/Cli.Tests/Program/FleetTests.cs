using System.Diagnostics;
using System.Net.Sockets;
using System.Text.Json;
using Cli.DemoGuest;
using Snapshots;

namespace Cli.Tests.Program;

/// <summary>Several machines by the ordinary build.</summary>
public sealed class OrdinaryFleetTests : FleetTests
{
    internal override ValueTask<BuiltProgram> FindAsync() => BuiltProgram.OrdinaryAsync();
}

/// <summary>Several machines by the native program.</summary>
public sealed class NativeFleetTests : FleetTests
{
    internal override ValueTask<BuiltProgram> FindAsync() => BuiltProgram.NativeAsync();
}

/// <summary>Several machines from one description, and how others see them.</summary>
public abstract class FleetTests : ProgramTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private readonly TemporaryDirectory directory = new();
    private readonly List<Process> started = [];

    public override ValueTask DisposeAsync()
    {
        foreach (Process process in started.Where(process => !process.HasExited))
        {
            process.Kill();
            process.WaitForExit();
        }

        directory.Dispose();
        return base.DisposeAsync();
    }

    [Fact]
    public async Task Machines_crash_fail_and_run_each_for_itself_and_end_together_on_a_signal()
    {
        BuiltProgram program = Program("""
            {
              // The one that fails must not hinder the others, nor the one that crashes.
              "defaults": { "kernel": "guest.elf", "onPanic": "reboot", "maxReboots": 1, "backoff": "none", "store": "store" },
              "machines": [
                { "name": "broken", "kernel": "nowhere" },
                { "name": "crashes", "console": "stdio" },
                { "name": "waits", "wait": true, "memory": "32M" },
              ],
            }
            """);
        Process up = Start(program, $"up {directory.Path}/machines.json --json");
        Task<string> output = up.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken), error = up.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
        JsonElement[] machines = await WaitForAsync(program, list => list.Any(machine => machine.GetProperty("machine").GetString() == "crashes" && machine.GetProperty("state").GetString() == "ended"));
        Assert.Equal(["broken failed", "crashes ended", "waits running"], machines.Select(machine => $"{machine.GetProperty("machine").GetString()} {machine.GetProperty("state").GetString()}"));
        Assert.All(machines, machine => Assert.Equal(up.Id, machine.GetProperty("pid").GetInt32()));
        Assert.Contains("nowhere", machines[0].GetProperty("problem").GetString());
        // Its second life finds the first one's report and switches off.
        Assert.Equal((1, 1), (machines[1].GetProperty("crashes").GetInt32(), machines[1].GetProperty("reboots").GetInt32()));
        Assert.StartsWith("127.0.0.1:", machines[2].GetProperty("gdb").GetString());
        Assert.Equal(32 << 20, machines[2].GetProperty("memoryBytes").GetInt32());
        (_, string table, _) = await program.RunAsync("ps");
        Assert.Matches($"^ *PID  MACHINE  STATE .*\n *{up.Id}  broken   failed .*nowhere.*\n *{up.Id}  crashes  ended .* 1 +1  127\\.0\\.0\\.1:\\d+ .*\n *{up.Id}  waits    running .*\n$", table);

        using (Process kill = Process.Start("kill", ["-TERM", $"{up.Id}"]))
        {
            await kill.WaitForExitAsync(TestContext.Current.CancellationToken);
        }

        await up.WaitForExitAsync(TestContext.Current.CancellationToken);
        Assert.Equal(1, up.ExitCode);
        string[] lines = (await output).Split('\n');
        Assert.Contains(lines, line => line.StartsWith("crashes | ", StringComparison.Ordinal));
        string[] events =
        [
            .. lines.Where(line => line.StartsWith("{\"machine\":", StringComparison.Ordinal)).Select(line => JsonDocument.Parse(line).RootElement)
                .Select(one => $"{one.GetProperty("machine").GetString()} {one.GetProperty("event").GetString()}"),
        ];
        Assert.Single(events, "crashes archived");
        Assert.Contains("waits ended", events);
        Assert.Contains("broken failed", events);
        Assert.Contains("waits | gdbstub: ended by SIGTERM", await error);
        Assert.Equal(["crashes"], Store.Open(Path.Combine(directory.Path, "store")).List().Select(archive => archive.Info!.Capture.MachineName!));
        Assert.Empty(await ListAsync(program));
    }

    [Fact]
    public async Task A_single_run_is_listed_too_and_one_killed_is_forgotten()
    {
        BuiltProgram program = Program("{}");
        Process run = Start(program, $"run --kernel {directory.Path}/guest.elf --name lonely --on-panic freeze --console none --store {directory.Path}/store");
        JsonElement machine = Assert.Single(await WaitForAsync(program, list => list.Any(one => one.TryGetProperty("lastArchive", out _) && one.GetProperty("state").GetString() == "frozen")));
        Assert.Equal("lonely", machine.GetProperty("machine").GetString());
        Assert.Equal(Store.Open(Path.Combine(directory.Path, "store")).Find("latest").Id, machine.GetProperty("lastArchive").GetString());
        run.Kill();
        await run.WaitForExitAsync(TestContext.Current.CancellationToken);
        Assert.Empty(await ListAsync(program));
        Assert.Empty(Directory.GetFiles(Path.Combine(directory.Path, "run")));
    }

    [Fact]
    public async Task A_process_that_does_not_answer_is_named_and_not_waited_for()
    {
        BuiltProgram program = Program("{}");
        string socket = Path.Combine(Directory.CreateDirectory(Path.Combine(directory.Path, "run")).FullName, "4711.sock");
        using var mute = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        mute.Bind(new UnixDomainSocketEndPoint(socket));
        mute.Listen();
        (int code, string output, string error) = await program.RunAsync("ps --json");
        Assert.Equal((1, "[]\n"), (code, output));
        Assert.StartsWith("gdbstub: process 4711 does not tell of its machines: ", error);
    }

    // Ended at the latest with the test.
    private Process Start(BuiltProgram program, string arguments)
    {
        Process process = program.Start(arguments);
        started.Add(process);
        return process;
    }

    private async Task<JsonElement[]> WaitForAsync(BuiltProgram program, Func<JsonElement[], bool> enough)
    {
        long begin = Stopwatch.GetTimestamp();
        while (true)
        {
            JsonElement[] machines = await ListAsync(program);
            if (enough(machines))
            {
                return machines;
            }

            Assert.True(Stopwatch.GetElapsedTime(begin) < Patience, string.Join('\n', machines));
            await Task.Delay(100, TestContext.Current.CancellationToken);
        }
    }

    private static async Task<JsonElement[]> ListAsync(BuiltProgram program)
    {
        (int code, string output, string error) = await program.RunAsync("ps --json");
        Assert.True(code == 0, error);
        using JsonDocument document = JsonDocument.Parse(output);
        return [.. document.RootElement.EnumerateArray().Select(machine => machine.Clone())];
    }

    private BuiltProgram Program(string machines)
    {
        File.WriteAllBytes(Path.Combine(directory.Path, "guest.elf"), DemoGuestImage.Build());
        File.WriteAllText(Path.Combine(directory.Path, "machines.json"), machines);
        return Built.With("GDBSTUB_RUNTIME", Path.Combine(directory.Path, "run"));
    }
}
