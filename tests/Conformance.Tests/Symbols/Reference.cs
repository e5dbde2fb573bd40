using System.Globalization;
using System.Text.RegularExpressions;
using GuestOs.Linux;
using GuestOs.Linux.Symbols;
using Snapshots.Tests.RealTools;

namespace Conformance.Tests.Symbols;

/// <summary>What others say of a kernel: nm and drgn by its debug package, the kernel itself by its log.</summary>
internal static partial class Reference
{
    /// <summary>Every symbol is one that nm lists at that place, moved by KASLR.</summary>
    public static async Task SymbolsAreThoseOfNmAsync(KernelImage image, string debugKernel)
    {
        string nm = GuestFiles.ProgramOrSkip("nm", "binutils");
        (int code, string output) = await Tool.RunAsync(nm, "", debugKernel);
        Assert.Equal(0, code);
        var known = new Dictionary<(ulong Address, string Name), int>();
        foreach (string line in output.Split('\n'))
        {
            string[] words = line.Split(' ');
            if (words.Length == 3 && ulong.TryParse(words[0], NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out ulong address))
            {
                // Per-CPU variables and constants have no place that could be moved.
                address += address >= KernelMemory.ImageMap ? image.KaslrOffset!.Value : 0;
                known[(address, words[2])] = known.GetValueOrDefault((address, words[2])) + 1;
            }
        }

        SymbolTable symbols = image.Symbols!;
        Assert.InRange(symbols.Count, 50_000, known.Values.Sum());
        for (int i = 0; i < symbols.Count; i++)
        {
            KernelSymbol symbol = symbols[i];
            known.TryGetValue((symbol.Address, symbol.Name), out int left);
            Assert.True(left > 0, $"nm has no {symbol.Name} at {symbol.Address:x}");
            known[(symbol.Address, symbol.Name)] = left - 1;
        }
    }

    /// <summary>
    /// Every section of the symbol file that stands for the kernel's memory is one of vmlinux, at its place moved by KASLR: gdb
    /// moves the debug file's sections to where those of the same names are.
    /// </summary>
    public static async Task SectionsAreThoseOfAsync(KernelImage image, string symbolFile, string debugKernel)
    {
        string readelf = GuestFiles.ProgramOrSkip("readelf", "binutils");
        Dictionary<string, ulong> theirs = Sections(await Tool.RunAsync(readelf, "", "-SW", debugKernel));
        Dictionary<string, ulong> ours = Sections(await Tool.RunAsync(readelf, "", "-SW", symbolFile));
        Assert.True(ours.Count > 15);
        foreach ((string name, ulong address) in ours)
        {
            Assert.True(theirs.TryGetValue(name, out ulong linked), $"vmlinux has no {name}");
            Assert.True(linked + image.KaslrOffset!.Value == address, $"{name} is at {address:x}, not {linked + image.KaslrOffset!.Value:x}");
        }

        static Dictionary<string, ulong> Sections((int Code, string Output) run) => SectionLine().Matches(run.Output)
            .Where(match => match.Groups[1].Value is not (".gnu.conflict" or "") && ulong.Parse(match.Groups[2].Value, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture) >= KernelMemory.ImageMap)
            .ToDictionary(match => match.Groups[1].Value, match => ulong.Parse(match.Groups[2].Value, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture));
    }

    /// <summary>
    /// Every task has the stack that drgn finds with the kernel's DWARF. Old drgns do not know the ORC of Linux 6.4 and
    /// give up at a task; of those there must be few.
    /// </summary>
    public static async Task StacksAreThoseOfDrgnAsync(KernelImage image, string debugKernel, string archive)
    {
        string output = await DrgnTool.RunAsync(debugKernel, archive, """
            from drgn.helpers.linux.pid import for_each_task
            for task in for_each_task(prog):
                try:
                    pcs = [hex(frame.pc) for frame in prog.stack_trace(task) if not frame.is_inline]
                except Exception as error:
                    pcs = ["gave-up"]
                print("task", hex(task.value_()), task.pid.value_(), task.comm.string_().decode(), *pcs, sep="|")
            """);
        int tasks = 0, gaveUp = 0;
        foreach (string[] words in output.Split('\n').Where(line => line.StartsWith("task|", StringComparison.Ordinal)).Select(line => line.Split('|')))
        {
            KernelTask task = Assert.Single(image.Tasks, task => task.Address == Hex(words[1]));
            Assert.Equal(words[2], task.Pid.ToString(CultureInfo.InvariantCulture));
            Assert.Equal(words[3], task.Name);
            if (words[4] == "gave-up")
            {
                gaveUp++;
                continue;
            }

            // Without a module's own debug file drgn does not get past it; the kernel's log has the rest.
            tasks++;
            IReadOnlyList<StackFrame> stack = image.Unwind(task);
            string[] theirs = [.. Kernel(words[4..].Select(Hex))], ours = [.. Kernel(stack.Select(frame => frame.Pc))];
            Assert.Equal(theirs, stack.Any(frame => frame.Module is not null) ? ours.Take(theirs.Length) : ours);
        }

        Assert.True(tasks > 20 && gaveUp <= tasks / 8, output);

        // The idle task is on no list; drgn leaves it out.
        Assert.Equal(tasks + gaveUp, image.Tasks.Count(task => task.Pid != 0));
    }

