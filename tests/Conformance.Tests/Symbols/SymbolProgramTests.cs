using Debugging.Tests;
using GuestOs.Linux.Symbols;
using Snapshots.Tests;
using Snapshots.Tests.RealTools;

namespace Conformance.Tests.Symbols;

/// <summary>The program's commands, as a person with a crashed machine types them.</summary>
public sealed class SymbolProgramTests(DebianRuns runs)
{
    private static string Program => Path.Combine(AppContext.BaseDirectory, "Cli");

    [Fact]
    public async Task Debug_starts_gdb_or_lldb_with_all_that_is_known_of_the_kernel()
    {
        GdbProcess.Require();
        GdbProcess.Require("lldb");
        using var directory = new TemporaryDirectory();
        string archive = Archive(directory);
        string output = await RunAsync(0, "debug", archive, "--", "-nx", "-batch", "-ex", "bt", "-ex", "info threads");
        Assert.Contains("in sysrq_handle_crash (key=<optimized out>)", output, StringComparison.Ordinal);
        Assert.Contains("\"kthreadd\" (pid 2, S sleeping)", output, StringComparison.Ordinal);
        Assert.DoesNotContain("warning", output, StringComparison.Ordinal);

        output = await RunAsync(0, "debug", archive, "--threads", "cpus", "--", "-nx", "-batch", "-ex", "info threads");
        Assert.DoesNotContain("kthreadd", output, StringComparison.Ordinal);

        output = await RunAsync(0, "debug", archive, "--lldb", "--", "--no-lldbinit", "-b", "-o", "bt", "-o", "p init_task.comm");
        Assert.Contains("`sysrq_handle_crash", output, StringComparison.Ordinal);
        Assert.Contains("\"swapper/0", output, StringComparison.Ordinal);

        string debug = DebianFiles.DebugKernel();
        output = await RunAsync(0, "debug", archive, "--vmlinux", debug, "--", "-nx", "-batch", "-ex", "bt");
        Assert.Matches(@"sysrq_handle_crash \(key=.*\) at drivers/tty/sysrq\.c:\d+", output);
        Assert.Contains("in entry_SYSCALL_64_after_hwframe ()", output, StringComparison.Ordinal);
        Assert.DoesNotContain("warning", output, StringComparison.Ordinal);

        // A debug file is gdb's alone.
        output = await RunAsync(2, "debug", archive, "--lldb", "--vmlinux", debug);
        Assert.Contains("leave --vmlinux or --lldb out", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_vmlinux_of_another_kernel_is_refused_with_both_build_ids()
    {
        using var directory = new TemporaryDirectory();
        string archive = Archive(directory);
        KernelImage image = KernelImage.Find(runs.Crash.Guest.Machine)!;

        // A debug file of another build, as small as can be: the symbol file has a build id and DWARF of its own.
        string other = directory.File("vmlinux");
        await RunAsync(0, "symbols", archive, "-o", other);
        byte[] bytes = await File.ReadAllBytesAsync(other, TestContext.Current.CancellationToken);
        int at = bytes.AsSpan().IndexOf(Convert.FromHexString(image.BuildId!));
        bytes[at] ^= 0xFF;
        await File.WriteAllBytesAsync(other, bytes, TestContext.Current.CancellationToken);
        string otherId = Convert.ToHexStringLower(bytes, at, image.BuildId!.Length / 2);
        foreach (string command in (string[])["serve", "debug"])
        {
            string output = await RunAsync(1, command, archive, "--vmlinux", other);
            Assert.Contains(image.BuildId, output, StringComparison.Ordinal);
            Assert.Contains(otherId, output, StringComparison.Ordinal);
            Assert.Equal(1, output.Count(letter => letter == '\n'));
        }

        Assert.Contains("there is no file", await RunAsync(1, "serve", archive, "--vmlinux", other + "x"), StringComparison.Ordinal);
        Assert.Contains("not an ELF file", await RunAsync(1, "serve", archive, "--vmlinux", archive), StringComparison.Ordinal);
    }

    private static async Task<string> RunAsync(int expected, params string[] arguments)
    {
        (int code, string output) = await Tool.RunAsync(Program, "", arguments);
        TestContext.Current.TestOutputHelper?.WriteLine(output);
        Assert.Equal(expected, code);
        return output;
    }

    private string Archive(TemporaryDirectory directory) => KernelRun.Archive(runs.Crash.Guest.Machine, runs.Crash.Exit, 1, directory);
}
