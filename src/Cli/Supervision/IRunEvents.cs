namespace Cli.Supervision;

/// <summary>Hears what happens in a run, from any thread.</summary>
internal interface IRunEvents
{
    /// <summary>Something happened.</summary>
    void Report(RunEvent happened);

    /// <summary>An archive is being written: draws the progress while <paramref name="work"/> tells it, where that makes sense.</summary>
    void ShowProgress(string title, Action<Action<double>> work);
}
