using Cli.Host;
using Spectre.Console;

namespace Cli;

/// <summary>A bar on standard error while something takes its time. Only for terminals.</summary>
internal static class ProgressBar
{
    /// <summary>True when there is a terminal to draw on.</summary>
    public static bool IsPossible => Terminal.IsTerminal(Terminal.StandardError);

    /// <summary>Draws while <paramref name="work"/> tells which share of it is done.</summary>
    public static void Show(string title, Action<Action<double>> work)
    {
        IAnsiConsole console = AnsiConsole.Create(new AnsiConsoleSettings { Out = new AnsiConsoleOutput(Console.Error) });
        console.Progress().AutoClear(true).HideCompleted(true).Start(context =>
        {
            ProgressTask task = context.AddTask(Markup.Escape(title), maxValue: 1);
            work(share => task.Value = share);
        });
    }

    /// <summary>Draws when there is a terminal, and only works when there is none.</summary>
    public static void ShowIfPossible(string title, Action<Action<double>> work)
    {
        if (IsPossible)
        {
            Show(title, work);
        }
        else
        {
            work(_ => { });
        }
    }
}
