using System.Text;
using Cli.Archives;
using Emulator;
using GuestOs.Linux;
using GuestOs.Linux.Symbols;
using Snapshots;

namespace Cli.Pages;

/// <summary>What a line of the log is to the crash.</summary>
internal enum LogMark
{
    /// <summary>It came before.</summary>
    Before,

    /// <summary>It is of the crash's report.</summary>
    Report,

    /// <summary>It names the crash: the oops's first line, the panic's line.</summary>
    Crash,
}

/// <summary>A line of the guest's log.</summary>
internal readonly record struct LogLine(string Text, LogMark Mark);

/// <summary>A CPU of a crashed machine.</summary>
internal sealed record CpuPage
{
    /// <summary>Its number.</summary>
    public required int Vcpu { get; init; }

    /// <summary>Its registers; null when the file has none.</summary>
    public required VcpuState? Registers { get; init; }

    /// <summary>It is the one that crashed.</summary>
    public required bool Crashed { get; init; }

    /// <summary>The task it was executing; null when not known.</summary>
    public KernelTask? Task { get; init; }

    /// <summary>Its stack, innermost frame first.</summary>
    public IReadOnlyList<StackFrame> Stack { get; init; } = [];

    /// <summary>The frame that the crash's title names; −1 when none does.</summary>
    public int Culprit { get; init; } = -1;

    /// <summary>Code around the next instruction.</summary>
    public CodeListing? Code { get; init; }

    /// <summary>Code around the place in the frame that the title names, when that is another.</summary>
    public CodeListing? CulpritCode { get; init; }
}

/// <summary>A task and where it is.</summary>
/// <param name="Task">The task.</param>
/// <param name="Stack">Its stack, innermost frame first; empty when not known.</param>
internal sealed record TaskPage(KernelTask Task, IReadOnlyList<StackFrame> Stack)
{
    private static readonly HashSet<string> Scheduler =
        ["__schedule", "schedule", "schedule_timeout", "schedule_idle", "preempt_schedule", "preempt_schedule_common", "schedule_preempt_disabled", "io_schedule", "__switch_to_asm", "context_switch", "schedule_hrtimeout_range_clock", "schedule_hrtimeout_range"];

    /// <summary>The first frame that is not the scheduler's: what it waits for, or what it does.</summary>
    public string? Where => Stack.FirstOrDefault(frame => frame.Symbol is { } name && !Scheduler.Contains(name)) is { Symbol: not null } frame ? frame.ToString() : null;
}

/// <summary>Everything worth knowing of a crashed machine at first sight, read out of its file and its memory.</summary>
internal sealed record CrashPage
{
    private const int MostStacks = 4096;
    private const int MostLogLines = 20_000;

    /// <summary>What the file says of itself.</summary>
    public required ArchiveDescription Archive { get; init; }

    /// <summary>The machine's RAM.</summary>
    public required IReadOnlyList<PhysicalRange> Ram { get; init; }

    /// <summary>What the guest's kernel tells of its system; null without one.</summary>
    public KernelSystem? Guest { get; init; }

    /// <summary>The CPUs, by number.</summary>
    public required IReadOnlyList<CpuPage> Cpus { get; init; }

    /// <summary>The log, or the crash's report when the log cannot be read.</summary>
    public required IReadOnlyList<LogLine> Log { get; init; }

    /// <summary>The tasks by number.</summary>
    public IReadOnlyList<TaskPage> Tasks { get; init; } = [];

    /// <summary>The loaded modules.</summary>
    public IReadOnlyList<KernelModule> Modules { get; init; } = [];

    /// <summary>What memory is used for.</summary>
    public required MemoryUse Memory { get; init; }

    /// <summary>Commands that open the machine, and what with.</summary>
    public required IReadOnlyList<(string Tool, string Command)> Attach { get; init; }

    /// <summary>What could not be read.</summary>
    public required IReadOnlyList<string> Problems { get; init; }

