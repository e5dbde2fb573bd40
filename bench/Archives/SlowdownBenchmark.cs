using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using Bench.Comparison;
using Bench.Processes;
using Emulator;
using Emulator.Boot;
using Emulator.Devices;
using Snapshots;

namespace Bench.Archives;

/// <summary>
/// How much a guest is slowed down while its crash is being archived: the second life of a machine after a panic, once with
/// the writer at work on the first life's memory and once without. Both execute the same instructions.
/// </summary>
internal static class SlowdownBenchmark
{
    private const ulong Slice = 10_000_000;
    private const double Limit = 1.1;

    /// <summary>Measures and prints; false when the guest is slowed down by a tenth or more.</summary>
    public static bool Measure(DebianGuest guest, int runs, string directory)
    {
        List<double> ratios = [], walls = [], shares = [];
        for (int run = 0; run < runs; run++)
        {
            Timing with = Time(guest.ThatPanics, directory, 0, out double seconds), without = Time(guest.ThatPanics, directory, with.Instructions, out _);
            ratios.Add(with.Busy / without.Busy);
            walls.Add(with.Wall / without.Wall);
            shares.Add(seconds);
        }

        double ratio = Report.Median(ratios);
        Console.WriteLine();
        Console.WriteLine($"  while an archive of 256 MiB is written ({Report.Number(Report.Median(shares), 2)} s) the restarted guest needs {Report.Number(ratio, 3)} times the CPU time for the same instructions ({string.Join(", ", ratios.Select(one => Report.Number(one, 3)))}), and {Report.Number(Report.Median(walls), 3)} times the wall time, which other work on the host is part of");
        Console.WriteLine($"  {(ratio < Limit ? "reached" : "MISSED ")}  slowed down by less than a tenth");
        return ratio < Limit;
    }

    private readonly record struct Timing(double Wall, double Busy, ulong Instructions);

    /// <summary>
    /// What the second life's first instructions take: as many as are executed while the archive is written, or
    /// with <paramref name="instructions"/> given as many, and nothing written.
    /// </summary>
    private static Timing Time(GuestImage image, string directory, ulong instructions, out double archived)
    {
        using var machine = new Machine(new MachineOptions { Memory = (ulong)image.MemoryMiB << 20, Engine = Engine.Translator, ErstStore = new ErstStore() });
        Boot(machine, image);
        while (machine.Run().Kind != MachineExitKind.Reset)
        {
        }

        using var snapshot = new Snapshot(machine.Memory.Freeze(), machine.Save(), new CaptureInfo { Kind = CaptureKind.Panic, Title = "benchmark", HostTime = DateTimeOffset.UtcNow });
        machine.Restart();
        Boot(machine, image);
        double written = 0;
        var writer = new Thread(() =>
        {
            // As the product's, it gives way to guests.
            _ = SetPriority(0, 0, 10);
            long begin = Stopwatch.GetTimestamp();
            string path = Store.Open(Path.Combine(directory, "slowdown")).Write(snapshot).Path;
            written = Stopwatch.GetElapsedTime(begin).TotalSeconds;
            File.Delete(path);
        });
        if (instructions == 0)
        {
            writer.Start();
        }

        ulong from = machine.InstructionCount;
        long start = Stopwatch.GetTimestamp();
        double busy = BusySeconds();
        do
        {
            machine.Run(Slice);
        }
        while (instructions == 0 ? writer.IsAlive : machine.InstructionCount - from < instructions);
        busy = BusySeconds() - busy;
        double wall = Stopwatch.GetElapsedTime(start).TotalSeconds;
        archived = written;
        return new Timing(wall, busy, machine.InstructionCount - from);
    }

    // proc(5), schedstat: its first number is the nanoseconds this thread spent on a CPU.
    private static double BusySeconds() => double.Parse(File.ReadAllText("/proc/thread-self/schedstat").Split(' ')[0], CultureInfo.InvariantCulture) / 1e9;

    [DllImport("libc", EntryPoint = "setpriority")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int SetPriority(int which, uint who, int priority);

    private static void Boot(Machine machine, GuestImage image) => machine.Boot(new BootRequest
    {
        Kernel = File.ReadAllBytes(image.Kernel),
        Initrd = File.ReadAllBytes(image.Initrd!),
        MemoryMap = [],
        CommandLine = image.CommandLine,
    });
}
