using System.Text;
using System.Text.Json;
using Cli.Archives;
using Cli.Consoles;
using Cli.Supervision;

namespace Cli.Running;

/// <summary>What happens to one of several machines: lines with its name in front, and with --json objects with it as their first member.</summary>
/// <param name="name">The machine's name.</param>
/// <param name="output">Standard output, shared with the others.</param>
/// <param name="error">Standard error, shared too.</param>
/// <param name="json">Objects as well.</param>
internal sealed class FleetReporter(string name, OutputBuffer output, TextWriter error, bool json) : IRunEvents
{
    /// <inheritdoc/>
    public void Report(RunEvent happened)
    {
        if (happened.Text is { } text)
        {
            output.Flush();
            Say(text);
        }

        if (json)
        {
            string members = JsonSerializer.Serialize(happened, RunEventJson.Default.RunEvent)[1..];
            string machine = JsonSerializer.Serialize(name, RunEventJson.Default.String);
            output.WriteLines(Encoding.UTF8.GetBytes($"{{\"machine\":{machine},{members}\n"));
        }
    }

    /// <summary>Lines for a person.</summary>
    public void Say(string text)
    {
        foreach (string line in text.Split('\n'))
        {
            // One call a line: the writer locks each.
            error.WriteLine($"{name} | {ArchiveText.Printable(line)}");
        }
    }

    /// <inheritdoc/>
    public void ShowProgress(string title, Action<Action<double>> work) => work(_ => { });
}
