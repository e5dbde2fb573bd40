using System.Globalization;
using System.Net;
using System.Text;
using Cli.Archives;
using Cli.Arguments;
using Emulator;
using GuestOs.Linux.Symbols;

namespace Cli.Pages;

/// <summary>
/// A crash page as one file for a browser: no script, nothing fetched, and every word of a guest's encoded, since a guest
/// chooses what it says.
/// </summary>
internal sealed class CrashPageHtml
{
    private const int LinesBeforeCrash = 12;

    private readonly StringBuilder html = new();
    private readonly CrashPage page;

    private CrashPageHtml(CrashPage page) => this.page = page;

    /// <summary>The whole document.</summary>
    public static string Write(CrashPage page)
    {
        var writer = new CrashPageHtml(page);
        writer.Head();
        writer.Facts();
        writer.Cpus();
        writer.Log();
        writer.Tasks();
        writer.Memory();
        writer.Modules();
        writer.Attach();
        writer.html.Append("</main>\n</body>\n</html>\n");
        return writer.html.ToString();
    }

    private static string Encode(string? text) => WebUtility.HtmlEncode(ArchiveText.Printable(text ?? ""));

    private void Head()
    {
        ArchiveDescription archive = page.Archive;
        html.Append(CultureInfo.InvariantCulture, $"""
            <!DOCTYPE html>
            <html lang="en">
            <head>
            <meta charset="utf-8">
            <meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
            <meta name="viewport" content="width=device-width, initial-scale=1">
            <title>{Encode(archive.Title)}</title>
            <style>
            {CrashPageStyle.Sheet}
            </style>
            </head>
            <body>
            <header>
            <h1>{Encode(archive.Title)}</h1>
            <p>{Encode(archive.Id)} · {Encode(archive.Name ?? "no name")} · {Encode(archive.Release ?? "no kernel known")} · {Encode(ArchiveText.Time(archive.Time))}</p>
            <nav><a href="#facts">Facts</a><a href="#cpus">CPUs</a><a href="#panic">Panic</a><a href="#log">Log</a><a href="#tasks">Tasks</a><a href="#memory">Memory</a><a href="#modules">Modules</a><a href="#attach">Attach</a></nav>
            </header>
            <main>

            """);
    }

    private void Facts()
    {
        ArchiveDescription archive = page.Archive;
        Open("facts", "Facts");
        html.Append("<dl>\n");
        Fact("Panic", archive.PanicLine);
        Fact("Fault", archive.Fault);
        Fact("Cause", archive.Cause);
        Fact("Host time", archive.Time.ToString("yyyy-MM-dd HH:mm:ss zzz", CultureInfo.InvariantCulture));
        Fact("Guest time", archive.Nanoseconds is { } time and not 0 ? string.Create(CultureInfo.InvariantCulture, $"{time / 1e9:F6} s since power-on") : null);
        Fact("Guest clock", page.Guest?.Clock is { } clock ? $"{clock.UtcDateTime.ToString("yyyy-MM-dd HH:mm:ss", CultureInfo.InvariantCulture)} UTC" : null);
        Fact("Machine", archive.Name);
        Fact("Node", page.Guest?.NodeName);
        Fact("Release", archive.Release);
        Fact("Version", page.Guest?.Version);
        Fact("Build id", archive.BuildId);
        Fact("KASLR offset", archive.KernelOffset);
        Fact("Command line", archive.CommandLine);
        Fact("RAM", MemorySize.Format(archive.MemoryBytes ?? 0));
        Fact("File", archive.Path);
        Fact("Size", ArchiveText.Size(archive.Bytes));
        Fact("Written by", archive.Writer);
        html.Append("</dl>\n");
        foreach (string problem in page.Problems)
        {
            html.Append(CultureInfo.InvariantCulture, $"<p class=\"problem\">{Encode(problem)}</p>\n");
        }

        Close();
    }

