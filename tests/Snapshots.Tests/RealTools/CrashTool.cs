namespace Snapshots.Tests.RealTools;

/// <summary>The crash utility, on an archive as it is.</summary>
internal static class CrashTool
{
    /// <summary>Runs commands and returns everything crash said. Its own start-up takes seconds: put all commands into one run.</summary>
    public static async Task<string> RunAsync(string debugKernel, string archive, params string[] commands)
    {
        string program = GuestFiles.ProgramOrSkip("crash", "crash");
        string input = string.Concat(commands.Append("quit").Select(c => c + "\n"));

        // -s: no banner; without -x and with --no_scroll nothing waits for a key.
        (int exitCode, string output) = await Tool.RunAsync(program, input, "-s", "--no_scroll", debugKernel, archive);

        // On a busy host crash 8.0.2 now and then ends before its first command, without a word: no verdict on the file.
        for (int again = 0; again < 3 && exitCode == 1 && output.Length == 0; again++)
        {
            (exitCode, output) = await Tool.RunAsync(program, input, "-s", "--no_scroll", debugKernel, archive);
        }

        Assert.True(exitCode == 0, $"crash ended with {exitCode}:\n{output}");
        return output;
    }
}
