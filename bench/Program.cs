// What we claim about speed and size, measured: see docs/benchmarks.md.
using Bench;
using Bench.Archives;
using Bench.Comparison;
using Bench.Processes;
using Bench.Stress;
using Bench.Stub;

try
{
    return args switch
    {
        ["engine", .. var rest] => EngineBenchmark.Run(Arguments.Parse(rest, EngineBenchmark.Options)),
        ["stress", .. var rest] => StressBenchmark.Run(Arguments.Parse(rest, StressBenchmark.Options)),
        ["memory", .. var rest] => MemoryBenchmark.Run(Arguments.Parse(rest, MemoryBenchmark.Options)),
        ["freeze", .. var rest] => FreezeBenchmark.Run(Arguments.Parse(rest, "--freezes", "--fill", "--directory")),
        ["stub", .. var rest] => StubBenchmark.Run(Arguments.Parse(rest, StubBenchmark.Options)),
        ["archive", .. var rest] => ArchiveBenchmark.Run(Arguments.Parse(rest, ArchiveBenchmark.Options)),
        ["turnover", .. var rest] => TurnoverBenchmark.Run(Arguments.Parse(rest, TurnoverBenchmark.Options)),
        // Not for people: the process that is started for each run of our machine.
        [MachineChild.Command, .. var rest] => MachineChild.Run(rest),
        _ => throw new ArgumentException("usage: engine | stress | memory | freeze | archive | turnover | stub, and options: see scripts/bench"),
    };
}
catch (Exception e) when (e is ArgumentException or IOException or BenchmarkException)
{
    Console.Error.WriteLine($"bench: {e.Message}");
    return e is ArgumentException ? 2 : 1;
}
