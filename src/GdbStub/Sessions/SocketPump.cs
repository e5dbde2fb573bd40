using System.Diagnostics;
using System.Net.Sockets;
using GdbStub.Targets;
using Microsoft.Extensions.Logging;

namespace GdbStub.Sessions;

/// <summary>
/// Carries bytes between a socket and a session on a thread of the connection's own: reading blocks in the system, which
/// wakes this very thread, and a reply leaves in one call. Half of a round trip through a thread pool is waking its
/// threads one after the other.
/// </summary>
internal sealed class SocketPump
{
    private const int NotWaiting = 0;
    private const int Waiting = 1;
    private const int Arrived = 2;

    /// <summary>How long a client may take to read the last reply and close its end.</summary>
    private static readonly TimeSpan Linger = TimeSpan.FromSeconds(1);

    /// <summary>How long to look out for a stop before reading on: most steps end sooner, and need no other thread then.</summary>
    private static readonly TimeSpan LookOut = TimeSpan.FromMicroseconds(50);

    private readonly Socket socket;
    private readonly GdbSession session;
    private readonly Lock gate = new();
    private int waiting;

    private SocketPump(Socket socket, ITargetProvider provider, ILogger logger)
    {
        this.socket = socket;
        session = new GdbSession(provider, logger) { StopArrived = OnStop };
    }

    /// <summary>Serves one connection to its end, on the calling thread. Never throws: what goes wrong ends this session and no other.</summary>
    public static void Run(Socket socket, ITargetProvider provider, ILogger logger, CancellationToken stop)
    {
        var pump = new SocketPump(socket, provider, logger);
        try
        {
            using CancellationTokenRegistration registration = stop.Register(pump.Leave);
            pump.Converse(stop);
        }
        catch (Exception exception) when (exception is SocketException or ObjectDisposedException)
        {
            pump.Close($"the connection broke: {exception.Message}");
        }
        catch (Exception exception)
        {
            logger.SessionFailed(exception, 0);
        }
        finally
        {
            pump.Close("failed");
        }
    }

    private void Converse(CancellationToken stop)
    {
        byte[] buffer = new byte[0x10000];
        while (!stop.IsCancellationRequested)
        {
            int count = socket.Receive(buffer);
            if (count == 0)
            {
                break;
            }

            // From here on a stop is this thread's to tell, also one that comes before its resume returns.
            Volatile.Write(ref waiting, Waiting);
            lock (gate)
            {
                Take(buffer.AsSpan(0, count));
                if (session.State == SessionState.Closed)
                {
                    break;
                }
            }

            LookOutForStop();
        }

        Close(stop.IsCancellationRequested ? "the server closes" : "the client closed");
        if (!stop.IsCancellationRequested)
        {
            // Closing a socket with unread input throws away what is on its way out.
            socket.Shutdown(SocketShutdown.Send);
            socket.ReceiveTimeout = (int)Linger.TotalMilliseconds;
            long start = Stopwatch.GetTimestamp();
            while (socket.Receive(buffer) > 0 && Stopwatch.GetElapsedTime(start) < Linger)
            {
            }
        }
    }

    private void Take(ReadOnlySpan<byte> bytes)
    {
        // A stop that came before these bytes is told before they are answered.
        session.HandleStops();
        while (!bytes.IsEmpty && session.State != SessionState.Closed)
        {
            bytes = bytes[session.Receive(bytes)..];
            Send();
        }

        Send();
    }

    private void Send()
    {
        ReadOnlySpan<byte> output = session.Output.Span;
        while (!output.IsEmpty)
        {
            output = output[socket.Send(output)..];
        }

        session.OutputSent();
    }

    private void LookOutForStop()
    {
        if (session.State is SessionState.Running or SessionState.Interrupting)
        {
            long start = Stopwatch.GetTimestamp();
            while (Volatile.Read(ref waiting) == Waiting && Stopwatch.GetElapsedTime(start) < LookOut)
            {
                Thread.SpinWait(10);
            }
        }

        if (Interlocked.Exchange(ref waiting, NotWaiting) == Arrived)
        {
            TellStops();
        }
    }

    /// <summary>Never tells it on the thread that reports the stop: a target may need that to answer what the session then asks.</summary>
    private void OnStop()
    {
        if (Interlocked.CompareExchange(ref waiting, Arrived, Waiting) != Waiting)
        {
            ThreadPool.UnsafeQueueUserWorkItem(static pump => pump.TellStopsFromElsewhere(), this, preferLocal: false);
        }
    }

    private void TellStopsFromElsewhere()
    {
        try
        {
            TellStops();
        }
        catch (Exception exception) when (exception is SocketException or ObjectDisposedException)
        {
            // The connection's own thread finds out too, and ends the session.
            Leave();
        }
    }

    private void TellStops()
    {
        lock (gate)
        {
            session.HandleStops();
            Send();
            if (session.State != SessionState.Closed)
            {
                return;
            }
        }

        Leave();
    }

    private void Close(string why)
    {
        lock (gate)
        {
            session.Close(why);
        }
    }

    /// <summary>Wakes the thread that reads, or, if it is stuck in sending to a client that does not read, ends that too, a little later.</summary>
    private void Leave()
    {
        try
        {
            socket.Shutdown(SocketShutdown.Receive);
        }
        catch (Exception exception) when (exception is SocketException or ObjectDisposedException)
        {
            return;
        }

        _ = Task.Delay(Linger).ContinueWith(
            static (_, state) => ((Socket)state!).Dispose(), socket, CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default);
    }
}
