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
    public static async Task<T> ShowIfPossibleAsync<T>(string title, Func<Action<double>, Task<T>> work)
    {
        if (!IsPossible)
        {
            return await work(_ => { });
        }

        IAnsiConsole console = AnsiConsole.Create(new AnsiConsoleSettings { Out = new AnsiConsoleOutput(Console.Error) });
        return await console.Progress().AutoClear(true).HideCompleted(true).StartAsync(context =>
        {
            ProgressTask task = context.AddTask(Markup.Escape(title), maxValue: 1);
            return work(share => task.Value = share);
        });
    }

    /// <summary>The same for what is done on the spot.</summary>
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