    /// <summary>Reads a page. Damaged parts of the file are noted and the rest is told.</summary>
    /// <param name="file">The image.</param>
    /// <param name="describe">What lists tell of it, given what is known of the crash.</param>
    public static CrashPage Read(IMachineImage file, Func<CaptureInfo, ArchiveDescription> describe)
    {
        var view = new LenientImage(file);
        CaptureInfo capture = CrashAnalysis.Complete(view);
        LinuxKernel? kernel = LinuxKernel.Find(view);
        KernelImage? image = kernel is null ? null : new KernelImage(view, kernel);
        ArchiveDescription archive = describe(capture);
        CpuPage[] cpus = [.. Enumerable.Range(0, view.Vcpus.Count).Select(number => Cpu(view, image, capture, number))];
        KernelSystem? system = image is null ? null : KernelSystem.Read(image);
        TaskPage[] tasks = image is null ? [] : [.. image.Tasks.Select((task, i) => new TaskPage(task, i < MostStacks ? image.Unwind(task) : []))];
        return new CrashPage
        {
            Archive = archive with { CommandLine = archive.CommandLine ?? system?.CommandLine },
            Ram = view.Ram,
            Guest = system,
            Cpus = cpus,
            Log = ReadLog(kernel, capture),
            Tasks = tasks,
            Modules = image?.Modules ?? [],
            Memory = MemoryUse.Read(view, kernel),
            Attach = AttachCommands.Of(archive, capture, kernel is not null),
            Problems = [.. view.Problems, .. image?.Problems ?? []],
        };
    }

    private static CpuPage Cpu(LenientImage view, KernelImage? image, CaptureInfo capture, int number)
    {
        VcpuState state = view.Vcpus[number];
        bool crashed = number == capture.CurrentVcpu;
        IReadOnlyList<StackFrame> stack = image is null ? [] : crashed ? CrashAnalysis.StackOf(view, image, number) : view.HasRegisters ? image.Unwind(state) : [];
        int culprit = crashed && capture.PanicLine is { } line ? CrashTitle.CulpritOf(line, capture.Fault, stack) : -1;
        return new CpuPage
        {
            Vcpu = number,
            Registers = view.HasRegisters ? state : null,
            Crashed = crashed,
            Task = image?.TaskOn(number),
            Stack = stack,
            Culprit = culprit,
            Code = view.HasRegisters ? CodeListing.Read(view, image, state, state.Rip, isReturn: false) : null,
            CulpritCode = culprit > 0 && stack[culprit].Pc != 0
                ? CodeListing.Read(view, image, state, stack[culprit].Pc, isReturn: !stack[culprit].Interrupted)
                : null,
        };
    }

    private static List<LogLine> ReadLog(LinuxKernel? kernel, CaptureInfo capture)
    {
        List<LogLine> lines = [];
        IReadOnlyList<PrintkRecord> records = kernel?.Log?.Records ?? [];
        if (records.Count == 0)
        {
            bool report = false;
            foreach (string line in (capture.PanicText ?? "").Split('\n', StringSplitOptions.RemoveEmptyEntries))
            {
                bool crash = (capture.Fault is { } fault && line.Contains(fault, StringComparison.Ordinal)) || (capture.PanicLine is { } panic && line.Contains(panic, StringComparison.Ordinal));
                report |= crash;
                lines.Add(new LogLine(line, crash ? LogMark.Crash : report ? LogMark.Report : LogMark.Before));
            }

            return lines;
        }

        int panicAt = KernelWords.FindPanic(records);
        int begin = panicAt;
        for (int i = panicAt; i >= 0 && capture.Fault is not null; i--)
        {
            if (records[i].FromKernel && records[i].Text.StartsWith(capture.Fault, StringComparison.Ordinal))
            {
                begin = i;
                break;
            }
        }

        for (int i = Math.Max(0, records.Count - MostLogLines); i < records.Count; i++)
        {
            LogMark mark = begin < 0 || i < begin ? LogMark.Before : i == begin || i == panicAt ? LogMark.Crash : LogMark.Report;
            var text = new StringBuilder();
            records[i].AppendTo(text);
            foreach (string line in text.ToString().TrimEnd('\n').Split('\n'))
            {
                lines.Add(new LogLine(line, mark));
            }
        }

        return lines;
    }
}
