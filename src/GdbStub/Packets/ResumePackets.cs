using GdbStub.Sessions;
using GdbStub.Targets;

namespace GdbStub.Packets;

/// <summary>? c C s S vCont vCtrlC D k. A resume that cannot be is an error at once; one that can ends in one stop reply.</summary>
internal static class ResumePackets
{
    public static void WhyStopped(GdbSession session, PacketArguments arguments)
    {
        if (session.NonStop)
        {
            session.ReplyAllStops();
        }
        else if (session.Attached.Count == 0)
        {
            // What a stub in extended mode says when there is nothing to debug yet.
            session.Begin().Text("W00"u8);
        }
        else
        {
            session.ReplyStop(session.General, session.Target.CurrentStop);
        }
    }

    public static void Continue(GdbSession session, PacketArguments arguments) => Single(session, arguments, ResumeKind.Continue, signalled: false);

    public static void ContinueWithSignal(GdbSession session, PacketArguments arguments) => Single(session, arguments, ResumeKind.Continue, signalled: true);

    public static void Step(GdbSession session, PacketArguments arguments) => Single(session, arguments, ResumeKind.Step, signalled: false);

    public static void StepWithSignal(GdbSession session, PacketArguments arguments) => Single(session, arguments, ResumeKind.Step, signalled: true);

    public static void ListActions(GdbSession session, PacketArguments arguments) => session.Begin().Text("vCont;c;C;s;S;t;r"u8);

    /// <summary>vCont;ACTION[:THREAD]…: for each thread the leftmost action that names it, or all, counts.</summary>
    public static void Threads(GdbSession session, PacketArguments arguments)
    {
        const string form = "vCont;ACTION[:THREAD]... with the actions c C s S t r";
        Attachment[] attached = [.. session.Attached];
        var threads = new IReadOnlyList<TargetThread>[attached.Length];
        var actions = new ThreadAction?[attached.Length][];
        var stops = new bool[attached.Length];
        for (int i = 0; i < attached.Length; i++)
        {
            threads[i] = attached[i].RunnableThreads;
            actions[i] = new ThreadAction?[threads[i].Count];
        }

        int count = 0;
        TargetError? waiting = null;
        while (arguments.TryTake(';'))
        {
            if (!TryAction(ref arguments, out ThreadAction action, out bool stop))
            {
                session.ReplyMalformed(form);
                return;
            }

            // Without a thread an action is everybody's, in every process.
            var named = new ThreadId(-1, -1);
            if (arguments.TryTake(':') && !arguments.TryThread(out named))
            {
                session.ReplyMalformed(form);
                return;
            }

            if (named.Process >= 0 && !session.IsThere(named))
            {
                session.RefuseResume(NoThread(named.Thread));
                return;
            }

            Attachment? only = named.Process < 0 ? null : session.Find(named);
            if (named.Thread > 0 && action.Kind != ResumeKind.Stay && !only!.CanRun(named.Thread))
            {
                // One that waits goes on waiting: lldb names every thread when it passes a signal to one.
                waiting ??= OnlyWaits(only, named.Thread);
                if (action.Kind == ResumeKind.Step)
                {
                    session.RefuseResume(waiting);
                    return;
                }
            }

            for (int i = 0; i < attached.Length; i++)
            {
                for (int j = 0; j < actions[i].Length && (only is null || only == attached[i]); j++)
                {
                    if (named.Thread <= 0 || threads[i][j].Id == named.Thread)
                    {
                        stops[i] |= stop && actions[i][j] is null;
                        actions[i][j] ??= action with { Thread = threads[i][j].Id };
                        if (named.Thread == 0)
                        {
                            break;
                        }
                    }
                }
            }

            count++;
        }

        if (count == 0 || !arguments.AtEnd)
        {
            session.ReplyMalformed(form);
            return;
        }

        if (waiting is not null && Array.TrueForAll(actions, process => Array.TrueForAll(process, action => action is null)))
        {
            session.RefuseResume(waiting);
            return;
        }

        if (session.NonStop)
        {
            session.ResumeNonStop([.. attached.Select((one, i) => (one, actions[i], stops[i]))]);
            return;
        }

        var orders = new List<(Attachment, ThreadAction[])>();
        for (int i = 0; i < attached.Length; i++)
        {
            ThreadAction[] whole = [.. threads[i].Select((thread, j) => actions[i][j] ?? new ThreadAction(thread.Id, ResumeKind.Stay, 0))];
            if (whole.Any(action => action.Kind != ResumeKind.Stay))
            {
                orders.Add((attached[i], whole));
            }
        }

        if (orders.Count == 0)
        {
            session.ReplyStop(session.General, session.Target.CurrentStop);
            return;
        }

        session.Resume(orders);
    }

