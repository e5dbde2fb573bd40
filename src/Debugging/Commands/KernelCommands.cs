using System.Globalization;
using System.Text;
using Debugging.Kernels;
using Emulator;
using GuestOs.Linux.Symbols;

namespace Debugging.Commands;

/// <summary>What the guest's Linux kernel is doing, read from its memory: for debuggers that have no symbols, and for a quick look.</summary>
internal static class KernelCommands
{
    /// <summary>Stacks shown at a time: a spoiled list may have a hundred thousand tasks.</summary>
    public const int MaxStacks = 2000;

    private const string NoKernel = "no Linux kernel was found in this machine's memory\n";

    public static readonly MonitorCommand[] All =
    [
        new("ps", "[PID|NAME]", "the kernel's tasks: all, one, or those of a name", Tasks),
        new("bt", "[PID|cpus|all]", "stack of the selected thread, of a task, of every vCPU, or of everything", Backtrace),
        new("modules", "[NAME]", "the loaded modules, or the sections of one and how gdb is told of its file", Modules),
        new("symbols", "", "what the debugger is given of the kernel, and how it gets it anew", (context, _) => Symbols(context)),
    ];

    private static string Tasks(MonitorContext context, string argument) => Look(context, (view, image) =>
    {
        KernelTask[] tasks = [.. image.Tasks.Where(task => argument.Length == 0 || task.Name == argument || task.Pid.ToString(CultureInfo.InvariantCulture) == argument)];
        if (tasks.Length == 0)
        {
            return argument.Length == 0 ? Problems(image, "no tasks were found\n") : $"there is no task '{argument}'\n";
        }

        var text = new StringBuilder("    PID   TGID CPU  TASK              THREAD    STATE       NAME\n");
        foreach (KernelTask task in tasks)
        {
            text.Append(CultureInfo.InvariantCulture, $"{(task.Vcpu is null ? ' ' : '>')}{task.Pid,6} {task.ProcessId,6} {task.Cpu,3}  {task.Address:x16}  {TaskThreads.NumberOf(task),8}  ");
            text.Append(CultureInfo.InvariantCulture, $"{TaskThreads.State(task),-11} {(task.IsKernelThread ? $"[{task.Name}]" : task.Name)}\n");
        }

        return text.ToString();
    });

    private static string Backtrace(MonitorContext context, string argument) => Look(context, (view, image) =>
    {
        var text = new StringBuilder();
        switch (argument)
        {
            case "":
                if (context.Task(view) is { Vcpu: null } selected)
                {
                    Append(text, image, selected);
                }
                else
                {
                    Append(text, image, view, context.Vcpu);
                }

                break;

            case "cpus" or "all":
                for (int i = 0; i < view.VcpuCount; i++)
                {
                    Append(text, image, view, i);
                }

                KernelTask[] waiting = argument == "all" ? [.. image.Tasks.Where(task => task.Vcpu is null)] : [];
                foreach (KernelTask task in waiting.Take(MaxStacks))
                {
                    Append(text, image, task);
                }

                if (waiting.Length > MaxStacks)
                {
                    text.Append(CultureInfo.InvariantCulture, $"and {waiting.Length - MaxStacks} more: 'monitor bt PID' shows one\n");
                }

                break;

            default:
                KernelTask[] tasks = [.. image.Tasks.Where(task => task.Pid.ToString(CultureInfo.InvariantCulture) == argument)];
                if (tasks.Length == 0)
                {
                    return $"there is no task '{argument}': bt [PID|cpus|all]\n";
                }

                foreach (KernelTask task in tasks.Take(MaxStacks))
                {
                    Append(text, image, task);
                }

                break;
        }

        return text.ToString();
    });

    private static void Append(StringBuilder text, KernelImage image, IMachineView view, int vcpu)
    {
        string task = image.TaskOn(vcpu) is { } running ? string.Create(CultureInfo.InvariantCulture, $", pid {running.Pid} {running.Name}") : "";
        text.Append(CultureInfo.InvariantCulture, $"vCPU {vcpu}{task}{(image.PanicVcpu == vcpu ? ", panicked" : "")}\n");
        Append(text, image.Unwind(view.Vcpus[vcpu]));
    }

