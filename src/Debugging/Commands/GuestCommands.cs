using System.Globalization;
using System.Text;
using Emulator;
using GuestOs.Linux.Symbols;

namespace Debugging.Commands;

/// <summary>What machine it is, why it stands still, and what its guest says.</summary>
internal static class GuestCommands
{
    public static readonly MonitorCommand[] All =
    [
        new("info", "", "what machine this is, why it stands still, and what is known of its guest", (context, _) => Info(context)),
        new("where", "", "where and why the machine stands still", (context, _) => Where(context)),
        new("dmesg", "", "the guest kernel's log, from its memory", (context, _) => KernelLog(context)),
        new("panic", "", "the guest's own report of its crash", (context, _) => Panic(context)),
    ];

    private static string Info(MonitorContext context) => context.Inspect(view =>
    {
        var text = new StringBuilder();
        text.Append(CultureInfo.InvariantCulture, $"stopped: {MonitorText.Cause(context.Cause)}\n");
        text.Append(CultureInfo.InvariantCulture, $"time: {view.InstructionCount} ns since power-on\n");
        foreach (PhysicalRange range in view.Ram)
        {
            text.Append(CultureInfo.InvariantCulture, $"ram: 0x{range.Start:x}-0x{range.Start + range.Length - 1:x} ({range.Length >> 10} KiB)\n");
        }

        for (int i = 0; i < view.VcpuCount; i++)
        {
            view.Glance(i, out VcpuGlance vcpu);
            char mark = i == view.CurrentVcpu ? '*' : ' ';
            text.Append(CultureInfo.InvariantCulture, $"vcpu {i}{mark} rip=0x{vcpu.Rip:x} cr3=0x{vcpu.Cr3:x} {MonitorText.Mode(vcpu)}\n");
        }

        return text.Append(context.Options.Guest?.Describe(view)).ToString();
    });

    private static string Where(MonitorContext context) => context.Inspect(view =>
    {
        var text = new StringBuilder();
        MachineExit? cause = context.Cause;
        text.Append(CultureInfo.InvariantCulture, $"stopped: {MonitorText.Cause(cause)}\n");
        if (cause is { Kind: MachineExitKind.Watchpoint } watch)
        {
            text.Append(CultureInfo.InvariantCulture, $"watched: {watch.Watch.ToString().ToLowerInvariant()} at 0x{watch.WatchAddress:x}\n");
        }

        view.Glance(view.CurrentVcpu, out VcpuGlance vcpu);
        text.Append(CultureInfo.InvariantCulture, $"at: vCPU {view.CurrentVcpu}, {vcpu.Selectors[1]:x4}:{vcpu.Rip:x16} (linear 0x{vcpu.LinearPc:x}), {MonitorText.Mode(vcpu)}\n");
        if (context.Kernel(view) is { } image)
        {
            if (image.TryFindSymbol(vcpu.LinearPc, out KernelSymbol symbol, out KernelModule? module))
            {
                text.Append(CultureInfo.InvariantCulture, $"in: {new StackFrame(vcpu.LinearPc, 0, true, symbol.Name, vcpu.LinearPc - symbol.Address, module?.Name)}\n");
            }

            if (image.TaskOn(view.CurrentVcpu) is { } task)
            {
                text.Append(CultureInfo.InvariantCulture, $"task: {task.Name}, {Kernels.TaskThreads.Describe(task)}\n");
            }
        }

        byte[] code = new byte[16];
        int read = X86.VirtualMemory.Read(view, X86.VirtualMemory.RegistersOf(vcpu), vcpu.LinearPc, code);
        text.Append(read == 0 ? "code: not mapped\n" : $"code: {Convert.ToHexStringLower(code.AsSpan(0, read))}\n");
        text.Append(CultureInfo.InvariantCulture, $"time: {view.InstructionCount} ns since power-on\n");
        foreach (JournalEntry entry in view.Journal?.Last(1) ?? [])
        {
            text.Append(CultureInfo.InvariantCulture, $"last event: {MonitorText.Event(entry)}\n");
        }

        return text.ToString();
    });

    private static string KernelLog(MonitorContext context) =>
        context.Inspect(view => context.Options.Guest?.KernelLog(view)) ?? "no kernel log was found in this machine's memory\n";

    private static string Panic(MonitorContext context) =>
        context.Inspect(view => context.Options.Guest?.Panic(view)) ?? "no crash is known of this machine's guest; 'monitor dmesg' shows its log\n";
}
