using Emulator;
using GdbStub.Targets;

namespace Debugging;

/// <summary>Why a machine stands still, in a debugger's terms. vCPU n is thread n + 1.</summary>
internal static class StopReports
{
    /// <summary>
    /// The stop of a machine nobody was waiting for: what a debugger learns when it connects. A captured crash is an
    /// abort, live or archived; everything else a plain trap.
    /// </summary>
    /// <param name="cause">Why it stands still; null when that is not known.</param>
    /// <param name="currentVcpu">The vCPU to look at first.</param>
    /// <param name="panicVcpu">The one that panicked by the kernel's own word, where nobody else knows of a crash.</param>
    public static StopReport Standing(MachineExit? cause, int currentVcpu, int? panicVcpu = null) => cause?.Kind switch
    {
        MachineExitKind.Reset or MachineExitKind.ReportWithoutReset => new StopReport(currentVcpu + 1, StopReason.Signal, StopReport.Abort),
        null when panicVcpu is int vcpu => new StopReport(vcpu + 1, StopReason.Signal, StopReport.Abort),
        _ => new StopReport(currentVcpu + 1, StopReason.Signal, StopReport.Trap),
    };

    /// <summary>The stop that ends a resume.</summary>
    public static StopReport Ending(MachineExit exit, int currentVcpu, bool hardwareBreakpoint) => exit.Kind switch
    {
        MachineExitKind.Paused => new StopReport(exit.Vcpu + 1, StopReason.Signal, StopReport.Interrupt),
        MachineExitKind.Breakpoint => new StopReport(
            exit.Vcpu + 1, hardwareBreakpoint ? StopReason.HardwareBreakpoint : StopReason.SoftwareBreakpoint, StopReport.Trap),
        MachineExitKind.Watchpoint => new StopReport(
            exit.Vcpu + 1,
            exit.Watch switch
            {
                WatchKind.Write => StopReason.WriteWatchpoint,
                WatchKind.Read => StopReason.ReadWatchpoint,
                _ => StopReason.AccessWatchpoint,
            },
            StopReport.Trap, exit.WatchAddress),
        MachineExitKind.Stepped => new StopReport(exit.Vcpu + 1, StopReason.Signal, StopReport.Trap),
        _ => Standing(exit, currentVcpu),
    };
}
