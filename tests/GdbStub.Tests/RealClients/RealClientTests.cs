using System.Diagnostics;
using System.Net;
using GdbStub.Sessions;
using Microsoft.Extensions.Logging.Abstractions;

namespace GdbStub.Tests.RealClients;

/// <summary>The system's own gdb and lldb against the counting machine.</summary>
public sealed class RealClientTests
{
    [Fact]
    public async Task Gdb_has_its_conditions_decided_here()
    {
        var machine = new CounterMachine();
        string output = await GdbAsync(machine, "target remote",
            "break *0x400010 if $rax == 0x10010",
            "continue",
            "print/x $rax",
            "info breakpoints");
        Contains(output, "Breakpoint 1, 0x0000000000400010", "= 0x10010", "target evals");

        // rax is the number of instructions and the loop has 100h: the hit that counts is number 101h.
        Assert.Equal(0x101, machine.Decided);
    }

    [Fact]
    public async Task Gdb_has_its_printfs_printed_here()
    {
        string output = await GdbAsync(new CounterMachine(), "target remote",
            "set dprintf-style agent",
            "dprintf *0x400020,\"count %d at %p, byte %x\\n\",$rax,$rip,*(unsigned char *)$rip",
            "break *0x400010 if $rax > 0x200",
            "continue");
        Contains(output, "count 32 at 0x400020, byte 90", "count 288 at 0x400020, byte 90", "Breakpoint 2, 0x0000000000400010");
    }

    [Fact]
    public async Task Gdb_lists_processes_and_attaches_to_another()
    {
        string output = await GdbAsync(new CounterMachine(), "target extended-remote",
            "info os",
            "info os processes",
            "print/x $rax",
            "detach",
            "attach 2",
            "print/x $rax",
            "info inferiors",
            "add-inferior",
            "inferior 2",
            "attach 1",
            "info threads",
            "stepi",
            "print/x $rax",
            "inferior 1",
            "stepi",
            "print/x $rax");
        Contains(output,
            "Listing of what can be attached to", "live machine", "Kernel panic - not syncing: sysrq",
            "$1 = 0x0", "$2 = 0x77", "process 2", "Thread 2.1", "Thread 1.1", "$3 = 0x1", "$4 = 0x78");
    }

    /// <summary>As VS Code drives gdb: each line of input waits for the line of output it causes.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Gdb_MI_runs_interrupts_and_steps(bool nonStop)
    {
        Require("gdb");
        await using GdbListener listener = GdbListener.Start(new GdbEndpoint.Tcp(IPAddress.Loopback, 0), new CounterMachine(), NullLogger.Instance);
        using Process process = Process.Start(new ProcessStartInfo("gdb", ["-nx", "-q", "--interpreter=mi2"]) { RedirectStandardOutput = true, RedirectStandardInput = true })!;
        string seen = "";
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        try
        {
            await SayAsync($"-gdb-set non-stop {(nonStop ? "on" : "off")}", "^done");
            await SayAsync("-gdb-set mi-async on", "^done");
            await SayAsync($"-target-select extended-remote {listener.Endpoint.TargetRemote}", "^connected");
            await SayAsync("-break-insert *0x400010", "^done,bkpt=");
            await SayAsync("-exec-continue", "reason=\"breakpoint-hit\"");
            await SayAsync("-break-delete 1", "^done");
            await SayAsync("-exec-continue", "*running");
            await SayAsync(nonStop ? "-exec-interrupt --all" : "-exec-interrupt", "*stopped");
            await SayAsync("-stack-list-frames", "^done,stack=");
            await SayAsync("-data-list-register-values x 0 16", "^done,register-values=");
            await SayAsync("-exec-step-instruction", "reason=\"end-stepping-range\"");
            await SayAsync("-data-evaluate-expression $rax>16", "value=\"1\"");
            await SayAsync("-target-detach", "^done");
            await SayAsync("-gdb-exit", "^exit");
        }
        finally
        {
            process.Kill();
        }

        async Task SayAsync(string command, string answer)
        {
            await process.StandardInput.WriteLineAsync(command);
            await process.StandardInput.FlushAsync(limit.Token);
            while (true)
            {
                string? line;
                try
                {
                    line = await process.StandardOutput.ReadLineAsync(limit.Token);
                }
                catch (OperationCanceledException)
                {
                    line = null;
                }

                Assert.True(line is not null, $"no {answer} for {command} in:\n{seen}");
                seen += line + "\n";
                if (line.Contains(answer, StringComparison.Ordinal))
                {
                    return;
                }

                Assert.False(line.StartsWith("^error", StringComparison.Ordinal), $"{command}: {line}\n{seen}");
            }
        }
    }

