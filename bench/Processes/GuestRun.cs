using System.Diagnostics;
using System.Text;

namespace Bench.Processes;

/// <summary>One run of a contender's process, from its start to its end.</summary>
internal sealed class GuestRun
{
    private const int LongestLine = 1000, TailCharacters = 600;

    /// <summary>Wall time of the whole process.</summary>
    public double Seconds { get; private set; }

    /// <summary>CPU time of the whole process.</summary>
    public double CpuSeconds { get; private set; }

    /// <summary>Instructions our machine counted from power-on to the end.</summary>
    public ulong? Instructions { get; private set; }

    /// <summary>In the order they came.</summary>
    public List<Mark> Marks { get; } = [];

    /// <summary>The serial console's text.</summary>
    public string Console { get; private set; } = "";

    /// <summary>The end of it.</summary>
    public string ConsoleTail => Tail(Console);

    /// <summary>What went wrong, in words; empty when nothing did.</summary>
    public string Problem { get; private set; } = "";

    /// <summary>
    /// Starts the process and stays until it ends. One that shows no mark, and does not end, for longer than
    /// <paramref name="patience"/> is ended, and that is then the <see cref="Problem"/>.
    /// </summary>
    public static GuestRun Of(Contender contender, GuestImage image, TimeSpan patience)
    {
        string console = Path.GetTempFileName();
        try
        {
            var run = new GuestRun();
            run.Execute(contender.Start(image, console), image.ExitCode, console, patience);
            return run;
        }
        finally
        {
            File.Delete(console);
        }
    }

    /// <summary>The marks of what began and ended, in pairs; what never ended has none.</summary>
    public IEnumerable<(Mark Begin, Mark End)> Pairs()
    {
        Mark? open = null;
        foreach (Mark mark in Marks)
        {
            if (mark.Begins)
            {
                open = mark;
            }
            else if (open is not null && mark.Name == open.Name)
            {
                yield return (open, mark);
                open = null;
            }
        }
    }

    private void Execute(ProcessStartInfo start, int exitCode, string console, TimeSpan patience)
    {
        start.RedirectStandardInput = start.RedirectStandardOutput = start.RedirectStandardError = true;
        double cpuBefore = ProcessFigures.CpuSecondsOfEndedChildren();
        long begin = Stopwatch.GetTimestamp();
        using Process process = Process.Start(start)!;
        Task<string> errors = process.StandardError.ReadToEndAsync();
        bool impatient = false;
        using (var deadline = new Timer(_ =>
        {
            impatient = true;
            process.Kill();
        }))
        {
            deadline.Change(patience, Timeout.InfiniteTimeSpan);
            ReadMarks(process, begin, () => deadline.Change(patience, Timeout.InfiniteTimeSpan));
            process.WaitForExit();
        }

        Seconds = Stopwatch.GetElapsedTime(begin).TotalSeconds;
        CpuSeconds = ProcessFigures.CpuSecondsOfEndedChildren() - cpuBefore;
        Console = Encoding.Latin1.GetString(File.ReadAllBytes(console));
        foreach (string line in errors.Result.Split('\n'))
        {
            if (line.StartsWith(MachineChild.CountMark, StringComparison.Ordinal))
            {
                Instructions = MachineFigures.Parse(line[MachineChild.CountMark.Length..].Trim())?.Instructions;
            }
        }

        string what = impatient ? $"gave no sign for {patience.TotalSeconds} s and was ended"
            : process.ExitCode != exitCode ? $"ended with code {process.ExitCode} instead of {exitCode}"
            : "";
        if (what != "")
        {
            Mark? last = Marks.LastOrDefault();
            string during = last is { Begins: true } ? $" in '{last.Name}'" : "";
            Problem = $"{what}{during}; last words: {ConsoleTail} {Tail(errors.Result)}".TrimEnd();
        }
    }

    private void ReadMarks(Process process, long begin, Action noticed)
    {
        Stream output = process.StandardOutput.BaseStream;
        byte[] bytes = new byte[4096];
        var line = new StringBuilder();
        while (true)
        {
            int got = output.Read(bytes);
            if (got == 0)
            {
                return;
            }

            // All bytes of one read came at the same time, as far as can be told.
            double seconds = Stopwatch.GetElapsedTime(begin).TotalSeconds;
            foreach (byte value in bytes.AsSpan(0, got))
            {
                if (value != '\n')
                {
                    if (line.Length < LongestLine)
                    {
                        line.Append((char)value);
                    }

                    continue;
                }

                // Figures are fetched for marks only: each fetch takes a moment of the host's time.
                string text = line.ToString().TrimEnd('\r');
                line.Clear();
                if (Mark.Parse(text, seconds, default) is { } mark)
                {
                    Marks.Add(mark with { Process = ProcessFigures.Of(process.Id) });
                    noticed();
                }
            }
        }
    }

    private static string Tail(string text)
    {
        string trimmed = text.TrimEnd();
        return trimmed.Length > TailCharacters ? "…" + trimmed[^TailCharacters..] : trimmed;
    }
}
