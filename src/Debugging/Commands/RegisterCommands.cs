using System.Globalization;
using System.Text;
using Debugging.X86;
using Emulator;
using GdbStub.Targets;

namespace Debugging.Commands;

/// <summary>Registers, and what happened to them.</summary>
internal static class RegisterCommands
{
    private const int UsualEvents = 20;

    private static readonly string[] GeneralNames =
        ["rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"];

    private static readonly string[] SegmentNames = ["es", "cs", "ss", "ds", "fs", "gs", "ldtr", "tr"];

    public static readonly MonitorCommand[] All =
    [
        new("regs", "[CPU]", "registers of every vCPU, or of one", Registers),
        new("journal", "[COUNT]", "the last exceptions, interrupts and mode switches, with registers", Journal),
    ];

    private static string Registers(MonitorContext context, string argument)
    {
        ulong only = 0;
        if (argument.Length > 0 && !MonitorText.TryNumber(argument, out only))
        {
            return "usage: regs [CPU]\n";
        }

        return context.Inspect(view =>
        {
            IReadOnlyList<VcpuState> vcpus = view.Vcpus;
            if (argument.Length > 0 && only >= (ulong)vcpus.Count)
            {
                return $"there is no vCPU {only}; they are 0 to {vcpus.Count - 1}\n";
            }

            var text = new StringBuilder();
            for (int i = 0; i < vcpus.Count; i++)
            {
                if (argument.Length == 0 || only == (ulong)i)
                {
                    view.Glance(i, out VcpuGlance glance);
                    Append(text, i, vcpus[i], glance);
                }
            }

            return text.ToString();
        });
    }

    private static void Append(StringBuilder text, int number, VcpuState vcpu, in VcpuGlance glance)
    {
        text.Append(CultureInfo.InvariantCulture, $"vCPU {number}: {MonitorText.Mode(glance)}\n");
        General(text, glance);
        text.Append(CultureInfo.InvariantCulture, $"rip {vcpu.Rip:x16} rflags {vcpu.Rflags:x8} [{Words(X86Flags.Eflags, vcpu.Rflags)}]\n");
        for (int i = 0; i < SegmentNames.Length; i++)
        {
            SegmentState segment = vcpu.Segments[i];
            text.Append(CultureInfo.InvariantCulture, $"{SegmentNames[i],-4} {segment.Selector:x4} base {segment.Base:x16} limit {segment.Limit:x8} attributes {segment.Attributes:x4}\n");
        }

        text.Append(CultureInfo.InvariantCulture, $"gdtr base {vcpu.Gdtr.Base:x16} limit {vcpu.Gdtr.Limit:x4}\nidtr base {vcpu.Idtr.Base:x16} limit {vcpu.Idtr.Limit:x4}\n");
        text.Append(CultureInfo.InvariantCulture, $"cr0 {vcpu.Cr0:x8} [{Words(X86Flags.Type("x86_cr0"), vcpu.Cr0)}]\n");
        text.Append(CultureInfo.InvariantCulture, $"cr2 {vcpu.Cr2:x16} cr3 {vcpu.Cr3:x16} cr8 {vcpu.Cr8:x}\n");
        text.Append(CultureInfo.InvariantCulture, $"cr4 {vcpu.Cr4:x8} [{Words(X86Flags.Type("x86_cr4"), vcpu.Cr4)}]\n");
        text.Append(CultureInfo.InvariantCulture, $"efer {vcpu.Efer:x} [{Words(X86Flags.Type("x86_efer"), vcpu.Efer)}] xcr0 {vcpu.Xcr0:x} apic_base {glance.ApicBase:x}\n");
        text.Append(CultureInfo.InvariantCulture, $"dr0 {vcpu.Dr[0]:x} dr1 {vcpu.Dr[1]:x} dr2 {vcpu.Dr[2]:x} dr3 {vcpu.Dr[3]:x} dr6 {vcpu.Dr[6]:x} dr7 {vcpu.Dr[7]:x}\n");
        string[] pending =
        [
            .. vcpu.Halted ? ["halted"] : Array.Empty<string>(),
            .. vcpu.InterruptShadow switch { 1 => ["interrupts held back by STI"], 2 => ["interrupts held back by MOV SS"], _ => Array.Empty<string>() },
            .. vcpu.NmiBlocked ? ["NMIs blocked"] : Array.Empty<string>(),
            .. vcpu.NmiPending ? ["an NMI waits"] : Array.Empty<string>(),
        ];
        if (pending.Length > 0)
        {
            text.Append(CultureInfo.InvariantCulture, $"{string.Join(", ", pending)}\n");
        }
    }

    private static string Journal(MonitorContext context, string argument)
    {
        ulong count = UsualEvents;
        if (argument.Length > 0 && (!MonitorText.TryNumber(argument, out count) || count is 0 or > ExceptionJournal.Capacity))
        {
            return $"usage: journal [COUNT], with a count of 1 to {ExceptionJournal.Capacity}\n";
        }

        return context.Inspect(view =>
        {
            if (view.Journal is not { } journal)
            {
                return "this image has no journal; one begins when it is forked\n";
            }

            IReadOnlyList<JournalEntry> entries = journal.Last((int)count);
            if (entries.Count == 0)
            {
                return "nothing has happened yet\n";
            }

            var text = new StringBuilder();
            foreach (JournalEntry entry in entries)
            {
                VcpuGlance registers = entry.Registers;
                text.Append(CultureInfo.InvariantCulture, $"{MonitorText.Event(entry)}\n");
                General(text, registers);
                text.Append(CultureInfo.InvariantCulture, $"rip {registers.Rip:x16} rflags {registers.Rflags:x8} [{Words(X86Flags.Eflags, registers.Rflags)}] gs base {registers.Bases[5]:x}\n");
            }

            return text.ToString();
        });
    }

    private static void General(StringBuilder text, in VcpuGlance registers)
    {
        const int perLine = 4;
        for (int i = 0; i < GeneralNames.Length; i++)
        {
            text.Append(CultureInfo.InvariantCulture, $"{GeneralNames[i],-3} {registers.Gpr[i]:x16}{(i % perLine == perLine - 1 ? '\n' : ' ')}");
        }
    }

    /// <summary>The names of the bits that are set, as a debugger prints them.</summary>
    private static string Words(FlagsType type, ulong value)
    {
        var words = new List<string>();
        foreach ((string name, int start, int end) in type.Fields)
        {
            ulong field = (value >> start) & (ulong.MaxValue >> (63 - (end - start)));
            if (end > start)
            {
                words.Add(string.Create(CultureInfo.InvariantCulture, $"{name}={field}"));
            }
            else if (field != 0)
            {
                words.Add(name);
            }
        }

        return string.Join(' ', words);
    }
}
