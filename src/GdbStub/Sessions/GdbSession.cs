using System.Collections.Concurrent;
using System.Text;
using GdbStub.Packets;
using GdbStub.Targets;
using GdbStub.Wire;
using Microsoft.Extensions.Logging;

namespace GdbStub.Sessions;

/// <summary>
/// One debugger's conversation with one target, as a state machine without input or output of its own: bytes go in with
/// <see cref="Receive"/>, bytes to send come out of <see cref="Output"/>. One thread at a time drives it; only
/// <see cref="Stopped"/> may be called from any. Whatever a client sends, it answers each packet once and each resume with
/// one stop reply, keeps no more than one packet, and throws nothing.
/// </summary>
public sealed partial class GdbSession : ITargetEvents, IDisposable
{
    /// <summary>Longest packet taken and sent, in bytes.</summary>
    public const int PacketSize = 0x20000;

    /// <summary>How often one packet is sent again before the client is given up.</summary>
    private const int MaxResends = 16;

    /// <summary>Replies wait in memory until this many bytes are reached; then they must be sent before more is taken in.</summary>
    private const int OutputHighWater = PacketSize;

    private static int lastNumber;

    private readonly ITargetProvider provider;
    private readonly ILogger logger;
    private readonly int number = Interlocked.Increment(ref lastNumber);
    private readonly PacketReader reader = new(PacketSize);
    private readonly ConcurrentQueue<StopReport> reports = [];
    private readonly Queue<byte[]> waiting = [];
    private readonly byte[] scratch = new byte[PacketSize];
    private IDebugTarget? target;
    private PacketEntry? current;
    private bool answered;
    private bool acknowledging = true;
    private byte[]? unacknowledged;
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

    internal IDebugTarget Target => target ?? throw new InvalidOperationException("no target is open");

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

    /// <inheritdoc/>
    public void Stopped(StopReport report)
    {
        reports.Enqueue(report);
        StopArrived?.Invoke();
    }

    /// <summary>Tells the client of stops that arrived.</summary>
    public void HandleStops()
    {
        while (reports.TryDequeue(out StopReport? report))
        {
            if (State is not (SessionState.Running or SessionState.Interrupting))
            {
                continue;
            }

            State = SessionState.Idle;
            SelectGeneral(0);
            TellStop(report);
            EndPacket();
            if (report.Reason == StopReason.Exited)
            {
                Close("the target is gone");
            }
        }
    }

    /// <summary>Ends the session and lets the target go; <see cref="Output"/> may still hold a last reply.</summary>
    public void Close(string why)
    {
        if (State == SessionState.Closed)
        {
            return;
        }

        State = SessionState.Closed;
        logger.Ended(number, why);
        try
        {
            target?.Dispose();
        }
        catch (Exception exception)
        {
            logger.ReleaseFailed(exception, number);
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
        else
        {
            waiting.Enqueue(packet.ToArray());
            Reply.TakeBack(packet.Length);
        }
    }

    /// <summary>Sends what is open, and from then on nothing is acknowledged, for this session only.</summary>
    internal void StopAcknowledging()
    {
        EndPacket();
        acknowledging = false;
    }

    private void TellStop(StopReport report)
    {
        try
        {
            ReplyStop(report);
        }
        catch (Exception exception)
        {
            // The resume has to end even when the target cannot say where it stands.
            logger.PacketFailed(exception, number, "stop reply");
            Reply.Abandon();
            Begin().Text("S"u8).HexBytes([report.Signal]);
        }
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
            if (target is null && !Open())
            {
                return;
            }

            if (current?.Handler is not { } handler)
            {
                ReplyEmpty();
            }
            else if (State != SessionState.Idle && current.When == Allowed.Stopped)
            {
                ReplyError(new TargetError(TargetError.NotPermitted, "the target is running; interrupt it first"));
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
            if (State == SessionState.Running)
            {
                State = SessionState.Idle;
            }

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

    private bool Open()
    {
        if (provider.TryOpen(this, out target, out string? refusal))
        {
            logger.Opened(number);
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