    public static void StepBack(GdbSession session, PacketArguments arguments)
    {
        int thread = session.GeneralThread;
        session.ResumeBackwards(reverse => reverse.Step(thread));
    }

    public static void ContinueBack(GdbSession session, PacketArguments arguments) => session.ResumeBackwards(reverse => reverse.Continue());

    public static void NonStop(GdbSession session, PacketArguments arguments)
    {
        if (!arguments.TryTake(':') || !arguments.TryHex(out ulong on) || on > 1 || !arguments.AtEnd)
        {
            session.ReplyMalformed("QNonStop:0 or QNonStop:1");
        }
        else if (session.SetNonStop(on == 1) is { } error)
        {
            session.ReplyError(error);
        }
        else
        {
            session.ReplyOk();
        }
    }

    public static void NextStop(GdbSession session, PacketArguments arguments) => session.ReplyNextNotice();

    /// <summary>QPassSignals: the whole list each time.</summary>
    public static void PassSignals(GdbSession session, PacketArguments arguments)
    {
        var signals = new List<byte>();
        arguments.TryTake(':');
        while (!arguments.AtEnd)
        {
            if (!arguments.TryHex(out ulong signal) || signal > byte.MaxValue || (!arguments.AtEnd && !arguments.TryTake(';')))
            {
                session.ReplyMalformed("QPassSignals:SIGNAL;...");
                return;
            }

            signals.Add((byte)signal);
        }

        foreach (Attachment one in session.Attached)
        {
            one.Target.RunControl?.PassSignals([.. signals]);
        }

        session.ReplyOk();
    }

    public static void Interrupt(GdbSession session, PacketArguments arguments)
    {
        session.ReplyOk();
        session.Interrupt();
    }

    public static void Detach(GdbSession session, PacketArguments arguments)
    {
        if (arguments.TryTake(';') && arguments.TryHex(out ulong process))
        {
            if (session.Find(new ThreadId((int)Math.Clamp(process, 1, int.MaxValue), 0)) is not { } one)
            {
                session.ReplyError(NoProcess(process));
                return;
            }

            session.Forget(one);
        }
        else
        {
            session.Forget(null);
        }

        session.ReplyOk();
        session.CloseIfEmpty("detached");
    }

    public static void Kill(GdbSession session, PacketArguments arguments)
    {
        // gdb waits for no answer; lldb waits for the word that the process is gone.
        if (session.Lldb)
        {
            session.Begin().Text("X09"u8);
        }

        foreach (Attachment one in session.Attached)
        {
            one.Target.Kill?.Kill();
        }

        session.Forget(null);
        session.CloseIfEmpty("asked to kill, which detaches");
    }

    public static void KillProcess(GdbSession session, PacketArguments arguments)
    {
        if (!arguments.TryTake(';') || !arguments.TryHex(out ulong process) || !arguments.AtEnd)
        {
            session.ReplyMalformed("vKill;PROCESS");
        }
        else if (session.Find(new ThreadId((int)Math.Clamp(process, 1, int.MaxValue), 0)) is not { } one)
        {
            session.ReplyError(NoProcess(process));
        }
        else if (one.Target.Kill?.Kill() is { } error)
        {
            session.ReplyError(error);
        }
        else
        {
            session.Forget(one);
            session.ReplyOk();
            session.CloseIfEmpty("asked to kill, which detaches");
        }
    }

