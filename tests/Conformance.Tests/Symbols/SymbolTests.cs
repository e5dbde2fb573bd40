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
using Snapshots.Tests.RealTools;

namespace Conformance.Tests.Symbols;

/// <summary>What the memory of a panicked, stripped Debian kernel tells, held against what others say of the same kernel.</summary>
public sealed partial class SymbolTests(DebianRuns runs)
{
    private KernelImage Image
    {
        get
        {
            KernelImage? image = KernelImage.Find(runs.Crash.Guest.Machine);
            Assert.NotNull(image);
            return image;
        }
    }

    [Fact]
    public async Task Every_symbol_is_where_nm_says()
    {
        KernelImage image = Image;
        await Reference.SymbolsAreThoseOfNmAsync(image, DebianFiles.DebugKernel());
        using var directory = new TemporaryDirectory();
        await Reference.SectionsAreThoseOfAsync(image, Write(image, directory, types: false), DebianFiles.DebugKernel());
        Assert.Empty(image.Problems);
    }

    [Fact]
    public async Task Every_tasks_stack_is_what_drgn_finds()
    {
        using var directory = new TemporaryDirectory();
        await Reference.StacksAreThoseOfDrgnAsync(Image, DebianFiles.DebugKernel(), KernelRun.Archive(runs.Crash.Guest.Machine, runs.Crash.Exit, 1, directory));
    }

    [Fact]
    public void The_panicking_stack_and_the_log_are_what_the_kernel_printed()
    {
        KernelImage image = Image;
        Assert.Equal(0, image.PanicVcpu);
        KernelTask task = image.TaskOn(0)!;
        Assert.Equal((1, "init", 'R'), (task.Pid, task.Name, task.State));
        IReadOnlyList<StackFrame> stack = Reference.StackIsThatOfTheLog(image, image.Unwind(task));
        Assert.Equal("kernel panic: sysrq triggered crash in sysrq_handle_crash", CrashTitle.Of(image, runs.Crash.Guest.Judge(runs.Crash.Exit).Report!, runs.Crash.Guest.Machine.Vcpus[0]));

        // The last frame is the process's own, as the log's "RIP: 0033:".
        Assert.Contains($"RIP: 0033:0x{stack[^1].Pc:x}", image.Kernel.Log!.ToText(), StringComparison.Ordinal);
        Reference.LogIsThatOfTheConsole(image, runs.Crash.Guest.Console);
        Assert.Empty(image.Problems);
    }

