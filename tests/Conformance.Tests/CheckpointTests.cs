using Emulator;
using Emulator.Time;

namespace Conformance.Tests;

/// <summary>A machine made from a saved one goes on as that one would have.</summary>
public sealed class CheckpointTests(DebianRuns runs)
{
    [Fact]
    public void Two_machines_from_one_checkpoint_end_in_the_same_state()
    {
        (string Hash, string Console) one = Run(), other = Run();
        Assert.Equal(one, other);

        (string Hash, string Console) Run()
        {
            using GuestRun run = GuestRun.From(runs.AtShell.State, runs.AtShell.Memory);
            run.Machine.Input.Post(InputKind.Console, "cat /proc/interrupts; echo c > /proc/sysrq-trigger\r"u8);
            Assert.Equal(MachineExitKind.ReportWithoutReset, run.Run().Kind);
            return (StateHash.Of(run.Machine), run.Console);
        }
    }

    [Fact]
    public void A_machine_goes_on_from_a_checkpoint_as_the_one_it_was_taken_of()
    {
        using GuestRun original = GuestRun.Debian();
        original.Machine.Run(600_000_007);
        using Emulator.Memory.MemorySnapshot memory = original.Machine.Memory.Freeze();
        MachineState state = original.Machine.Save();
        using GuestRun copy = GuestRun.From(state, memory);
        Assert.Equal(StateHash.Of(original.Machine), StateHash.Of(copy.Machine));
        original.Machine.Run(200_000_003);
        copy.Machine.Run(200_000_003);
        Assert.Equal(StateHash.Of(original.Machine), StateHash.Of(copy.Machine));
    }
}
