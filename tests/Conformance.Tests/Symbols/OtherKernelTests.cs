using System.Globalization;
using System.Net;
using System.Text.RegularExpressions;
using Debugging;
using Debugging.Tests;
using GdbStub.Sessions;
using GuestOs.Linux.Symbols;
using GuestOs.Linux.Symbols.Elf;
using Microsoft.Extensions.Logging.Abstractions;
using Snapshots;
using Snapshots.Tests;

namespace Conformance.Tests.Symbols;

/// <summary>
/// Other kernels of Debian's, with modules loaded and a panic raised inside one, in an interrupt: softdog's timer. 5.10
/// does not name its symbol table, 6.12 has another ORC and its modules' memory in pieces.
/// </summary>
public sealed partial class OtherKernelTests
{
    [Theory]
    [InlineData("stock")]
    [InlineData("rt")]
    [InlineData("6.12")]
    [InlineData("5.10")]
    [InlineData("6.18")]
    [InlineData("newest")]
    public async Task A_panic_in_a_module_is_read_whole(string name)
    {
        using KernelRun run = KernelRun.Of(name);
        KernelImage? image = KernelImage.Find(run.Machine);
        Assert.NotNull(image);
        IReadOnlyList<StackFrame> stack = Reference.StackIsThatOfTheLog(image, image.Unwind(run.Machine.Vcpus[0]));
        Assert.Equal("softdog", stack.First(frame => frame.Symbol?.StartsWith("softdog_fire", StringComparison.Ordinal) == true).Module);
        Assert.Equal(
            "kernel panic: Software Watchdog Timer expired in softdog_fire", CrashTitle.Of("Kernel panic - not syncing: Software Watchdog Timer expired", null, stack));
        Reference.LogIsThatOfTheConsole(image, run.Console);

        // Name, bytes, uses, users, state, place: /proc/modules as the guest printed it, before softdog came into use.
        string[][] told = [.. ModuleLine().Matches(run.Console).Select(match => new[] { match.Groups[1].Value, match.Groups[2].Value, match.Groups[3].Value, match.Groups[4].Value })];
        Assert.True(told.Length >= 4);
        Assert.Equal(
            told.Select(module => string.Join(' ', module)),
            image.Modules.Select(module => string.Create(CultureInfo.InvariantCulture, $"{module.Name} {module.Length} {(module.Name == "softdog" ? 0 : module.References)} {module.TextAddress:x16}")));
        foreach (KernelModule module in image.Modules)
        {
            Assert.NotNull(module.Symbols);
            Assert.Contains(module.Sections, section => section.Name == ".text" && section.Address == module.TextAddress);
            Assert.Equal(await Reference.BuildIdAsync(run.Module(module.Name)), module.BuildId);
        }

        Assert.True(image.Modules.Single(module => module.Name == "softdog").Symbols!.TryGetAddress("softdog_ping", out _));
        if (name != "5.10")
        {
            // Modules have had types of their own since 5.11.
            Btf loop = image.Modules.Single(module => module.Name == "loop").Types!;
            Assert.True(loop.TryGetOffset(loop.Find("loop_device", BtfKind.Struct), "lo_file_name", out _));
        }

        SymbolFile file = image.CreateSymbolFile()!;
        Assert.Equal(run.Machine.Vcpus.Count, image.Tasks.Count(task => task.Vcpu is not null));
        Assert.Empty(image.Problems);
        Assert.InRange(file.Length, 5_000_000, 40_000_000);
        Assert.SkipUnless(File.Exists(run.DebugKernel), $"no {run.DebugKernel}: scripts/fetch-kernels --dbg {name}");
        await Reference.SymbolsAreThoseOfNmAsync(image, run.DebugKernel);
        using var directory = new TemporaryDirectory();
        await Reference.SectionsAreThoseOfAsync(image, Write(image.CreateSymbolFile(types: false)!, directory.File("sections.elf")), run.DebugKernel);
        await Reference.StacksAreThoseOfDrgnAsync(image, run.DebugKernel, KernelRun.Archive(run.Machine, run.Exit, image.TaskOn(0)!.Pid, directory));
    }

