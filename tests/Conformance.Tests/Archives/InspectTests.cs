using System.Diagnostics;
using System.Text.Json;
using System.Text.RegularExpressions;
using System.Xml.Linq;
using Snapshots;
using Snapshots.Tests;
using Snapshots.Tests.RealTools;

namespace Conformance.Tests.Archives;

/// <summary>Inspections of real crashes by real gdb, and of what goes wrong with some of them while the others go on.</summary>
public sealed class InspectTests(DebianStore debian) : IDisposable
{
    private readonly TemporaryDirectory directory = new();

    public void Dispose() => directory.Dispose();

    [Fact]
    public async Task One_image_that_fails_hangs_or_cannot_be_read_never_stops_the_others()
    {
        string store = await ReadyAsync();
        StoredArchive[] archives = [.. Store.Open(store).List()];
        string cut = directory.File("cut.kdump"), hangs = directory.File("hangs.kdump"), dies = directory.File("dies.kdump"), script = directory.File("check.py");
        File.WriteAllBytes(cut, File.ReadAllBytes(archives[0].Path)[..100_000]);
        File.CreateSymbolicLink(hangs, archives[0].Path);
        File.CreateSymbolicLink(dies, archives[0].Path);
        await File.WriteAllTextAsync(
            script,
            $"""
            import gdb, os, signal, time
            path, title = (gdb.convenience_variable(name).string() for name in ("archive_path", "panic_title"))
            if path == "{hangs}":
                print("about to hang", flush=True)
                time.sleep(1000)
            if path == "{dies}":
                os.kill(os.getpid(), signal.SIGKILL)
            if path == "{archives[1].Path}":
                raise gdb.GdbError("the script found something")
            print("checked", title)
            """,
            TestContext.Current.CancellationToken);

        long begin = Stopwatch.GetTimestamp();
        (int code, string output, string error) = await DebianStore.RunAsync(
            "inspect", archives[0].Id, hangs, cut, dies, archives[1].Id, "-p", script, "--threads", "cpus", "--timeout", "30", "--jobs", "3", "--json", "--store", store);
        Assert.Equal((1, ""), (code, error));
        Assert.InRange(Stopwatch.GetElapsedTime(begin).TotalSeconds, 0, 120);
        using JsonDocument json = JsonDocument.Parse(output);
        JsonElement[] results = [.. json.RootElement.EnumerateArray()];
        Assert.Equal(["ok", "timed-out", "unreadable", "crashed", "failed"], results.Select(result => result.GetProperty("status").GetString()!));
        Assert.Equal([archives[0].Id, hangs, cut, dies, archives[1].Id], results.Select(result => result.GetProperty("id").GetString()!));
        Assert.Contains("checked kernel panic: sysrq triggered crash in sysrq_handle_crash", Output(0), StringComparison.Ordinal);
        Assert.Contains("about to hang", Output(1), StringComparison.Ordinal);
        Assert.Contains(cut, Output(2), StringComparison.Ordinal);
        Assert.Contains("the script found something", Output(4), StringComparison.Ordinal);
        Assert.Equal(1, results[4].GetProperty("exitCode").GetInt32());

        string Output(int index) => results[index].GetProperty("output").GetString()!;
    }

