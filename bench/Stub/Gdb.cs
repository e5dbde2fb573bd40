using System.Diagnostics;
using System.Globalization;
using System.Text.RegularExpressions;

namespace Bench.Stub;

/// <summary>The gdb that is measured with, which times single commands of its own by its Python.</summary>
internal sealed partial class Gdb
{
    private const string Clock =
        "python\nimport time\ndef timed(command):\n  start = time.monotonic()\n  gdb.execute(command, to_string=True)\n  print(\"seconds\", time.monotonic() - start)\n";

    private readonly string program;
    private readonly string clock;

    private Gdb(string program, string version, string directory)
    {
        this.program = program;
        Version = version;
        clock = Path.Combine(directory, "clock.gdb");
        File.WriteAllText(clock, Clock + "end\n");
    }

    /// <summary>What it says of itself.</summary>
    public string Version { get; }

    /// <summary>The program of that name; null when it cannot be started. Its script is written into the directory.</summary>
    public static Gdb? Find(string program, string directory)
    {
        try
        {
            using Process process = Process.Start(new ProcessStartInfo(program, ["--version"]) { RedirectStandardOutput = true })!;
            string version = process.StandardOutput.ReadToEnd().Split('\n')[0];
            process.WaitForExit();
            return process.ExitCode == 0 ? new Gdb(program, version, directory) : null;
        }
        catch (System.ComponentModel.Win32Exception)
        {
            return null;
        }
    }

    /// <summary>Seconds from gdb's start to its end.</summary>
    public double Whole(int port, params IEnumerable<string> commands)
    {
        long start = Stopwatch.GetTimestamp();
        Run(port, commands);
        return Stopwatch.GetElapsedTime(start).TotalSeconds;
    }

    /// <summary>Seconds that gdb takes over the last of some commands.</summary>
    public double Last(int port, params IReadOnlyList<string> commands)
    {
        string output = Run(port, [$"source {clock}", .. commands.SkipLast(1), $"python timed('{commands[^1]}')"]);
        Match time = Seconds().Match(output);
        return time.Success ? double.Parse(time.Groups[1].Value, CultureInfo.InvariantCulture) : throw new BenchmarkException($"gdb failed at {commands[^1]}: {output}");
    }

    [GeneratedRegex("^seconds ([0-9.e-]+)$", RegexOptions.Multiline)]
    private static partial Regex Seconds();

    private string Run(int port, IEnumerable<string> commands)
    {
        IEnumerable<string> all = ["set pagination off", "set confirm off", "set remotetimeout 300", $"target remote 127.0.0.1:{port}", .. commands];
        using Process gdb = Process.Start(new ProcessStartInfo(program, ["-nx", "-batch", .. all.SelectMany(command => new[] { "-ex", command })])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        })!;
        Task<string> errors = gdb.StandardError.ReadToEndAsync();
        string output = gdb.StandardOutput.ReadToEnd();
        gdb.WaitForExit();
        return errors.Result.Contains("Remote connection closed", StringComparison.Ordinal) || output.Length == 0
            ? throw new BenchmarkException($"gdb failed: {output}{errors.Result}")
            : output + errors.Result;
    }
}
