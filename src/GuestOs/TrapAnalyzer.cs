using System.Globalization;
using Emulator;
using Emulator.Memory;
using GuestOs.Linux;

namespace GuestOs;

/// <summary>
/// Tells a crash from an ordinary end of a guest's run, by what the guest left behind. The rules, first match wins; each
/// is a row in the tests:
/// <list type="number">
/// <item>The exit port ends a run, and a breakpoint, a watchpoint or a step ends nothing, whatever else is known.</item>
/// <item>The guest's own crash kernel is at work and has not crashed itself: <see cref="TrapKind.CrashKernel"/>. It is at
/// work when the running kernel was started with elfcorehdr=; when what runs, or the running kernel's text, lies in the
/// memory another kernel has reserved for it; or when pvpanic has announced it and nothing else happened.</item>
/// <item>A record of a panic in the error store, or pvpanic's "panicked": <see cref="TrapKind.KernelPanic"/> with a reset or a
/// power-off, by whatever route (a triple fault too: reboot=t), else <see cref="TrapKind.PanicWithoutReset"/>. The
/// running kernel's log confirms it or does not; it need not.</item>
/// <item>The running kernel's log holds a panic: <see cref="TrapKind.ResetWithoutReport"/> with a reset or a power-off, else
/// <see cref="TrapKind.PanicWithoutReset"/>. Only the kernel's own emergency message counts, and only when no orderly
/// end was announced after it: words a process printed to the console or to /dev/kmsg do not. A record whose text
/// cannot be read (a compression we do not know) needs this confirmation, and then counts as the report.</item>
/// <item>A triple fault that the kernel's log has not just announced as a restart: <see cref="TrapKind.TripleFault"/>, with or
/// without a kernel or a log.</item>
/// <item>What is left is what it seems: <see cref="TrapKind.PlainReset"/>, <see cref="TrapKind.PowerOff"/>, <see cref="TrapKind.Halted"/>, or
/// <see cref="TrapKind.None"/>. Records of an oops, an emergency restart, a shutdown or a machine check are no panic.</item>
/// </list>
/// A kernel counts as running only when a vCPU vouches for it (<see cref="LinuxKernel.Running"/>): after a warm reboot
/// the last kernel's log is still in RAM, with its panic.
/// </summary>
public static class TrapAnalyzer
{
    /// <summary>Records taken from the error store's news.</summary>
    public const int MaxErrorRecords = KernelDump.MaxRecords;

    /// <summary>Characters of text taken from them in all, the newest first.</summary>
    public const int MaxReportText = 1 << 24;

    /// <summary>Kernels in RAM asked for a crash kernel's reservation: a guest can make up many, and each has a log to read.</summary>
    public const int MaxKernelsAsked = 8;

    /// <summary>Analyzes a machine that stands still. Reads only; never throws on what the guest left.</summary>
    public static TrapVerdict Analyze(IMachineView view, MachineExit exit, TrapEvidence evidence)
    {
        ArgumentNullException.ThrowIfNull(view);
        ArgumentNullException.ThrowIfNull(evidence);
        if (exit.Kind is MachineExitKind.ExitPort or MachineExitKind.Breakpoint or MachineExitKind.Watchpoint or MachineExitKind.Stepped)
        {
            return Nothing(exit);
        }

        return new Case(view, exit, evidence).Decide();
    }

    private static TrapVerdict Nothing(MachineExit exit) => new()
    {
        Kind = exit.Kind == MachineExitKind.ExitPort ? TrapKind.ExitPort : TrapKind.None,
        Evidence = PanicEvidence.None,
        LogState = KernelLogState.NotFound,
        RestartAnnounced = false,
        Reset = null,
        Summary = exit.Kind == MachineExitKind.ExitPort
            ? string.Create(CultureInfo.InvariantCulture, $"exit port: {exit.ExitCode}") : "stopped for the debugger",
        Report = null,
    };

    private sealed class Case
    {
        private readonly IMachineView view;
        private readonly MachineExit exit;
        private readonly TrapEvidence evidence;
        private readonly List<LinuxKernel> kernels = [];
        private readonly LinuxKernel? running;
        private readonly IReadOnlyList<PrintkRecord> log;
        private readonly KernelDump? report;
        private readonly bool unreadableReport;
        private readonly IReadOnlyList<KernelDump> dumps;
        private readonly int panicInLog;
        private readonly bool restartAnnounced;

