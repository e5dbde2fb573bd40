using System.CommandLine;
using System.ComponentModel;
using System.Diagnostics;
using Cli.Host;

namespace Cli;

/// <summary>Shows long text on a terminal page by page, as git and systemd's tools do: $PAGER, else less; as it is anywhere else.</summary>
internal static class Pager
{
    /// <summary>--no-pager.</summary>
    public static Option<bool> Option() => new("--no-pager") { Description = "On a terminal, all at once instead of through $PAGER (less)" };

    /// <summary>Writes to standard output, through a pager where that makes sense.</summary>
    public static void Show(string text, bool never)
    {
        if (never || !Terminal.IsTerminal(Terminal.StandardOutput) || !Terminal.IsTerminal(Terminal.StandardInput) || !TryPage(text))
        {
            Console.Out.Write(text);
        }
    }

    private static bool TryPage(string text)
    {
        string pager = Environment.GetEnvironmentVariable("PAGER") ?? "less";
        if (pager is "" or "cat")
        {
            return false;
        }

        var start = new ProcessStartInfo("/bin/sh", ["-c", pager]) { UseShellExecute = false, RedirectStandardInput = true };

        // What git and systemd give it: short text is just printed, long lines are cut, the screen stays.
        start.Environment.TryAdd("LESS", "FRSX");
        try
        {
            using Process process = Process.Start(start)!;
            using var signals = new SignalWatch(_ => { });
            try
            {
                process.StandardInput.Write(text);
                process.StandardInput.Close();
            }
            catch (IOException)
            {
                // Left before the end.
            }

            process.WaitForExit();
            return process.ExitCode != 127;
        }
        catch (Win32Exception)
        {
            return false;
        }
    }
}