    [Fact]
    public async Task Gdb_shows_a_panic_in_a_module_past_the_interrupt_it_came_in()
    {
        GdbProcess.Require();
        using KernelRun run = KernelRun.Of("stock");
        KernelImage image = KernelImage.Find(run.Machine)!;
        using var directory = new TemporaryDirectory();
        string file = Write(image.CreateSymbolFile()!, directory.File("kernel.elf"));
        string output = await GdbAsync(run, $"file {file}", "bt", "ptype struct ext4_inode_info", "whatis softdog_ping");

        // Of the interrupt's entry gdb says that it is one.
        IReadOnlyList<StackFrame> stack = image.Unwind(run.Machine.Vcpus[0]);
        Assert.Equal(
            stack.Select(frame => frame.Symbol!.StartsWith("asm_", StringComparison.Ordinal) ? "signal" : frame.Pc.ToString("x16", CultureInfo.InvariantCulture)),
            GdbFrame().Matches(output).Select(match => match.Groups[1].Success ? match.Groups[1].Value : "signal"));
        Assert.Contains("in start_kernel ()", output, StringComparison.Ordinal);
        Assert.Contains("struct inode vfs_inode;", output, StringComparison.Ordinal);
        Assert.Contains("type = int (struct watchdog_device *)", output, StringComparison.Ordinal);
        Assert.DoesNotContain("Backtrace stopped", output, StringComparison.Ordinal);

        Assert.SkipUnless(File.Exists(run.DebugKernel), $"no {run.DebugKernel}: scripts/fetch-kernels --dbg stock");
        string link = directory.File($".build-id/{image.BuildId![..2]}/{image.BuildId[2..]}.debug");
        Directory.CreateDirectory(Path.GetDirectoryName(link)!);
        File.CreateSymbolicLink(link, Path.GetFullPath(run.DebugKernel));
        Write(image.CreateSymbolFile(types: false)!, file);
        string switches = Write(image.CreateStackSwitchFile()!, directory.File("switches.elf"));
        output = await GdbAsync(run, $"set debug-file-directory {directory.Path}", $"add-symbol-file {switches}", $"file {file}", "bt");
        Assert.Matches(@"__hrtimer_run_queues \(.*\) at kernel/time/hrtimer\.c:\d+", output);
        Assert.Matches(@"start_kernel \(\) at init/main\.c:\d+", output);
        Assert.DoesNotContain("not found in", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Debug_shows_the_lines_of_a_module_whose_debug_file_is_beside_the_kernels()
    {
        const string name = "6.12";
        GdbProcess.Require();
        using KernelRun run = KernelRun.Of(name);
        Assert.SkipUnless(run.HasModuleDebugFiles, $"no {run.DebugKernel} with lib/modules: scripts/fetch-kernels --dbg {name}");
        using var directory = new TemporaryDirectory();
        string archive = KernelRun.Archive(run.Machine, run.Exit, 0, directory);
        (int code, string output) = await Snapshots.Tests.RealTools.Tool.RunAsync(
            Path.Combine(AppContext.BaseDirectory, "Cli"), "", "debug", archive, "--vmlinux", run.DebugKernel, "--", "-nx", "-batch", "-ex", "bt", "-ex", "p softdog_dev.info->identity", "-ex", "p &softdog_info", "-ex", "p softdog_fire", "-ex", "monitor modules softdog");
        TestContext.Current.TestOutputHelper?.WriteLine(output);
        Assert.Equal(0, code);
        Assert.Matches(@"softdog_fire \(.*\) at drivers/watchdog/softdog\.c:\d+", output);
        Assert.Matches(@"__hrtimer_run_queues \(.*\) at kernel/time/hrtimer\.c:\d+", output);
        Assert.Matches(@"start_kernel \(\) at init/main\.c:\d+", output);
        Assert.Contains("= \"Software Watchdog\"", output, StringComparison.Ordinal);
        Assert.Matches(@"panic \(fmt=.*""Software Watchdog Timer expired""\) at kernel/panic\.c:\d+", output);
        Assert.DoesNotContain("warning", output, StringComparison.Ordinal);
        Assert.Matches(@"add-symbol-file /\S+/softdog\.ko -s \.", output);
    }

    private static string Write(SymbolFile file, string path)
    {
        using FileStream stream = File.Create(path);
        file.WriteTo(stream);
        return path;
    }

    private static async Task<string> GdbAsync(KernelRun run, params string[] commands)
    {
        await using GdbListener served = GdbListener.Start(
            new GdbEndpoint.Tcp(IPAddress.Loopback, 0), new ImageTargetProvider(() => new OverlayView(run.Machine), new DebugOptions()), NullLogger.Instance);
        string[] all = ["set pagination off", "set width 0", "set confirm off", .. commands];
        int file = Array.FindIndex(all, command => command.StartsWith("file ", StringComparison.Ordinal));
        all = [.. all[..(file + 1)], $"target remote {served.Endpoint.TargetRemote}", .. all[(file + 1)..]];
        return await GdbProcess.StartAsync("gdb", ["-nx", "-batch", .. all.SelectMany(command => new[] { "-ex", command })]);
    }

    [GeneratedRegex(@"^#\d+ +(?:0x([0-9a-f]{16}) in |<signal)", RegexOptions.Multiline)]
    private static partial Regex GdbFrame();

    [GeneratedRegex(@"^(\w+) (\d+) (\d+) \S+ Live 0x([0-9a-f]{16})", RegexOptions.Multiline)]
    private static partial Regex ModuleLine();
}
