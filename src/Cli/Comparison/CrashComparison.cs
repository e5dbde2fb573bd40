using System.Globalization;
using Cli.Archives;
using Cli.Pages;
using GuestOs.Linux;
using GuestOs.Linux.Symbols;
using Snapshots;

namespace Cli.Comparison;

/// <summary>Something that two crashes have both, but not alike. Null is: not known there.</summary>
internal readonly record struct Difference(string Name, string? First, string? Second);

/// <summary>A CPU of both machines.</summary>
/// <param name="Vcpu">Its number.</param>
/// <param name="Registers">Registers that differ, with what they point at.</param>
/// <param name="Stack">Its stacks as a unified difference; empty when they lead through the same functions.</param>
internal sealed record CpuComparison(int Vcpu, IReadOnlyList<Difference> Registers, IReadOnlyList<string> Stack);

/// <summary>What differs between two crashed machines.</summary>
internal sealed record CrashComparison
{
    /// <summary>The first.</summary>
    public required CrashPage First { get; init; }

    /// <summary>The second.</summary>
    public required CrashPage Second { get; init; }

    /// <summary>What is known of the crashes and differs.</summary>
    public required IReadOnlyList<Difference> Facts { get; init; }

    /// <summary>The CPUs that both have.</summary>
    public required IReadOnlyList<CpuComparison> Cpus { get; init; }

    /// <summary>Tasks that only one has, or that are in another state.</summary>
    public required IReadOnlyList<Difference> Tasks { get; init; }

    /// <summary>Modules that only one has.</summary>
    public required IReadOnlyList<Difference> Modules { get; init; }

    /// <summary>The logs as a unified difference, time stamps aside.</summary>
    public required IReadOnlyList<string> Log { get; init; }

    /// <summary>The memory.</summary>
    public required PageComparison Pages { get; init; }

    /// <summary>Why memory and registers say little; null when they do not.</summary>
    public string? Caution { get; init; }

    /// <summary>Compares two images. Damaged parts of the files are passed over, and named.</summary>
    public static CrashComparison Read(
        IMachineImage first, Func<CaptureInfo, ArchiveDescription> describeFirst, IMachineImage second, Func<CaptureInfo, ArchiveDescription> describeSecond,
        Action<double> progress)
    {
        LenientImage one = new(first), other = new(second);
        CrashPage pageOne = CrashPage.Read(one, describeFirst), pageOther = CrashPage.Read(other, describeSecond);
        LinuxKernel? kernelOne = LinuxKernel.Find(one), kernelOther = LinuxKernel.Find(other);
        KernelImage? imageOne = kernelOne is null ? null : new KernelImage(one, kernelOne), imageOther = kernelOther is null ? null : new KernelImage(other, kernelOther);
        return new CrashComparison
        {
            First = pageOne,
            Second = pageOther,
            Facts = CompareFacts(pageOne, pageOther),
            Cpus = [.. pageOne.Cpus.Zip(pageOther.Cpus).Select(pair => Compare(pair.First, imageOne, pair.Second, imageOther))],
            Tasks = CompareLists(pageOne.Tasks.Select(Describe), pageOther.Tasks.Select(Describe)),
            Modules = CompareLists(
                pageOne.Modules.Select(module => (module.Name, ArchiveText.Size((long)module.Length))),
                pageOther.Modules.Select(module => (module.Name, ArchiveText.Size((long)module.Length)))),
            Log = TextComparison.Unified([.. pageOne.Log.Select(line => line.Text)], [.. pageOther.Log.Select(line => line.Text)]),
            Pages = PageComparison.Read(one, other, kernelOne, progress),
            Caution = Warn(kernelOne, kernelOther),
        };
    }

    private static string? Warn(LinuxKernel? one, LinuxKernel? other) =>
        one is null || other is null ? null
        : one.Info.BuildId != other.Info.BuildId ? "these are different kernels: their memory has little in common"
        : one.Info.KernelOffset != other.Info.KernelOffset || one.Info.PhysicalBase != other.Info.PhysicalBase ? "the kernel lay at another place each time (KASLR): addresses differ that mean the same, and so do the pages that hold them"
        : null;

