using System.Globalization;
using System.Text;

namespace Emulator.Tests.HostCpu.Sequences;

/// <summary>
/// One engine against another, bit for bit at every boundary, over sequences no host could run for us: undefined flags
/// read, faults handled and tried again, code rewritten as it runs, breakpoints, watched memory, single steps, NMIs.
/// HOSTCPU_LOCKSTEP, HOSTCPU_SEED and HOSTCPU_FIRST choose how many sequences, of which seed, from which number on.
/// </summary>
public sealed class EngineTests
{
    private const int MaxReports = 6;

    private static int Sequences => Number("HOSTCPU_LOCKSTEP", 20_000);

    private static int First => Number("HOSTCPU_FIRST", 0);

    private static ulong Seed => ulong.Parse(Environment.GetEnvironmentVariable("HOSTCPU_SEED") ?? "20240229", CultureInfo.InvariantCulture);

    private static int Number(string variable, int otherwise) =>
        int.TryParse(Environment.GetEnvironmentVariable(variable), CultureInfo.InvariantCulture, out int number) ? number : otherwise;

    [Fact]
    public void Every_boundary_is_the_same_however_it_is_reached() => Compare((comparison, sequence) => comparison.Boundaries(sequence));

    [Fact]
    public void Breakpoints_and_watched_memory_stop_at_the_same_places() => Compare((comparison, sequence) => comparison.Stops(sequence));

    [Fact]
    public void Interruptions_and_the_guests_own_debugging_come_at_the_same_places() => Compare((comparison, sequence) => comparison.Interruptions(sequence));

    private static void Compare(Func<EngineComparison, Sequence, string?> compare)
    {
        var layout = new SequenceLayout(0x2000_0000);
        using var reference = new SequenceMachine(layout, Engines.Interpreter);
        using var candidate = new SequenceMachine(layout, Engines.Candidate);
        var comparison = new EngineComparison(layout, reference, candidate, SequenceGenerator.MakeData(Seed));
        var generator = new SequenceGenerator(layout, native: false);
        var sequence = new Sequence();
        var reports = new StringBuilder();
        int failures = 0;
        for (int i = First; i < First + Sequences && failures < MaxReports; i++)
        {
            generator.Generate(Seed, i, sequence);
            string? difference = compare(comparison, sequence);
            if (difference != null)
            {
                failures++;
                difference = SequenceReport.Minimise(sequence, candidateSequence => compare(comparison, candidateSequence), difference);
                reports.AppendLine(SequenceReport.Describe(sequence, layout, difference));
            }
        }

        TestContext.Current.SendDiagnosticMessage($"{Sequences} sequences, {comparison.Compared} states compared");
        Assert.True(failures == 0, $"{failures} sequences differ:\n{reports}");
        Assert.True(comparison.Compared >= Sequences);
    }
}
