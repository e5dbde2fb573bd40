using System.Globalization;
using System.Text.RegularExpressions;
using GuestOs.Linux.Symbols;
using GuestOs.Linux.Symbols.Elf;
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
        await Reference.StacksAreThoseOfDrgnAsync(image, run.DebugKernel, KernelRun.Archive(run.Machine, run.Exit, image.TaskOn(0)!.Pid, directory));
    }

    [GeneratedRegex(@"^(\w+) (\d+) (\d+) \S+ Live 0x([0-9a-f]{16})", RegexOptions.Multiline)]
    private static partial Regex ModuleLine();
}
