using CsCheck;
using Emulator.Memory;

namespace Emulator.Tests.Memory;

/// <summary>Random histories of writes, freezes, restores and releases against plain byte arrays.</summary>
public unsafe class GuestMemoryModelTests
{
    private const int Pages = 2100; // three leaves, the last one partly used
    private const int Histories = 300;

    // Few distinct pages, so that sharing and copying meet often; both ends of each leaf among them.
    private static readonly int[] Interesting = [0, 1, 2, 1022, 1023, 1024, 1025, 2047, 2048, 2099];

    private enum Kind
    {
        Write,
        Freeze,
        Restore,
        Release,
        Clear,
    }

    private readonly record struct Step(Kind Kind, int Page, int Offset, byte Value, int Snapshot);

    [Fact]
    public void Any_history_reads_as_the_model_says_in_the_present_and_in_every_snapshot()
    {
        Gen<int> page = Gen.Int[0, Interesting.Length - 1].Select(i => Interesting[i]);
        Gen<Kind> kind = Gen.Frequency(
            (20, Gen.Const(Kind.Write)), (4, Gen.Const(Kind.Freeze)), (2, Gen.Const(Kind.Restore)),
            (3, Gen.Const(Kind.Release)), (1, Gen.Const(Kind.Clear)));
        Gen<Step[]> history = Gen.Select(kind, page, Gen.Int[0, 4095], Gen.Byte, Gen.Int[0, 1000])
            .Select(t => new Step(t.Item1, t.Item2, t.Item3, t.Item4, t.Item5)).Array[1, 120];
        var random = new PCG(1, 20_240_607);
        for (int i = 0; i < Histories; i++)
        {
            Run(history.Generate(random, null, out _), i);
        }
    }

    private static void Run(Step[] steps, int number)
    {
        using var memory = new GuestMemory(Pages * 4096UL);
        var present = new Dictionary<int, byte[]>();
        List<(MemorySnapshot Snapshot, Dictionary<int, byte[]> Model)> snapshots = [];
        foreach (Step step in steps)
        {
            int chosen = snapshots.Count == 0 ? -1 : step.Snapshot % snapshots.Count;
            switch (step.Kind)
            {
                case Kind.Write:
                    memory.WritePage((ulong)step.Page)[step.Offset] = step.Value;
                    byte[] bytes = present.TryGetValue(step.Page, out byte[]? old) ? [.. old] : new byte[4096];
                    bytes[step.Offset] = step.Value;
                    present[step.Page] = bytes;
                    break;
                case Kind.Freeze:
                    snapshots.Add((memory.Freeze(), new(present)));
                    break;
                case Kind.Restore when chosen >= 0:
                    memory.Restore(snapshots[chosen].Snapshot);
                    present = new(snapshots[chosen].Model);
                    break;
                case Kind.Release when chosen >= 0:
                    snapshots[chosen].Snapshot.Dispose();
                    snapshots.RemoveAt(chosen);
                    break;
                case Kind.Clear:
                    memory.Clear();
                    present.Clear();
                    break;
            }
        }

        // The model shares arrays exactly where pages must be shared: what it costs is what the machine may cost.
        int distinct = snapshots.SelectMany(s => s.Model.Values).Concat(present.Values).Distinct(ReferenceEqualityComparer.Instance).Count();
        Assert.True(memory.AllocatedPages <= distinct, $"history {number}: {memory.AllocatedPages} pages, the model needs {distinct}");
        Compare(present, p => new(memory.ReadPage(p), 4096), memory.IsUntouched, number);
        foreach ((MemorySnapshot snapshot, Dictionary<int, byte[]> model) in snapshots)
        {
            Compare(model, p => new(snapshot.ReadPage(p), 4096), snapshot.IsUntouched, number);
            snapshot.Dispose();
        }

        Assert.Equal(present.Count, memory.AllocatedPages);
    }

    private delegate ReadOnlySpan<byte> Reader(ulong page);

    private static void Compare(Dictionary<int, byte[]> model, Reader read, Func<ulong, bool> untouched, int history)
    {
        byte[] zeros = new byte[4096];
        for (int page = 0; page < Pages; page++)
        {
            bool known = model.TryGetValue(page, out byte[]? expected);
            Assert.True(known != untouched((ulong)page), $"history {history}: page {page} untouched");
            Assert.True(read((ulong)page).SequenceEqual(expected ?? zeros), $"history {history}: page {page}");
        }
    }
}
