using System.Text;
using GdbStub.Packets;
using GdbStub.Targets;
using GdbStub.Wire;

namespace GdbStub.Sessions;

/// <summary>What the packets' handlers know of the session and do with it.</summary>
public sealed partial class GdbSession
{
    private int generalThread;

    /// <summary>The client is lldb: it said QThreadSuffixSupported.</summary>
    internal bool Lldb { get; set; }

    /// <summary>lldb takes errors with text.</summary>
    internal bool LldbErrorStrings { get; set; }

    /// <summary>lldb wants every stop reply to list the threads.</summary>
    internal bool ListThreadsInStop { get; set; }

    /// <summary>The x packet's reply has no 'b' in front.</summary>
    internal bool BareBinary { get; set; }

    /// <summary>The client takes E.text in reply to anything (gdb 16 on).</summary>
    internal bool ClientTakesErrorTexts { get; set; }

    /// <summary>The client wants to know that a Z0 breakpoint made the stop.</summary>
    internal bool ClientTakesSwBreak { get; set; }

    /// <summary>The same for Z1.</summary>
    internal bool ClientTakesHwBreak { get; set; }

    /// <summary>Thread of c and s: positive, or 0 and -1 for no one in particular.</summary>
    internal int ResumeThread { get; set; }

    /// <summary>How far the thread list has been told.</summary>
    internal int ThreadsListed { get; set; }

    /// <summary>The thread list as it is being read.</summary>
    internal byte[]? ThreadsDocument { get; set; }

    /// <summary>Thread of memory and register packets.</summary>
    internal int GeneralThread => generalThread > 0 ? generalThread : Target.CurrentStop.Thread;

    /// <summary>Chooses it; 0 and -1 mean the thread that stopped.</summary>
    internal void SelectGeneral(int thread) => generalThread = Math.Max(thread, 0);

