using System.Diagnostics;

namespace Cli.Tests.Program;

/// <summary>Runs the program as it was built, in a process of its own.</summary>
internal static class BuiltProgram
{
    /// <summary>Its file, beside the tests.</summary>
    public static string Path => System.IO.Path.Combine(AppContext.BaseDirectory, "Cli");

    /// <summary>Runs it with nothing typed; returns exit code, standard output and standard error.</summary>
    public static async Task<(int Code, string Output, string Error)> RunAsync(string arguments)
    {
        using Process process = Start(arguments);
        process.StandardInput.Close();
        Task<string> output = process.StandardOutput.ReadToEndAsync();
        Task<string> error = process.StandardError.ReadToEndAsync();
        await process.WaitForExitAsync(TestContext.Current.CancellationToken);
        return (process.ExitCode, await output, await error);
    }

    /// <summary>Starts it with pipes.</summary>
    public static Process Start(string arguments)
    {
        var start = new ProcessStartInfo(Path)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        foreach (string argument in arguments.Split(' ', StringSplitOptions.RemoveEmptyEntries))
        {
            start.ArgumentList.Add(argument);
        }

        return Process.Start(start)!;
    }
}

/// <summary>A directory for one test.</summary>
internal sealed class TemporaryDirectory : IDisposable
{
    /// <summary>Where it is.</summary>
    public string Path { get; } = Directory.CreateTempSubdirectory("gdbstub-test-").FullName;

    public void Dispose() => Directory.Delete(Path, recursive: true);
}