    /// <summary>The panicking CPU's stack is what the kernel printed of it, without the words it found on the stack and marked "?".</summary>
    public static IReadOnlyList<StackFrame> StackIsThatOfTheLog(KernelImage image, IReadOnlyList<StackFrame> stack)
    {
        string[] log = image.Kernel.Log!.ToText().Split('\n');
        int from = Array.FindLastIndex(log, line => line.Contains("] Kernel panic - ", StringComparison.Ordinal));
        string[] trace = [.. log[from..].Select(line => TraceLine().Match(line)).Where(match => match.Success).Select(match => match.Groups[1].Value)];
        int top = Array.FindIndex(trace, name => name.StartsWith("panic+", StringComparison.Ordinal));

        // From 6.17 on panic calls vpanic, which does it.
        int panic = Enumerable.Range(0, stack.Count).Last(i => stack[i].Symbol is "panic" or "vpanic");

        // Where it was interrupted the kernel prints RIP instead, and what the task below was about.
        string[] ours = [.. stack.Skip(panic + 1).Where(frame => frame.Symbol is not null && !frame.Interrupted).Select(frame => $"{frame.Symbol}+0x{frame.Offset:x}")];
        Assert.True(trace.Length > top + 3);
        Assert.Equal(trace[(top + 1)..], ours);
        return stack;
    }

    /// <summary>What the console showed is in the log, in order and whole: all that is not for debugging.</summary>
    public static void LogIsThatOfTheConsole(KernelImage image, string console)
    {
        var shown = new System.Text.StringBuilder();
        foreach (PrintkRecord record in image.Kernel.Log!.Records.Where(record => record.Level < 7))
        {
            record.AppendTo(shown);
        }

        string[] serial = [.. console.Replace("\r", "", StringComparison.Ordinal).Split('\n').Where(line => ConsoleLine().IsMatch(line))];
        string[] log = [.. shown.ToString().Split('\n', StringSplitOptions.RemoveEmptyEntries)];
        Assert.True(log.Length > 100);

        // With PREEMPT_RT a thread prints, and what came last never gets its turn.
        Assert.InRange(log.Length - serial.Length, 0, 2);
        Assert.Equal(log[..serial.Length], serial);
    }

    /// <summary>A file's build id, by readelf.</summary>
    public static async Task<string> BuildIdAsync(string path)
    {
        (_, string output) = await Tool.RunAsync(GuestFiles.ProgramOrSkip("readelf", "binutils"), "", "-n", path);
        return BuildIdLine().Match(output).Groups[1].Value;
    }

    private static ulong Hex(string text) => ulong.Parse(text.AsSpan(2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);

    private static IEnumerable<string> Kernel(IEnumerable<ulong> places) => places.Where(place => place >= 0xFFFF_8000_0000_0000).Select(place => place.ToString("x", CultureInfo.InvariantCulture));

    [GeneratedRegex(@"^\[ *\d+\.\d{6}\]  ([\w.]+\+0x[0-9a-f]+)/0x[0-9a-f]+(?: \[\w+\])?$")]
    private static partial Regex TraceLine();

    [GeneratedRegex(@"^ *\[ *\d+\] (\S+) +[A-Z_0-9]+ +([0-9a-f]{16}) ", RegexOptions.Multiline)]
    private static partial Regex SectionLine();

    [GeneratedRegex(@"Build ID: ([0-9a-f]{40})")]
    private static partial Regex BuildIdLine();

    [GeneratedRegex(@"^\[ *\d+\.\d{6}\] ")]
    private static partial Regex ConsoleLine();
}
