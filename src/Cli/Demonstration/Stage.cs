using System.ComponentModel;
using System.Diagnostics;
using Cli.Host;

namespace Cli.Demonstration;

/// <summary>
/// What the person sees: headings, the commands that are run as one would type them, and their real output, indented.
/// </summary>
internal sealed class Stage(TextWriter output)
{
    private const string Indent = "    ";
    private static readonly bool Colours = Terminal.IsTerminal(Terminal.StandardOutput) && Environment.GetEnvironmentVariable("NO_COLOR") is null;

    private readonly Lock gate = new();

    /// <summary>The part of the demonstration that begins.</summary>
    public void Heading(string text)
    {
        output.WriteLine();
        output.WriteLine(Colours ? $"\e[1;36m== {text}\e[0m" : $"== {text}");
        output.WriteLine();
    }

    /// <summary>A remark.</summary>
    public void Say(string text) => output.WriteLine(text);

    /// <summary>A command as it would be typed.</summary>
    public void Command(string name, IEnumerable<string> arguments)
    {
        string line = $"$ {string.Join(' ', arguments.Prepend(name).Select(Quote))}";
        output.WriteLine(Colours ? $"{Indent}\e[1m{line}\e[0m" : Indent + line);
    }

    /// <summary>A line of a command's output.</summary>
    public void Line(string text)
    {
        lock (gate)
        {
            output.WriteLine(Indent + Archives.ArchiveText.Printable(text.TrimEnd('\r')));
            output.Flush();
        }
    }

    /// <summary>Shows a command, runs it to its end, and shows what it prints; returns its exit code, null when there is no such program.</summary>
    public async Task<int?> RunAsync(string shownName, string file, IReadOnlyList<string> arguments)
    {
        Command(shownName, arguments);
        using Process? process = Start(file, arguments, Line);
        if (process is null)
        {
            return null;
        }

        await process.WaitForExitAsync();
        output.WriteLine();
        return process.ExitCode;
    }

    /// <summary>
    /// Starts a program with nothing typed and gives its output, errors included and in the order they came, to
    /// <paramref name="line"/>. Null when there is no such program.
    /// </summary>
    public static Process? Start(string file, IReadOnlyList<string> arguments, Action<string> line)
    {
        // The shell only joins the two outputs, which keeps their order, and becomes the program.
        var start = new ProcessStartInfo("/bin/sh") { RedirectStandardInput = true, RedirectStandardOutput = true };
        foreach (string argument in (string[])["-c", "command -v \"$0\" > /dev/null || exit 127; exec \"$0\" \"$@\" 2>&1", file, .. arguments])
        {
            start.ArgumentList.Add(argument);
        }

        try
        {
            Process process = Process.Start(start)!;
            process.StandardInput.Close();
            process.OutputDataReceived += (_, received) =>
            {
                if (received.Data is { } text)
                {
                    line(text);
                }
            };
            process.BeginOutputReadLine();
            return process;
        }
        catch (Win32Exception)
        {
            return null;
        }
    }

    private static string Quote(string word) =>
        word.Length > 0 && word.All(letter => char.IsLetterOrDigit(letter) || "-_./:=%@+,".Contains(letter, StringComparison.Ordinal)) ? word : $"'{word}'";
}
