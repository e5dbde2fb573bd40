using System.Globalization;
using System.Text;
using Iced.Intel;

namespace Emulator.Tests.HostCpu;

/// <summary>
/// The host CPU as the oracle. HOSTCPU_INSTANCES and HOSTCPU_SEED choose how many instances by hand.
/// </summary>
public sealed class HostCpuTests
{
    private const int MaxReports = 40;

    private static int Instances => int.Parse(Environment.GetEnvironmentVariable("HOSTCPU_INSTANCES") ?? "200000", CultureInfo.InvariantCulture);

    private static ulong Seed => ulong.Parse(Environment.GetEnvironmentVariable("HOSTCPU_SEED") ?? "20240229", CultureInfo.InvariantCulture);

    [Fact]
    public void Thunks_leave_what_the_host_leaves()
    {
        using var host = new HostMachine();
        using var thunks = new ThunkExecutor(host.WindowAddress);
        Code[] codes = [.. OfferedCodes.All.Where(Cpu.Thunks.ThunkTables.IsOffered)];
        Assert.True(codes.Length > 500);
        Compare(host, thunks, codes, requireAll: true);
    }

    [Fact]
    public void Interpreter_leaves_what_the_host_leaves()
    {
        using var host = new HostMachine();
        using var interpreter = new InterpreterExecutor(host);
        Code[] codes = [.. OfferedCodes.All];
        Compare(host, interpreter, codes, requireAll: true);
    }

    [Fact]
    public void Every_offered_opcode_runs_on_the_host_and_gives_the_same_twice()
    {
        using var host = new HostMachine();
        Code[] codes = [.. OfferedCodes.All];
        Assert.True(codes.Length > 1000);
        Compare(host, host, codes, requireAll: true);
    }

    /// <summary>Runs instances of all codes in turn on both and reports up to forty opcodes that differ.</summary>
    internal static void Compare(HostMachine host, IInstructionExecutor executor, Code[] codes, bool requireAll)
    {
        var generator = new SampleGenerator(Seed, host);
        var sample = new Sample();
        byte[] expectedWindow = new byte[HostMachine.WindowSize];
        byte[] actualWindow = new byte[HostMachine.WindowSize];
        var reports = new StringBuilder();
        var failing = new Dictionary<Code, int>();
        for (int i = 0; i < Instances; i++)
        {
            Code code = codes[i % codes.Length];
            generator.Generate(code, sample);
            UserState expected = sample.State, actual = sample.State;
            sample.Window.CopyTo(expectedWindow, 0);
            sample.Window.CopyTo(actualWindow, 0);
            ExecutionOutcome outcome = executor.Execute(sample.Bytes, ref actual, actualWindow);
            if (outcome == ExecutionOutcome.NotCovered && !requireAll)
            {
                continue;
            }

            _ = host.Execute(sample.Bytes, ref expected, expectedWindow);
            string? difference = outcome == ExecutionOutcome.Retired
                ? Comparison.Difference(sample, expected, actual, expectedWindow, actualWindow, host.WindowAddress)
                : $"  {outcome}\n";
            if (difference != null)
            {
                int before = failing.GetValueOrDefault(code);
                failing[code] = before + 1;
                if (before == 0 && failing.Count <= MaxReports)
                {
                    reports.AppendLine(CultureInfo.InvariantCulture, $"#{i} {code}: {sample.Instruction} [{Convert.ToHexString(sample.Bytes)}]").Append(difference);
                }
            }
        }

        string summary = string.Join(", ", failing.Select(pair => $"{pair.Key} {pair.Value}"));
        Assert.True(failing.Count == 0, $"{failing.Count} of {codes.Length} opcodes differ: {summary}\n{reports}");
    }
}