    [Fact]
    public async Task Gdb_finds_bytes_dumps_memory_and_reads_symbols_from_the_target()
    {
        string dump = Path.GetTempFileName();
        try
        {
            string output = await GdbAsync(new CounterMachine { Program = await File.ReadAllBytesAsync("/bin/true", TestContext.Current.CancellationToken) }, "target remote",
                "info files",
                "find /b 0x400000, 0x7fffff, 'n', 'e', 'e', 'd', 'l', 'e'",
                $"dump binary memory {dump} 0x400000 0x800000",
                "x/2i $pc");
            Contains(output, "target:/boot/program", "0x7ffffa", "1 pattern found", "nop");
            byte[] bytes = await File.ReadAllBytesAsync(dump, TestContext.Current.CancellationToken);
            Assert.Equal(CounterMachine.MemorySize, bytes.Length);
            Assert.Equal("needle"u8, bytes.AsSpan(0x3FFFFA));
        }
        finally
        {
            File.Delete(dump);
        }
    }

    [Fact]
    public async Task Lldb_asks_nothing_in_vain_and_works()
    {
        Require("lldb");
        await using GdbListener listener = GdbListener.Start(new GdbEndpoint.Tcp(IPAddress.Loopback, 0), new CounterMachine(), NullLogger.Instance);
        string log = Path.GetTempFileName();
        try
        {
            string[] commands =
            [
                "settings set interpreter.prompt-on-quit false",
                $"log enable -f {log} gdb-remote packets",
                $"gdb-remote {listener.Endpoint.TargetRemote}",
                "register read rip rax",
                "memory region 0x400000",
                "memory read --format x --size 1 --count 4 0x400000",
                "breakpoint set --address 0x400010",
                "continue",
                "thread list",
                "thread step-inst",
                "register read rip",
                "register write rax 5",
                "register read rax",
                "detach",
            ];
            string output = await StartAsync("lldb", ["--no-lldbinit", "--batch", .. commands.SelectMany(command => new[] { "-o", command })]);
            Contains(output, "rip = 0x0000000000400000", "[0x0000000000400000-0x0000000000800000) r-x nops", "0x90 0x90 0x90 0x90",
                "stop reason = breakpoint 1.1", "rip = 0x0000000000400011", "rax = 0x0000000000000005", "Process 1 detached");

            // With a triple that names a system lldb reads nothing but what it was told of: no hunt for another kernel.
            string[] reads = [.. (await File.ReadAllLinesAsync(log, TestContext.Current.CancellationToken)).Where(line => line.Contains("send packet: $x", StringComparison.Ordinal))];
            Assert.NotEmpty(reads);
            Assert.All(reads, line => Assert.True(line.Contains("$x0,0#", StringComparison.Ordinal) || line.Contains("$x4000", StringComparison.Ordinal), line));
        }
        finally
        {
            File.Delete(log);
        }
    }

    private static Task<string> GdbAsync(CounterMachine machine, string how, params string[] commands) => GdbAsync(machine, how, [], commands);

    private static async Task<string> GdbAsync(CounterMachine machine, string how, string[] before, string[] commands)
    {
        Require("gdb");
        await using GdbListener listener = GdbListener.Start(new GdbEndpoint.Tcp(IPAddress.Loopback, 0), machine, NullLogger.Instance);
        IEnumerable<string> all = ["set pagination off", "set confirm off", "set debuginfod enabled off", .. before, $"{how} {listener.Endpoint.TargetRemote}", .. commands];
        return await StartAsync("gdb", ["-nx", "-batch", .. all.SelectMany(command => new[] { "-ex", command })]);
    }

    private static void Require(string program)
    {
        if (!(Environment.GetEnvironmentVariable("PATH") ?? "").Split(':').Any(directory => File.Exists(Path.Combine(directory, program))))
        {
            Assert.Skip($"{program} is not installed");
        }
    }

    private static async Task<string> StartAsync(string program, IEnumerable<string> arguments)
    {
        var start = new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true, RedirectStandardInput = true };
        start.Environment["HOME"] = Path.GetTempPath();
        start.Environment["LC_ALL"] = "C";
        using Process process = Process.Start(start)!;
        process.StandardInput.Close();
        Task<string> output = process.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
        Task<string> errors = process.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(90));
        try
        {
            await process.WaitForExitAsync(limit.Token);
        }
        catch (OperationCanceledException)
        {
            process.Kill();
            Assert.Fail($"{program} hung; so far it printed:\n{await output}\n{await errors}");
        }

        string text = await output + await errors;
        TestContext.Current.TestOutputHelper?.WriteLine(text);
        return text;
    }

    private static void Contains(string output, params string[] texts)
    {
        string flat = string.Join(' ', output.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries));
        Assert.All(texts, text => Assert.True(flat.Contains(text, StringComparison.Ordinal), $"no {text} in:\n{output}"));
    }
}
