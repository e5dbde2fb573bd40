using System.Buffers;
using System.IO.Pipelines;
using System.Net.Sockets;
using GdbStub.Targets;
using Microsoft.Extensions.Logging;

namespace GdbStub.Sessions;

/// <summary>Carries bytes between a pipe and a session: one flush, hence one write to the socket, for what one read brought.</summary>
internal static class SessionPump
{
    /// <summary>How long a client may take to read the last reply and close its end.</summary>
    private static readonly TimeSpan Linger = TimeSpan.FromSeconds(1);

    private static int lastNumber;

    /// <summary>Serves one connection to its end. Never throws: what goes wrong ends this session and no other.</summary>
    public static async Task RunAsync(IDuplexPipe pipe, ITargetProvider provider, ILogger logger, CancellationToken stop)
    {
        // Never on the thread that reports the stop: a target may need it to answer what the session then asks.
        using var session = new GdbSession(provider, logger)
        {
            StopArrived = () => ThreadPool.UnsafeQueueUserWorkItem(static input => input.CancelPendingRead(), pipe.Input, preferLocal: false),
        };
        int number = Interlocked.Increment(ref lastNumber);
        try
        {
            using CancellationTokenRegistration registration = stop.Register(pipe.Input.CancelPendingRead);
            await ConverseAsync(pipe, session, stop).ConfigureAwait(false);
            session.Close(stop.IsCancellationRequested ? "the server closes" : "the client closed");
            await pipe.Output.CompleteAsync().ConfigureAwait(false);
            if (!stop.IsCancellationRequested)
            {
                await DrainAsync(pipe.Input).ConfigureAwait(false);
            }
        }
        catch (Exception exception) when (exception is IOException or SocketException or OperationCanceledException or ObjectDisposedException or InvalidOperationException)
        {
            session.Close($"the connection broke: {exception.Message}");
        }
        catch (Exception exception)
        {
            logger.SessionFailed(exception, number);
        }
        finally
        {
            session.Close("failed");
            await CompleteAsync(pipe).ConfigureAwait(false);
        }
    }

    private static async Task ConverseAsync(IDuplexPipe pipe, GdbSession session, CancellationToken stop)
    {
        while (session.State != SessionState.Closed && !stop.IsCancellationRequested)
        {
            ReadResult read = await pipe.Input.ReadAsync(CancellationToken.None).ConfigureAwait(false);
            session.HandleStops();
            SequencePosition taken = read.Buffer.Start;
            bool whole = true;
            foreach (ReadOnlyMemory<byte> part in read.Buffer)
            {
                int count = session.Receive(part.Span);
                taken = read.Buffer.GetPosition(count, taken);
                whole = count == part.Length;
                if (!whole)
                {
                    break;
                }
            }

            pipe.Input.AdvanceTo(taken);
            if (session.Output.Length > 0)
            {
                pipe.Output.Write(session.Output.Span);
                session.OutputSent();
                FlushResult flushed = await pipe.Output.FlushAsync(stop).ConfigureAwait(false);
                if (flushed.IsCompleted)
                {
                    return;
                }
            }

            if (read.IsCompleted && whole)
            {
                return;
            }
        }
    }

    /// <summary>Lets the client take the last reply: closing a socket with unread input throws away what is on its way out.</summary>
    private static async Task DrainAsync(PipeReader input)
    {
        using var limit = new CancellationTokenSource(Linger);
        while (true)
        {
            ReadResult read = await input.ReadAsync(limit.Token).ConfigureAwait(false);
            input.AdvanceTo(read.Buffer.End);
            if (read.IsCompleted)
            {
                return;
            }
        }
    }

    private static async Task CompleteAsync(IDuplexPipe pipe)
    {
        await pipe.Output.CompleteAsync().ConfigureAwait(false);
        await pipe.Input.CompleteAsync().ConfigureAwait(false);
    }
}