        public Case(IMachineView view, MachineExit exit, TrapEvidence evidence)
        {
            this.view = view;
            this.exit = exit;
            this.evidence = evidence;
            foreach (LinuxKernel kernel in LinuxKernel.FindAll(view))
            {
                if (kernel.Running)
                {
                    running = kernel;
                    break;
                }

                if (kernels.Count < MaxKernelsAsked)
                {
                    kernels.Add(kernel);
                }
            }

            running ??= EarlyKernel.Find(view);
            log = running?.Log?.Records ?? [];
            panicInLog = KernelWords.FindPanic(log);
            restartAnnounced = KernelWords.RestartAnnounced(log);
            dumps = KernelDump.Join(Parse(evidence.ErrorRecords));
            report = dumps.LastOrDefault(dump => dump.Reason == KernelDumpReason.Panic);
            unreadableReport = dumps.Any(dump => dump is { Reason: KernelDumpReason.Unknown, Incomplete: true });
        }

        private bool Ended => exit.Kind is MachineExitKind.Reset or MachineExitKind.PowerOff;

        public TrapVerdict Decide()
        {
            bool inCrashKernel = CrashKernelAtWork();
            if (inCrashKernel && panicInLog < 0 && !(exit.Reset == ResetCause.TripleFault && !restartAnnounced))
            {
                return Verdict(TrapKind.CrashKernel, "the guest's own crash kernel is at work, and is left to it");
            }

            PanicEvidence found = PanicEvidence.None;
            if (!inCrashKernel)
            {
                // What the first kernel reported is its crash kernel's business; only its own panic is news.
                found |= report is not null ? PanicEvidence.ErrorRecord : PanicEvidence.None;
                found |= (evidence.PvPanicEvents & TrapEvidence.PvPanicPanicked) != 0 ? PanicEvidence.PvPanic : PanicEvidence.None;
            }
            else if (panicInLog >= 0 && dumps.Count(dump => dump.Reason == KernelDumpReason.Panic) > 0)
            {
                found |= PanicEvidence.ErrorRecord;
            }

            if (panicInLog >= 0)
            {
                found |= PanicEvidence.KernelLog;
                found |= unreadableReport ? PanicEvidence.ErrorRecord : PanicEvidence.None;
            }

            if ((found & (PanicEvidence.ErrorRecord | PanicEvidence.PvPanic)) != 0)
            {
                return Crash(Ended ? TrapKind.KernelPanic : TrapKind.PanicWithoutReset, found, inCrashKernel);
            }

            if ((evidence.PvPanicEvents & TrapEvidence.PvPanicCrashLoaded) != 0 && exit.Kind == MachineExitKind.ReportWithoutReset)
            {
                return Verdict(TrapKind.CrashKernel, "the guest hands over to its own crash kernel, and is left to it");
            }

            if (found != PanicEvidence.None)
            {
                return Crash(Ended ? TrapKind.ResetWithoutReport : TrapKind.PanicWithoutReset, found, inCrashKernel);
            }

            return exit.Kind switch
            {
                MachineExitKind.Reset when exit.Reset == ResetCause.TripleFault && !restartAnnounced => Crash(TrapKind.TripleFault, found, inCrashKernel),
                MachineExitKind.Reset => Verdict(TrapKind.PlainReset, restartAnnounced ? "the kernel announced its restart" : "no sign of a panic"),
                MachineExitKind.PowerOff => Verdict(TrapKind.PowerOff, "switched off"),
                MachineExitKind.Halted => Verdict(TrapKind.Halted, "every CPU is halted for good, without a sign of a panic"),
                MachineExitKind.ReportWithoutReset => Verdict(TrapKind.None, "what was reported is no panic"),
                _ => Verdict(TrapKind.None, "stopped, without a sign of a panic"),
            };
        }

        private static List<ErstRecord> Parse(IReadOnlyList<ReadOnlyMemory<byte>> records)
        {
            var parsed = new List<ErstRecord>();
            int text = 0;
            for (int i = records.Count - 1; i >= 0 && parsed.Count < MaxErrorRecords && text < MaxReportText; i--)
            {
                if (ErstRecord.TryParse(records[i].Span, out ErstRecord? record, out _))
                {
                    parsed.Add(record);
                    text += record.Text.Length;
                }
            }

            parsed.Reverse();
            return parsed;
        }

        private bool CrashKernelAtWork()
        {
            if (running is not null && KernelWords.IsCrashKernel(log) is bool said)
            {
                return said;
            }

            // Nobody runs there but the crash kernel: the reservation is taken out of the first kernel's memory.
            foreach (LinuxKernel kernel in (running is null ? kernels : LinuxKernel.FindAll(view)).Take(MaxKernelsAsked))
            {
                if (kernel.Running || kernel.Log is not { } words || !KernelWords.TryFindCrashReservation(words.Records, out ulong start, out ulong length))
                {
                    continue;
                }

                if (running is not null)
                {
                    if (running.TryGetPhysicalStart(out ulong text) && text - start < length)
                    {
                        return true;
                    }
                }
                else if (view.Vcpus.Any(vcpu => !vcpu.Halted && ExecutesIn(vcpu, start, length)))
                {
                    return true;
                }
            }

            return false;
        }

