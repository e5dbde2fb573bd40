using System.Collections.Concurrent;
using System.Text;
using GdbStub.Targets;

namespace GdbStub.Sessions;

/// <summary>
/// Resumes and their stops. In all-stop mode what was resumed together stops together: the first stop is told when every
/// process stands still, and another process's own stop is held for its next resume. A target that cannot step through a range is stepped
/// through it here.
/// </summary>
public sealed partial class GdbSession
{
    /// <summary>Text of a running target that waits for its client, in bytes; what is more is dropped.</summary>
    private const int MaxPendingText = 0x40000;

    private readonly ConcurrentQueue<TargetEvent> events = [];
    private (Attachment Source, StopReport Report)? firstStop;
    private int pendingText;
    private int droppedText;

    /// <summary>Tells the client of stops and text that arrived.</summary>
    public void HandleStops()
    {
        while (State != SessionState.Closed && events.TryDequeue(out TargetEvent happened))
        {
            if (happened.Text is { } text)
            {
                Interlocked.Add(ref pendingText, -text.Length);
                TellText(text);
            }
            else if (happened.Source.Running)
            {
                HandleStop(happened.Source, happened.Report!);
            }
        }
    }

    internal void Enqueue(TargetEvent happened)
    {
        events.Enqueue(happened);
        StopArrived?.Invoke();
    }

    internal void EnqueueOutput(Attachment source, ReadOnlySpan<byte> text)
    {
        if (Volatile.Read(ref pendingText) + text.Length > MaxPendingText)
        {
            Interlocked.Increment(ref droppedText);
            return;
        }

        Interlocked.Add(ref pendingText, text.Length);
        Enqueue(new TargetEvent(source, null, text.ToArray()));
    }

    /// <summary>Sets processes going; the reply is the stop, or an error now if none can run.</summary>
    internal void Resume(IReadOnlyList<(Attachment Source, ThreadAction[] Orders)> orders)
    {
        foreach ((Attachment source, _) in orders)
        {
            if (source.Held is { } held)
            {
                source.Held = null;
                general = source;
                SelectGeneral(0);
                ReplyStop(source, held);
                return;
            }
        }

        // Before the call: the stop may be reported while it lasts.
        State = SessionState.Running;
        transfer = null;
        firstStop = null;
        TargetError? error = null;
        bool runs = false;
        foreach ((Attachment source, ThreadAction[] actions) in orders)
        {
            TargetError? refusal = Start(source, actions);
            runs |= refusal is null;
            error ??= refusal;
        }

        if (!runs)
        {
            State = SessionState.Idle;
            RefuseResume(error ?? new TargetError(TargetError.Failed, "nothing was told to run"));
        }
    }

    /// <summary>
    /// The answer to a resume that cannot be. gdb shows an error and goes on; lldb takes any error there for a lost connection and
    /// lets go of the process, so it is told in words, as output, and that the target stands where it stood.
    /// </summary>
    internal void RefuseResume(TargetError error)
    {
        if (!Lldb || nonStop || attached.Count == 0)
        {
            ReplyError(error);
            return;
        }

        Begin().Text("O"u8).HexBytes(Encoding.UTF8.GetBytes(error.Text + "\n"));
        EndPacket();
        ReplyStop(General, Target.CurrentStop);
    }

    /// <summary>Asks what runs to stop; nothing to do when it stands still or was asked already.</summary>
    internal void Interrupt()
    {
        if (nonStop)
        {
            foreach (Attachment one in attached)
            {
                one.StoppedQuietly = false;
                one.Merging = false;
                AskToStop(one);
            }
        }
        else if (State == SessionState.Running)
        {
            State = SessionState.Interrupting;
            StopOthers();
        }
    }

    /// <summary>Sets one process going; an error when it stands.</summary>
    private TargetError? Start(Attachment source, ThreadAction[] orders)
    {
        if (source.Target.RunControl is not { } run)
        {
            return source.Target.Unsupported(TargetAbility.Run);
        }

        source.Orders = orders;
        source.Range = null;
        if (!run.StepsRanges && Array.FindIndex(orders, order => order.RangeEnd > 0) is >= 0 and int ranged)
        {
            source.Range = orders[ranged];
            orders = [.. orders.Select(order => order with { RangeStart = 0, RangeEnd = 0 })];
        }

        return Go(source, run, orders);
    }

    private TargetError? Go(Attachment source, IRunControl run, ThreadAction[] orders)
    {
        source.Running = true;
        source.Asked = false;
        try
        {
            TargetError? error = run.Resume(orders);
            source.Running = error is null;
            return error;
        }
        catch (Exception exception)
        {
            logger.PacketFailed(exception, number, current?.Name ?? "resume");
            source.Running = false;
            return new TargetError(TargetError.Failed, $"internal error: {exception.Message}");
        }
    }

