using System.Net.Sockets;
using System.Text.Json;

namespace Cli.Status;

/// <summary>Asks every process of this user that runs machines how they are.</summary>
internal static class RunningMachines
{
    private const int MostBytes = 16 << 20;

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(2);

    /// <summary>
    /// Their machines, by process and name. Sockets of processes that have died are removed; a process that does not answer in
    /// time is named in <paramref name="silent"/>.
    /// </summary>
    public static IReadOnlyList<MachineStatus> List(string directory, out IReadOnlyList<string> silent)
    {
        List<MachineStatus> machines = [];
        List<string> mute = [];
        string[] sockets = Directory.Exists(directory) ? Directory.GetFiles(directory, "*.sock") : [];
        foreach (string path in sockets)
        {
            try
            {
                machines.AddRange(Ask(path));
            }
            catch (SocketException failure) when (failure.SocketErrorCode is SocketError.ConnectionRefused or SocketError.AddressNotAvailable)
            {
                File.Delete(path);
            }
            catch (Exception failure) when (failure is SocketException or IOException or JsonException or ArgumentException)
            {
                if (File.Exists(path))
                {
                    mute.Add($"process {Path.GetFileNameWithoutExtension(path)} does not tell of its machines: {failure.Message}");
                }
            }
        }

        silent = mute;
        return [.. machines.OrderBy(machine => machine.Pid).ThenBy(machine => machine.Machine, StringComparer.Ordinal)];
    }

    private static MachineStatus[] Ask(string path)
    {
        using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        socket.ReceiveTimeout = (int)Patience.TotalMilliseconds;
        socket.Connect(new UnixDomainSocketEndPoint(path));
        using var answer = new MemoryStream();
        byte[] buffer = new byte[65536];
        for (int count = socket.Receive(buffer); count > 0; count = socket.Receive(buffer))
        {
            answer.Write(buffer, 0, count);
            if (answer.Length > MostBytes)
            {
                throw new IOException($"it says more than {MostBytes} bytes");
            }
        }

        return JsonSerializer.Deserialize(answer.GetBuffer().AsSpan(0, (int)answer.Length), MachineStatusJson.Default.MachineStatusArray) ?? [];
    }
}
