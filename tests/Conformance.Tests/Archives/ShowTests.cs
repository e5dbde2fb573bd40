using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;
using Emulator;
using Snapshots;
using Snapshots.Tests;
using Snapshots.Tests.RealTools;

namespace Conformance.Tests.Archives;

/// <summary>The page of a real crash, held against what the guest itself printed on its console, and looked at by a real browser.</summary>
public sealed partial class ShowTests(DebianStore debian)
{
    private const string Title = "kernel panic: sysrq triggered crash in sysrq_handle_crash";

    [Fact]
    public async Task The_list_groups_crashes_alike_by_their_title()
    {
        string store = await debian.ReadyAsync();
        JsonElement list = await DebianStore.JsonAsync("ls", "--json", "--store", store);
        Assert.Equal([Title, Title], list.EnumerateArray().Select(archive => archive.GetProperty("title").GetString()!));
        Assert.All(list.EnumerateArray(), archive => Assert.Equal(2, archive.GetProperty("count").GetInt32()));
        Assert.All(list.EnumerateArray(), archive => Assert.Equal("Kernel panic - not syncing: sysrq triggered crash", archive.GetProperty("panicLine").GetString()));
        JsonElement group = Assert.Single((await DebianStore.JsonAsync("ls", "--group", "--json", "--store", store)).EnumerateArray());
        Assert.Equal((Title, 2), (group.GetProperty("title").GetString(), group.GetProperty("count").GetInt32()));
        Assert.Equal(list.EnumerateArray().Select(archive => archive.GetProperty("id").GetString()), group.GetProperty("archives").EnumerateArray().Select(id => id.GetString()));
    }

