using System.Diagnostics;

namespace Conformance.Tests;

/// <summary>A gdb that is driven as VS Code drives it: by its machine interface, a line that is sent waiting for the line it causes.</summary>
internal sealed class MiSession : IAsyncDisposable
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(90);

    private readonly Process process;

    private MiSession(Process process) => this.process = process;

    /// <summary>Everything gdb has printed.</summary>
    public string Output { get; private set; } = "";

    public static MiSession Start()
    {
        var start = new ProcessStartInfo("gdb", ["-nx", "-q", "--interpreter=mi2"]) { RedirectStandardOutput = true, RedirectStandardInput = true };
        start.Environment["HOME"] = Path.GetTempPath();
        return new MiSession(Process.Start(start)!);
    }

    /// <summary>Sends a command and reads on to a line that has <paramref name="answer"/> in it, which is returned. An error instead fails the test.</summary>
    public async Task<string> SayAsync(string command, string answer)
    {
        using var limit = new CancellationTokenSource(Limit);
        await process.StandardInput.WriteLineAsync(command);
        await process.StandardInput.FlushAsync(limit.Token);
        while (true)
        {
            string? line = null;
            try
            {
                line = await process.StandardOutput.ReadLineAsync(limit.Token);
            }
            catch (OperationCanceledException)
            {
                // Told below, with what came before.
            }

            Assert.True(line is not null, $"no {answer} for {command} in:\n{Output}");
            Output += line + "\n";
            if (line.Contains(answer, StringComparison.Ordinal))
            {
                return line;
            }

            Assert.False(line.StartsWith("^error", StringComparison.Ordinal), $"{command}: {line}\n{Output}");
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (!process.HasExited)
        {
            process.Kill();
            await process.WaitForExitAsync();
        }

        process.Dispose();
    }
}
