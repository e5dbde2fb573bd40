using System.Net;
using System.Text.Json;
using Debugging;
using Debugging.Tests;
using Emulator;
using Emulator.Memory;
using GdbStub.Sessions;
using Microsoft.Extensions.Logging.Abstractions;
using Snapshots;

namespace Conformance.Tests;

/// <summary>Archived Debian under real debuggers: examined as it is, and run on from its crash.</summary>
public sealed class ResumedTests(DebianRuns runs)
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public void A_machine_made_from_an_image_takes_the_same_course_as_the_one_it_was_taken_from()
    {
        const ulong stretch = 60_000_000;
        GuestRun original = runs.AtShell.Again();
        var info = new CaptureInfo { Kind = CaptureKind.Request, Title = "at the shell", HostTime = DateTimeOffset.UnixEpoch };
        using MemorySnapshot memory = original.Machine.Memory.Freeze();
        using var snapshot = new Snapshot(memory, original.Machine.Save(), info);
        using Machine copy = Machine.From(snapshot, new MachineOptions());
        Assert.Equal(StateHash.Of(original.Machine), StateHash.Of(copy));
        ulong interrupts = original.Machine.Journal.Interrupts;
        Assert.Equal(original.Machine.Run(stretch), copy.Run(stretch));

        // The journal is the debugger's and begins anew; timer ticks have come to both.
        Assert.Equal(original.Machine.Journal.Interrupts - interrupts, copy.Journal.Interrupts);
        Assert.NotEqual(0UL, copy.Journal.Interrupts);
        Assert.Equal(StateHash.Of(original.Machine), StateHash.Of(copy));
    }

    [Theory]
    [InlineData("gdb")]
    [InlineData("gdb-multiarch")]
    public async Task Gdb_runs_an_archive_on_with_breakpoints_and_the_archive_stays_as_it_was(string gdb)
    {
        GdbProcess.Require(gdb);
        using ArchivedDebian archived = await ArchivedDebian.MakeAsync(runs);
        await using GdbListener served = archived.Serve(resume: false);
        ulong rip = archived.Rip;
        string output = await RunAsync(
            gdb,
            $"target extended-remote {served.Endpoint.TargetRemote}",
            "info os processes",
            "continue",
            "monitor fork",
            "stepi",
            "p/x $pc",
            "set $next = $pc",
            "stepi",
            "set $here = $pc",
            "stepi",
            "break *$pc if $rsp == 1",
            "break *$pc",
            "continue",
            "delete",
            "continue",
            "monitor devices apic",
            "p $eflags",
            "detach");
        Assert.Contains("Kernel panic - not syncing", output, StringComparison.Ordinal);
        Assert.Contains("this is an archived machine, which does not run", output, StringComparison.Ordinal);
        Assert.Contains("a private copy of the machine stands where the image does", output, StringComparison.Ordinal);

        // The reset was asked for by OUT; XOR EAX,EAX (2 bytes) or the like comes next: the copy has moved.
        Assert.Matches(@"\$1 = 0x[0-9a-f]{16}", output);
        Assert.DoesNotContain($"$1 = 0x{rip:x}", output, StringComparison.Ordinal);

        // The kernel tries the next way of resetting, which is a stop like the first.
        Assert.Contains("SIGABRT", output, StringComparison.Ordinal);
        Assert.Contains("vCPU 0: base 0xfee00000", output, StringComparison.Ordinal);
        Assert.Contains("detached", output, StringComparison.Ordinal);
        archived.AssertUntouched();
    }

    [Fact]
    public async Task Each_connection_has_its_own_copy_and_what_it_wrote_is_gone_with_it()
    {
        using ArchivedDebian archived = await ArchivedDebian.MakeAsync(runs);
        await using GdbListener served = archived.Serve(resume: true);
        string place = $"{archived.Rip:x}";
        using RspClient one = RspClient.Connect(served.Endpoint);
        using RspClient other = RspClient.Connect(served.Endpoint);
        string before = other.Ask($"m{place},4");
        Assert.Equal("OK", one.Ask($"M{place},4:eb fe 90 90".Replace(" ", "", StringComparison.Ordinal)));
        Assert.Equal("ebfe9090", one.Ask($"m{place},4"));
        Assert.Equal(before, other.Ask($"m{place},4"));

        // What was written is what runs: a jump to itself.
        Assert.StartsWith("T05", one.Ask("s"), StringComparison.Ordinal);
        Assert.Equal(Little(archived.Rip), one.Ask("p10"));
        Assert.StartsWith("T05", other.Ask("s"), StringComparison.Ordinal);
        Assert.NotEqual(Little(archived.Rip), other.Ask("p10"));
        using RspClient later = RspClient.Connect(served.Endpoint);
        Assert.Equal(before, later.Ask($"m{place},4"));
        archived.AssertUntouched();
    }

    [Fact]
    public async Task A_copy_that_runs_in_circles_is_interrupted_and_forked_again_from_the_crash()
    {
        using ArchivedDebian archived = await ArchivedDebian.MakeAsync(runs);
        await using GdbListener served = archived.Serve(resume: true);
        using RspClient client = RspClient.Connect(served.Endpoint);
        client.Ask("?");
        client.Ask("s");
        client.Ask($"M{archived.Rip:x},2:ebfe");
        string pc = client.Ask("p10");
        client.Ask("P10=" + Little(archived.Rip));
        client.Send("c");
        client.SendRaw("\x03");
        Assert.StartsWith("T02", client.Receive(), StringComparison.Ordinal);
        Assert.Contains("a new private copy", client.Monitor("fork"), StringComparison.Ordinal);
        Assert.StartsWith("T05", client.Ask("s"), StringComparison.Ordinal);
        Assert.Equal(pc, client.Ask("p10"));
    }

    [Fact]
    public async Task Lldb_reads_an_archive_by_name_and_role_and_runs_it_on()
    {
        GdbProcess.Require("lldb");
        using ArchivedDebian archived = await ArchivedDebian.MakeAsync(runs);
        await using GdbListener served = archived.Serve(resume: true);
        string output = Flat(await GdbProcess.StartAsync("lldb", ["--no-lldbinit", "--batch", .. new[]
        {
            "settings set interpreter.prompt-on-quit false",
            $"gdb-remote {served.Endpoint.TargetRemote}",
            "register read rip cr0 pc sp",
            "memory read --format x --size 1 --count 2 $pc",
            "memory region $pc",
            "thread list",
            "thread step-inst",
            "thread step-inst",
            "process plugin packet monitor where",
            "breakpoint set --address $pc",
            "watchpoint set expression -w write -s 8 -- $sp-8",
            "continue",
            "detach",
        }.SelectMany(command => new[] { "-o", command })]));
        Assert.Contains($"rip = 0x{archived.Rip:x16}", output, StringComparison.Ordinal);

        // By name and by role; lldb prints the name in both cases.
        Assert.Equal(2, output.Split($"rip = 0x{archived.Rip:x16}").Length - 1);
        Assert.Contains("cr0 = 0x0000000080050033", output, StringComparison.Ordinal);
        Assert.Matches(@"\[0x[0-9a-f]{16}-0x[0-9a-f]{16}\) r-x", output);
        Assert.Contains("name = 'vCPU 0'", output, StringComparison.Ordinal);
        Assert.Contains("stop reason = instruction step into", output, StringComparison.Ordinal);
        Assert.Contains("Watchpoint created", output, StringComparison.Ordinal);
        Assert.Matches("stop reason = (watchpoint 1|signal SIGABRT|breakpoint)", output);
        Assert.Contains("detached", output, StringComparison.Ordinal);
        archived.AssertUntouched();
    }

    [Fact]
    public async Task Gdb_mi_as_VS_Code_drives_it_attaches_breaks_runs_and_reads()
    {
        GdbProcess.Require();
        using ArchivedDebian archived = await ArchivedDebian.MakeAsync(runs);
        await using GdbListener served = archived.Serve(resume: true);
        await using var gdb = MiSession.Start();
        await gdb.SayAsync("-gdb-set mi-async off", "^done");
        await gdb.SayAsync($"-target-select remote {served.Endpoint.TargetRemote}", "^connected");
        await gdb.SayAsync("-thread-info", "^done");
        await gdb.SayAsync("-stack-list-frames --thread 1 0 0", "^done");
        await gdb.SayAsync("-data-list-register-names", "^done");
        await gdb.SayAsync("-data-list-register-values --thread 1 x 16 17", "^done");
        await gdb.SayAsync("-exec-step-instruction", "*stopped");
        await gdb.SayAsync("-exec-step-instruction", "*stopped");
        await gdb.SayAsync("-break-insert *$pc", "^done");
        await gdb.SayAsync("-break-list", "^done");
        await gdb.SayAsync("-data-read-memory-bytes $pc 8", "^done");
        await gdb.SayAsync("-interpreter-exec console \"monitor where\"", "^done");
        await gdb.SayAsync("-break-delete", "^done");
        await gdb.SayAsync("-exec-continue", "*stopped");
        await gdb.SayAsync("-data-evaluate-expression $cr0", "^done");
        await gdb.SayAsync("-target-detach", "^done");
        await gdb.SayAsync("-gdb-exit", "^exit");
        string output = gdb.Output;
        Assert.Contains("^connected", output, StringComparison.Ordinal);
        Assert.Contains("target-id=\"Thread 2.1\"", output.Replace("Thread 1.1", "Thread 2.1", StringComparison.Ordinal), StringComparison.Ordinal);
        Assert.Contains($"addr=\"0x{archived.Rip:x16}\"", output, StringComparison.Ordinal);
        Assert.Contains("register-names=[\"rax\",\"rbx\",\"rcx\"", output, StringComparison.Ordinal);
        Assert.Contains($"{{number=\"16\",value=\"0x{archived.Rip:x}\"}}", output, StringComparison.Ordinal);
        Assert.Contains("reason=\"end-stepping-range\"", output, StringComparison.Ordinal);
        Assert.Contains("^done,bkpt={number=\"1\"", output, StringComparison.Ordinal);
        Assert.Contains("^done,memory=[{begin=", output, StringComparison.Ordinal);
        Assert.Contains("stopped: a step", output, StringComparison.Ordinal);
        Assert.Contains("reason=\"signal-received\",signal-name=\"SIGABRT\"", output, StringComparison.Ordinal);
        Assert.Contains("^done,value=\"[ PE MP ET NE WP AM PG ]\"", output, StringComparison.Ordinal);
        archived.AssertUntouched();
    }

    [Fact]
    public async Task The_python_script_reports_on_a_machine()
    {
        GdbProcess.Require();
        using ArchivedDebian archived = await ArchivedDebian.MakeAsync(runs);
        await using GdbListener served = archived.Serve(resume: false);
        string report = archived.File("report.json");
        string output = await RunAsync(
            "gdb", $"target remote {served.Endpoint.TargetRemote}", $"set $inspect_output = \"{report}\"", $"source {Script()}");
        Assert.True(File.Exists(report), output);
        using JsonDocument document = JsonDocument.Parse(await File.ReadAllTextAsync(report, Cancellation));
        JsonElement thread = document.RootElement.GetProperty("threads")[0];
        Assert.Equal($"0x{archived.Rip:x}", thread.GetProperty("registers").GetProperty("rip").GetString());
        Assert.Equal("0x80050033", thread.GetProperty("registers").GetProperty("cr0").GetString());
        Assert.Matches("^0x[0-9a-f]+$", thread.GetProperty("registers").GetProperty("eflags").GetString()!);
        Assert.Contains(document.RootElement.GetProperty("stopped").EnumerateArray(), line => line.GetString()!.StartsWith("stopped: a reset was asked for", StringComparison.Ordinal));
        Assert.Contains(document.RootElement.GetProperty("translation").EnumerateArray(), line => line.GetString()!.Contains("physical 0x", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_foreign_dump_says_why_it_cannot_run()
    {
        using ArchivedDebian archived = await ArchivedDebian.MakeAsync(runs);
        await using GdbListener served = GdbListener.Start(
            new GdbEndpoint.Tcp(IPAddress.Loopback, 0),
            new ImageTargetProvider(() => new WithoutState(ArchiveReader.Open(archived.Path)), new DebugOptions { Resume = true }), NullLogger.Instance);
        using RspClient client = RspClient.Connect(served.Endpoint);
        client.Ask("?");
        Assert.Contains("not the state of a machine's devices", client.Ask("vCont;c"), StringComparison.Ordinal);
        Assert.Contains("not the state of a machine's devices", client.Monitor("fork"), StringComparison.Ordinal);
        Assert.Contains("no state of devices", client.Monitor("devices"), StringComparison.Ordinal);
    }

    private static string Script()
    {
        string? directory = AppContext.BaseDirectory;
        while (directory is not null && !File.Exists(Path.Combine(directory, "GdbStub.sln")))
        {
            directory = Path.GetDirectoryName(directory);
        }

        return Path.Combine(directory!, "scripts", "gdb", "inspect_machine.py");
    }

    private static Task<string> RunAsync(string gdb, params string[] commands)
    {
        IEnumerable<string> all = ["set pagination off", "set confirm off", .. commands];
        return GdbProcess.StartAsync(gdb, ["-nx", "-batch", .. all.SelectMany(command => new[] { "-ex", command })]);
    }

    private static string Little(ulong value) => Convert.ToHexStringLower(BitConverter.GetBytes(value));

    private static string Flat(string output) => string.Join(' ', output.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries));

    /// <summary>What a dump made elsewhere has: memory and registers.</summary>
    private sealed class WithoutState(ArchiveReader archive) : IMachineView, IDisposable
    {
        public IReadOnlyList<PhysicalRange> Ram => archive.Ram;

        public IReadOnlyList<VcpuState> Vcpus => archive.Vcpus;

        public int CurrentVcpu => archive.CurrentVcpu;

        public ulong InstructionCount => archive.InstructionCount;

        public MachineExit? StopCause => archive.StopCause;

        public int ReadPhysical(ulong address, Span<byte> destination) => archive.ReadPhysical(address, destination);

        public bool IsUntouched(ulong address) => archive.IsUntouched(address);

        public void Dispose() => archive.Dispose();
    }
}