    private void Cpus()
    {
        Open("cpus", "CPUs");
        foreach (CpuPage cpu in page.Cpus)
        {
            string task = cpu.Task is { } running ? $", {running.Name} (pid {running.Pid})" : "";
            html.Append(CultureInfo.InvariantCulture, $"<details{(cpu.Crashed ? " open" : "")}><summary>CPU {cpu.Vcpu}{(cpu.Crashed ? " <b class=\"crash\">crashed</b>" : "")}{Encode(task)}</summary>\n");
            Stack(cpu.Stack, cpu.Culprit);
            Code("Where the title says", cpu.CulpritCode);
            Code("Next instruction", cpu.Code);
            if (cpu.Registers is { } registers)
            {
                Registers(registers);
            }
            else
            {
                html.Append("<p>The file has no registers.</p>\n");
            }

            html.Append("</details>\n");
        }

        Close();
    }

    private void Stack(IReadOnlyList<StackFrame> stack, int culprit)
    {
        if (stack.Count == 0)
        {
            return;
        }

        html.Append("<ol class=\"stack\" start=\"0\">\n");
        for (int i = 0; i < stack.Count; i++)
        {
            string address = stack[i].Pc == 0 ? "" : string.Create(CultureInfo.InvariantCulture, $"<span class=\"address\">{stack[i].Pc:x16}</span> ");
            html.Append(CultureInfo.InvariantCulture, $"<li{(i == culprit ? " class=\"culprit\"" : "")}>{address}{Encode(stack[i].ToString())}{(i > 0 && stack[i].Interrupted ? " <i>interrupted</i>" : "")}</li>\n");
        }

        html.Append("</ol>\n");
    }

    private void Code(string heading, CodeListing? code)
    {
        if (code is null)
        {
            return;
        }

        html.Append(CultureInfo.InvariantCulture, $"<h3>{heading}{(code.Function is null ? "" : $": {Encode(code.Function)}")}</h3>\n<pre class=\"code\">");
        foreach (CodeLine line in code.Lines)
        {
            string text = string.Create(CultureInfo.InvariantCulture, $"<span class=\"address\">{line.Address:x16}</span>  {Encode(line.Text)}");
            html.Append(line.IsCurrent ? $"<mark>{text}</mark>\n" : $"{text}\n");
        }

        html.Append("</pre>\n");
    }

    private void Registers(VcpuState vcpu)
    {
        html.Append(CultureInfo.InvariantCulture, $"<h3>Registers</h3>\n<p>{RegisterText.Mode(vcpu)}{(vcpu.Halted ? ", halted" : "")}; flags {RegisterText.FlagNames(vcpu.Rflags)}</p>\n<div class=\"registers\">\n");
        foreach ((string name, ulong value) in RegisterText.All(vcpu))
        {
            html.Append(CultureInfo.InvariantCulture, $"<span><b>{name}</b> {value:x16}</span>\n");
        }

        html.Append("</div>\n");
    }

    private void Log()
    {
        Open("log", "Log");
        int crash = 0;
        while (crash < page.Log.Count && page.Log[crash].Mark == LogMark.Before)
        {
            crash++;
        }

        // What a reader comes for is the crash; how the guest booted is folded away.
        int shown = crash < page.Log.Count ? Math.Max(0, crash - LinesBeforeCrash) : 0;
        if (shown > 0)
        {
            html.Append(CultureInfo.InvariantCulture, $"<details><summary>{shown} lines before</summary>\n<pre class=\"log\">");
            Lines(0, shown, crash);
            html.Append("</pre>\n</details>\n");
        }

        html.Append("<pre class=\"log\">");
        Lines(shown, page.Log.Count, crash);
        html.Append("</pre>\n");
        Close();
    }

    private void Lines(int from, int to, int crash)
    {
        for (int i = from; i < to; i++)
        {
            LogLine line = page.Log[i];
            string text = Encode(line.Text);
            html.Append(line.Mark switch
            {
                LogMark.Crash => $"<mark{(i == crash ? " id=\"panic\"" : "")}>{text}</mark>\n",
                LogMark.Report => $"<span class=\"report\">{text}</span>\n",
                _ => text + "\n",
            });
        }
    }

    private void Tasks()
    {
        Open("tasks", $"Tasks ({page.Tasks.Count})");
        html.Append("<table><thead><tr><th>PID</th><th>State</th><th>CPU</th><th>Name</th><th>Stack</th></tr></thead><tbody>\n");
        foreach (TaskPage task in page.Tasks)
        {
            string name = task.Task.IsKernelThread ? $"[{task.Task.Name}]" : task.Task.Name;
            html.Append(CultureInfo.InvariantCulture, $"<tr{(task.Task.Vcpu is null ? "" : " class=\"running\"")}><td>{task.Task.Pid}</td><td>{Encode(task.Task.State.ToString())}</td><td>{task.Task.Cpu}</td><td>{Encode(name)}</td><td>");
            if (task.Stack.Count > 0)
            {
                html.Append(CultureInfo.InvariantCulture, $"<details><summary>{Encode(task.Where ?? task.Stack[0].ToString())}</summary>\n");
                Stack(task.Stack, -1);
                html.Append("</details>");
            }

            html.Append("</td></tr>\n");
        }

        html.Append("</tbody></table>\n");
        Close();
    }

    private void Memory()
    {
        Open("memory", "Memory");
        MemoryUse memory = page.Memory;
        if (memory.WhyNotKnown is { } why)
        {
            html.Append(CultureInfo.InvariantCulture, $"<p>What pages are used for is not known: {Encode(why)}.</p>\n");
        }

        html.Append("<table class=\"kinds\"><tbody>\n");
        for (int kind = 0; kind < MemoryUse.Kinds; kind++)
        {
            if (memory.Total[kind] != 0)
            {
                html.Append(CultureInfo.InvariantCulture, $"<tr><td><i class=\"cell k{kind}\"></i></td><td>{MemoryUse.Word((PageKind)kind)}</td><td class=\"number\">{ArchiveText.Size(memory.Total[kind] * 4096)}</td></tr>\n");
            }
        }

        html.Append(CultureInfo.InvariantCulture, $"</tbody></table>\n<p>Each square is {MemorySize.Format(memory.CellBytes)} of RAM, coloured by what most of it is.</p>\n");
        foreach (PhysicalRange range in page.Ram)
        {
            html.Append(CultureInfo.InvariantCulture, $"<h3>{range.Start:x}h to {range.Start + range.Length - 1:x}h</h3>\n<div class=\"map\">");
            foreach (MemoryCell cell in memory.Cells.Where(cell => cell.Start - range.Start < range.Length))
            {
                string what = string.Join(", ", Enumerable.Range(0, MemoryUse.Kinds).Where(kind => cell.Pages[kind] != 0)
                    .Select(kind => $"{cell.Pages[kind]} {MemoryUse.Word((PageKind)kind)}"));
                html.Append(CultureInfo.InvariantCulture, $"<i class=\"cell k{(int)cell.Main}\" title=\"{cell.Start:x}h: {what}\"></i>");
            }

            html.Append("</div>\n");
        }

        Close();
    }

    private void Modules()
    {
        Open("modules", $"Modules ({page.Modules.Count})");
        html.Append("<table><thead><tr><th>Name</th><th>Address</th><th>Size</th><th>Used</th></tr></thead><tbody>\n");
        foreach (KernelModule module in page.Modules)
        {
            html.Append(CultureInfo.InvariantCulture, $"<tr><td>{Encode(module.Name)}</td><td class=\"address\">{module.TextAddress:x16}</td><td class=\"number\">{ArchiveText.Size((long)Math.Min(module.Length, long.MaxValue))}</td><td class=\"number\">{(module.References < 0 ? "-" : module.References.ToString(CultureInfo.InvariantCulture))}</td></tr>\n");
        }

        html.Append("</tbody></table>\n");
        Close();
    }

    private void Attach()
    {
        Open("attach", "How to attach");
        html.Append("<dl>\n");
        foreach ((string tool, string command) in page.Attach)
        {
            html.Append(CultureInfo.InvariantCulture, $"<dt>{Encode(tool)}</dt><dd><code>{Encode(command)}</code></dd>\n");
        }

        html.Append("</dl>\n");
        Close();
    }

    private void Open(string id, string heading) => html.Append(CultureInfo.InvariantCulture, $"<section id=\"{id}\">\n<h2>{heading}</h2>\n");

    private void Close() => html.Append("</section>\n");

    private void Fact(string name, string? value)
    {
        if (!string.IsNullOrEmpty(value))
        {
            html.Append(CultureInfo.InvariantCulture, $"<dt>{name}</dt><dd>{Encode(value)}</dd>\n");
        }
    }
}
