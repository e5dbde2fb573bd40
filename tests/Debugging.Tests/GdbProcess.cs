using System.Diagnostics;

namespace Debugging.Tests;

/// <summary>The system's own gdb, in batch mode.</summary>
internal static class GdbProcess
{
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(5);

    /// <summary>Skips the test where there is no gdb.</summary>
    public static void Require(string program = "gdb")
    {
        string? found = (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':').FirstOrDefault(directory => File.Exists(Path.Combine(directory, program)));
        if (found is null)
        {
            Assert.Skip($"{program} is not installed");
        }
    }

    /// <summary>Connects, runs the commands and returns everything gdb printed.</summary>
    public static Task<string> RunAsync(string target, params string[] commands)
    {
        IEnumerable<string> all = ["set pagination off", "set confirm off", $"target remote {target}", .. commands];
        return StartAsync("gdb", ["-nx", "-batch", .. all.SelectMany(command => new[] { "-ex", command })]);
    }

    /// <summary>Starts a program and returns what it printed; <paramref name="started"/> sees it while it runs.</summary>
    public static async Task<string> StartAsync(string program, IEnumerable<string> arguments, Func<Process, Task>? started = null)
    {
        var start = new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true, RedirectStandardInput = true };
        start.Environment["HOME"] = Path.GetTempPath();
        start.Environment["LC_ALL"] = "C";
        using Process process = Process.Start(start)!;
        process.StandardInput.Close();
        Task<string> output = process.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
        Task<string> errors = process.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
        using var limit = new CancellationTokenSource(Limit);
        try
        {
            if (started is not null)
            {
                await started(process);
            }

            await process.WaitForExitAsync(limit.Token);
        }
        catch (OperationCanceledException)
        {
            process.Kill();
            Assert.Fail($"{program} hung; so far it printed:\n{await output}\n{await errors}");
        }

        string text = await output + await errors;
        TestContext.Current.TestOutputHelper?.WriteLine(text);
        return text;
    }
}
