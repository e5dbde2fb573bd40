using System.Globalization;
using System.Text;

namespace Emulator.Tests.HostCpu.Sequences;

/// <summary>
/// The host CPU as the oracle for sequences of instructions. HOSTCPU_SEQUENCES, HOSTCPU_SEED and HOSTCPU_FIRST choose how
/// many, of which seed, and the number of the first.
/// </summary>
public sealed class SequenceTests
{
    private const int MaxReports = 8;

    private static int Sequences => Number("HOSTCPU_SEQUENCES", 1_000_000);

    private static int First => Number("HOSTCPU_FIRST", 0);

    /// <summary>A file that shows the sequence being run, should the host not survive one.</summary>
    private static string? Trace => Environment.GetEnvironmentVariable("HOSTCPU_TRACE");

    private static ulong Seed => ulong.Parse(Environment.GetEnvironmentVariable("HOSTCPU_SEED") ?? "20240229", CultureInfo.InvariantCulture);

    private static int Number(string variable, int otherwise) =>
        int.TryParse(Environment.GetEnvironmentVariable(variable), CultureInfo.InvariantCulture, out int number) ? number : otherwise;

    [Theory]
    [MemberData(nameof(Engines.Names), MemberType = typeof(Engines))]
    public void Sequences_leave_what_the_host_leaves(string engine)
    {
        using var host = new NativeRunner();
        using var guest = new SequenceMachine(host.Layout, Engines.ByName(engine));
        byte[][] data = SequenceGenerator.MakeData(Seed);
        data[0].AsSpan(0, SequenceLayout.PageSize).CopyTo(host.Page(host.Layout.ReadOnly));
        data[0].AsSpan(0, SequenceLayout.PageSize).CopyTo(guest.Page(host.Layout.ReadOnly));
        var comparison = new NativeComparison(host, guest, data);
        var generator = new SequenceGenerator(host.Layout, native: true);
        var sequence = new Sequence();
        var reports = new StringBuilder();
        int failures = 0;
        long instructions = 0;
        for (int i = First; i < First + Sequences && failures < MaxReports; i++)
        {
            generator.Generate(Seed, i, sequence);
            instructions += sequence.Items.Count;
            if (Trace != null)
            {
                File.WriteAllText(Trace, SequenceReport.Describe(sequence, host.Layout, ""));
            }

            string? difference = comparison.Compare(sequence);
            if (difference != null)
            {
                failures++;
                difference = SequenceReport.Minimise(sequence, comparison.Compare, difference);
                reports.AppendLine(SequenceReport.Describe(sequence, host.Layout, difference));
            }
        }

        Assert.True(failures == 0, $"{failures} sequences differ:\n{reports}");
        TestContext.Current.SendDiagnosticMessage($"{Sequences} sequences, {instructions} instructions, {comparison.Faults} faults");

        // The generator must go on making what this test is for.
        Assert.True(instructions > 6L * Sequences, $"only {instructions} instructions in {Sequences} sequences");
        Assert.True(comparison.Faults > Sequences / 40, $"only {comparison.Faults} faults in {Sequences} sequences");
    }
}
