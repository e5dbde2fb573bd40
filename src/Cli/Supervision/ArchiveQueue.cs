using System.Diagnostics;
using Cli.Host;

namespace Cli.Supervision;

/// <summary>
/// Writes captures in the background, one after the other, and never lets go of one that is not written: what failed
/// (a full disk) is tried again until it succeeds, and once more when the run ends.
/// </summary>
internal sealed class ArchiveQueue
{
    /// <summary>Captures that may wait; each keeps up to a guest's whole RAM.</summary>
    public const int MaximumWaiting = 2;

    private readonly object gate = new();
    private readonly IArchiver archiver;
    private readonly IRunEvents events;
    private readonly TimeSpan retryAfter;
    private readonly Queue<ICapture> waiting = new();
    private readonly Thread writer;
    private CancellationTokenSource? shrinking;
    private bool finishing;
    private string? lastFailure;

    /// <summary>Writes with <paramref name="archiver"/>; tries again <paramref name="retryAfter"/> a failure.</summary>
    /// <param name="archiver">The archiver.</param>
    /// <param name="events">Hears of it.</param>
    /// <param name="retryAfter">How long to wait after a failure.</param>
    /// <param name="giveWay">Guests run meanwhile, and go before the writer.</param>
    public ArchiveQueue(IArchiver archiver, IRunEvents events, TimeSpan retryAfter, bool giveWay = false)
    {
        this.archiver = archiver;
        this.events = events;
        this.retryAfter = retryAfter;
        writer = new Thread(() => Work(giveWay)) { Name = "archive writer", IsBackground = true };
        writer.Start();
    }

    /// <summary>Raised, on the writer's thread, when <see cref="IsIdle"/> may have changed.</summary>
    public Action? Changed { get; set; }

    /// <summary>Archives written.</summary>
    public int Written { get; private set; }

    /// <summary>True when every capture is written.</summary>
    public bool IsIdle
    {
        get
        {
            lock (gate)
            {
                return waiting.Count == 0;
            }
        }
    }

    /// <summary>Takes over a capture; waits while too many are waiting, or until <paramref name="giveUp"/>.</summary>
    public void Add(ICapture capture, CancellationToken giveUp)
    {
        using CancellationTokenRegistration wake = giveUp.Register(Wake);
        lock (gate)
        {
            while (waiting.Count >= MaximumWaiting && !giveUp.IsCancellationRequested)
            {
                Monitor.Wait(gate);
            }

            waiting.Enqueue(capture);

            // A crash that is not on the disk goes before one that could be smaller.
            shrinking?.Cancel();
            Monitor.PulseAll(gate);
        }
    }

    /// <summary>
    /// Writes what waits, trying each once more. Returns false when something could not be written, or when
    /// <paramref name="giveUp"/> came first.
    /// </summary>
    public bool Finish(CancellationToken giveUp)
    {
        using CancellationTokenRegistration wake = giveUp.Register(Wake);
        lock (gate)
        {
            finishing = true;
            Monitor.PulseAll(gate);
            while (finishing && !giveUp.IsCancellationRequested)
            {
                Monitor.Wait(gate);
            }

            return waiting.Count == 0;
        }
    }

    private void Wake()
    {
        lock (gate)
        {
            Monitor.PulseAll(gate);
        }
    }

    private void Work(bool giveWay)
    {
        if (giveWay)
        {
            HostThread.GiveWay();
        }

        while (TakeNext(out bool lastTry) is { } capture)
        {
            ArchivedCrash? written = TryWrite(capture);
            lock (gate)
            {
                if (written is not null)
                {
                    waiting.Dequeue();
                    Written++;
                    lastFailure = null;
                    capture.Dispose();
                }
                else if (lastTry)
                {
                    finishing = false;
                    Monitor.PulseAll(gate);
                    return;
                }
                else if (!finishing)
                {
                    Monitor.Wait(gate, retryAfter);
                }

                Monitor.PulseAll(gate);
            }

            Changed?.Invoke();
            if (written is not null)
            {
                Shrink(written);
            }
        }
    }

    // A try that began before the end was asked for is not the last one.
    private ICapture? TakeNext(out bool lastTry)
    {
        lock (gate)
        {
            while (waiting.Count == 0)
            {
                if (finishing)
                {
                    finishing = false;
                    Monitor.PulseAll(gate);
                    lastTry = true;
                    return null;
                }

                Monitor.Wait(gate);
            }

            lastTry = finishing;
            return waiting.Peek();
        }
    }

    private ArchivedCrash? TryWrite(ICapture capture)
    {
        long begin = Stopwatch.GetTimestamp();
        ArchivedCrash? archived = null;
        try
        {
            events.ShowProgress(capture.Title, progress => archived = archiver.Archive(capture, progress));
            events.Report(new ArchivedEvent(
                archived!.Id, archived.Path, archived.Bytes, Stopwatch.GetElapsedTime(begin).TotalSeconds, archived.Title, archived.Count));
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            if (failure.Message != lastFailure)
            {
                lastFailure = failure.Message;
                events.Report(new ArchiveFailedEvent(
                    $"the archive could not be written ({failure.Message}): free some space or make the store writable; it is tried again every {retryAfter.TotalSeconds:F0} s, and the machine is kept in memory until then"));
            }

            return null;
        }

        Prune();
        return archived;
    }

    private void Shrink(ArchivedCrash archived)
    {
        using var cancellation = new CancellationTokenSource();
        lock (gate)
        {
            if (waiting.Count > 0)
            {
                return;
            }

            shrinking = cancellation;
        }

        try
        {
            if (archiver.Shrink(archived, cancellation.Token) is { } bytes)
            {
                events.Report(new ShrunkEvent(archived.Id, bytes));
            }
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException or OperationCanceledException)
        {
            // It stays as large as it is.
        }
        finally
        {
            lock (gate)
            {
                shrinking = null;
            }
        }
    }

    // What is not removed now is removed after the next crash: no reason to write this one again.
    private void Prune()
    {
        try
        {
            foreach ((string id, string title) in archiver.Prune())
            {
                events.Report(new PrunedEvent(id, title));
            }
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            events.Report(new PruneFailedEvent(failure.Message));
        }
    }
}
