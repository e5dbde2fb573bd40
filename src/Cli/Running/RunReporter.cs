using System.Text;
using System.Text.Json;
using Cli.Consoles;
using Cli.Supervision;

namespace Cli.Running;

/// <summary>
/// Tells the owner of a run what happens: lines on standard error, and with --json objects on standard output. Progress is
/// drawn on a terminal that nobody else draws on, and nowhere else.
/// </summary>
/// <param name="output">Standard output, which the guest's console may share.</param>
/// <param name="error">Standard error.</param>
/// <param name="json">Objects as well.</param>
/// <param name="drawProgress">Standard error is a terminal, and the guest does not print there.</param>
internal sealed class RunReporter(OutputBuffer output, TextWriter error, bool json, bool drawProgress) : IRunEvents
{
    private readonly Lock gate = new();

    /// <inheritdoc/>
    public void Report(RunEvent happened)
    {
        lock (gate)
        {
            // What the guest printed before belongs before it.
            output.Flush();
            if (happened.Text is { } text)
            {
                error.WriteLine(text);
                error.Flush();
            }

            if (json)
            {
                output.WriteLines(Encoding.UTF8.GetBytes(JsonSerializer.Serialize(happened, RunEventJson.Default.RunEvent) + "\n"));
            }
        }
    }

    /// <inheritdoc/>
    public void ShowProgress(string title, Action<Action<double>> work)
    {
        if (drawProgress)
        {
            ProgressBar.Show("archiving", work);
        }
        else
        {
            work(_ => { });
        }
    }
}
