using Emulator;
using Emulator.Memory;

namespace Conformance.Tests;

/// <summary>A machine put back to where it was goes on as it did then.</summary>
public sealed class CheckpointTests(DebianRuns runs)
{
    [Fact]
    public void A_checkpoint_has_one_future_for_the_same_input()
    {
        (string Hash, string Console) one = Run(), other = Run();
        Assert.Equal(one.Console, other.Console);
        Assert.Equal(one.Hash, other.Hash);

        (string Hash, string Console) Run()
        {
            GuestRun run = runs.AtShell.Again();
            Assert.Equal(MachineExitKind.ReportWithoutReset, run.Type("cat /proc/interrupts; echo 0 > /proc/sys/kernel/panic; echo c > /proc/sysrq-trigger").Kind);
            return (StateHash.Of(run.Machine), run.Console);
        }
    }

    [Fact]
    public void A_machine_goes_on_from_a_checkpoint_as_it_did_without_going_back()
    {
        using GuestRun run = GuestRun.Debian();
        run.Machine.Run(600_000_007);
        MachineState state = run.Machine.Save();
        string before = StateHash.Of(run.Machine);
        using MemorySnapshot memory = run.Machine.Memory.Freeze();
        run.Machine.Run(200_000_003);
        string after = StateHash.Of(run.Machine);
        run.GoBack(state, memory);
        Assert.Equal(before, StateHash.Of(run.Machine));
        run.Machine.Run(200_000_003);
        Assert.Equal(after, StateHash.Of(run.Machine));
    }
}
