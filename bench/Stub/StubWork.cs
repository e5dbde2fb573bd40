using System.Diagnostics;
using System.Text;

namespace Bench.Stub;

/// <summary>One thing that is measured.</summary>
/// <param name="Name">In options.</param>
/// <param name="Title">In the table, with its unit.</param>
/// <param name="Decimals">Of its figures.</param>
/// <param name="Measure">Measures a server once; true for ours.</param>
/// <param name="Must">What must be reached; null when it is only told.</param>
/// <param name="NeedsGdb">gdb does it.</param>
/// <param name="NeedsDebian">A real kernel is needed.</param>
internal sealed record StubWork(
    string Name, string Title, int Decimals, Func<StubWork.Context, IServer, bool, double> Measure, Target? Must, bool NeedsGdb = true, bool NeedsDebian = false)
{
    private const int ReadMost = 0x10000;

    /// <summary>All of them.</summary>
    public static readonly StubWork[] All =
    [
        new("round-trip", "m of 16 bytes, round trip, µs", 1, (_, server, _) => RoundTrip(server.Port), Target.NotSlower, NeedsGdb: false),
        new("read", "64 MiB by a raw client, MB/s", 0, (_, server, _) => Throughput(server.Port), Target.AtLeast(300), NeedsGdb: false),
        new("step", "raw single steps a second", 0, (_, server, ours) => Steps(server.Port, ours ? 50_000 : 4_000), Target.AtLeast(50_000), NeedsGdb: false),

        // gdb takes hexadecimal digits from each, one by one; what repeats we send as runs, and much of a guest's memory repeats.
        new("dump", "gdb dump of 64 MiB of a kernel, s", 2, (context, server, _) => Dump(context, server, SmallGuest.KernelAddress), Target.Fraction(3), NeedsDebian: true),
        new("dump-zeros", "gdb dump of 64 MiB of zeros, s", 2, (context, server, _) => Dump(context, server, SmallGuest.ZerosAddress), Target.Fraction(3)),
        new("dump-noise", "gdb dump of 64 MiB of noise, s", 2, (context, server, _) => Dump(context, server, SmallGuest.NoiseAddress), null),
        new("find", "gdb find over 64 MiB, no hit, s", 3, (context, server, _) => Find(context, server), Target.Fraction(100)),
        new("condition", "condition from gdb, false hits a second", 0, (context, server, ours) => FalseHits(context, server, ours ? 300_000 : 1_000), Target.Times(100)),
        new(
            "condition-kernel", "the same in a running Debian's read(2)", 0, (context, server, ours) => FalseHitsInDebian(context, server, ours ? 200_000 : 2_000),
            Target.Times(100), NeedsDebian: true),
        new("connect", "gdb to first registers and 16 instructions, s", 3, (context, server, _) => Look(context, server.Port), Target.NotSlower),
        new("connect-archive", "the same on an archive (QEMU: live), s", 3, (context, server, _) => Look(context, server.ArchivePort ?? server.Port), Target.NotSlower),
    ];

    /// <summary>What there is to measure with.</summary>
    internal sealed record Context(string Directory, Gdb Gdb, DebianFiles Debian, KernelMemory Kernel);

    private static double RoundTrip(int port)
    {
        using var client = new RawClient(port);
        byte[] packet = RawClient.Frame($"m{SmallGuest.LoopStart:x},10");
        List<double> times = [];
        for (int i = 0; i < 5000; i++)
        {
            long start = Stopwatch.GetTimestamp();
            client.Ask(packet);
            times.Add(Stopwatch.GetElapsedTime(start).TotalMicroseconds);
        }

        return Report.Median(times);
    }

    /// <summary>The middle one of sixteen slices: other work of the host's shows in some of them.</summary>
    private static double Throughput(int port)
    {
        const int slice = SmallGuest.MemoryBytes / 16;
        using var client = new RawClient(port);
        int piece = Math.Min(ReadMost, (client.PacketSize - 8) / 2);
        char letter = client.Binary ? 'x' : 'm';
        List<double> rates = [];
        for (int from = 0; from < SmallGuest.MemoryBytes; from += slice)
        {
            long start = Stopwatch.GetTimestamp();
            for (int done = 0; done < slice; done += piece)
            {
                int wanted = Math.Min(piece, slice - done);
                int length = client.Ask($"{letter}{SmallGuest.NoiseAddress + (ulong)(from + done):x},{wanted:x}");

                // Noise has hardly a run to be told shorter.
                if (length < wanted - (wanted / 1024))
                {
                    throw new BenchmarkException($"a read of memory came back with {length} bytes");
                }
            }

            rates.Add(slice / 1e6 / Stopwatch.GetElapsedTime(start).TotalSeconds);
        }

        return Report.Median(rates);
    }

    /// <summary>The same.</summary>
    private static double Steps(int port, int count)
    {
        const int slice = 500;
        using var client = new RawClient(port);
        client.Ask("?");
        byte[] packet = RawClient.Frame("s");
        List<double> rates = [];
        for (int done = 0; done < count; done += slice)
        {
            long start = Stopwatch.GetTimestamp();
            for (int i = 0; i < slice; i++)
            {
                client.Ask(packet);
            }

            rates.Add(slice / Stopwatch.GetElapsedTime(start).TotalSeconds);
        }

        return Report.Median(rates);
    }

    private static double Dump(Context context, IServer server, ulong from) =>
        context.Gdb.Last(server.Port, $"dump binary memory {Path.Combine(context.Directory, "dump")} 0x{from:x} 0x{from + SmallGuest.MemoryBytes:x}");

    private static double Find(Context context, IServer server) =>
        context.Gdb.Last(server.Port, $"find /b 0x{SmallGuest.NoiseAddress:x}, +0x{SmallGuest.MemoryBytes - 1:x}, 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16");

    private static double Look(Context context, int port) => context.Gdb.Whole(port, "info registers", "x/16i $pc");

    /// <summary>The last hit is the one at which the condition holds.</summary>
    private static double FalseHits(Context context, IServer server, int hits) => hits / context.Gdb.Last(
        server.Port, "set $rcx = 0", $"set $rip = 0x{SmallGuest.LoopStart:x}", $"break *0x{SmallGuest.Function:x} if $rcx == {hits}", "continue");

    /// <summary>A program in the guest reads five bytes, then often one, then seven: the condition holds at the first and at the last.</summary>
    private static double FalseHitsInDebian(Context context, IServer server, int hits)
    {
        const string copy = "dd if=/dev/zero of=/dev/null";
        string script = $"{copy} bs=5 count=1; {copy} bs=1 count={hits}; {copy} bs=7 count=1; poweroff -f";
        string commandLine = $"console=ttyS0 panic=-1 nokaslr gdbstub.sh={Convert.ToBase64String(Encoding.ASCII.GetBytes(script))}";
        return server.WithDebian(context.Debian, commandLine, port => hits / context.Gdb.Last(
            port, $"hbreak *0x{context.Kernel.Read:x} if $rdx == 5 || $rdx == 7", "continue", "continue"));
    }
}
