using System.Diagnostics;
using System.Globalization;
using Cli.Supervision;

namespace Cli.Running;

/// <summary>What a run cost the host, beside what the machine says it did. Both ends are on the machine's thread.</summary>
internal sealed class RunStatistics
{
    private readonly long begin = Stopwatch.GetTimestamp();
    private readonly double? threadBegin = ThreadSeconds();
    private readonly double startMilliseconds;

    private RunStatistics()
    {
        using Process process = Process.GetCurrentProcess();
        startMilliseconds = (DateTime.Now - process.StartTime).TotalMilliseconds;
    }

    /// <summary>The guest's first instruction is about to be executed.</summary>
    public static RunStatistics Begin() => new();

    /// <summary>The run is over.</summary>
    /// <param name="machine">The machine's own counters; "instructions executed" among them gives the speed.</param>
    public StatisticsEvent End(IReadOnlyList<(string Name, long Value)> machine)
    {
        double wall = Stopwatch.GetElapsedTime(begin).TotalSeconds;
        double busy = ThreadSeconds() - threadBegin ?? wall;
        using Process process = Process.GetCurrentProcess();
        List<Counter> counters = [.. machine.Select(counter => new Counter(counter.Name, counter.Value))];
        if (busy > 0 && machine.FirstOrDefault(counter => counter.Name == "instructions executed") is { Value: > 0 } executed)
        {
            counters.Add(new("million instructions a second of the machine's thread", executed.Value / busy / 1e6));
        }

        counters.Add(new("seconds of CPU time of the machine's thread", busy));
        counters.Add(new("seconds from the first instruction to the end", wall));
        counters.Add(new("milliseconds from the process's start to the first instruction (in steps of 10)", startMilliseconds));
        counters.Add(new("seconds of CPU time of the process", process.TotalProcessorTime.TotalSeconds));
        counters.Add(new("bytes of memory of the process at its most", process.PeakWorkingSet64));
        counters.Add(new("bytes allocated under garbage collection", GC.GetTotalAllocatedBytes()));
        counters.Add(new("garbage collections", GC.CollectionCount(0)));
        return new StatisticsEvent(counters);
    }

    // proc(5), /proc/pid/task/tid/schedstat: its first number is the nanoseconds spent on a CPU. Null where the kernel does not tell.
    private static double? ThreadSeconds()
    {
        try
        {
            return double.Parse(File.ReadAllText("/proc/thread-self/schedstat").Split(' ')[0], CultureInfo.InvariantCulture) / 1e9;
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException or FormatException)
        {
            return null;
        }
    }
}
