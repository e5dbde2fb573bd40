using GuestOs;

namespace Cli.Tests.Supervision;

/// <summary>Verdicts as an analyzer would give them.</summary>
internal static class Verdicts
{
    public static TrapVerdict Of(TrapKind kind)
    {
        var verdict = new TrapVerdict
        {
            Kind = kind,
            Evidence = PanicEvidence.None,
            LogState = KernelLogState.NotFound,
            RestartAnnounced = false,
            Reset = null,
            Summary = kind.ToString(),
            Report = null,
        };
        return verdict.IsCrash
            ? verdict with { Report = new CrashReport { Title = "Kernel panic - not syncing: test", ReportText = "", Log = "", Cpu = 0 } }
            : verdict;
    }
}
