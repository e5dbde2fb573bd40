using System.Diagnostics;
using System.Text.RegularExpressions;

namespace Cli.Demonstration;

/// <summary>Shows what a run prints, and knows from it when the machine is frozen and archived.</summary>
internal sealed partial class RunWatch(Stage stage)
{
    private readonly TaskCompletionSource frozen = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource archived = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>What gdb's <c>target remote</c> wants.</summary>
    public string? Remote { get; private set; }

    /// <summary>The archive's name.</summary>
    public string? ArchiveId { get; private set; }

    /// <summary>Takes a line the run printed.</summary>
    public void Line(string text)
    {
        stage.Line(text);
        if (ListeningLine().Match(text) is { Success: true } listening)
        {
            Remote = listening.Groups[1].Value.TrimEnd('\r');
        }
        else if (ArchivedLine().Match(text) is { Success: true } written)
        {
            ArchiveId = written.Groups[1].Value;
            archived.TrySetResult();
        }
        else if (text.StartsWith("gdbstub: the machine stays frozen", StringComparison.Ordinal))
        {
            frozen.TrySetResult();
        }
    }

    /// <summary>Waits until the machine is frozen and archived; an error when the run ends before.</summary>
    public async Task FrozenAndArchived(Process run)
    {
        Task ended = run.WaitForExitAsync();
        if (await Task.WhenAny(Task.WhenAll(frozen.Task, archived.Task), ended) == ended)
        {
            throw new UserError($"the run ended with exit code {run.ExitCode} and without a panic: its last lines say why");
        }
    }

    [GeneratedRegex("^gdb: target remote (.+)$")]
    private static partial Regex ListeningLine();

    [GeneratedRegex("^gdbstub: archived as ([0-9a-f]+) ")]
    private static partial Regex ArchivedLine();
}
