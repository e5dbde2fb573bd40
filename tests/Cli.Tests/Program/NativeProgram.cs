using System.Diagnostics;

namespace Cli.Tests.Program;

/// <summary>The native program as scripts/gdbstub builds it; built once, by the first test that wants it.</summary>
internal static class NativeProgram
{
    private static readonly Lazy<Task<string>> Built = new(BuildAsync);

    /// <summary>Its file. Skips the test where there is nothing to link it with.</summary>
    public static async Task<string> PathAsync()
    {
        string path = Environment.GetEnvironmentVariable("PATH") ?? "";
        Assert.SkipUnless(
            path.Split(':').Any(directory => File.Exists(Path.Combine(directory, "clang")) || File.Exists(Path.Combine(directory, "gcc"))),
            "there is no clang or gcc to link a native program with: scripts/install-tools native installs one");
        return await Built.Value;
    }

    private static async Task<string> BuildAsync()
    {
        string root = AppContext.BaseDirectory;
        while (!File.Exists(Path.Combine(root, "GdbStub.sln")))
        {
            root = Path.GetDirectoryName(root) ?? throw new InvalidOperationException("the tests do not lie in the source tree");
        }

        // Build and check in one: a native program that cannot be made is a failure here, not a reason for the ordinary one.
        var start = new ProcessStartInfo(Path.Combine(root, "scripts", "gdbstub"), ["--version"])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.Environment["GDBSTUB_BUILD"] = "native";
        using Process process = Process.Start(start)!;
        process.StandardInput.Close();
        Task<string> output = process.StandardOutput.ReadToEndAsync();
        string error = await process.StandardError.ReadToEndAsync();
        await process.WaitForExitAsync();
        Assert.True(process.ExitCode == 0, $"scripts/gdbstub ended with {process.ExitCode}: {error}{await output}");
        return Path.Combine(root, "src", "Cli", "bin", "published", "native", "program", "Cli");
    }
}
