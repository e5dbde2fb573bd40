namespace Snapshots.Tests.RealTools;

/// <summary>drgn, on an archive as it is.</summary>
internal static class DrgnTool
{
    /// <summary>Runs a Python script with `prog` opened on the archive and returns what it printed.</summary>
    public static async Task<string> RunAsync(string debugKernel, string archive, string script)
    {
        string program = GuestFiles.ProgramOrSkip("drgn", "python3-drgn");
        string file = Path.Combine(Path.GetTempPath(), $"drgn-{Guid.NewGuid():n}.py");
        await File.WriteAllTextAsync(file, script);
        try
        {
            (int exitCode, string output) = await Tool.RunAsync(program, "", "-q", "-c", archive, "-s", debugKernel, file);
            Assert.True(exitCode == 0, $"drgn ended with {exitCode}:\n{output}");
            return output;
        }
        finally
        {
            File.Delete(file);
        }
    }
}
