using GdbStub.Targets;

namespace GdbStub.Sessions;

/// <summary>
/// Non-stop mode: resumes are answered OK at once, stops are notifications, one at a time, and the client fetches those
/// that came meanwhile with vStopped. A target stops as a whole, so one stop is told for each thread that was running.
/// Source: "Remote Non-Stop" and "Notification Packets" in gdb's manual.
/// </summary>
public sealed partial class GdbSession
{
    private readonly List<(Attachment Source, StopReport Report)> notices = [];
    private bool nonStop;
    private bool noticed;

    /// <summary>True in non-stop mode.</summary>
    internal bool NonStop => nonStop;

    /// <summary>Chooses the mode; only while everything stands still.</summary>
    internal TargetError? SetNonStop(bool on)
    {
        if (attached.Any(one => one.Running))
        {
            return new TargetError(TargetError.NotPermitted, "a process is running; stop it first");
        }

        nonStop = on;
        notices.Clear();
        noticed = false;
        return null;
    }

    /// <summary>vCont in non-stop mode: each process by itself. Orders for threads already running go to them when they were stopped for it.</summary>
    internal void ResumeNonStop(IReadOnlyList<(Attachment Source, ThreadAction?[] Orders, bool Stop)> orders)
    {
        TargetError? error = null;
        bool done = false;
        foreach ((Attachment source, ThreadAction?[] wanted, bool stop) in orders)
        {
            if (stop)
            {
                done = true;
                if (source.Running)
                {
                    source.StoppedQuietly = true;
                    source.Merging = false;
                    AskToStop(source);
                }
            }

            ThreadAction[] named = [.. wanted.Where(one => one is { Kind: not ResumeKind.Stay }).Select(one => one!.Value)];
            if (named.Length == 0)
            {
                continue;
            }

            TargetError? refusal = null;
            if (source.Running)
            {
                source.Orders = [.. source.Orders.Select(old => named.FirstOrDefault(one => one.Thread == old.Thread, old))];
                source.Merging = true;
                AskToStop(source);
            }
            else
            {
                refusal = Start(source, [.. source.RunnableThreads.Select(thread =>
                    named.FirstOrDefault(one => one.Thread == thread.Id, new ThreadAction(thread.Id, ResumeKind.Stay, 0)))]);
            }

            done |= refusal is null;
            error ??= refusal;
        }

        if (!done && error is not null)
        {
            ReplyError(error);
        }
        else
        {
            ReplyOk();
        }
    }

    /// <summary>The question mark: all threads that stand, the first now and the others by vStopped.</summary>
    internal void ReplyAllStops()
    {
        notices.Clear();
        foreach (Attachment one in attached.Where(one => !one.Running))
        {
            StopReport stop = one.Target.CurrentStop;
            notices.Add((one, stop));
            notices.AddRange(one.Threads.Where(thread => thread.Id != stop.Thread).Select(thread => (one, new StopReport(thread.Id, StopReason.Signal, 0))));
        }

        noticed = notices.Count > 0;
        ReplyNextNotice();
    }

    /// <summary>vStopped: the next stop, or OK when there is none.</summary>
    internal void ReplyNextNotice()
    {
        if (notices.Count == 0)
        {
            noticed = false;
            ReplyOk();
            return;
        }

        (Attachment source, StopReport report) = notices[0];
        notices.RemoveAt(0);
        TellStop(source, report);
    }

    private void HandleNonStop(Attachment source, StopReport report)
    {
        bool interrupted = report.Reason == StopReason.Signal && report.Signal == StopReport.Interrupt;
        bool merging = source.Merging;
        source.Merging = false;
        if (merging && interrupted && Start(source, source.Orders) is null)
        {
            return;
        }

        bool quiet = source.StoppedQuietly && interrupted;
        source.StoppedQuietly = false;
        if (report.Reason == StopReason.Exited)
        {
            notices.Add((source, report));
            Notify();
            Release(source);
            return;
        }

        // The thread that stops on request may be one that stood; what was told to run is what the client waits for.
        bool told = source.Orders.Any(order => order.Thread == report.Thread && order.Kind != ResumeKind.Stay);
        if (told || !interrupted)
        {
            notices.Add((source, quiet ? report with { Signal = 0 } : report));
        }

        foreach (ThreadAction order in source.Orders.Where(order => order.Kind != ResumeKind.Stay && order.Thread != report.Thread))
        {
            notices.Add((source, new StopReport(order.Thread, StopReason.Signal, (byte)(told || quiet ? 0 : report.Signal))));
        }

        source.Orders = [];
        Notify();
    }

    /// <summary>Sends a notification unless the client is still fetching what an earlier one announced.</summary>
    private void Notify()
    {
        if (noticed || notices.Count == 0)
        {
            return;
        }

        noticed = true;
        (Attachment source, StopReport report) = notices[0];
        notices.RemoveAt(0);
        Reply.Begin('%');
        Reply.Text("Stop:"u8);
        try
        {
            WriteStop(Reply, source, report);
        }
        catch (Exception exception)
        {
            logger.PacketFailed(exception, number, "stop notification");
            Reply.Abandon();
            Reply.Begin('%');
            Reply.Text("Stop:S"u8).HexBytes([report.Signal]);
        }

        EndNotification();
    }

    private void ForgetNotices(Attachment source) =>
        notices.RemoveAll(notice => notice.Source == source && notice.Report.Reason != StopReason.Exited);
}
