using System.Globalization;

namespace Bench.Comparison;

/// <summary>What one contender was measured to need for one work, run by run.</summary>
internal sealed class Measurements
{
    private readonly List<double> seconds = [], cpuSeconds = [], rates = [];

    /// <summary>Whether there is anything.</summary>
    public bool Any => seconds.Count > 0;

    /// <summary>Wall time.</summary>
    public double Median => Report.Median(seconds);

    /// <summary>CPU time of the process.</summary>
    public double CpuMedian => Report.Median(cpuSeconds);

    /// <summary>Instructions a second, or null.</summary>
    public double? Rate => rates.Count > 0 ? Report.Median(rates) : null;

    /// <summary>The distance of the extremes, in the median's hundredths.</summary>
    public double SpreadPercent => (seconds.Max() - seconds.Min()) / Median * 100;

    /// <summary>Takes a run's figures.</summary>
    public void Add(double wall, double cpu, double? instructions)
    {
        seconds.Add(wall);
        cpuSeconds.Add(cpu);
        if (instructions is { } count)
        {
            rates.Add(count / wall);
        }
    }

    /// <summary>The seconds with two decimals, or a dash.</summary>
    public override string ToString() => Any ? Median.ToString("F2", CultureInfo.InvariantCulture) : "-";
}
