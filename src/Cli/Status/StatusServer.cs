using System.Net.Sockets;
using System.Text.Json;
using Microsoft.Extensions.Logging;

namespace Cli.Status;

/// <summary>
/// Tells whoever connects to this process's socket how its machines are: one JSON array, then the end. The socket is in a
/// directory of mode 0700. A process that cannot have one still runs its machines; only `gdbstub ps` does not know of them.
/// </summary>
internal sealed partial class StatusServer : IDisposable
{
    private readonly Socket socket;
    private readonly string path;
    private readonly Func<MachineStatus[]> look;

    private StatusServer(Socket socket, string path, Func<MachineStatus[]> look)
    {
        this.socket = socket;
        this.path = path;
        this.look = look;
    }

    /// <summary>Opens the socket; null, with a line in the log, when it cannot be had.</summary>
    public static StatusServer? TryStart(Func<MachineStatus[]> look, ILogger logger)
    {
        string? directory = StatusDirectory.Resolve(Environment.GetEnvironmentVariable);
        if (directory is null || OperatingSystem.IsWindows())
        {
            return null;
        }

        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            Directory.CreateDirectory(directory, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
            string path = Path.Combine(directory, $"{Environment.ProcessId}.sock");
            File.Delete(path);
            socket.Bind(new UnixDomainSocketEndPoint(path));
            File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite);
            socket.Listen(8);
            var server = new StatusServer(socket, path, look);
            _ = Task.Run(server.ServeAsync);
            return server;
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException or SocketException or ArgumentException)
        {
            LogNoSocket(logger, directory, failure.Message);
            socket.Dispose();
            return null;
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        socket.Dispose();
        File.Delete(path);
    }

    private async Task ServeAsync()
    {
        while (true)
        {
            try
            {
                using Socket client = await socket.AcceptAsync();
                client.SendTimeout = 1000;
                byte[] answer = JsonSerializer.SerializeToUtf8Bytes(look(), MachineStatusJson.Default.MachineStatusArray);
                await client.SendAsync(answer);
                client.Shutdown(SocketShutdown.Both);
            }
            catch (ObjectDisposedException)
            {
                return;
            }
            catch (SocketException failure) when (failure.SocketErrorCode == SocketError.OperationAborted)
            {
                return;
            }
            catch (SocketException)
            {
                // Whoever asked has gone.
            }
        }
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "gdbstub ps will not know of this process: {Directory}: {Problem}")]
    private static partial void LogNoSocket(ILogger logger, string directory, string problem);
}