    [Fact]
    public async Task Every_structure_is_as_large_as_the_debug_package_says()
    {
        string debug = DebianFiles.DebugKernel();
        Btf types = Image.Types!;
        string[] names = ["task_struct", "mm_struct", "page", "inode", "super_block", "file", "net_device", "sk_buff", "module", "zone", "pt_regs", "rq", "printk_info", "list_head", "cred", "vm_area_struct"];
        using var directory = new TemporaryDirectory();
        string archive = KernelRun.Archive(runs.Crash.Guest.Machine, runs.Crash.Exit, 1, directory);
        string output = await DrgnTool.RunAsync(debug, archive, $$"""
            for name in "{{string.Join(' ', names)}}".split():
                print("size", name, prog.type("struct " + name).size)
            from drgn import offsetof
            for member in "comm thread.sp tasks signal pid se.vruntime".split():
                print("offset", member, offsetof(prog.type("struct task_struct"), member))
            """);
        foreach (string[] words in output.Split('\n').Select(line => line.Split(' ')).Where(words => words.Length == 3))
        {
            if (words[0] == "size")
            {
                Assert.Equal(words[2], types.SizeOf(types.Find(words[1], BtfKind.Struct)).ToString(CultureInfo.InvariantCulture));
            }
            else
            {
                Assert.True(types.TryGetOffset(types.Find("task_struct", BtfKind.Struct), words[1], out int offset));
                Assert.Equal(words[2], offset.ToString(CultureInfo.InvariantCulture));
            }
        }

        Assert.Equal(names.Length + 6, output.Split('\n').Count(line => line.StartsWith("size ", StringComparison.Ordinal) || line.StartsWith("offset ", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task Gdb_with_the_symbol_file_shows_whole_stacks_and_types()
    {
        KernelImage image = Image;
        using var directory = new TemporaryDirectory();
        string output = await GdbAsync(
            image, directory,
            "bt", "p init_task.comm", "p sizeof(struct task_struct)", "p init_uts_ns.name.release", "p &((struct task_struct *)0)->comm", "whatis panic",
            "ptype struct list_head", "p linux_banner", "p $_siginfo", "info line sysrq_handle_crash", "p &current_task");
        Assert.DoesNotContain("warning: (", output, StringComparison.Ordinal);
        Assert.DoesNotContain("Backtrace stopped", output, StringComparison.Ordinal);
        IReadOnlyList<StackFrame> stack = image.Unwind(image.TaskOn(0)!);
        Assert.Equal(stack.Select(frame => frame.Pc), Frames(output));
        foreach (StackFrame frame in stack.Where(frame => frame.Symbol is not null))
        {
            Assert.Contains($"0x{frame.Pc:x} in {frame.Symbol} (", output, StringComparison.Ordinal);
        }

        Assert.Contains("in panic (fmt=<optimized out>)", output, StringComparison.Ordinal);
        Assert.Contains("$1 = \"swapper/0\\000", output, StringComparison.Ordinal);
        Assert.Contains($"$2 = {image.Types!.SizeOf(image.Types.Find("task_struct", BtfKind.Struct))}\n", output, StringComparison.Ordinal);
        Assert.Contains($"$3 = \"{image.Release}\"", output, StringComparison.Ordinal);
        Assert.Contains("type = void (const char *, ...)", output, StringComparison.Ordinal);
        Assert.Contains("struct list_head *next;", output, StringComparison.Ordinal);
        Assert.Contains("\"Linux version " + image.Release, output, StringComparison.Ordinal);
        Assert.True(image.Symbols!.TryGetAddress("current_task", out ulong perCpu));
        Assert.Contains($"(struct task_struct **) 0x{perCpu:x}", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Gdb_walks_every_tasks_stack_as_we_do()
    {
        KernelImage image = Image;
        using var directory = new TemporaryDirectory();
        await GdbWalksEveryStackAsync(image, directory);
    }

    [Fact]
    public async Task Lldb_with_the_symbol_file_shows_the_whole_stack_and_types()
    {
        GdbProcess.Require("lldb");
        KernelImage image = Image;
        using var directory = new TemporaryDirectory();
        string file = Write(image, directory);
        await using GdbListener served = Serve();
        string address = served.Endpoint.TargetRemote;
        string output = await GdbProcess.StartAsync("lldb", ["--no-lldbinit", "-b", file, "-o", $"gdb-remote {address}", "-o", "bt", "-o", "p init_task.comm", "-o", "p (int)sizeof(struct task_struct)"]);
        IReadOnlyList<StackFrame> stack = image.Unwind(image.TaskOn(0)!);
        string trace = output[output.LastIndexOf("(lldb) bt", StringComparison.Ordinal)..];
        Assert.Equal(stack.Select(frame => frame.Pc), LldbFrame().Matches(trace).Select(match => Hex(match.Groups[1].Value)));
        foreach (StackFrame frame in stack.Where(frame => frame.Symbol is not null))
        {
            Assert.Contains($"`{frame.Symbol}", trace, StringComparison.Ordinal);
        }

        Assert.Contains("\"swapper/0", output, StringComparison.Ordinal);
        Assert.Contains($"= {image.Types!.SizeOf(image.Types.Find("task_struct", BtfKind.Struct))}", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Gdb_takes_lines_and_locals_from_the_debug_package_where_the_file_leaves_types_out()
    {
        string debug = DebianFiles.DebugKernel();
        GdbProcess.Require();
        KernelImage image = Image;
        using var directory = new TemporaryDirectory();
        string link = directory.File($".build-id/{image.BuildId![..2]}/{image.BuildId[2..]}.debug");
        Directory.CreateDirectory(Path.GetDirectoryName(link)!);
        File.CreateSymbolicLink(link, Path.GetFullPath(debug));
        string file = Write(image, directory, types: false);
        await using GdbListener served = Serve();
        string[] commands =
        [
            "set pagination off", $"set debug-file-directory {directory.Path}", $"file {file}", $"target remote {served.Endpoint.TargetRemote}", "bt", "p &current_task",
            "p &init_task", "p &linux_banner", "p &early_recursion_flag",
        ];
        string output = await GdbProcess.StartAsync("gdb", ["-nx", "-batch", .. commands.SelectMany(command => new[] { "-ex", command })]);
        Assert.Matches(@"sysrq_handle_crash \(key=.*\) at drivers/tty/sysrq\.c:\d+", output);
        Assert.Matches(@"ksys_write \(.*count=\d+\) at fs/read_write\.c:\d+", output);
        Assert.Contains("in entry_SYSCALL_64_after_hwframe ()", output, StringComparison.Ordinal);
        foreach (string name in (string[])["current_task", "init_task", "linux_banner", "early_recursion_flag"])
        {
            Assert.True(image.Symbols!.TryGetAddress(name, out ulong address));
            Assert.Contains($"0x{address:x} <{name}>", output, StringComparison.Ordinal);
        }
    }

    private static string Write(KernelImage image, TemporaryDirectory directory, bool types = true)
    {
        SymbolFile? made = image.CreateSymbolFile(types);
        Assert.NotNull(made);
        string path = directory.File("kernel.elf");
        using FileStream stream = File.Create(path);
        made.WriteTo(stream);
        return path;
    }

    private GdbListener Serve() => GdbListener.Start(
        new GdbEndpoint.Tcp(IPAddress.Loopback, 0), new ImageTargetProvider(() => new OverlayView(runs.Crash.Guest.Machine), new DebugOptions()), NullLogger.Instance);

    private async Task<string> GdbAsync(KernelImage image, TemporaryDirectory directory, params string[] commands)
    {
        GdbProcess.Require();
        string file = Write(image, directory);
        await using GdbListener served = Serve();
        string[] all = ["set pagination off", "set width 0", $"file {file}", $"target remote {served.Endpoint.TargetRemote}", .. commands];
        return await GdbProcess.StartAsync("gdb", ["-nx", "-batch", .. all.SelectMany(command => new[] { "-ex", command })]);
    }

    private async Task GdbWalksEveryStackAsync(KernelImage image, TemporaryDirectory directory)
    {
        KernelTask[] tasks = [.. image.Tasks.Where(task => task.Saved is not null)];
        Assert.True(tasks.Length > 20);
        var commands = new List<string>();
        foreach (KernelTask task in tasks)
        {
            KernelRegisters saved = task.Saved!;
            Assert.False(saved.TryGet(0, out _));
            Assert.True(saved.TryGet(KernelRegisters.Rbp, out ulong frame));
            commands.AddRange([$"set $rip = 0x{saved.Pc:x}", $"set $rsp = 0x{saved.Sp:x}", $"set $rbp = 0x{frame:x}", $"echo task {task.Address:x}\\n", "bt"]);
        }

        string[] parts = (await GdbAsync(image, directory, [.. commands])).Split("task ffff", StringSplitOptions.None);
        Assert.Equal(tasks.Length + 1, parts.Length);
        for (int i = 0; i < tasks.Length; i++)
        {
            Assert.Equal(image.Unwind(tasks[i]).Select(frame => frame.Pc), Frames(parts[i + 1]));
        }
    }

    private static IEnumerable<ulong> Frames(string output) => GdbFrame().Matches(output).Select(match => Hex(match.Groups[1].Value));

    private static ulong Hex(string digits) => ulong.Parse(digits, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);

    [GeneratedRegex(@"^#\d+ +0x([0-9a-f]+) in ", RegexOptions.Multiline)]
    private static partial Regex GdbFrame();

    [GeneratedRegex(@"frame #\d+: 0x([0-9a-f]+)")]
    private static partial Regex LldbFrame();
}
