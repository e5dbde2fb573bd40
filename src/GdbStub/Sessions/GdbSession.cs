using System.Text;
using GdbStub.Packets;
using GdbStub.Targets;
using GdbStub.Wire;
using Microsoft.Extensions.Logging;

namespace GdbStub.Sessions;

/// <summary>
/// One debugger's conversation with its targets, as a state machine without input or output of its own: bytes go in with
/// <see cref="Receive"/>, bytes to send come out of <see cref="Output"/>. One thread at a time drives it; targets report
/// from any. Whatever a client sends, it answers each packet once and each resume with one stop reply, keeps no more than
/// one packet, and throws nothing.
/// </summary>
public sealed partial class GdbSession : IDisposable
{
    /// <summary>Longest packet taken and sent, in bytes.</summary>
    public const int PacketSize = 0x20000;

    /// <summary>Most processes one connection has open.</summary>
    public const int MaxProcesses = 64;

    /// <summary>How often one packet is sent again before the client is given up.</summary>
    private const int MaxResends = 16;

    /// <summary>Replies wait in memory until this many bytes are reached; then they must be sent before more is taken in.</summary>
    private const int OutputHighWater = PacketSize;

    /// <summary>Replies kept for a client that owes acknowledgements, in bytes; what would be more ends the session.</summary>
    private const int MaxUnacknowledged = 16 * PacketSize;

    private static int lastNumber;

    private readonly ITargetProvider provider;
    private readonly ILogger logger;
    private readonly int number = Interlocked.Increment(ref lastNumber);
    private readonly PacketReader reader = new(PacketSize);
    private readonly Queue<byte[]> waiting = [];
    private readonly byte[] scratch = new byte[PacketSize];
    private readonly List<Attachment> attached = [];
    private Attachment? general;
    private bool opened;
    private PacketEntry? current;
    private bool answered;
    private bool acknowledging = true;
    private byte[]? unacknowledged;
    private int waitingBytes;
    private int resends;

    /// <summary>A session for a connection that has said nothing yet.</summary>
    public GdbSession(ITargetProvider provider, ILogger logger)
    {
        this.provider = provider;
        this.logger = logger;
    }

    /// <summary>What it is doing.</summary>
    public SessionState State { get; private set; }

    /// <summary>Called, from any thread, when a stop is to be told: <see cref="HandleStops"/> wants to be called.</summary>
    public Action? StopArrived { get; set; }

    /// <summary>Bytes to send; valid until the next call.</summary>
    public ReadOnlyMemory<byte> Output => Reply.Finished;

    internal PacketWriter Reply { get; } = new(PacketSize - 4);

    /// <summary>The process that packets without one mean.</summary>
    internal Attachment General => general ?? throw new InvalidOperationException("no process is attached");

    internal IDebugTarget Target => General.Target;

    /// <summary>What is open.</summary>
    internal IReadOnlyList<Attachment> Attached => attached;

    internal ITargetProvider Provider => provider;

    /// <summary><see cref="Output"/> was sent.</summary>
    public void OutputSent() => Reply.Clear();

    /// <summary>
    /// Takes bytes from the client and returns how many: fewer than offered when <see cref="Output"/> has to be sent first,
    /// or when the session closed.
    /// </summary>
    public int Receive(ReadOnlySpan<byte> bytes)
    {
        ReadOnlySpan<byte> rest = bytes;
        while (State != SessionState.Closed && Output.Length < OutputHighWater)
        {
            WireEvent happened = reader.Read(ref rest);
            if (happened == WireEvent.None)
            {
                break;
            }

            Handle(happened);
        }

        return bytes.Length - rest.Length;
    }

    /// <summary>Ends the session and lets its targets go; <see cref="Output"/> may still hold a last reply.</summary>
    public void Close(string why)
    {
        if (State == SessionState.Closed)
        {
            return;
        }

        State = SessionState.Closed;
        logger.Ended(number, why);
        CloseFiles();
        while (attached.Count > 0)
        {
            Release(attached[^1]);
        }
    }