    /// <summary>True when the target has a thread of that number.</summary>
    internal bool HasThread(int thread)
    {
        foreach (TargetThread one in Target.Threads)
        {
            if (one.Id == thread)
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>Room for data on its way between packet and target; every call gives the same bytes.</summary>
    internal Span<byte> Scratch(ulong length) => scratch.AsSpan(0, checked((int)length));

    /// <summary>Memory as the chosen thread sees it.</summary>
    internal int ReadMemory(ulong address, Span<byte> destination) => Target.ReadMemory(GeneralThread, address, destination);

    /// <summary>Starts the reply.</summary>
    internal PacketWriter Begin()
    {
        Reply.Begin();
        return Reply;
    }

    /// <summary>OK.</summary>
    internal void ReplyOk() => Begin().Text("OK"u8);

    /// <summary>An empty reply: the packet is not known here.</summary>
    internal void ReplyEmpty() => Begin();

    /// <summary>An error in the richest form the client takes; replaces a reply already begun.</summary>
    internal void ReplyError(TargetError error)
    {
        if (Reply.IsOpen)
        {
            Reply.Abandon();
        }

        PacketWriter reply = Begin().Text("E"u8);
        if (LldbErrorStrings)
        {
            reply.HexBytes([error.Number]).Text(";"u8).HexBytes(Encoding.UTF8.GetBytes(error.Text));
        }
        else if (ClientTakesErrorTexts || (!Lldb && current?.Errors != ErrorStyle.Number))
        {
            reply.Text("."u8).Text(Plain(error.Text));
        }
        else
        {
            reply.HexBytes([error.Number]);
        }
    }

    /// <summary>An error for a packet that is not of the form it should have.</summary>
    internal void ReplyMalformed(string form) => ReplyError(new TargetError(TargetError.Invalid, $"malformed packet; expected {form}"));

    /// <summary>A stop reply with what every stop carries.</summary>
    internal void ReplyStop(StopReport stop)
    {
        PacketWriter reply = Begin();
        if (stop.Reason == StopReason.Exited)
        {
            reply.Text("W"u8).HexBytes([stop.Signal]);
            return;
        }

        reply.Text("T"u8).HexBytes([stop.Signal]).Text("thread:"u8).HexNumber((ulong)stop.Thread).Text(";"u8);
        WriteReason(reply, stop);
        if (ListThreadsInStop)
        {
            reply.Text("threads:"u8);
            IReadOnlyList<TargetThread> threads = Target.Threads;
            for (int i = 0; i < threads.Count; i++)
            {
                reply.Text(i == 0 ? ""u8 : ","u8).HexNumber((ulong)threads[i].Id);
            }

            reply.Text(";"u8);
        }

        foreach (RegisterInfo register in Target.Description.Expedited)
        {
            byte low = (byte)register.Number;
            reply.HexBytes(register.Number > byte.MaxValue ? [(byte)(register.Number >> 8), low] : [low]).Text(":"u8);
            RegisterPackets.WriteValue(this, reply, stop.Thread, register);
            reply.Text(";"u8);
        }
    }

    /// <summary>Sets the target going; the reply is the stop, or an error now.</summary>
    internal void Resume(IReadOnlyList<ThreadAction> actions)
    {
        if (Target.RunControl is not { } run)
        {
            ReplyError(Target.Unsupported(TargetAbility.Run));
            return;
        }

        // Before the call: the stop may be reported while it lasts.
        State = SessionState.Running;
        ThreadsDocument = null;
        if (run.Resume(actions) is { } error)
        {
            State = SessionState.Idle;
            ReplyError(error);
        }
    }

    /// <summary>Asks a running target to stop; nothing to do when it stands still or was asked already.</summary>
    internal void Interrupt()
    {
        if (State == SessionState.Running)
        {
            State = SessionState.Interrupting;
            try
            {
                Target.RunControl?.RequestStop();
            }
            catch (Exception exception)
            {
                logger.PacketFailed(exception, number, "interrupt");
            }
        }
    }

    /// <summary>lldb's ";thread:ID;" behind a register packet; the chosen thread when it is not there.</summary>
    internal bool TryTakeThreadSuffix(ref PacketArguments arguments, out int thread)
    {
        if (!Lldb || !arguments.TryTake(';'))
        {
            thread = GeneralThread;
            return true;
        }

        return TryTakeThread(ref arguments, out thread);
    }

    /// <summary>The same without the first semicolon; nothing left means the chosen thread.</summary>
    internal bool TryTakeThread(ref PacketArguments arguments, out int thread)
    {
        thread = GeneralThread;
        if (arguments.AtEnd)
        {
            return true;
        }

        bool read = Lldb && arguments.TakeUntil(':').SequenceEqual("thread"u8) && arguments.TryThread(out thread);
        arguments.TryTake(';');
        return read && arguments.AtEnd && HasThread(thread);
    }

    private void WriteReason(PacketWriter reply, StopReport stop)
    {
        switch (stop.Reason)
        {
            case StopReason.SoftwareBreakpoint when ClientTakesSwBreak:
                reply.Text("swbreak:;"u8);
                break;

            case StopReason.HardwareBreakpoint when ClientTakesHwBreak:
                reply.Text("hwbreak:;"u8);
                break;

            case StopReason.WriteWatchpoint or StopReason.ReadWatchpoint or StopReason.AccessWatchpoint:
                reply.Text(stop.Reason switch
                {
                    StopReason.WriteWatchpoint => "watch:"u8,
                    StopReason.ReadWatchpoint => "rwatch:"u8,
                    _ => "awatch:"u8,
                }).HexNumber(stop.Address).Text(";"u8);
                break;
        }

        if (!Lldb)
        {
            return;
        }

        reply.Text(stop.Reason switch
        {
            StopReason.SoftwareBreakpoint or StopReason.HardwareBreakpoint => "reason:breakpoint;"u8,
            StopReason.Signal when stop.Signal == StopReport.Trap => "reason:trace;"u8,
            StopReason.Signal => "reason:signal;"u8,
            _ => ""u8,
        });
    }

    /// <summary>Text that needs no escapes.</summary>
    private static string Plain(string text)
    {
        const int longest = 400;
        return string.Create(Math.Min(text.Length, longest), text, static (characters, source) =>
        {
            for (int i = 0; i < characters.Length; i++)
            {
                characters[i] = source[i] is >= ' ' and <= '~' and not ('#' or '$' or '}' or '*') ? source[i] : ' ';
            }
        });
    }
}
