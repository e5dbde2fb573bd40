using Cli.Supervision;
using Emulator;
using GuestOs;

namespace Cli.Tests.Supervision;

public sealed class TrapPolicyTests
{
    private const int NoLimit = -1;

    // What happened, what it was, the policy, --max-reboots, restarts so far: captured? and then?
    [Theory]
    [InlineData(MachineExitKind.Reset, TrapKind.KernelPanic, "freeze", NoLimit, 0, true, "Stay")]
    [InlineData(MachineExitKind.Reset, TrapKind.KernelPanic, "reboot", NoLimit, 0, true, "Restart")]
    [InlineData(MachineExitKind.Reset, TrapKind.KernelPanic, "reboot", NoLimit, 1000, true, "Restart")]
    [InlineData(MachineExitKind.Reset, TrapKind.KernelPanic, "exit", NoLimit, 0, true, "End")]
    [InlineData(MachineExitKind.Reset, TrapKind.KernelPanic, "reboot", 0, 0, true, "End!")]
    [InlineData(MachineExitKind.Reset, TrapKind.KernelPanic, "reboot", 2, 1, true, "Restart")]
    [InlineData(MachineExitKind.Reset, TrapKind.KernelPanic, "reboot", 2, 2, true, "End!")]
    [InlineData(MachineExitKind.Reset, TrapKind.KernelPanic, "freeze", 0, 0, true, "Stay")]
    [InlineData(MachineExitKind.Reset, TrapKind.ResetWithoutReport, "reboot", NoLimit, 0, true, "Restart")]
    [InlineData(MachineExitKind.Reset, TrapKind.TripleFault, "freeze", NoLimit, 0, true, "Stay")]
    [InlineData(MachineExitKind.Reset, TrapKind.TripleFault, "reboot", NoLimit, 0, true, "Restart")]
    [InlineData(MachineExitKind.ReportWithoutReset, TrapKind.PanicWithoutReset, "reboot", NoLimit, 0, true, "Restart")]
    [InlineData(MachineExitKind.ReportWithoutReset, TrapKind.PanicWithoutReset, "freeze", NoLimit, 0, true, "Stay")]
    [InlineData(MachineExitKind.Halted, TrapKind.PanicWithoutReset, "exit", NoLimit, 0, true, "End")]
    [InlineData(MachineExitKind.PowerOff, TrapKind.KernelPanic, "reboot", NoLimit, 0, true, "End")]
    [InlineData(MachineExitKind.PowerOff, TrapKind.KernelPanic, "freeze", NoLimit, 0, true, "Stay")]
    [InlineData(MachineExitKind.Reset, TrapKind.PlainReset, "freeze", NoLimit, 5, false, "Restart")]
    [InlineData(MachineExitKind.Reset, TrapKind.PlainReset, "exit", NoLimit, 0, false, "Restart")]
    [InlineData(MachineExitKind.Reset, TrapKind.PlainReset, "reboot", 0, 0, false, "End!")]
    [InlineData(MachineExitKind.Reset, TrapKind.PlainReset, "freeze", 1, 1, false, "End!")]
    [InlineData(MachineExitKind.Reset, TrapKind.CrashKernel, "freeze", NoLimit, 0, false, "Restart")]
    [InlineData(MachineExitKind.ReportWithoutReset, TrapKind.CrashKernel, "freeze", NoLimit, 0, false, "Run")]
    [InlineData(MachineExitKind.ReportWithoutReset, TrapKind.None, "freeze", NoLimit, 0, false, "Run")]
    [InlineData(MachineExitKind.PowerOff, TrapKind.PowerOff, "freeze", NoLimit, 0, false, "End")]
    [InlineData(MachineExitKind.Halted, TrapKind.Halted, "reboot", NoLimit, 0, false, "End")]
    [InlineData(MachineExitKind.ExitPort, TrapKind.ExitPort, "freeze", NoLimit, 0, false, "End")]
    public void Every_end_has_its_consequence(
        MachineExitKind kind, TrapKind was, string onPanic, int limit, int restarts, bool captured, string next)
    {
        var policy = new TrapPolicy(Enum.Parse<PanicAction>(onPanic, ignoreCase: true), limit == NoLimit ? null : (ulong)limit);
        PolicyDecision decision = policy.Decide(new MachineExit(kind, 0, 0), Verdicts.Of(was), (ulong)restarts);
        Assert.Equal(new PolicyDecision(captured, Enum.Parse<NextStep>(next.TrimEnd('!')), next.EndsWith('!')), decision);
    }
}
