using GdbStub.Sessions;
using GdbStub.Targets;

namespace GdbStub.Packets;

/// <summary>? c C s S vCont vCtrlC D k. A resume that cannot be is an error at once; one that can ends in one stop reply.</summary>
internal static class ResumePackets
{
    public static void WhyStopped(GdbSession session, PacketArguments arguments) => session.ReplyStop(session.Target.CurrentStop);

    public static void Continue(GdbSession session, PacketArguments arguments) => Single(session, arguments, ResumeKind.Continue, signalled: false);

    public static void ContinueWithSignal(GdbSession session, PacketArguments arguments) => Single(session, arguments, ResumeKind.Continue, signalled: true);

    public static void Step(GdbSession session, PacketArguments arguments) => Single(session, arguments, ResumeKind.Step, signalled: false);

    public static void StepWithSignal(GdbSession session, PacketArguments arguments) => Single(session, arguments, ResumeKind.Step, signalled: true);

    public static void ListActions(GdbSession session, PacketArguments arguments) => session.Begin().Text("vCont;c;C;s;S;t"u8);

    /// <summary>vCont;ACTION[:THREAD]…: for each thread the leftmost action that names it, or all, counts.</summary>
    public static void Threads(GdbSession session, PacketArguments arguments)
    {
        const string form = "vCont;ACTION[:THREAD]... with the actions c C s S t";
        IReadOnlyList<TargetThread> threads = session.Target.Threads;
        var actions = new ThreadAction?[threads.Count];
        int count = 0;
        while (arguments.TryTake(';'))
        {
            if (!TryAction(ref arguments, out ResumeKind kind, out byte signal))
            {
                session.ReplyMalformed(form);
                return;
            }

            int named = -1;
            if (arguments.TryTake(':') && !arguments.TryThread(out named))
            {
                session.ReplyMalformed(form);
                return;
            }

            if (named > 0 && !session.HasThread(named))
            {
                session.ReplyError(NoThread(named));
                return;
            }

            for (int i = 0; i < actions.Length; i++)
            {
                if (named <= 0 || threads[i].Id == named)
                {
                    actions[i] ??= new ThreadAction(threads[i].Id, kind, signal);
                    if (named == 0)
                    {
                        break;
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

        Resume(session, [.. threads.Select((thread, i) => actions[i] ?? new ThreadAction(thread.Id, ResumeKind.Stay, 0))]);
    }

    public static void Interrupt(GdbSession session, PacketArguments arguments)
    {
        session.ReplyOk();
        session.Interrupt();
    }

    public static void Detach(GdbSession session, PacketArguments arguments)
    {
        session.ReplyOk();
        session.Close("detached");
    }

    public static void Kill(GdbSession session, PacketArguments arguments)
    {
        // gdb waits for no answer; lldb waits for the word that the process is gone.
        if (session.Lldb)
        {
            session.Begin().Text("X09"u8);
        }

        session.Close("asked to kill, which detaches");
    }

    /// <summary>The error for a thread that is not.</summary>
    public static TargetError NoThread(int thread) => new(TargetError.NoSuchThread, $"there is no thread {thread:x}");

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

        int chosen = session.ResumeThread;
        if (elsewhere && MoveTo(session, chosen > 0 ? chosen : session.Target.CurrentStop.Thread, address) is { } error)
        {
            session.ReplyError(error);
            return;
        }

        // A step is one thread's; a continue everybody's, unless Hc chose one.
        int stepping = chosen > 0 ? chosen : session.Target.CurrentStop.Thread;
        Resume(session, [.. session.Target.Threads.Select(thread => new ThreadAction(
            thread.Id,
            Takes(thread.Id) ? kind : ResumeKind.Stay,
            signal))]);

        bool Takes(int thread) => kind == ResumeKind.Step ? thread == stepping : chosen <= 0 || thread == chosen;
    }

    private static TargetError? MoveTo(GdbSession session, int thread, ulong address)
    {
        if (session.Target.RunControl is null)
        {
            return session.Target.Unsupported(TargetAbility.Run);
        }

        if (session.Target.Writer is not { } writer)
        {
            return session.Target.Unsupported(TargetAbility.Write);
        }

        TargetDescription description = session.Target.Description;
        byte[] value = new byte[description.ProgramCounter.Size];
        for (int i = 0; i < value.Length && i < sizeof(ulong); i++)
        {
            value[description.BigEndian ? value.Length - 1 - i : i] = (byte)(address >> (8 * i));
        }

        return writer.WriteRegisters(thread, [new RegisterValue(description.ProgramCounter.Number, value)]);
    }

    private static void Resume(GdbSession session, IReadOnlyList<ThreadAction> actions)
    {
        if (actions.All(action => action.Kind == ResumeKind.Stay))
        {
            session.ReplyStop(session.Target.CurrentStop);
            return;
        }

        session.Resume(actions);
    }

    private static bool TryAction(ref PacketArguments arguments, out ResumeKind kind, out byte signal)
    {
        signal = 0;
        arguments.TryTakeAny(out byte letter);
        kind = letter switch
        {
            (byte)'c' or (byte)'C' => ResumeKind.Continue,
            (byte)'s' or (byte)'S' => ResumeKind.Step,
            _ => ResumeKind.Stay,
        };
        return letter switch
        {
            (byte)'c' or (byte)'s' or (byte)'t' => true,
            (byte)'C' or (byte)'S' => arguments.TryByte(out signal),
            _ => false,
        };
    }
}
