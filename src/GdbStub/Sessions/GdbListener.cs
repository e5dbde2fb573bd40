using System.Collections.Concurrent;
using System.IO.Pipelines;
using System.Net;
using System.Net.Sockets;
using GdbStub.Targets;
using Microsoft.Extensions.Logging;

namespace GdbStub.Sessions;

/// <summary>
/// Waits for debuggers and gives each its session. Whoever connects owns the target: an address that other machines can
/// reach is taken only when the caller says so.
/// </summary>
public sealed class GdbListener : IAsyncDisposable
{
    /// <summary>Connections served at a time; the next ones are closed at once.</summary>
    public const int MaxSessions = 32;

    private readonly ITargetProvider provider;
    private readonly ILogger logger;
    private readonly Socket? socket;
    private readonly string? path;
    private readonly CancellationTokenSource stop = new();
    private readonly ConcurrentDictionary<Task, bool> sessions = [];
    private readonly Task accepting;

    private GdbListener(GdbEndpoint endpoint, Socket? socket, string? path, ITargetProvider provider, ILogger logger)
    {
        Endpoint = endpoint;
        this.socket = socket;
        this.path = path;
        this.provider = provider;
        this.logger = logger;
        accepting = socket is null ? ServeStdioAsync() : AcceptAsync(socket);
        logger.Listening(endpoint.TargetRemote);
    }

    /// <summary>Where it listens, with the port that was picked.</summary>
    public GdbEndpoint Endpoint { get; }

    /// <summary>Ends when there is nothing more to serve: on stdio with the one connection, else when the listener is disposed.</summary>
    public Task Completion => accepting;

    /// <summary>
    /// Starts listening. Throws <see cref="IOException"/> with what is wrong and what to do when it cannot, and
    /// <see cref="ArgumentException"/> for an address others can reach unless <paramref name="expose"/> is set.
    /// </summary>
    public static GdbListener Start(GdbEndpoint endpoint, ITargetProvider provider, ILogger logger, bool expose = false)
    {
        ArgumentNullException.ThrowIfNull(endpoint);
        if (!endpoint.IsPrivate && !expose)
        {
            throw new ArgumentException($"{endpoint.TargetRemote} can be reached from other machines, and whoever connects owns the machine; exposing it must be asked for", nameof(endpoint));
        }

        try
        {
            switch (endpoint)
            {
                case GdbEndpoint.Tcp tcp:
                    Socket listening = new(tcp.Address.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
                    Listen(listening, new IPEndPoint(tcp.Address, tcp.Port), null);
                    int port = ((IPEndPoint)listening.LocalEndPoint!).Port;
                    return new GdbListener(tcp with { Port = port }, listening, null, provider, logger);

                case GdbEndpoint.Unix unix:
                    RemoveStale(unix.Path);
                    Socket file = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
                    Listen(file, new UnixDomainSocketEndPoint(unix.Path), unix.Path);
                    return new GdbListener(unix, file, unix.Path, provider, logger);

                default:
                    return new GdbListener(endpoint, null, null, provider, logger);
            }
        }
        catch (SocketException exception)
        {
            throw new IOException($"cannot listen on {endpoint.TargetRemote}: {exception.Message}; choose another address", exception);
        }
    }

    /// <summary>Serves one connection that the caller made, to its end. Never throws.</summary>
    public static Task ServeAsync(IDuplexPipe pipe, ITargetProvider provider, ILogger logger, CancellationToken stop = default)
    {
        ArgumentNullException.ThrowIfNull(pipe);
        return SessionPump.RunAsync(pipe, provider, logger, stop);
    }

    /// <summary>Stops listening, ends every session, and removes the socket file.</summary>
    public async ValueTask DisposeAsync()
    {
        if (stop.IsCancellationRequested)
        {
            return;
        }

        await stop.CancelAsync().ConfigureAwait(false);
        socket?.Dispose();
        if (socket is not null)
        {
            await accepting.ConfigureAwait(false);
        }

        await Task.WhenAll(sessions.Keys).ConfigureAwait(false);
        if (path is not null)
        {
            File.Delete(path);
        }

        stop.Dispose();
    }

    private static void Listen(Socket socket, EndPoint where, string? path)
    {
        try
        {
            socket.Bind(where);

            // Between bind and listen nobody can connect: the file is never open to others.
            if (path is not null && !OperatingSystem.IsWindows())
            {
                File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite);
            }

            socket.Listen();
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    /// <summary>Removes the socket file of a server that is gone; anything else at that path is an error.</summary>
    private static void RemoveStale(string path)
    {
        if (!Path.Exists(path))
        {
            return;
        }

        using var probe = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            probe.Connect(new UnixDomainSocketEndPoint(path));
        }
        catch (SocketException) when (IsSocketFile(path))
        {
            File.Delete(path);
            return;
        }
        catch (SocketException)
        {
            throw new IOException($"cannot listen on {path}: something that is no socket is at that path; remove it or choose another path");
        }

        throw new IOException($"cannot listen on {path}: another server does; choose another path");
    }

    /// <summary>A socket is the one kind of file that cannot be opened at all (ENXIO); read-write, because a FIFO would wait otherwise.</summary>
    private static bool IsSocketFile(string path)
    {
        try
        {
            File.OpenHandle(path, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite | FileShare.Delete).Dispose();
            return false;
        }
        catch (UnauthorizedAccessException)
        {
            return false;
        }
        catch (IOException)
        {
            return true;
        }
    }

    private async Task AcceptAsync(Socket listening)
    {
        while (!stop.IsCancellationRequested)
        {
            try
            {
                Socket client = await listening.AcceptAsync(stop.Token).ConfigureAwait(false);
                if (sessions.Count >= MaxSessions)
                {
                    client.Dispose();
                    continue;
                }

                Task session = Task.Factory.StartNew(
                    () => ServeSocket(client), CancellationToken.None, TaskCreationOptions.LongRunning | TaskCreationOptions.DenyChildAttach, TaskScheduler.Default);
                sessions[session] = true;
                _ = session.ContinueWith(ended => sessions.TryRemove(ended, out _), TaskScheduler.Default);
            }
            catch (Exception exception) when (stop.IsCancellationRequested && exception is OperationCanceledException or ObjectDisposedException or SocketException)
            {
                return;
            }
            catch (SocketException exception)
            {
                // Out of descriptors, or a client that went before it was taken: neither ends the others.
                logger.AcceptFailed(exception);
                await Task.Delay(100, CancellationToken.None).ConfigureAwait(false);
            }
        }
    }

    private void ServeSocket(Socket client)
    {
        using (client)
        {
            try
            {
                if (client.AddressFamily != AddressFamily.Unix)
                {
                    client.NoDelay = true;
                    NoticeLoss(client);
                }

                SocketPump.Run(client, provider, logger, stop.Token);
            }
            catch (Exception exception)
            {
                logger.SessionFailed(exception, 0);
            }
        }
    }

    /// <summary>A client whose host or network goes without a word is noticed within a minute; till then a machine would stand still for it.</summary>
    private static void NoticeLoss(Socket client)
    {
        const int idleSeconds = 30, probeSeconds = 10, probes = 3;
        client.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.KeepAlive, true);
        client.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveTime, idleSeconds);
        client.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveInterval, probeSeconds);
        client.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveRetryCount, probes);
    }

    private async Task ServeStdioAsync()
    {
        await Task.Yield();
        await SessionPump.RunAsync(new StdioPipe(), provider, logger, stop.Token).ConfigureAwait(false);
    }
}