        private bool ExecutesIn(VcpuState vcpu, ulong start, ulong length) =>
            PageWalker.TryTranslate(view, PagingRegisters.Of(vcpu), unchecked(vcpu.Segments[1].Base + vcpu.Rip), out PageTranslation at)
            && at.Physical - start < length;

        private TrapVerdict Verdict(TrapKind kind, string why, PanicEvidence found = PanicEvidence.None, CrashReport? crash = null) => new()
        {
            Kind = kind,
            Evidence = found,
            LogState = running is null ? KernelLogState.NotFound : running.Log is null ? KernelLogState.Unreadable : KernelLogState.Read,
            RestartAnnounced = restartAnnounced,
            Reset = exit.Kind == MachineExitKind.Reset ? exit.Reset : null,
            Summary = why,
            Report = crash,
        };

        private TrapVerdict Crash(TrapKind kind, PanicEvidence found, bool inCrashKernel)
        {
            KernelDump? dump = (found & PanicEvidence.ErrorRecord) != 0 ? report : null;
            int panicInDump = dump is null ? -1 : KernelWords.FindPanic(dump.Records);
            (IReadOnlyList<PrintkRecord> words, int panic) = panicInDump >= 0 ? (dump!.Records, panicInDump) : (log, panicInLog);
            string title = panic >= 0 ? KernelWords.FirstLine(words[panic].Text) : kind == TrapKind.TripleFault ? TripleFaultTitle() : KernelWords.Panic;
            int? cpu = panic >= 0 ? KernelWords.FindCpu(words, panic) : null;
            var crash = new CrashReport
            {
                Title = title,
                Fault = panic >= 0 ? KernelWords.FindFault(words, panic) : null,
                ReportText = dump?.ToText() ?? "",
                Log = running?.Log?.ToText() ?? "",
                Release = running?.Info.Release ?? KernelWords.FindRelease(words),
                BuildId = running?.Info.BuildId,
                KaslrOffset = running?.Info.KernelOffset,
                Cpu = cpu is int number && number < view.Vcpus.Count ? number : exit.Vcpu,
                Process = panic >= 0 ? KernelWords.FindProcess(words, panic) : null,
                VmCoreInfo = running?.Info is { IsReconstructed: false } info ? info : null,
                InCrashKernel = inCrashKernel,
            };
            return Verdict(kind, Describe(kind, found), found, crash);
        }

        private string TripleFaultTitle()
        {
            if (exit.Vcpu < 0 || exit.Vcpu >= view.Vcpus.Count)
            {
                return "Triple fault";
            }

            VcpuState vcpu = view.Vcpus[exit.Vcpu];
            return string.Create(CultureInfo.InvariantCulture, $"Triple fault at 0x{vcpu.Rip:x} (vCPU {exit.Vcpu})");
        }

        private string Describe(PanicEvidence found) => string.Join(", ", Words(found));

        private IEnumerable<string> Words(PanicEvidence found)
        {
            if ((found & PanicEvidence.ErrorRecord) != 0)
            {
                yield return report is null ? "an error record that cannot be read" : "an error record";
            }

            if ((found & PanicEvidence.PvPanic) != 0)
            {
                yield return "pvpanic";
            }

            yield return (found & PanicEvidence.KernelLog) != 0 ? "the kernel's log"
                : running is null ? "no kernel log was found" : running.Log is null ? "the kernel's log cannot be read" : "the kernel's log does not mention it";
        }

        private string Describe(TrapKind kind, PanicEvidence found) => kind switch
        {
            TrapKind.KernelPanic => $"kernel panic, then a reset ({Describe(found)})",
            TrapKind.PanicWithoutReset => $"kernel panic, and no reset {Waited()}({Describe(found)})",
            TrapKind.ResetWithoutReport => $"kernel panic without a report, then a reset ({Describe(found)})",
            _ => running is null ? "triple fault, and no running kernel was found" : "triple fault that no restart had announced",
        };

        private string Waited() => evidence.ReportInstant is ulong at && at <= exit.InstructionCount
            ? string.Create(CultureInfo.InvariantCulture, $"for {(exit.InstructionCount - at) / 1e9:F1} s ") : "";
    }
}