    [Fact]
    public async Task The_page_says_what_the_kernel_said_of_itself()
    {
        string store = await debian.ReadyAsync();
        JsonElement page = await DebianStore.JsonAsync("show", "-2", "--json", "--store", store);
        string console = debian.Console;
        Assert.Equal(Title, page.GetProperty("title").GetString());
        Assert.Equal("debian", page.GetProperty("name").GetString());
        Assert.Contains($"Linux version {page.GetProperty("release").GetString()} ", console, StringComparison.Ordinal);
        Assert.Contains($"Kernel Offset: {page.GetProperty("kernelOffset").GetString()} from", console, StringComparison.Ordinal);
        Assert.Equal("console=ttyS0 panic=-1 gdbstub.do=crash", page.GetProperty("commandLine").GetString());
        Assert.Empty(page.GetProperty("problems").EnumerateArray());

        // The clock that the machine starts with, and no more than the seconds a boot takes.
        DateTimeOffset clock = page.GetProperty("guestTime").GetDateTimeOffset();
        Assert.InRange(clock, new DateTimeOffset(2026, 1, 1, 0, 0, 0, TimeSpan.Zero), new DateTimeOffset(2026, 1, 1, 0, 1, 0, TimeSpan.Zero));

        // Frame for frame the kernel's own call trace, from panic() on; its question marks are what only lies on the stack.
        string[] printed = [.. Frames(console[console.IndexOf("Call Trace:", StringComparison.Ordinal)..])];
        JsonElement cpu = Assert.Single(page.GetProperty("cpus").EnumerateArray());
        string[] walked = [.. cpu.GetProperty("frames").EnumerateArray().Where(frame => frame.TryGetProperty("function", out _)).Select(frame => frame.GetProperty("function").GetString()!)];
        Assert.Equal(printed[printed.IndexOf("panic")..], walked[walked.IndexOf("panic")..]);
        Assert.True(cpu.GetProperty("crashed").GetBoolean());
        Assert.Equal(1, cpu.GetProperty("pid").GetInt32());
        Assert.Equal("acpi_os_write_port", walked[0]);

        JsonElement[] tasks = [.. page.GetProperty("tasks").EnumerateArray()];
        Assert.Contains(tasks, task => task.GetProperty("pid").GetInt32() == 2 && task.GetProperty("name").GetString() == "kthreadd" && task.GetProperty("kernelThread").GetBoolean());
        Assert.Equal(0, Assert.Single(tasks, task => task.GetProperty("pid").GetInt32() == 1).GetProperty("vcpu").GetInt32());
        Assert.All(tasks, task => Assert.NotEmpty(task.GetProperty("frames").EnumerateArray()));

        // All of RAM is accounted for, and what the kernel calls its memory is there.
        JsonElement memory = page.GetProperty("memory");
        Assert.Equal(page.GetProperty("memoryBytes").GetInt64(), memory.EnumerateObject().Sum(kind => kind.Value.GetInt64()));
        Assert.InRange(memory.GetProperty("kernel").GetInt64(), 20L << 20, 100L << 20);
        foreach (string line in console.Split('\n')[..100])
        {
            Assert.Contains(line.Trim(), page.GetProperty("log").GetString(), StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task The_page_for_a_terminal_marks_the_crash_and_says_how_to_attach()
    {
        string store = await debian.ReadyAsync();
        (int code, string output, string error) = await DebianStore.RunAsync("show", "latest", "--store", store);
        Assert.Equal((0, ""), (code, error));
        string[] lines = output.Split('\n');
        Assert.Equal($"title:        {Title}", lines[0]);
        Assert.Contains(lines, line => CulpritLine().IsMatch(line));
        Assert.Contains(lines, line => line.StartsWith("> [", StringComparison.Ordinal) && line.EndsWith("] Kernel panic - not syncing: sysrq triggered crash", StringComparison.Ordinal));
        Assert.Contains(lines, line => CallLine().IsMatch(line));
        Assert.Contains(lines, line => line.StartsWith("gdb:  ", StringComparison.Ordinal) && line.Contains("gdbstub debug ", StringComparison.Ordinal));
        Assert.Contains(lines, line => line.StartsWith("  2  S ", StringComparison.Ordinal) && line.Contains("[kthreadd]", StringComparison.Ordinal) && line.EndsWith("kthreadd+0x2bc", StringComparison.Ordinal));
    }

    [Fact]
    public async Task The_page_for_a_browser_is_whole_in_Chromium_and_asks_for_nothing()
    {
        string store = await debian.ReadyAsync();
        using var directory = new TemporaryDirectory();
        string file = directory.File("crash.html");
        (int code, string output, _) = await DebianStore.RunAsync("show", "latest", "--html", file, "--store", store);
        Assert.Equal((0, $"wrote {file}\n"), (code, output));
        JsonElement page = await DebianStore.JsonAsync("show", "latest", "--json", "--store", store);

        (string document, string said) = await BrowseAsync(file, directory);
        Assert.DoesNotContain("CONSOLE", said, StringComparison.Ordinal);
        Assert.Contains($"<title>{Title}</title>", document, StringComparison.Ordinal);
        Assert.Matches("<mark id=\"panic\">\\[ *[0-9.]+\\] Kernel panic - not syncing: sysrq triggered crash</mark>", document);
        Assert.Matches("<li class=\"culprit\"><span class=\"address\">[0-9a-f]{16}</span> sysrq_handle_crash\\+0x16</li>", document);
        Assert.Matches("<mark><span class=\"address\">[0-9a-f]{16}</span>  call panic</mark>", document);
        foreach (JsonElement task in page.GetProperty("tasks").EnumerateArray())
        {
            Assert.Contains($"<td>{task.GetProperty("pid").GetInt32()}</td>", document, StringComparison.Ordinal);
        }

        Assert.InRange(Regex.Count(document, "<i class=\"cell k[0-8]\" title="), 512, 1100);
        Assert.DoesNotMatch("(?i)<script|<link|<img|src=|url\\(", document);
    }

    [Fact]
    public async Task What_a_guest_says_is_text_in_a_browser_and_nothing_else()
    {
        GuestFiles.ProgramOrSkip("chromium", "chromium");
        using var directory = new TemporaryDirectory();
        const string Attack = "<script>document.title='owned'</script><img src=x onerror=alert(1)>\"'&\u001b[31m";
        string file = directory.File("hostile.kdump"), html = directory.File("hostile.html");
        using var machine = new Machine(new MachineOptions { Memory = 1 << 20 });
        using (var snapshot = new Snapshot(machine.Memory.Freeze(), machine.Save(), new CaptureInfo
        {
            Kind = CaptureKind.Panic,
            Title = Attack,
            HostTime = DateTimeOffset.UnixEpoch,
            PanicLine = Attack,
            PanicText = $"before\n{Attack}\n",
            MachineName = Attack,
            GuestRelease = Attack,
            BuildId = Attack,
            CommandLine = Attack,
            Cause = Attack,
        }))
        {
            ArchiveWriter.Write(file, "0", snapshot, cancellation: TestContext.Current.CancellationToken);
        }

        Assert.Equal(0, (await DebianStore.RunAsync("show", file, "--html", html)).Code);
        (string document, string said) = await BrowseAsync(html, directory);
        Assert.DoesNotContain("CONSOLE", said, StringComparison.Ordinal);
        Assert.DoesNotMatch("(?i)<script|<img", document);
        Assert.Contains("<title>&lt;script&gt;", document, StringComparison.Ordinal);
        Assert.DoesNotContain('\u001b', document);
    }

    [Fact]
    public async Task A_damaged_page_costs_what_stands_on_it_and_is_named()
    {
        string store = await debian.ReadyAsync();
        using var directory = new TemporaryDirectory();
        string copy = directory.File("damaged.kdump");
        File.Copy(Store.Open(store).Find("latest").Path, copy);
        ulong address = 0;
        using (ArchiveReader reader = ArchiveReader.Open(copy))
        {
            // Nothing of the page needs the format string of panic().
            byte[] page = new byte[4096];
            for (ulong at = 0x100_0000; address == 0 && at < 0x1000_0000; at += 4096)
            {
                reader.ReadPhysical(at, page);
                address = page.AsSpan().IndexOf("Kernel panic - not syncing: %s"u8) >= 0 ? at : 0;
            }
        }

        Assert.NotEqual(0UL, address);
        DamagePage(copy, address);
        (int code, string output, string error) = await DebianStore.RunAsync("show", copy);
        Assert.Equal((0, ""), (code, error));
        Assert.Contains("Kernel panic - not syncing: sysrq triggered crash", output, StringComparison.Ordinal);
        (code, output, _) = await DebianStore.RunAsync("verify", copy);
        Assert.Equal(1, code);
        Assert.Contains(string.Create(CultureInfo.InvariantCulture, $"page at physical 0x{address:x}"), output, StringComparison.Ordinal);
    }

    // docs/archive-format.md: the descriptor of a page is the one whose number is the count of RAM pages below it.
    private static void DamagePage(string path, ulong address)
    {
        byte[] bytes = File.ReadAllBytes(path);
        int bitmaps = (1 + BitConverter.ToInt32(bytes, 432)) * 4096, descriptors = bitmaps + (BitConverter.ToInt32(bytes, 436) * 4096), rank = 0;
        for (int frame = 0; frame < (int)(address / 4096); frame++)
        {
            rank += (bytes[bitmaps + (frame / 8)] >> (frame % 8)) & 1;
        }

        bytes[BitConverter.ToInt64(bytes, descriptors + (24 * rank)) + 1] ^= 1;
        File.WriteAllBytes(path, bytes);
    }

    private static async Task<(string Document, string Said)> BrowseAsync(string file, TemporaryDirectory directory)
    {
        string chromium = GuestFiles.ProgramOrSkip("chromium", "chromium");
        var start = new ProcessStartInfo(
            chromium,
            [
                "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--enable-logging=stderr",
                $"--user-data-dir={directory.File("profile")}", "--dump-dom", $"file://{file}",
            ])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        using Process process = Process.Start(start)!;
        Task<string> document = process.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
        Task<string> said = process.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
        await process.WaitForExitAsync(TestContext.Current.CancellationToken);
        Assert.Equal(0, process.ExitCode);
        return (await document, await said);
    }

    private static IEnumerable<string> Frames(string trace)
    {
        foreach (string line in trace.Split('\n').TakeWhile(line => !line.Contains("RIP:", StringComparison.Ordinal)))
        {
            if (PrintedFrame().Match(line) is { Success: true } match)
            {
                yield return match.Groups[1].Value;
            }
        }
    }

    [GeneratedRegex(@"\]  ([A-Za-z_][A-Za-z0-9_.]*)\+0x[0-9a-f]+/0x")]
    private static partial Regex PrintedFrame();

    [GeneratedRegex(@"^>#\d+ +[0-9a-f]{16} sysrq_handle_crash\+0x16$")]
    private static partial Regex CulpritLine();

    [GeneratedRegex(@"^=> [0-9a-f]{16}: call panic$")]
    private static partial Regex CallLine();
}