    [Fact]
    public async Task Steps_are_done_in_the_order_given_and_a_JUnit_report_names_what_failed()
    {
        string store = await ReadyAsync();
        string script = directory.File("one.gdb"), python = directory.File("two");
        await File.WriteAllTextAsync(script, "echo second\\n\n", TestContext.Current.CancellationToken);
        await File.WriteAllTextAsync(python, "print('third')\n", TestContext.Current.CancellationToken);
        (int code, string output, _) = await DebianStore.RunAsync(
            "inspect", "-n", "2", "-c", "echo first\\n", "-x", script, "-p", python, "-c", "printf \"%s %#lx %s %d\\n\", $guest_release, $kaslr_offset, $machine_name, $panic_cpu",
            "-c", "x/1i $rip", "-c", "frobnicate", "-c", "echo never\\n", "--threads", "cpus", "--junit", "--store", store);
        Assert.Equal(1, code);
        var report = XDocument.Parse(output);
        XElement suite = report.Root!.Element("testsuite")!;
        Assert.Equal(("2", "2", "0"), (suite.Attribute("tests")!.Value, suite.Attribute("failures")!.Value, suite.Attribute("errors")!.Value));
        foreach (XElement one in suite.Elements("testcase"))
        {
            Assert.Equal("kernel panic: sysrq triggered crash in sysrq_handle_crash", one.Attribute("classname")!.Value);
            string said = one.Element("system-out")!.Value;
            JsonElement page = await DebianStore.JsonAsync("ls", "--json", "--store", store);
            JsonElement archive = page.EnumerateArray().Single(entry => entry.GetProperty("id").GetString() == one.Attribute("name")!.Value);
            Assert.Matches(
                $"first\nsecond\nthird\n{Regex.Escape(archive.GetProperty("release").GetString()!)} {archive.GetProperty("kernelOffset").GetString()} debian 0\n=> 0x[0-9a-f]+ <acpi_os_write_port\\+\\d+>:", said);
            Assert.Contains("frobnicate", one.Element("failure")!.Value, StringComparison.Ordinal);
            Assert.DoesNotContain("never", said, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task The_scripts_that_come_with_us_tell_what_they_are_for()
    {
        string store = await ReadyAsync();
        string scripts = Path.Combine(Root(), "scripts", "gdb");
        (int code, string output, string error) = await DebianStore.RunAsync(
            "inspect", "latest", "-p", Path.Combine(scripts, "triage.py"), "-p", Path.Combine(scripts, "tasks.py"), "-p", Path.Combine(scripts, "memory.py"), "--store", store);
        Assert.True(code == 0, output + error);

        // triage: what show says, by gdb's own eyes.
        Assert.Contains("\nkernel said: Kernel panic - not syncing: sysrq triggered crash\n", output, StringComparison.Ordinal);
        Assert.Matches("--- stack of vCPU 0\n#0 .* in acpi_os_write_port .*\n(#.*\n)+#\\d+ .* in entry_SYSCALL_64_after_hwframe", output);
        Assert.Matches("--- code of sysrq_handle_crash\n.*call .*<panic>\n", output);
        Assert.Matches("\n\\[ *[0-9.]+\\] Kernel panic - not syncing: sysrq triggered crash\n\\[ *[0-9.]+\\] CPU: 0 PID: 1", output);

        // tasks: as many as show lists, the panicking one among them.
        JsonElement page = await DebianStore.JsonAsync("show", "latest", "--json", "--store", store);
        Assert.Matches($"\n{page.GetProperty("tasks").GetArrayLength()} tasks, \\d+ different stacks\n", output);
        Assert.Matches("1 task: init\\(1, on vCPU 0\\)\n  #0 ", output);
        Assert.Matches("1 task: kthreadd\\(2, S sleeping\\)\n  #0  0x[0-9a-f]+ __schedule\n  #1  0x[0-9a-f]+ schedule\n  #2  0x[0-9a-f]+ kthreadd\n  #3  0x[0-9a-f]+ ret_from_fork\n", output);

        // memory: the kernel's own counts against what it printed at boot, and against its struct pages.
        Match available = Regex.Match(debian.Console, "Memory: (\\d+)K/(\\d+)K available");
        int total = int.Parse(Regex.Match(output, "MemTotal +(\\d+) kB").Groups[1].Value, null);
        Assert.InRange(total, int.Parse(available.Groups[1].Value, null), int.Parse(available.Groups[2].Value, null));
        int slabs = int.Parse(Regex.Match(output, "(\\d+)  in all").Groups[1].Value, null);
        long slabPages = page.GetProperty("memory").GetProperty("slab").GetInt64() / 1024;
        Assert.InRange(slabs, slabPages * 9 / 10, slabPages * 11 / 10);
        Assert.Matches(" task_struct\n", output);
    }

    [Theory]
    [InlineData("inspect latest")]
    [InlineData("inspect latest -c bt --jobs 0")]
    [InlineData("inspect latest -c bt --timeout soon")]
    [InlineData("inspect latest -c bt --json --junit")]
    [InlineData("inspect latest -1 -n 1 -c bt")]
    public async Task What_cannot_be_meant_is_wrong_usage(string arguments) =>
        Assert.Equal(2, (await DebianStore.RunAsync([.. arguments.Split(' '), "--store", directory.Path])).Code);

    private static string Root()
    {
        string root = AppContext.BaseDirectory;
        while (!File.Exists(Path.Combine(root, "GdbStub.sln")))
        {
            root = Path.GetDirectoryName(root)!;
        }

        return root;
    }

    private async Task<string> ReadyAsync()
    {
        GuestFiles.ProgramOrSkip("gdb", "gdb");
        return await debian.ReadyAsync();
    }
}