    private static List<Difference> CompareFacts(CrashPage one, CrashPage other)
    {
        List<Difference> facts = [];
        Add("title", one.Archive.Title, other.Archive.Title);
        Add("panic", one.Archive.PanicLine, other.Archive.PanicLine);
        Add("fault", one.Archive.Fault, other.Archive.Fault);
        Add("cause", one.Archive.Cause, other.Archive.Cause);
        Add("time", ArchiveText.Time(one.Archive.Time), ArchiveText.Time(other.Archive.Time));
        Add("guest time", Seconds(one.Archive.Nanoseconds), Seconds(other.Archive.Nanoseconds));
        Add("machine", one.Archive.Name, other.Archive.Name);
        Add("node", one.Guest?.NodeName, other.Guest?.NodeName);
        Add("release", one.Archive.Release, other.Archive.Release);
        Add("version", one.Guest?.Version, other.Guest?.Version);
        Add("build id", one.Archive.BuildId, other.Archive.BuildId);
        Add("kaslr", one.Archive.KernelOffset, other.Archive.KernelOffset);
        Add("command line", one.Archive.CommandLine, other.Archive.CommandLine);
        Add("memory", one.Archive.MemoryBytes?.ToString(CultureInfo.InvariantCulture), other.Archive.MemoryBytes?.ToString(CultureInfo.InvariantCulture));
        Add("cpus", one.Cpus.Count.ToString(CultureInfo.InvariantCulture), other.Cpus.Count.ToString(CultureInfo.InvariantCulture));
        return facts;

        void Add(string name, string? first, string? second)
        {
            if (first != second)
            {
                facts.Add(new Difference(name, first, second));
            }
        }

        static string? Seconds(ulong? nanoseconds) => nanoseconds is { } time and not 0 ? string.Create(CultureInfo.InvariantCulture, $"{time / 1e9:F6} s") : null;
    }

    private static CpuComparison Compare(CpuPage one, KernelImage? imageOne, CpuPage other, KernelImage? imageOther)
    {
        List<Difference> registers = [];
        if (one.Registers is { } first && other.Registers is { } second)
        {
            Dictionary<string, ulong> values = RegisterText.All(second).ToDictionary(register => register.Name, register => register.Value);
            foreach ((string name, ulong value) in RegisterText.All(first))
            {
                if (values.TryGetValue(name, out ulong there) && there != value)
                {
                    registers.Add(new Difference(name, Annotate(value, imageOne), Annotate(there, imageOther)));
                }
            }
        }

        return new CpuComparison(one.Vcpu, registers, TextComparison.Unified([.. one.Stack.Select(Function)], [.. other.Stack.Select(Function)]));
    }

    // Where a function lies differs from boot to boot, what it is does not.
    private static string Function(StackFrame frame) => frame.ToString();

    private static string Annotate(ulong value, KernelImage? image) => string.Create(
        CultureInfo.InvariantCulture,
        $"{value:x16}{(image is not null && image.TryFindSymbol(value, out KernelSymbol symbol, out _) ? $" {symbol.Name}+0x{value - symbol.Address:x}" : "")}");

    private static (string Name, string What) Describe(TaskPage task) =>
        ($"{task.Task.Pid} {task.Task.Name}", $"{task.Task.State}{(task.Where is null ? "" : $" in {task.Where}")}");

    private static List<Difference> CompareLists(IEnumerable<(string Name, string What)> one, IEnumerable<(string Name, string What)> other)
    {
        Dictionary<string, string> there = [];
        foreach ((string name, string what) in other)
        {
            there.TryAdd(name, what);
        }

        List<Difference> differences = [];
        HashSet<string> seen = [];
        foreach ((string name, string what) in one)
        {
            string? second = there.GetValueOrDefault(name);
            if (seen.Add(name) && second != what)
            {
                differences.Add(new Difference(name, what, second));
            }
        }

        differences.AddRange(there.Where(pair => !seen.Contains(pair.Key)).Select(pair => new Difference(pair.Key, null, pair.Value)));
        return differences;
    }
}
