using System.Globalization;
using System.Text;
using Cli.Archives;
using Cli.Arguments;
using Emulator;
using GuestOs.Linux.Symbols;

namespace Cli.Pages;

/// <summary>A crash page for a terminal.</summary>
internal sealed class CrashPageText
{
    private const int LogBefore = 10;
    private const int LogLines = 80;
    private const int MostTasks = 400;

    private readonly StringBuilder text = new();
    private readonly CrashPage page;

    private CrashPageText(CrashPage page) => this.page = page;

    /// <summary>The page, with the part of the log that tells of the crash.</summary>
    public static string Write(CrashPage page)
    {
        var writer = new CrashPageText(page);
        writer.Facts();
        foreach (CpuPage cpu in page.Cpus)
        {
            writer.Cpu(cpu);
        }

        writer.Log();
        writer.Tasks();
        writer.Modules();
        writer.Attach();
        return writer.text.ToString();
    }

    /// <summary>The log alone, whole.</summary>
    public static string WriteLog(CrashPage page)
    {
        var text = new StringBuilder();
        foreach (LogLine line in page.Log)
        {
            text.Append(ArchiveText.Printable(line.Text)).Append('\n');
        }

        return text.ToString();
    }

    private void Facts()
    {
        ArchiveDescription archive = page.Archive;
        Fact("title", archive.Title);
        Fact("panic", archive.PanicLine);
        Fact("fault", archive.Fault);
        Fact("cause", archive.Cause);
        Fact("time", archive.Time.ToLocalTime().ToString("yyyy-MM-dd HH:mm:ss zzz", CultureInfo.InvariantCulture));
        Fact("guest time", GuestTime());
        Fact("machine", archive.Name);
        Fact("node", page.Guest?.NodeName);
        Fact("release", archive.Release);
        Fact("version", page.Guest?.Version);
        Fact("build id", archive.BuildId);
        Fact("kaslr", archive.KernelOffset);
        Fact("command line", archive.CommandLine);
        Fact("memory", Memory());
        Fact("id", archive.Id);
        Fact("kind", archive.Kind);
        Fact("state", archive.State);
        Fact("file", archive.Path);
        Fact("size", string.Create(CultureInfo.InvariantCulture, $"{archive.Bytes} ({ArchiveText.Size(archive.Bytes)})"));
        Fact("written by", archive.Writer);
        foreach (string problem in page.Problems)
        {
            Fact("problem", problem);
        }
    }

    private string? GuestTime()
    {
        string? up = page.Archive.Nanoseconds is { } time and not 0 ? string.Create(CultureInfo.InvariantCulture, $"{time / 1e9:F6} s since power-on") : null;
        string? clock = page.Guest?.Clock is { } at ? $"{at.UtcDateTime.ToString("yyyy-MM-dd HH:mm:ss", CultureInfo.InvariantCulture)} UTC by its own clock" : null;
        string? uptime = up is null && page.Guest?.Uptime is { } length ? string.Create(CultureInfo.InvariantCulture, $"up {length.TotalSeconds:F0} s") : null;
        return string.Join(", ", new[] { up, uptime, clock }.Where(part => part is not null)) is { Length: > 0 } all ? all : null;
    }

    private string Memory()
    {
        ulong bytes = page.Archive.MemoryBytes ?? 0;
        var kinds = new List<string>();
        for (int kind = 0; page.Memory.WhyNotKnown is null && kind < MemoryUse.Kinds; kind++)
        {
            if (page.Memory.Total[kind] != 0)
            {
                kinds.Add($"{ArchiveText.Size(page.Memory.Total[kind] * 4096)} {MemoryUse.Word((PageKind)kind)}");
            }
        }

        return MemorySize.Format(bytes) + (kinds.Count == 0 ? "" : $": {string.Join("; ", kinds)}");
    }

    private void Cpu(CpuPage cpu)
    {
        string task = cpu.Task is { } running ? $", {running.Name} (pid {running.Pid})" : "";
        string mode = cpu.Registers is { } state ? $", {RegisterText.Mode(state)}{(state.Halted ? ", halted" : "")}" : "";
        Heading($"CPU {cpu.Vcpu}{(cpu.Crashed ? " (crashed)" : "")}{task}{mode}");
        if (cpu.Registers is { } registers)
        {
            Registers(registers, cpu.Stack);
        }
        else
        {
            text.Append("the file has no registers\n");
        }

        Stack(cpu);
        Code(cpu.CulpritCode ?? cpu.Code);
    }

