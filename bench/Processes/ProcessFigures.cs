using System.Globalization;

namespace Bench.Processes;

/// <summary>What the host knows of a process: proc(5).</summary>
/// <param name="CpuSeconds">CPU time of all its threads, in steps of 10 ms.</param>
/// <param name="ResidentBytes">Memory that is resident now.</param>
/// <param name="PeakBytes">The most that ever was, or 0 where the host does not say.</param>
internal readonly record struct ProcessFigures(double CpuSeconds, long ResidentBytes, long PeakBytes)
{
    /// <summary>All zero when the process is gone.</summary>
    public static ProcessFigures Of(int process)
    {
        try
        {
            long resident = 0, peak = 0;
            foreach (string line in File.ReadLines($"/proc/{process}/status"))
            {
                if (line.StartsWith("VmRSS:", StringComparison.Ordinal))
                {
                    resident = KibibytesOf(line);
                }
                else if (line.StartsWith("VmHWM:", StringComparison.Ordinal))
                {
                    peak = KibibytesOf(line);
                }
            }

            return new ProcessFigures(CpuSecondsIn($"/proc/{process}/stat", 11), resident, peak);
        }
        catch (IOException)
        {
            return default;
        }
    }

    /// <summary>CPU time of all children that were waited for.</summary>
    public static double CpuSecondsOfEndedChildren() => CpuSecondsIn("/proc/self/stat", 13);

    // Times in hundredths of a second: utime and stime are fields 14 and 15, those of the children 16 and 17. Counted from
    // behind the program's name, field 2, which may hold spaces.
    private static double CpuSecondsIn(string path, int field)
    {
        string text = File.ReadAllText(path);
        string[] fields = text[(text.LastIndexOf(')') + 2)..].Split(' ');
        return (double.Parse(fields[field], CultureInfo.InvariantCulture) + double.Parse(fields[field + 1], CultureInfo.InvariantCulture)) / 100;
    }

    private static long KibibytesOf(string line) =>
        long.Parse(line.Split((char[])[' ', '\t'], StringSplitOptions.RemoveEmptyEntries)[^2], CultureInfo.InvariantCulture) << 10;
}