    /// <inheritdoc/>
    public void Dispose() => Close("disposed");

    /// <summary>Ends the open packet. A client that acknowledges gets it when it has acknowledged the one before.</summary>
    internal void EndPacket()
    {
        ReadOnlySpan<byte> packet = Reply.End();
        answered = true;
        if (logger.IsEnabled(LogLevel.Trace))
        {
            logger.Answered(number, Printable(packet));
        }

        if (!acknowledging)
        {
            return;
        }

        if (unacknowledged is null)
        {
            unacknowledged = packet.ToArray();
            resends = 0;
        }
        else if (waitingBytes + packet.Length > MaxUnacknowledged)
        {
            Reply.TakeBack(packet.Length);
            Close("the client acknowledges nothing");
        }
        else
        {
            waiting.Enqueue(packet.ToArray());
            waitingBytes += packet.Length;
            Reply.TakeBack(packet.Length);
        }
    }

    /// <summary>Ends an open notification, which is never acknowledged.</summary>
    internal void EndNotification()
    {
        ReadOnlySpan<byte> packet = Reply.End();
        if (logger.IsEnabled(LogLevel.Trace))
        {
            logger.Answered(number, Printable(packet));
        }
    }

    /// <summary>Sends what is open, and from then on nothing is acknowledged, for this session only.</summary>
    internal void StopAcknowledging()
    {
        EndPacket();
        acknowledging = false;
    }

    /// <summary>Lets a process go.</summary>
    internal void Release(Attachment one)
    {
        attached.Remove(one);
        if (general == one)
        {
            general = attached.Count > 0 ? attached[0] : null;
            generalThread = 0;
        }

        ForgetNotices(one);
        one.Running = false;
        if (firstStop?.Source == one)
        {
            firstStop = null;
        }

        try
        {
            one.Target.Dispose();
        }
        catch (Exception exception)
        {
            logger.ReleaseFailed(exception, number);
        }
    }

    /// <summary>Opens a process of the endpoint; null when it is open, and then it is the chosen one.</summary>
    internal TargetError? Attach(IProcesses processes, int process)
    {
        if (attached.Any(one => one.Process == process))
        {
            return new TargetError(TargetError.Failed, $"process {process} is attached already");
        }

        if (attached.Count >= MaxProcesses)
        {
            return new TargetError(TargetError.Failed, $"a connection has at most {MaxProcesses} processes");
        }

        var one = new Attachment(this);
        if (!processes.TryAttach(process, one, out IDebugTarget? target, out TargetError? error))
        {
            return error;
        }

        Adopt(one, target);
        return null;
    }

    /// <summary>Detaches one process, or all.</summary>
    internal void Forget(Attachment? only)
    {
        foreach (Attachment one in attached.ToArray())
        {
            if (only is null || only == one)
            {
                Release(one);
            }
        }

        if (nonStop || State == SessionState.Closed || attached.Any(one => one.Running))
        {
            return;
        }

        if (firstStop is { } kept)
        {
            // It waited for the one that left; now it is to be told, behind the answer to this packet.
            firstStop = null;
            kept.Source.Running = true;
            Enqueue(new TargetEvent(kept.Source, kept.Report, null));
            return;
        }

        // What was waited for has left: nothing is waited for any more.
        State = SessionState.Idle;
    }

    /// <summary>A connection without extended mode ends with its last process.</summary>
    internal void CloseIfEmpty(string why)
    {
        if (attached.Count == 0 && !Extended)
        {
            Close(why);
        }
    }

    private void Adopt(Attachment one, IDebugTarget target)
    {
        one.Target = target;
        one.Process = target.ProcessId;
        attached.Add(one);
        general = one;
        generalThread = 0;
    }