    private void Registers(VcpuState vcpu, IReadOnlyList<StackFrame> stack)
    {
        string place = stack.Count > 0 && stack[0].Pc == vcpu.Rip ? $" {stack[0]}" : "";
        text.Append(CultureInfo.InvariantCulture, $"rip {vcpu.Rip:x16}{ArchiveText.Printable(place)}\nrflags {vcpu.Rflags:x} [{RegisterText.FlagNames(vcpu.Rflags)}]\n");
        string[] order = ["rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "cr0", "cr2", "cr3", "cr4", "fs_base", "gs_base", "efer", "cs"];
        Dictionary<string, ulong> values = RegisterText.All(vcpu).ToDictionary(register => register.Name, register => register.Value);
        for (int i = 0; i < order.Length; i++)
        {
            text.Append(CultureInfo.InvariantCulture, $"{order[i],-7} {values[order[i]]:x16}").Append(i % 4 == 3 ? "\n" : "  ");
        }
    }

    private void Stack(CpuPage cpu)
    {
        for (int i = 0; i < cpu.Stack.Count; i++)
        {
            StackFrame frame = cpu.Stack[i];
            string address = frame.Pc == 0 ? "" : string.Create(CultureInfo.InvariantCulture, $"{frame.Pc:x16} ");
            text.Append(CultureInfo.InvariantCulture, $"{(i == cpu.Culprit ? '>' : ' ')}#{i,-2} {address}{ArchiveText.Printable(frame.ToString())}{(i > 0 && frame.Interrupted ? "  (interrupted)" : "")}\n");
        }
    }

    private void Code(CodeListing? code)
    {
        if (code is null)
        {
            return;
        }

        text.Append(CultureInfo.InvariantCulture, $"code{(code.Function is null ? "" : $" of {ArchiveText.Printable(code.Function)}")}:\n");
        foreach (CodeLine line in code.Lines)
        {
            text.Append(CultureInfo.InvariantCulture, $"{(line.IsCurrent ? "=>" : "  ")} {line.Address:x}: {ArchiveText.Printable(line.Text)}\n");
        }
    }

    private void Log()
    {
        if (page.Log.Count == 0)
        {
            return;
        }

        int crash = 0;
        while (crash < page.Log.Count && page.Log[crash].Mark == LogMark.Before)
        {
            crash++;
        }

        int from = Math.Max(0, crash < page.Log.Count ? crash - LogBefore : page.Log.Count - LogLines);
        int to = Math.Min(page.Log.Count, from + LogLines + LogBefore);
        Heading($"log{(from == 0 && to == page.Log.Count ? "" : $" (lines {from + 1} to {to} of {page.Log.Count}; show {page.Archive.Id} --log has it all)")}");
        for (int i = from; i < to; i++)
        {
            text.Append(page.Log[i].Mark == LogMark.Crash ? "> " : "  ").Append(ArchiveText.Printable(page.Log[i].Text)).Append('\n');
        }
    }

    private void Tasks()
    {
        if (page.Tasks.Count == 0)
        {
            return;
        }

        Heading($"tasks ({page.Tasks.Count}{(page.Tasks.Count > MostTasks ? $", the first {MostTasks} shown" : "")})");
        text.Append(ArchiveText.Table(
            [">PID", "S", ">CPU", "NAME", "WHERE"],
            page.Tasks.Take(MostTasks).Select(task => (string[])
            [
                $"{task.Task.Pid}", $"{task.Task.State}{(task.Task.Vcpu is null ? "" : "*")}", $"{task.Task.Cpu}",
                task.Task.IsKernelThread ? $"[{task.Task.Name}]" : task.Task.Name, task.Where ?? "",
            ])));
    }

    private void Modules()
    {
        if (page.Modules.Count == 0)
        {
            return;
        }

        Heading($"modules ({page.Modules.Count})");
        text.Append(ArchiveText.Table(
            ["ADDRESS", ">SIZE", ">USED", "NAME"],
            page.Modules.Select(module => (string[])[$"{module.TextAddress:x16}", ArchiveText.Size((long)Math.Min(module.Length, long.MaxValue)), module.References < 0 ? "-" : $"{module.References}", module.Name])));
    }

    private void Attach()
    {
        Heading("how to attach");
        foreach ((string tool, string command) in page.Attach)
        {
            text.Append(CultureInfo.InvariantCulture, $"{tool + ":",-21}{ArchiveText.Printable(command)}\n");
        }
    }

    private void Heading(string heading) => text.Append('\n').Append(ArchiveText.Printable(heading)).Append('\n');

    private void Fact(string name, string? value)
    {
        if (!string.IsNullOrEmpty(value))
        {
            text.Append(CultureInfo.InvariantCulture, $"{name + ":",-14}{ArchiveText.Printable(value)}\n");
        }
    }
}
