using Cli.Supervision;

namespace Cli.Tests.Supervision;

/// <summary>Keeps what it hears.</summary>
internal sealed class FakeEvents : IRunEvents
{
    private readonly List<RunEvent> all = [];

    /// <summary>Everything so far.</summary>
    public List<RunEvent> All
    {
        get
        {
            lock (all)
            {
                return [.. all];
            }
        }
    }

    public void Report(RunEvent happened)
    {
        lock (all)
        {
            all.Add(happened);
            Monitor.PulseAll(all);
        }
    }

    public void ShowProgress(string title, Action<Action<double>> work) => work(_ => { });

    /// <summary>Waits for an event of a kind.</summary>
    public T WaitFor<T>()
        where T : RunEvent
    {
        lock (all)
        {
            while (true)
            {
                if (all.OfType<T>().FirstOrDefault() is { } found)
                {
                    return found;
                }

                Assert.True(Monitor.Wait(all, TimeSpan.FromSeconds(30)), $"no {typeof(T).Name}");
            }
        }
    }
}
