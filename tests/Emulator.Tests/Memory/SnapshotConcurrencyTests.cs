using Emulator.Memory;

namespace Emulator.Tests.Memory;

public class SnapshotConcurrencyTests
{
    private const ulong Pages = 4096;

    [Fact]
    public async Task A_reader_sees_the_frozen_bytes_while_the_writer_scribbles_over_everything()
    {
        using var memory = new GuestMemory(Pages * 4096);
        Fill(memory, 1);
        MemorySnapshot snapshot = memory.Freeze();
        using var started = new ManualResetEventSlim();
        using var stop = new CancellationTokenSource();
        Task<int> reader = Task.Run(() =>
        {
            int rounds = 0;
            do
            {
                for (ulong page = 0; page < Pages; page++)
                {
                    Assert.Equal(-1, Frozen(snapshot, page).IndexOfAnyExcept((byte)1));
                }

                rounds++;
                started.Set();
            }
            while (!stop.IsCancellationRequested);
            snapshot.Dispose();
            return rounds;
        });

        started.Wait(TestContext.Current.CancellationToken);
        for (byte value = 2; value < 12; value++)
        {
            Fill(memory, value);
        }

        await stop.CancelAsync();
        Assert.True(await reader >= 1);
        Assert.Equal((long)Pages, memory.AllocatedPages);
        for (ulong page = 0; page < Pages; page++)
        {
            Assert.Equal(-1, Writable(memory, page).IndexOfAnyExcept((byte)11));
        }
    }

    [Fact]
    public async Task Snapshots_released_on_other_threads_while_the_writer_copies_lose_and_leak_nothing()
    {
        using var memory = new GuestMemory(Pages * 4096);
        var queue = System.Threading.Channels.Channel.CreateBounded<(MemorySnapshot Snapshot, byte Value)>(6);
        Task[] releasers =
        [
            .. Enumerable.Range(0, 3).Select(_ => Task.Run(async () =>
            {
                await foreach ((MemorySnapshot snapshot, byte value) in queue.Reader.ReadAllAsync())
                {
                    for (ulong page = value; page < Pages; page += 61)
                    {
                        CheckUniform(snapshot, page);
                    }

                    snapshot.Dispose();
                }
            })),
        ];

        for (int round = 0; round < 400; round++)
        {
            for (ulong page = (ulong)(round % 7); page < Pages; page += 13)
            {
                Writable(memory, page).Fill((byte)round);
            }

            await queue.Writer.WriteAsync((memory.Freeze(), (byte)round), TestContext.Current.CancellationToken);
        }

        queue.Writer.Complete();
        await Task.WhenAll(releasers);
        long present = 0;
        for (ulong page = 0; page < Pages; page++)
        {
            present += memory.IsUntouched(page) ? 0 : 1;
        }

        Assert.Equal(present, memory.AllocatedPages);
    }

    // A page is always filled as a whole between two freezes: mixed bytes would be a torn copy or a recycled frame.
    private static void CheckUniform(MemorySnapshot snapshot, ulong page)
    {
        ReadOnlySpan<byte> bytes = Frozen(snapshot, page);
        Assert.Equal(-1, bytes.IndexOfAnyExcept(bytes[0]));
    }

    private static void Fill(GuestMemory memory, byte value)
    {
        for (ulong page = 0; page < Pages; page++)
        {
            Writable(memory, page).Fill(value);
        }
    }

    private static unsafe ReadOnlySpan<byte> Frozen(MemorySnapshot snapshot, ulong page) => new(snapshot.ReadPage(page), 4096);

    private static unsafe Span<byte> Writable(GuestMemory memory, ulong page) => new(memory.WritePage(page), 4096);
}
