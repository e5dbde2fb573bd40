using System.Diagnostics;
using System.Net;
using GdbStub.Sessions;
using Microsoft.Extensions.Logging.Abstractions;

namespace GdbStub.Tests.Example;

/// <summary>The library under an architecture of its user's, with the real debugger for it.</summary>
public sealed class ExampleTests
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(60);

    [Fact]
    public async Task Gdb_debugs_a_machine_of_another_architecture()
    {
        const string gdb = "gdb-multiarch";
        if (!(Environment.GetEnvironmentVariable("PATH") ?? "").Split(':').Any(directory => File.Exists(Path.Combine(directory, gdb))))
        {
            Assert.Skip($"{gdb} is not installed");
        }

        // addi t0,t0,1; addi t1,t1,2; jal zero,-8
        var machine = new TinyRiscv(0x0012_8293, 0x0023_0313, 0xFF9F_F06F);
        await using GdbListener listener = GdbListener.Start(new GdbEndpoint.Tcp(IPAddress.Loopback, 0), machine, NullLogger.Instance);
        string[] commands =
        [
            "set pagination off", "set confirm off", $"target remote {listener.Endpoint.TargetRemote}", "x/3i $pc", "stepi", "print $t0", "break *8", "continue", "continue", "print $t1", "set $t0 = 41",
            "stepi 2", "info registers t0 pc", "print/x *(int *) 4", "set *(int *) 4 = 0x13", "print/x *(int *) 4", "detach",
        ];
        var start = new ProcessStartInfo(gdb, ["-nx", "-batch", .. commands.SelectMany(command => new[] { "-ex", command })]) { RedirectStandardOutput = true, RedirectStandardError = true };
        using Process process = Process.Start(start)!;
        Task<string> output = process.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
        Task<string> errors = process.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
        using var limit = new CancellationTokenSource(Limit);
        await process.WaitForExitAsync(limit.Token);
        string flat = string.Join(' ', (await output + await errors).Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries));
        Assert.Matches("addi? t0,t0,1 .*addi? t1,t1,2", flat);
        foreach (string text in new[] { "j 0x0", "$1 = 1", "Breakpoint 1, 0x00000008", "$2 = 4", "t0 0x2a 42", "pc 0x4", "$3 = 0x230313", "$4 = 0x13", "detached" })
        {
            Assert.True(flat.Contains(text, StringComparison.Ordinal), $"no {text} in:\n{flat}");
        }
    }
}