    private static void Append(StringBuilder text, KernelImage image, KernelTask task)
    {
        text.Append(CultureInfo.InvariantCulture, $"{TaskThreads.Describe(task)}, {task.Name}\n");
        Append(text, image.Unwind(task));
    }

    private static void Append(StringBuilder text, IReadOnlyList<StackFrame> stack)
    {
        for (int i = 0; i < stack.Count; i++)
        {
            StackFrame frame = stack[i];
            text.Append(CultureInfo.InvariantCulture, $"#{i,-3} 0x{frame.Pc:x16} {(frame.Symbol is null ? "?" : frame)}{(frame.Interrupted && i > 0 ? ", interrupted" : "")}\n");
        }

        text.Append(stack.Count == 0 ? "its registers are not known\n" : "");
    }

    private static string Modules(MonitorContext context, string argument) => Look(context, (_, image) =>
    {
        var text = new StringBuilder();
        if (argument.Length > 0)
        {
            if (image.Modules.FirstOrDefault(module => module.Name == argument) is not { } one)
            {
                return $"there is no module '{argument}'\n";
            }

            foreach (ModuleSection section in one.Sections)
            {
                text.Append(CultureInfo.InvariantCulture, $"0x{section.Address:x16} {section.Name}\n");
            }

            string file = context.Options.Kernels!.DebugFileOf(image, one)?.Path ?? $"{one.Name}.ko";
            return text.Append(CultureInfo.InvariantCulture, $"{ModuleFile.Command(one, file)}\n").ToString();
        }

        foreach (KernelModule module in image.Modules)
        {
            string uses = module.References < 0 ? "?" : module.References.ToString(CultureInfo.InvariantCulture);
            string unread = (module.Symbols is null ? ", symbols unreadable" : "") + (module.Types is null ? ", no types" : "");
            text.Append(CultureInfo.InvariantCulture, $"0x{module.TextAddress:x16} {module.Length,9} {uses,3} {module.Name}{unread}\n");
        }

        return text.Length == 0 ? "no modules are loaded\n" : Problems(image, text.ToString());
    });

    private static string Symbols(MonitorContext context) => Look(context, (_, image) =>
    {
        var text = new StringBuilder();
        text.Append(CultureInfo.InvariantCulture, $"kernel: Linux {image.Release}, build id {image.BuildId ?? "unknown"}");
        text.Append(image.KaslrOffset is ulong offset ? string.Create(CultureInfo.InvariantCulture, $", moved by 0x{offset:x}\n") : "\n");
        text.Append(CultureInfo.InvariantCulture, $"read: {image.Symbols?.Count ?? 0} symbols, {image.Types?.Count ?? 0} types, {image.Modules.Count} modules, {image.Tasks.Count} tasks\n");
        if (context.Options.Kernels!.DebugFileOf(image) is { } file)
        {
            text.Append(CultureInfo.InvariantCulture, $"debug file: {file.Path}\n");
        }

        if (context.Options.Kernels.DebugFiles?.Complaint(image.BuildId) is { } complaint)
        {
            text.Append(CultureInfo.InvariantCulture, $"not used: {complaint}\n");
        }

        text.Append(CultureInfo.InvariantCulture, $"to read them anew, after the kernel came up or modules were loaded: gdb's 'file target:{KernelSymbols.Path}'\n");
        return Problems(image, text.ToString());
    });

    private static string Problems(KernelImage image, string text) =>
        text + string.Concat(image.Problems.Select(problem => $"problem: {problem}\n"));

    private static string Look(MonitorContext context, Func<IMachineView, KernelImage, string> look) =>
        context.Inspect(view => context.Kernel(view) is { } image ? look(view, image) : null) ?? NoKernel;
}
