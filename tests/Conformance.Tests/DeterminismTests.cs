using Emulator;
using Emulator.Memory;
using Emulator.Time;

namespace Conformance.Tests;

/// <summary>Time is the instruction count: the same inputs make the same machine, whoever looked at it on the way.</summary>
public sealed class DeterminismTests(DebianRuns runs)
{
    [Theory]
    [InlineData(Engine.Translator, 100_000)]
    [InlineData(Engine.Translator, 997)]
    [InlineData(Engine.Translator, 50_000_000)]
    [InlineData(Engine.Interpreter, 100_000)]
    public void Boots_of_Debian_end_in_the_same_state(Engine engine, int slice)
    {
        DebianRuns.Panicked first = runs.Crash;
        using GuestRun second = GuestRun.Debian(engine: engine, slice: (ulong)slice);
        Assert.Equal(first.Exit, second.Run());
        Assert.Equal(first.Guest.Console, second.Console);
        Assert.Equal(first.Hash, StateHash.Of(second.Machine));
    }

    [Fact]
    public void A_guest_at_work_costs_no_allocation()
    {
        GuestRun run = runs.AtShell.Again();
        run.Machine.Input.Post(InputKind.Console, "while :; do x=$(echo a | cat); done\r"u8.ToArray());
        run.Machine.Run(1_000_000_000);
        long before = GC.GetAllocatedBytesForCurrentThread();
        run.Machine.Run(500_000_000);
        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
    }

    [Fact]
    public void A_boot_that_was_stopped_fifty_times_ends_in_the_same_state()
    {
        DebianRuns.Panicked undisturbed = runs.Crash;
        using GuestRun run = GuestRun.Debian();
        Machine machine = run.Machine;
        var stops = new Dictionary<MachineExitKind, int>();
        MachineExit exit = default;
        for (int i = 0; i < 75; i++)
        {
            exit = machine.Run(15_485_863 + ((ulong)i * 7919));
            Count(exit);
            switch (i % 5)
            {
                case 0: // single steps
                    for (int step = 0; step < 3; step++)
                    {
                        Count(machine.Run(1));
                    }

                    break;
                case 1: // a breakpoint where the guest just was: it may come back
                    machine.SetBreakpoints([machine.Vcpus[0].Rip, machine.Vcpus[0].Rip + 1]);
                    Count(machine.Run(999_983));
                    machine.SetBreakpoints([]);
                    break;
                case 2: // its stack watched
                    machine.SetWatchpoints([new Watchpoint(machine.Vcpus[0].Gpr[4] & ~0xFFFUL, 0x1000, WatchKind.Access)]);
                    Count(machine.Run(999_983));
                    Count(machine.Run(999_983));
                    machine.SetWatchpoints([]);
                    break;
                case 3: // a checkpoint, kept while the guest runs on
                    using (machine.Memory.Freeze())
                    {
                        Count(machine.Run(1_000_003));
                    }

                    break;
                default: // everything read, and put back as it is
                    byte[] page = new byte[GuestMemory.PageSize];
                    for (ulong address = 0; machine.ReadPhysical(address, page) == page.Length; address += 0x10_1000)
                    {
                        Assert.Equal(page.Length, machine.WritePhysical(address, page));
                    }

                    machine.SetVcpu(0, machine.Vcpus[0]);
                    break;
            }
        }

        Assert.True(stops.Values.Sum() >= 50);
        Assert.True(stops.GetValueOrDefault(MachineExitKind.Watchpoint) > 0);
        Assert.True(stops.GetValueOrDefault(MachineExitKind.Breakpoint) > 0);
        Assert.Equal(undisturbed.Exit, run.Run());
        Assert.Equal(undisturbed.Guest.Console, run.Console);
        Assert.Equal(undisturbed.Hash, StateHash.Of(machine));

        void Count(MachineExit stop)
        {
            Assert.Contains(stop.Kind, (MachineExitKind[])[MachineExitKind.Stepped, MachineExitKind.Breakpoint, MachineExitKind.Watchpoint]);
            stops[stop.Kind] = stops.GetValueOrDefault(stop.Kind) + 1;
        }
    }
}
