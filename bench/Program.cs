// What we claim about speed and size, measured: see docs/benchmarks.md.
using Bench;
using Bench.Comparison;
using Bench.Processes;

try
{
    return args switch
    {
        ["engine", .. var rest] => EngineBenchmark.Run(Arguments.Parse(rest, EngineBenchmark.Options)),
        ["freeze", .. var rest] => FreezeBenchmark.Run(Arguments.Parse(rest, "--freezes", "--fill", "--directory")),
        // Not for people: the process that is started for each run of our machine.
        [MachineChild.Command, .. var rest] => MachineChild.Run(rest),
        _ => throw new ArgumentException("usage: engine | freeze, and options: see scripts/bench"),
    };
}
catch (Exception e) when (e is ArgumentException or IOException or BenchmarkException)
{
    Console.Error.WriteLine($"bench: {e.Message}");
    return e is ArgumentException ? 2 : 1;
}
