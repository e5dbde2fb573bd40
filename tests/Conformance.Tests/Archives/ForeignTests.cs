using System.Buffers.Binary;
using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;
using Snapshots.Tests;
using Snapshots.Tests.RealTools;

namespace Conformance.Tests.Archives;

/// <summary>
/// One crash in every form that others write and we read, each of which must tell the same of it: made by makedumpfile and
/// QEMU where they make it, else (LiME, VMware, an ELF file with nothing but the notes of /proc/vmcore) by a writer of the tests.
/// </summary>
public sealed class ForeignTests(DebianStore debian) : IDisposable
{
    private const string Title = "kernel panic: sysrq triggered crash in sysrq_handle_crash";

    private readonly TemporaryDirectory directory = new();

    public void Dispose() => directory.Dispose();

    [Fact]
    public async Task Every_form_of_a_crash_is_shown_as_the_archive_is()
    {
        string store = await debian.ReadyAsync(), makedumpfile = GuestFiles.ProgramOrSkip("makedumpfile", "makedumpfile");
        JsonElement expected = await DebianStore.JsonAsync("show", "latest", "--json", "--store", store);
        string elf = directory.File("elf"), raw = directory.File("raw"), flat = directory.File("flat");
        await RunAsync("export", "latest", "-o", elf, "--store", store);
        await RunAsync("export", "latest", "--format", "raw", "-o", raw, "--store", store);
        await RunAsync("export", "latest", "--format", "kdump-zlib", "-o", directory.File("zlib"), "--store", store);
        List<(string Path, bool Registers, string[] Options)> forms = [(elf, true, []), (directory.File("zlib"), true, [])];
        foreach (string[] options in (string[][])[["-c", "-d", "0"], ["-l", "-d", "31"], ["-c", "-d", "31"], ["-E", "-d", "0"]])
        {
            string path = directory.File("makedumpfile" + string.Concat(options));
            (int code, string output) = await Tool.RunAsync(makedumpfile, "", [.. options, elf, path]);
            Assert.True(code == 0, output);
            forms.Add((path, true, []));
        }

        (int failed, string said) = await Tool.RunAsync("/bin/sh", "", "-c", $"'{makedumpfile}' -F -c -d 31 '{elf}' > '{flat}'");
        Assert.True(failed == 0, said);
        forms.Add((flat, true, []));
        byte[] memory = await File.ReadAllBytesAsync(raw, TestContext.Current.CancellationToken);
        forms.Add((raw, false, ["--raw-base", "0"]));
        forms.Add((Write("lime", DumpWriter.Lime((0, memory[..0xA_0000]), (0xC_0000, memory[0xC_0000..]))), false, []));
        File.Copy(raw, directory.File("machine.vmem"));
        Write("machine.vmss", DumpWriter.VmwareState(null, (uint)memory.Length / 4096, 0x10_0000, 0));
        forms.Add((directory.File("machine.vmem"), true, []));
        forms.Add((Write("vmcore", OnlyKernelNotes(elf)), true, []));
        foreach ((string path, bool registers, string[] options) in forms)
        {
            JsonElement shown = await DebianStore.JsonAsync(["show", path, "--json", .. options]);
            Compare(path, expected, shown, registers);
            (int code, string output, string error) = await DebianStore.RunAsync(["import", path, "--store", directory.File("store"), .. options]);
            Assert.True(code == 0, $"{path}: {error}");
            Assert.EndsWith($": {Title}\n", output, StringComparison.Ordinal);
            Compare($"{path}, imported", expected, await DebianStore.JsonAsync("show", "latest", "--json", "--store", directory.File("store")), registers);
            await RunAsync("rm", "latest", "--store", directory.File("store"));
        }
    }

