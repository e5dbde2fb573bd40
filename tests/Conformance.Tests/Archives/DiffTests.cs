using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;
using Snapshots.Tests;
using Snapshots.Tests.RealTools;

namespace Conformance.Tests.Archives;

/// <summary>What differs between two real crashes, held against raw images and diff(1).</summary>
public sealed class DiffTests(DebianStore debian)
{
    [Fact]
    public async Task Pages_are_those_that_raw_images_differ_in_and_log_lines_as_many_as_diff_counts()
    {
        string store = await debian.ReadyAsync();
        using var directory = new TemporaryDirectory();
        JsonElement diff = await DebianStore.JsonAsync("diff", "-2", "-1", "--json", "--store", store);
        List<string[]> logs = [];
        foreach (string name in (string[])["-2", "-1"])
        {
            Assert.Equal(0, (await DebianStore.RunAsync("export", name, "--format", "raw", "-o", directory.File(name), "--store", store)).Code);
            string log = (await DebianStore.RunAsync("show", name, "--log", "--store", store)).Output;
            string[] lines = [.. log.TrimEnd('\n').Split('\n').Select(line => Regex.Replace(line, @"^\[ *\d+\.\d+\] ", ""))];
            logs.Add(lines);
            await File.WriteAllLinesAsync(directory.File("log" + name), lines, TestContext.Current.CancellationToken);
        }

        byte[] one = File.ReadAllBytes(directory.File("-2")), other = File.ReadAllBytes(directory.File("-1"));
        HashSet<int> different = [];
        long bytes = 0;
        for (int i = 0; i < one.Length; i++)
        {
            if (one[i] != other[i])
            {
                bytes++;
                different.Add(i / 4096);
            }
        }

        JsonElement pages = diff.GetProperty("pages");
        Assert.Equal((different.Count, bytes), (pages.GetProperty("different").GetInt32(), pages.GetProperty("differentBytes").GetInt64()));
        HashSet<int> told =
        [
            .. pages.GetProperty("ranges").EnumerateArray().SelectMany(range => Enumerable.Range(
                (int)(Convert.ToInt64(range.GetProperty("address").GetString(), 16) / 4096), range.GetProperty("pages").GetInt32())),
        ];
        Assert.Equal(different.Order(), told.Order());

        (int code, string said) = await Tool.RunAsync("/usr/bin/diff", "", "--minimal", directory.File("log-2"), directory.File("log-1"));
        Assert.Equal(1, code);
        string[] expected = [.. said.Split('\n')], actual = [.. diff.GetProperty("log").EnumerateArray().Select(line => line.GetString()!)];
        Assert.Equal(
            (expected.Count(line => line.StartsWith("< ", StringComparison.Ordinal)), expected.Count(line => line.StartsWith("> ", StringComparison.Ordinal))),
            (actual.Count(line => line[0] == '-'), actual.Count(line => line[0] == '+')));
        Apply(logs[0], logs[1], actual);

        JsonElement cpu = Assert.Single(diff.GetProperty("cpus").EnumerateArray());
        Assert.Empty(cpu.GetProperty("stack").EnumerateArray());
        JsonElement rip = Assert.Single(cpu.GetProperty("registers").EnumerateArray(), register => register.GetProperty("name").GetString() == "rip");
        Assert.EndsWith(" acpi_os_write_port+0xf", rip.GetProperty("first").GetString(), StringComparison.Ordinal);
        Assert.EndsWith(" acpi_os_write_port+0xf", rip.GetProperty("second").GetString(), StringComparison.Ordinal);
        Assert.Contains(diff.GetProperty("facts").EnumerateArray(), fact => fact.GetProperty("name").GetString() == "kaslr");
    }

    [Fact]
    public async Task A_crash_does_not_differ_from_itself()
    {
        string store = await debian.ReadyAsync();
        (int code, string output, string error) = await DebianStore.RunAsync("diff", "latest", "-1", "--store", store);
        Assert.Equal((0, ""), (code, error));
        Assert.Contains("\nmemory: 0 of 65504 pages differ, in 0 B\n", output, StringComparison.Ordinal);
        Assert.Contains("\nlog: the same but for time stamps\n", output, StringComparison.Ordinal);
        Assert.DoesNotMatch("(?m)^[-+] ", output);
    }

    /// <summary>Applied to the first text the hunks make the second.</summary>
    private static void Apply(string[] first, string[] second, string[] hunks)
    {
        List<string> made = [];
        int at = 0;
        foreach (string line in hunks)
        {
            string text = Regex.Replace(line[1..], @"^\[ *\d+\.\d+\] ", "");
            if (line.StartsWith("@@ -", StringComparison.Ordinal))
            {
                int start = int.Parse(line[4..line.IndexOf(',', StringComparison.Ordinal)], CultureInfo.InvariantCulture) - 1;
                made.AddRange(first[at..start]);
                at = start;
            }
            else if (line[0] == '+')
            {
                made.Add(text);
            }
            else
            {
                Assert.Equal(first[at++], text);
                if (line[0] == ' ')
                {
                    made.Add(text);
                }
            }
        }

        made.AddRange(first[at..]);
        Assert.Equal(second, made);
    }
}