    /// <summary>Runs a target the other way; the stop is told like any other.</summary>
    internal void ResumeBackwards(Func<IReverseControl, TargetError?> go)
    {
        if (Target.Reverse is not { } reverse)
        {
            ReplyEmpty();
            return;
        }

        State = SessionState.Running;
        firstStop = null;
        transfer = null;
        General.Running = true;
        General.Asked = false;
        General.Range = null;
        TargetError? error = null;
        try
        {
            error = go(reverse);
        }
        catch (Exception exception)
        {
            logger.PacketFailed(exception, number, "reverse");
            error = new TargetError(TargetError.Failed, $"internal error: {exception.Message}");
        }

        if (error is not null)
        {
            General.Running = false;
            State = SessionState.Idle;
            RefuseResume(error);
        }
    }

    private void HandleStop(Attachment source, StopReport report)
    {
        source.Running = false;
        if (GoesOnInRange(source, report))
        {
            return;
        }

        if (nonStop)
        {
            HandleNonStop(source, report);
            return;
        }

        if (firstStop is null)
        {
            firstStop = (source, report);
        }
        else if (report.Reason != StopReason.Signal || report.Signal != StopReport.Interrupt)
        {
            source.Held = report;
        }

        if (StopOthers())
        {
            return;
        }

        (Attachment told, StopReport first) = firstStop.Value;
        firstStop = null;
        State = SessionState.Idle;
        general = told;
        SelectGeneral(0);
        TellStop(told, first);
        EndPacket();
        if (first.Reason == StopReason.Exited)
        {
            Release(told);
            if (attached.Count == 0 && !Extended)
            {
                Close("the target is gone");
            }
        }
    }

    /// <summary>True when the stop is one step of a range that is not at its end, and the target was sent on.</summary>
    private bool GoesOnInRange(Attachment source, StopReport report)
    {
        if (source.Range is not { } range || source.Asked || report.Thread != range.Thread
            || report.Reason != StopReason.Signal || report.Signal != StopReport.Trap
            || firstStop is not null || source.Target.RunControl is not { } run)
        {
            return false;
        }

        try
        {
            return TryProgramCounter(source, range.Thread, out ulong pc)
                && pc >= range.RangeStart && pc < range.RangeEnd && !source.Breakpoints.Contains((BreakpointKind.Software, pc)) && !source.Breakpoints.Contains((BreakpointKind.Hardware, pc))
                && Go(source, run, [.. source.Orders.Select(order => order with { RangeStart = 0, RangeEnd = 0, Signal = 0 })]) is null;
        }
        catch (Exception exception)
        {
            logger.PacketFailed(exception, number, "range step");
            return false;
        }
    }

    private static bool TryProgramCounter(Attachment source, int thread, out ulong pc)
    {
        TargetDescription description = source.Target.Description;
        Span<byte> value = stackalloc byte[TargetDescription.MaxRegisterBits / 8];
        value = value[..description.ProgramCounter.Size];
        pc = 0;
        if (!source.Target.TryReadRegister(thread, description.ProgramCounter.Number, value))
        {
            return false;
        }

        for (int i = Math.Min(value.Length, sizeof(ulong)) - 1; i >= 0; i--)
        {
            pc = (pc << 8) | value[description.BigEndian ? value.Length - 1 - i : i];
        }

        return true;
    }

    /// <summary>Asks all that runs to stop; false when nothing runs.</summary>
    private bool StopOthers()
    {
        bool any = false;
        foreach (Attachment one in attached)
        {
            any |= one.Running;
            AskToStop(one);
        }

        return any;
    }

    private void AskToStop(Attachment one)
    {
        if (!one.Running || one.Asked)
        {
            return;
        }

        one.Asked = true;
        try
        {
            one.Target.RunControl?.RequestStop();
        }
        catch (Exception exception)
        {
            logger.PacketFailed(exception, number, "interrupt");
        }
    }

    private void TellStop(Attachment source, StopReport report)
    {
        try
        {
            ReplyStop(source, report);
        }
        catch (Exception exception)
        {
            // The resume has to end even when the target cannot say where it stands.
            logger.PacketFailed(exception, number, "stop reply");
            if (Reply.IsOpen)
            {
                Reply.Abandon();
            }

            Begin().Text("S"u8).HexBytes([report.Signal]);
        }
    }

    /// <summary>Only a client that waits for a stop takes text; other text is dropped.</summary>
    private void TellText(byte[] text)
    {
        const int piece = 8192;
        if (nonStop || State is not (SessionState.Running or SessionState.Interrupting))
        {
            return;
        }

        int dropped = Interlocked.Exchange(ref droppedText, 0);
        if (dropped > 0)
        {
            Begin().Text("O"u8).HexBytes(Encoding.ASCII.GetBytes($"[{dropped} messages came too fast and were dropped]\n"));
            EndPacket();
        }

        for (int done = 0; done < text.Length; done += piece)
        {
            Begin().Text("O"u8).HexBytes(text.AsSpan(done, Math.Min(piece, text.Length - done)));
            EndPacket();
        }
    }
}
