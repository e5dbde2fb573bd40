using Debugging.X86;
using Emulator;
using Emulator.Time;
using GdbStub.Targets;

namespace Debugging.Commands;

/// <summary>What changes a machine's course.</summary>
internal static class ControlCommands
{
    private const string NotControlled = "this machine does not take that from here: only the debugger that controls a live machine, or a fork of its own, can do it\n";

    public static readonly MonitorCommand[] All =
    [
        new("nmi", "[panic]", "a non-maskable interrupt; 'nmi panic' makes a hung Linux panic at it", Interrupt),
        new("power", "", "press the power button (ACPI)", (context, _) => Post(context, InputKind.PowerButton, "the power button is pressed when the machine runs\n")),
        new("step", "[over|into]", "whether a step that meets an interrupt runs its handler to the end, or stops in it", Step),
        new("fork", "", "a private copy of an archived machine that runs on from its crash; again: another one", (context, _) => context.Connection.Fork is { } fork
            ? fork()
            : context.Connection.RunControl is null ? context.Connection.CannotRun + "\n" : "only an archived machine is copied; this one is live: 'continue' runs it, or says why it does not\n"),
        new("reset", "", "start the guest again (live machines only)", (context, _) => context.Connection.Reset is { } reset
            ? reset()
            : "this machine cannot be started again from here; only the debugger that controls a live machine can\n"),
        new("quit", "", "end the server, and with it the machine", (context, _) => !context.Connection.Controls
            ? NotControlled
            : context.Options.Quit?.Invoke() ?? "this server is not ended from a debugger\n"),
    ];

    private static string Interrupt(MonitorContext context, string argument)
    {
        const string willCome = "the NMI comes when the machine runs";
        switch (argument)
        {
            case "panic" when context.Connection.RunControl is not null && !TrySetPanicAtNmi(context):
                return "this machine has no Linux kernel with the variable unknown_nmi_panic to set; 'nmi' alone is what any guest takes\n";

            case "panic":
                return Post(context, InputKind.Nmi, willCome + ", and the kernel was told to panic at it\n");

            case "":
                return Post(context, InputKind.Nmi, willCome + "; Linux only logs it unless it was booted with unknown_nmi_panic or is told to by 'nmi panic'\n");

            default:
                return "usage: nmi [panic]\n";
        }
    }

    /// <summary>Sets what the sysctl kernel.unknown_nmi_panic does. Source: Linux, arch/x86/kernel/nmi.c.</summary>
    private static bool TrySetPanicAtNmi(MonitorContext context)
    {
        const string variable = "unknown_nmi_panic";
        bool done = context.Inspect(view => view is IMutableMachineView machine && context.Kernel(view) is { } kernel
            && kernel.Symbols is { } symbols && symbols.TryGetAddress(variable, out ulong address)
            && VirtualMemory.Write(machine, kernel.Memory.Tables ?? context.Paging(view), address, [1, 0, 0, 0]) == sizeof(int));
        context.Connection.Access.Changed();
        return done;
    }

    private static string Post(MonitorContext context, InputKind kind, string done)
    {
        if (context.Connection.RunControl is null)
        {
            return NotControlled;
        }

        InputLog? input = context.Inspect(view => (view as IMachineControl)?.Input);
        input?.Post(kind);
        return input is null ? NotControlled : done;
    }

    private static string Step(MonitorContext context, string argument)
    {
        if (context.Connection.Stepping is not { } policy)
        {
            return NotControlled;
        }

        switch (argument)
        {
            case "over":
                policy.Current |= StepMask.NoInterrupts;
                break;
            case "into":
                policy.Current &= ~StepMask.NoInterrupts;
                break;
            case "":
                break;
            default:
                return "usage: step [over|into]\n";
        }

        return (policy.Current & StepMask.NoInterrupts) != 0
            ? "over: a step that meets an interrupt runs its handler to the end and stops in the interrupted code\n"
            : "into: a step that meets an interrupt stops at its handler's first instruction\n";
    }
}
