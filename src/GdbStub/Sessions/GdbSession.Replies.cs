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

    /// <summary>A register was asked for; lldb's first question is whether one can be.</summary>
    internal bool LldbReadsRegisters { get; set; }

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

    /// <summary>Thread ids name their process.</summary>
    internal bool Multiprocess { get; set; }

    /// <summary>The connection outlives its processes.</summary>
    internal bool Extended { get; set; }

    /// <summary>Memory packets take physical addresses.</summary>
    internal bool Physical { get; set; }

    /// <summary>Thread of c and s: positive, or 0 and -1 for no one in particular.</summary>
    internal ThreadId ResumeThread { get; set; }

    /// <summary>How far the thread list has been told.</summary>
    internal int ThreadsListed { get; set; }

    private (string Key, ReadOnlyMemory<byte> Bytes)? transfer;

    /// <summary>An object as it is being read: made at its start and kept, so that its pieces fit together.</summary>
    internal ReadOnlyMemory<byte>? Transfer(string key, bool start, Func<ReadOnlyMemory<byte>?> make)
    {
        if (start || transfer?.Key != key)
        {
            transfer = make() is { } made ? (key, made) : null;
        }

        return transfer?.Bytes;
    }

    /// <summary>Thread of memory and register packets.</summary>
    internal int GeneralThread => generalThread > 0 ? generalThread : Target.CurrentStop.Thread;

    /// <summary>Chooses it; 0 and -1 mean the thread that stopped.</summary>
    internal void SelectGeneral(int thread) => generalThread = Math.Max(thread, 0);

    /// <summary>Chooses process and thread of the packets that follow.</summary>
    internal void SelectGeneral(Attachment source, int thread)
    {
        general = source;
        SelectGeneral(thread);
    }

    /// <summary>The process an id names; null when it is not attached. Without a process, or for any, the chosen one.</summary>
    internal Attachment? Find(ThreadId id)
    {
        if (id.Process <= 0)
        {
            return general;
        }

        foreach (Attachment one in attached)
        {
            if (one.Process == id.Process)
            {
                return one;
            }
        }

        return null;
    }

    /// <summary>True when the id names a thread that is there, or none in particular.</summary>
    internal bool IsThere(ThreadId id) => Find(id) is { } source && (id.Thread <= 0 || source.HasThread(id.Thread));

    /// <summary>Room for data on its way between packet and target; every call gives the same bytes.</summary>
    internal Span<byte> Scratch(ulong length) => scratch.AsSpan(0, checked((int)length));

    /// <summary>Memory as the chosen thread sees it.</summary>
    internal int ReadMemory(ulong address, Span<byte> destination) =>
        Physical && Target.PhysicalMemory is { } physical ? physical.Read(address, destination) : Target.ReadMemory(GeneralThread, address, destination);

    /// <summary>The same where it lies; empty where it cannot be seen.</summary>
    internal ReadOnlySpan<byte> Peek(ulong address, int wanted) =>
        !Physical && Target.DirectMemory is { } direct ? direct.Peek(GeneralThread, address, wanted) : [];

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
    internal void ReplyStop(Attachment source, StopReport stop) => WriteStop(Begin(), source, stop);

    /// <summary>A thread's id, with its process where that was agreed on.</summary>
    internal PacketWriter WriteThread(PacketWriter reply, Attachment source, int thread)
    {
        if (Multiprocess)
        {
            reply.Text("p"u8).HexNumber((ulong)source.Process).Text("."u8);
        }

        return reply.HexNumber((ulong)thread);
    }

    private void WriteStop(PacketWriter reply, Attachment source, StopReport stop)
    {
        if (stop.Reason == StopReason.Exited)
        {
            reply.Text("W"u8).HexBytes([stop.Signal]);
            if (Multiprocess)
            {
                reply.Text(";process:"u8).HexNumber((ulong)source.Process);
            }

            return;
        }

        WriteThread(reply.Text("T"u8).HexBytes([stop.Signal]).Text("thread:"u8), source, stop.Thread).Text(";"u8);
        WriteReason(reply, stop);
        if (ListThreadsInStop)
        {
            reply.Text("threads:"u8);
            IReadOnlyList<TargetThread> threads = source.Threads;
            for (int i = 0; i < threads.Count && reply.Room > reply.MaxPayload / 2; i++)
            {
                WriteThread(reply.Text(i == 0 ? ""u8 : ","u8), source, threads[i].Id);
            }

            reply.Text(";"u8);
        }

        Span<byte> room = stackalloc byte[TargetDescription.MaxRegisterBits / 8];
        foreach (RegisterInfo register in source.Target.Description.Expedited)
        {
            // Gdb takes no x's here; what is not said it asks for.
            Span<byte> value = room[..register.Size];
            if (source.Target.TryReadRegister(stop.Thread, register.Number, value))
            {
                byte low = (byte)register.Number;
                reply.HexBytes(register.Number > byte.MaxValue ? [(byte)(register.Number >> 8), low] : [low]).Text(":"u8).HexBytes(value).Text(";"u8);
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

        ThreadId id = default;
        bool read = Lldb && arguments.TakeUntil(':').SequenceEqual("thread"u8) && arguments.TryThread(out id);
        arguments.TryTake(';');
        thread = id.Thread;
        return read && arguments.AtEnd && thread > 0 && General.HasThread(thread);
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

            case StopReason.HistoryBegin:
                reply.Text("replaylog:begin;"u8);
                break;

            case StopReason.HistoryEnd:
                reply.Text("replaylog:end;"u8);
                break;
        }

        if (!Lldb)
        {
            return;
        }

        if (LldbReason(stop) is { Length: > 0 } reason)
        {
            reply.Text("reason:"u8).Text(reason).Text(";"u8);
        }

        if (stop.Description is { } description)
        {
            reply.Text("description:"u8).HexBytes(Encoding.UTF8.GetBytes(description.Length > 400 ? description[..400] : description)).Text(";"u8);
        }
    }

    /// <summary>lldb's word for a stop; watchpoints it tells by their own keys.</summary>
    internal static string LldbReason(StopReport stop) => stop.Reason switch
    {
        StopReason.SoftwareBreakpoint or StopReason.HardwareBreakpoint => "breakpoint",
        StopReason.WriteWatchpoint or StopReason.ReadWatchpoint or StopReason.AccessWatchpoint => "",
        StopReason.Signal when stop.Signal == StopReport.Trap => "trace",
        StopReason.Signal => "signal",
        _ => "",
    };

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