    private void Handle(WireEvent happened)
    {
        switch (happened)
        {
            case WireEvent.Acknowledged:
                Acknowledge();
                break;

            case WireEvent.Refused:
                SendAgain();
                break;

            case WireEvent.Interrupt:
                Interrupt();
                break;

            case WireEvent.Damaged when acknowledging:
                Reply.Loose("-"u8);
                break;

            case WireEvent.Damaged:
                Fail(new TargetError(TargetError.Invalid, "the packet's checksum is wrong"));
                break;

            case WireEvent.TooLong:
                Accept();
                Fail(new TargetError(TargetError.Invalid, $"the packet is longer than 0x{PacketSize:x} bytes"));
                break;

            default:
                Accept();
                Dispatch(reader.Payload);
                break;
        }

        void Fail(TargetError error)
        {
            current = null;
            ReplyError(error);
            EndPacket();
        }
    }

    /// <summary>A packet arrived whole. A client that goes on talking has what was sent to it, whether or not it said so.</summary>
    private void Accept()
    {
        while (waiting.TryDequeue(out byte[]? packet))
        {
            Reply.Loose(packet);
        }

        waitingBytes = 0;
        unacknowledged = null;
        if (acknowledging)
        {
            Reply.Loose("+"u8);
        }
    }

    private void Acknowledge()
    {
        unacknowledged = null;
        resends = 0;
        if (waiting.TryDequeue(out byte[]? packet))
        {
            waitingBytes -= packet.Length;
            Reply.Loose(packet);
            unacknowledged = packet;
        }
    }

    private void SendAgain()
    {
        if (unacknowledged is null)
        {
            return;
        }

        if (++resends > MaxResends)
        {
            Close($"the client refused a packet {MaxResends} times");
            return;
        }

        Reply.Loose(unacknowledged);
    }

    private void Dispatch(ReadOnlySpan<byte> packet)
    {
        if (logger.IsEnabled(LogLevel.Trace))
        {
            logger.Received(number, Printable(packet));
        }

        current = PacketTable.Find(packet);
        answered = false;
        try
        {
            if (!opened && !Open())
            {
                return;
            }

            if (current?.Handler is not { } handler)
            {
                ReplyEmpty();
            }
            else if (WhyNotNow(current.When) is { } error)
            {
                ReplyError(error);
            }
            else
            {
                handler(this, new PacketArguments(packet[current.Name.Length..]));
            }
        }
        catch (Exception exception)
        {
            // A target's failure is the client's to know and not the server's end.
            logger.PacketFailed(exception, number, current?.Name ?? "");
            ReplyError(new TargetError(TargetError.Failed, $"internal error: {exception.Message}"));
        }

        if (Reply.IsOpen)
        {
            EndPacket();
        }
        else if (!answered && State is SessionState.Idle && current is { Silent: false })
        {
            ReplyError(new TargetError(TargetError.Failed, $"internal error: {current.Name} has no answer"));
            EndPacket();
        }
    }

    private TargetError? WhyNotNow(Allowed when)
    {
        if (when == Allowed.Always)
        {
            return null;
        }

        if (State != SessionState.Idle)
        {
            return new TargetError(TargetError.NotPermitted, "the target is running; interrupt it first");
        }

        if (when != Allowed.Detached && general is null)
        {
            return new TargetError(TargetError.NoSuchThread, "no process is attached: 'info os processes' lists what there is, 'attach N' opens one");
        }

        return when == Allowed.Stopped && general is { Readable: false }
            ? new TargetError(TargetError.NotPermitted, "the process is running; stop it first")
            : null;
    }

    private bool Open()
    {
        opened = true;
        var one = new Attachment(this);
        if (provider.TryOpen(one, out IDebugTarget? target, out string? refusal))
        {
            Adopt(one, target);
            logger.Opened(number);
            return true;
        }

        if (provider.Processes is not null)
        {
            return true;
        }

        logger.Refused(number, refusal);
        ReplyError(new TargetError(TargetError.NotPermitted, refusal));
        EndPacket();
        Close("refused");
        return false;
    }

    private static string Printable(ReadOnlySpan<byte> bytes)
    {
        const int shown = 200;
        string text = Encoding.Latin1.GetString(bytes[..Math.Min(bytes.Length, shown)]);
        return bytes.Length > shown ? $"{text}... ({bytes.Length} bytes)" : text;
    }
}
