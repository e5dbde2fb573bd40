using System.Diagnostics;
using System.Text.Json;
using Bench.Processes;

namespace Bench.Archives;

/// <summary>A `gdbstub run` whose events are heard with the time they came.</summary>
internal sealed class ProductRun : IDisposable
{
    private readonly Process process;
    private readonly long begin = Stopwatch.GetTimestamp();

    /// <summary>Starts it.</summary>
    public ProductRun(string program, GuestImage image, string store, params string[] options)
    {
        var start = new ProcessStartInfo(program,
        [
            "run", "--kernel", image.Kernel, "--initrd", image.Initrd!, "--append", image.CommandLine, "--memory", $"{image.MemoryMiB}M",
            "--console", "none", "--gdb", "none", "--json", "--store", store, .. options,
        ])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        process = Process.Start(start)!;
        process.ErrorDataReceived += (_, _) => { };
        process.BeginErrorReadLine();
    }

    /// <summary>CPU time of its process so far.</summary>
    public double CpuSeconds => ProcessFigures.Of(process.Id).CpuSeconds;

    /// <summary>The events until the end, each with the seconds since the start.</summary>
    public IEnumerable<(string Name, double Seconds, JsonElement Event)> Events()
    {
        while (process.StandardOutput.ReadLine() is { } line)
        {
            double seconds = Stopwatch.GetElapsedTime(begin).TotalSeconds;
            if (line.StartsWith('{'))
            {
                using JsonDocument document = JsonDocument.Parse(line);
                JsonElement happened = document.RootElement.Clone();
                yield return (happened.GetProperty("event").GetString()!, seconds, happened);
            }
        }
    }

    /// <summary>Asks it to end in good order.</summary>
    public void End()
    {
        using Process kill = Process.Start("kill", ["-TERM", $"{process.Id}"]);
        kill.WaitForExit();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (!process.HasExited)
        {
            process.Kill();
        }

        process.WaitForExit();
        process.Dispose();
    }
}
