using Emulator;
using Emulator.Memory;

namespace Snapshots.Tests;

public class SnapshotTests
{
    [Fact]
    public void Shares_live_on_their_own_and_the_last_one_gives_the_pages_back()
    {
        using GuestMemory memory = Samples.Memory(1 << 20);
        var first = new Snapshot(memory.Freeze(), Samples.State(), Samples.Info());
        Snapshot second = first.Share(Samples.Info("found out later"));
        memory.Clear();
        first.Dispose();
        first.Dispose();
        byte[] page = new byte[4096];

        Assert.Equal(4096, second.ReadPhysical(3 * 4096, page));
        Assert.Equal(Samples.Page(3), page);
        Assert.Equal("found out later", second.Info.Title);
        Assert.Throws<ObjectDisposedException>(() => first.ReadPhysical(0, page));
        Assert.Throws<ObjectDisposedException>(() => first.Share());
        Assert.True(memory.AllocatedPages > 0);
        second.Dispose();
        Assert.Equal(0, memory.AllocatedPages);
    }

    [Fact]
    public void What_it_says_of_itself_is_what_was_captured()
    {
        using Snapshot snapshot = Samples.Snapshot(cpus: 2, info: Samples.Info() with { CurrentVcpu = 1 });

        Assert.Equal(1, snapshot.CurrentVcpu);
        Assert.Equal(2, snapshot.Vcpus.Count);
        Assert.Equal(12_345_678_901_234UL, snapshot.InstructionCount);
        Assert.Equal(ResetCause.KeyboardController, snapshot.StopCause!.Value.Reset);
        Assert.True(snapshot.IsUntouched(0));
        Assert.False(snapshot.IsUntouched(4096)); // written with zeros
        Assert.False(snapshot.IsUntouched(0xA_0000)); // no RAM
    }
}