    [Fact]
    public async Task QEMUs_own_dumps_are_shown_and_debugged_as_they_are()
    {
        (string kernel, _) = GuestFiles.KernelOrSkip();
        string gdb = GuestFiles.ProgramOrSkip("gdb", "gdb");
        QemuPanic panic = await QemuPanic.CaptureAsync(kernel, 2, directory.Path);
        await File.WriteAllBytesAsync(directory.File("raw"), panic.Ram, TestContext.Current.CancellationToken);
        foreach ((string name, string[] options) in ((string, string[])[])[("elf", []), ("paging", []), ("zlib", []), ("raw", ["--raw-base", "0"])])
        {
            JsonElement shown = await DebianStore.JsonAsync(["show", directory.File(name), "--json", .. options]);
            Assert.Equal(Title, shown.GetProperty("title").GetString());
            Assert.Contains($"Linux version {shown.GetProperty("release").GetString()} ", panic.Console, StringComparison.Ordinal);
            Assert.Contains($"Kernel Offset: {shown.GetProperty("kernelOffset").GetString()} from", panic.Console, StringComparison.Ordinal);
            Match dying = Regex.Match(panic.Console, @"PID: (\d+) Comm: (\S+) ");
            Assert.Contains(
                shown.GetProperty("tasks").EnumerateArray(),
                task => task.GetProperty("pid").ToString() == dying.Groups[1].Value && task.GetProperty("name").GetString() == dying.Groups[2].Value);
            foreach (string line in panic.Console.Split('\n').Where(line => line.Contains("Call Trace", StringComparison.Ordinal) || line.Contains("panic", StringComparison.Ordinal)))
            {
                Assert.Contains(line.Trim(), shown.GetProperty("log").GetString(), StringComparison.Ordinal);
            }
        }

        (int code, string output, _) = await DebianStore.RunAsync("debug", directory.File("zlib"), "--", "-nx", "-batch", "-ex", "bt");
        Assert.Equal(0, code);
        Assert.Matches("#\\d+ .* in panic \\(.*\n#\\d+ .* in sysrq_handle_crash ", output);
        Assert.NotNull(gdb);
    }

    private static void Compare(string path, JsonElement expected, JsonElement shown, bool registers)
    {
        foreach (string name in (string[])["title", "panicLine", "release", "buildId", "kernelOffset", "version", "log", "guestTime"])
        {
            Assert.True(Text(expected, name) == Text(shown, name), $"{path}: {name}: {Text(shown, name)}");
        }

        Assert.Equal(Tasks(expected), Tasks(shown));
        string[] frames = Frames(expected), actual = Frames(shown);
        Assert.Equal(frames[Array.IndexOf(frames, "panic")..], actual[Array.IndexOf(actual, "panic")..]);
        Assert.Equal(registers, shown.GetProperty("cpus")[0].TryGetProperty("registers", out _));
    }

    private static string? Text(JsonElement page, string name) => page.TryGetProperty(name, out JsonElement value) ? value.GetString() : null;

    // What is executing cannot be told without registers; where each task waits can.
    private static string[] Tasks(JsonElement page) =>
    [
        .. page.GetProperty("tasks").EnumerateArray().Where(task => task.GetProperty("pid").GetInt32() != 1).Select(task => string.Create(
            CultureInfo.InvariantCulture,
            $"{task.GetProperty("pid").GetInt32()} {task.GetProperty("name").GetString()} {task.GetProperty("state").GetString()} {string.Join(' ', task.GetProperty("frames").EnumerateArray().Select(frame => Text(frame, "function")))}")),
    ];

    private static string[] Frames(JsonElement page) =>
        [.. page.GetProperty("cpus")[0].GetProperty("frames").EnumerateArray().Select(frame => Text(frame, "function") ?? "").Where(name => name.Length > 0)];

    /// <summary>An ELF vmcore without QEMU's notes: what a crash kernel offers as /proc/vmcore has NT_PRSTATUS and VMCOREINFO.</summary>
    private static byte[] OnlyKernelNotes(string elf)
    {
        byte[] bytes = File.ReadAllBytes(elf);
        int offset = (int)BinaryPrimitives.ReadInt64LittleEndian(bytes.AsSpan(64 + 8)), size = (int)BinaryPrimitives.ReadInt64LittleEndian(bytes.AsSpan(64 + 32));
        int at = offset;
        while (at < offset + size)
        {
            int name = BinaryPrimitives.ReadInt32LittleEndian(bytes.AsSpan(at)), descriptor = BinaryPrimitives.ReadInt32LittleEndian(bytes.AsSpan(at + 4));
            if (bytes.AsSpan(at + 12, 4).SequenceEqual("QEMU"u8))
            {
                break;
            }

            at += 12 + ((name + 3) & ~3) + ((descriptor + 3) & ~3);
        }

        Assert.InRange(at, offset + 300, offset + size - 1);
        BinaryPrimitives.WriteInt64LittleEndian(bytes.AsSpan(64 + 32), at - offset);
        BinaryPrimitives.WriteInt64LittleEndian(bytes.AsSpan(64 + 40), at - offset);
        return bytes;
    }

    private static async Task RunAsync(params string[] arguments)
    {
        (int code, _, string error) = await DebianStore.RunAsync(arguments);
        Assert.True(code == 0, error);
    }

    private string Write(string name, byte[] bytes)
    {
        File.WriteAllBytes(directory.File(name), bytes);
        return directory.File(name);
    }
}
