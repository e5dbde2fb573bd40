namespace Snapshots.Tests.RealTools;

/// <summary>The crash utility, on an archive as it is.</summary>
internal static class CrashTool
{
    /// <summary>Runs commands and returns everything crash said. Its own start-up takes seconds: put all commands into one run.</summary>
    public static async Task<string> RunAsync(string debugKernel, string archive, params string[] commands)
    {
        string program = GuestFiles.ProgramOrSkip("crash", "crash");
        using var directory = new TemporaryDirectory();
        await File.WriteAllLinesAsync(directory.File("commands"), commands.Append("quit"));

        // -s: no banner; without -x and with --no_scroll nothing waits for a key.
        (int exitCode, string output) = await Tool.RunAsync(
            program, "", "-s", "--no_scroll", "-i", directory.File("commands"), debugKernel, archive);
        Assert.True(exitCode == 0, $"crash ended with {exitCode}:\n{output}");
        return output;
    }
}