    /// <summary>The error for a process that is not attached.</summary>
    public static TargetError NoProcess(ulong process) => new(TargetError.NoSuchThread, $"process {process} is not attached");

    /// <summary>The error for a thread that is not.</summary>
    public static TargetError NoThread(int thread) => new(TargetError.NoSuchThread, $"there is no thread {thread:x}");

    /// <summary>The error for a thread that takes no orders.</summary>
    private static TargetError OnlyWaits(Attachment source, int thread) => new(
        TargetError.NotPermitted, $"thread {thread} waits and cannot be told to run; threads that can: {string.Join(' ', source.RunnableThreads.Select(one => one.Id))}");

    private static void Single(GdbSession session, PacketArguments arguments, ResumeKind kind, bool signalled)
    {
        byte signal = 0;
        ulong address = 0;
        bool wellFormed = !signalled || arguments.TryByte(out signal);
        bool elsewhere = !arguments.AtEnd;
        if (elsewhere)
        {
            wellFormed &= (!signalled || arguments.TryTake(';')) && arguments.TryHex(out address) && arguments.AtEnd;
        }

        if (!wellFormed)
        {
            session.ReplyMalformed(signalled ? "C SIGNAL[;ADDRESS]" : "c [ADDRESS]");
            return;
        }

        if (session.NonStop)
        {
            session.ReplyError(new TargetError(TargetError.Invalid, "in non-stop mode only vCont resumes"));
            return;
        }

        Attachment source = session.Find(session.ResumeThread) ?? session.General;
        int chosen = session.ResumeThread.Thread;
        if (chosen > 0 && !source.CanRun(chosen))
        {
            session.RefuseResume(OnlyWaits(source, chosen));
            return;
        }

        if (elsewhere && MoveTo(source.Target, chosen > 0 ? chosen : source.Target.CurrentStop.Thread, address) is { } error)
        {
            session.RefuseResume(error);
            return;
        }

        // A step is one thread's; a continue everybody's, unless Hc chose one.
        int stepping = chosen > 0 ? chosen : source.Target.CurrentStop.Thread;
        ThreadAction[] orders = [.. source.RunnableThreads.Select(thread => new ThreadAction(
            thread.Id,
            Takes(thread.Id) ? kind : ResumeKind.Stay,
            signal))];
        session.Resume([(source, orders)]);

        bool Takes(int thread) => kind == ResumeKind.Step ? thread == stepping : chosen <= 0 || thread == chosen;
    }

    private static TargetError? MoveTo(IDebugTarget target, int thread, ulong address)
    {
        if (target.RunControl is null)
        {
            return target.Unsupported(TargetAbility.Run);
        }

        if (target.Writer is not { } writer)
        {
            return target.Unsupported(TargetAbility.Write);
        }

        TargetDescription description = target.Description;
        byte[] value = new byte[description.ProgramCounter.Size];
        for (int i = 0; i < value.Length && i < sizeof(ulong); i++)
        {
            value[description.BigEndian ? value.Length - 1 - i : i] = (byte)(address >> (8 * i));
        }

        return writer.WriteRegisters(thread, [new RegisterValue(description.ProgramCounter.Number, value)]);
    }

    private static bool TryAction(ref PacketArguments arguments, out ThreadAction action, out bool stop)
    {
        byte signal = 0;
        ulong start = 0;
        ulong end = 0;
        arguments.TryTakeAny(out byte letter);
        bool read = letter switch
        {
            (byte)'c' or (byte)'s' or (byte)'t' => true,
            (byte)'C' or (byte)'S' => arguments.TryByte(out signal),
            (byte)'r' => arguments.TryRange(out start, out end),
            _ => false,
        };
        ResumeKind kind = letter switch
        {
            (byte)'c' or (byte)'C' => ResumeKind.Continue,
            (byte)'t' => ResumeKind.Stay,
            _ => ResumeKind.Step,
        };

        // An empty range is a single step.
        action = end > start ? new ThreadAction(0, kind, signal, start, end) : new ThreadAction(0, kind, signal);
        stop = letter == 't';
        return read;
    }
}
