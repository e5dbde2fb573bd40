using Emulator;
using Guests;
using Snapshots;
using Snapshots.Tests;

namespace Conformance.Tests;

/// <summary>What the guest writes after its reboot never shows in the archive of its crash.</summary>
public sealed class ScribbleTests
{
    private const ulong Memory = 64 << 20;

    [Fact]
    public async Task A_guest_that_overwrites_all_of_its_memory_while_the_archive_is_written_is_not_seen_in_it()
    {
        using var directory = new TemporaryDirectory();
        using GuestRun run = GuestRun.Of(GuestCatalog.Get("scribble"), Memory);
        MachineExit exit = run.Run();
        Assert.Equal(MachineExitKind.Reset, exit.Kind);
        byte[] frozen = Ram.Read(run.Machine);
        using var snapshot = new Snapshot(run.Machine.Memory.Freeze(), run.Machine.Save(), new CaptureInfo
        {
            Kind = CaptureKind.Panic,
            Title = "scribble",
            HostTime = DateTimeOffset.UnixEpoch,
            StopCause = exit,
        });

        // The writer is held at its first report until the guest has written everything, then goes on.
        using var begun = new ManualResetEventSlim();
        using var scribbled = new ManualResetEventSlim();
        var progress = new Held(begun, scribbled);
        string path = directory.File("scribble.kdump");
        Task write = Task.Run(() => ArchiveWriter.Write(path, "0123456789", snapshot, progress: progress), TestContext.Current.CancellationToken);
        begun.Wait(TestContext.Current.CancellationToken);
        run.Restart();
        Assert.Equal(MachineExitKind.Reset, run.Run().Kind);
        scribbled.Set();
        await write;

        byte[] now = new byte[4];
        run.Machine.ReadPhysical(0x200_0000, now);
        Assert.Equal([0x22, 0x22, 0x22, 0x22], now);
        using ArchiveReader archive = ArchiveReader.Open(path);
        archive.ReadPhysical(0x200_0000, now);
        Assert.Equal([0x11, 0x11, 0x11, 0x11], now);
        Assert.True(frozen.AsSpan().SequenceEqual(Ram.Read(archive)));
        Assert.False(frozen.AsSpan().SequenceEqual(Ram.Read(run.Machine)));
        Assert.Equal(exit, archive.StopCause);
        Assert.True(ArchiveVerifier.Verify(path, cancellation: TestContext.Current.CancellationToken).IsWhole);
    }

    private sealed class Held(ManualResetEventSlim begun, ManualResetEventSlim goOn) : IProgress<ArchiveProgress>
    {
        public void Report(ArchiveProgress value)
        {
            begun.Set();
            goOn.Wait();
        }
    }
}
