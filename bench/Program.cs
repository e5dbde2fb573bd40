// What we claim about speed, measured. `boot` compares us with QEMU in one run, `freeze` measures the pause of a snapshot.
using Bench;

try
{
    return args switch
    {
        ["boot", .. var rest] => BootBenchmark.Run(Arguments.Parse(rest, "--guest", "--runs", "--timeout")),
        ["freeze", .. var rest] => FreezeBenchmark.Run(Arguments.Parse(rest, "--freezes", "--fill", "--directory")),
        ["stub", .. var rest] => StubBenchmark.Run(Arguments.Parse(rest, "--runs")),

        // Not for people: the process BootBenchmark starts for each run of ours.
        [BootChild.Command, var directory, var append] => BootChild.Run(directory, append),
        _ => throw new ArgumentException("usage: boot --guest DIR [--runs N] [--timeout S] | freeze [--freezes N] [--fill PERCENT] [--directory DIR] | stub [--runs N]"),
    };
}
catch (Exception e) when (e is ArgumentException or IOException or BenchmarkException)
{
    Console.Error.WriteLine($"bench: {e.Message}");
    return e is ArgumentException ? 2 : 1;
}
