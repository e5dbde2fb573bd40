using System.Net;
using System.Net.Sockets;
using System.Text;
using GdbStub.Sessions;
using GdbStub.Targets;
using Microsoft.Extensions.Logging.Abstractions;

namespace GdbStub.Tests;

[System.Runtime.Versioning.UnsupportedOSPlatform("windows")]
public sealed class ListenerTests : IDisposable
{
    private readonly string directory = Directory.CreateTempSubdirectory("gdbstub-test-").FullName;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public void Dispose() => Directory.Delete(directory, recursive: true);

    [Theory]
    [InlineData("tcp:127.0.0.1:1234", "127.0.0.1:1234", true)]
    [InlineData("tcp:localhost:0", "127.0.0.1:0", true)]
    [InlineData("tcp:[::1]:1234", "[::1]:1234", true)]
    [InlineData("tcp:0.0.0.0:1234", "0.0.0.0:1234", false)]
    [InlineData("tcp:192.0.2.1:1234", "192.0.2.1:1234", false)]
    [InlineData("unix:/run/x.sock", "/run/x.sock", true)]
    [InlineData("stdio", "| program", true)]
    public void An_endpoint_is_read(string text, string remote, bool isPrivate)
    {
        Assert.True(GdbEndpoint.TryParse(text, out GdbEndpoint? endpoint, out _));
        Assert.Equal(remote, endpoint.TargetRemote);
        Assert.Equal(isPrivate, endpoint.IsPrivate);
    }

    [Theory]
    [InlineData("")]
    [InlineData("tcp:")]
    [InlineData("tcp:1234")]
    [InlineData("tcp:127.0.0.1:65536")]
    [InlineData("tcp:127.0.0.1:-1")]
    [InlineData("tcp:example.org:1234")]
    [InlineData("unix:")]
    [InlineData("serial:/dev/ttyS0")]
    public void An_endpoint_that_is_none_says_so(string text)
    {
        Assert.False(GdbEndpoint.TryParse(text, out _, out string? error));
        Assert.StartsWith($"'{text}'", error, StringComparison.Ordinal);
    }

    [Fact]
    public void An_address_others_can_reach_must_be_asked_for() =>
        Assert.Throws<ArgumentException>(() => GdbListener.Start(new GdbEndpoint.Tcp(IPAddress.Any, 0), new FakeTarget(), NullLogger.Instance));

    [Fact]
    public async Task A_client_talks_over_TCP_on_a_port_that_was_picked()
    {
        var target = new FakeTarget();
        await using GdbListener listener = GdbListener.Start(new GdbEndpoint.Tcp(IPAddress.Loopback, 0), target, NullLogger.Instance);
        var endpoint = Assert.IsType<GdbEndpoint.Tcp>(listener.Endpoint);
        Assert.NotEqual(0, endpoint.Port);
        using Socket client = await ConnectAsync(endpoint);
        await SendAsync(client, "$QStartNoAckMode#b0");
        Assert.Equal("+$OK#9a", await ReceiveAsync(client, 7));
        await SendAsync(client, "$c#63");
        await Until(() => target.Running);
        target.Report(new StopReport(1, StopReason.Signal, 6));
        await ReceiveAsync(client, "$T06thread:1;00:0* 1020;#00".Length);
        await SendAsync(client, "$D#44");
        Assert.Equal("$OK#9a", await ReceiveToEndAsync(client));
        Assert.Equal(1, target.Disposals);
    }

    [Fact]
    public async Task A_socket_file_is_its_owners_alone_and_goes_with_the_listener()
    {
        string path = Path.Combine(directory, "s");
        await using (GdbListener listener = GdbListener.Start(new GdbEndpoint.Unix(path), new FakeTarget(), NullLogger.Instance))
        {
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(path));
            using Socket client = await ConnectAsync(listener.Endpoint);
            await SendAsync(client, "$qC#b4");
            Assert.Equal("+$QC1#c5", await ReceiveAsync(client, 8));
            IOException taken = Assert.Throws<IOException>(() => GdbListener.Start(new GdbEndpoint.Unix(path), new FakeTarget(), NullLogger.Instance));
            Assert.Contains("another server", taken.Message, StringComparison.Ordinal);
        }

        Assert.False(File.Exists(path));
    }

    [Fact]
    public async Task A_socket_file_left_by_a_dead_server_is_replaced_and_another_file_is_not()
    {
        string path = Path.Combine(directory, "s");
        using (var dead = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified))
        {
            dead.Bind(new UnixDomainSocketEndPoint(path + ".first"));
            dead.Listen();

            // Closing removes the file under its first name only.
            File.Move(path + ".first", path);
        }

        Assert.True(File.Exists(path));
        await using (GdbListener.Start(new GdbEndpoint.Unix(path), new FakeTarget(), NullLogger.Instance))
        {
        }

        await File.WriteAllTextAsync(path, "", Cancel);
        Assert.Throws<IOException>(() => GdbListener.Start(new GdbEndpoint.Unix(path), new FakeTarget(), NullLogger.Instance));
        Assert.True(File.Exists(path));
    }

    [Fact]
    public async Task A_port_that_is_taken_is_an_error_with_advice()
    {
        await using GdbListener first = GdbListener.Start(new GdbEndpoint.Tcp(IPAddress.Loopback, 0), new FakeTarget(), NullLogger.Instance);
        IOException error = Assert.Throws<IOException>(() => GdbListener.Start(first.Endpoint, new FakeTarget(), NullLogger.Instance));
        Assert.Contains("choose another address", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_client_that_vanishes_lets_its_target_go(bool running)
    {
        var target = new FakeTarget();
        await using GdbListener listener = GdbListener.Start(new GdbEndpoint.Tcp(IPAddress.Loopback, 0), target, NullLogger.Instance);
        using (Socket client = await ConnectAsync(listener.Endpoint))
        {
            await SendAsync(client, running ? "$c#63" : "$?#3f");
            await Until(() => target.Opened == 1 && target.Running == running);
            client.LingerState = new LingerOption(true, 0);
        }

        await Until(() => target.Disposals == 1);
    }

    [Fact]
    public async Task A_half_closed_client_gets_its_replies()
    {
        await using GdbListener listener = GdbListener.Start(new GdbEndpoint.Tcp(IPAddress.Loopback, 0), new FakeTarget(), NullLogger.Instance);
        using Socket client = await ConnectAsync(listener.Endpoint);
        await SendAsync(client, "$qC#b4$qC#b4$g#67$m1");
        client.Shutdown(SocketShutdown.Send);
        string all = await ReceiveToEndAsync(client);
        Assert.Equal(["QC1", "QC1", "000010200000200000000031xxxx"], Conversation.Payloads(all));
    }

    [Fact]
    public async Task A_refused_client_reads_the_reason()
    {
        var target = new FakeTarget { Refusal = "no more room" };
        await using GdbListener listener = GdbListener.Start(new GdbEndpoint.Tcp(IPAddress.Loopback, 0), target, NullLogger.Instance);
        using Socket client = await ConnectAsync(listener.Endpoint);
        await SendAsync(client, "$qSupported#37");
        Assert.Equal("+" + Conversation.Frame("E.no more room"), await ReceiveToEndAsync(client));
    }

    [Fact]
    public async Task Closing_the_listener_ends_its_sessions()
    {
        var target = new FakeTarget();
        GdbListener listener = GdbListener.Start(new GdbEndpoint.Tcp(IPAddress.Loopback, 0), target, NullLogger.Instance);
        using Socket client = await ConnectAsync(listener.Endpoint);
        await SendAsync(client, "$c#63");
        await Until(() => target.Running);
        await listener.DisposeAsync();
        Assert.Equal(1, target.Disposals);
        await ReceiveToEndAsync(client);
    }

    [Fact]
    public async Task A_client_that_takes_nothing_does_not_keep_the_listener_from_closing()
    {
        var target = new FakeTarget();
        GdbListener listener = GdbListener.Start(new GdbEndpoint.Tcp(IPAddress.Loopback, 0), target, NullLogger.Instance);
        using Socket client = await ConnectAsync(listener.Endpoint);
        await SendAsync(client, "$QStartNoAckMode#b0+");
        byte[] greed = Encoding.Latin1.GetBytes(string.Concat(Enumerable.Repeat(Conversation.Frame("x1000,10000"), 1000)));
        client.Blocking = false;
        Task sending = Task.Run(() => client.Send(greed, SocketFlags.None, out _), Cancel);
        await Until(() => target.Opened == 1);
        await listener.DisposeAsync();
        Assert.Equal(1, target.Disposals);
        await sending;
    }

    [Fact]
    public async Task A_running_target_is_interrupted_and_a_half_closed_client_lets_it_go()
    {
        var target = new FakeTarget();
        await using GdbListener listener = GdbListener.Start(new GdbEndpoint.Tcp(IPAddress.Loopback, 0), target, NullLogger.Instance);
        using Socket client = await ConnectAsync(listener.Endpoint);
        await SendAsync(client, "$QStartNoAckMode#b0+$c#63\x03");
        Assert.Equal("+$OK#9a", await ReceiveAsync(client, 7));
        await Until(() => target.Calls.Contains("stop"));
        target.Report(new StopReport(1, StopReason.Signal, 2));
        Assert.StartsWith("$T02", await ReceiveAsync(client, "$T02thread:1;00:0* 1020;#00".Length), StringComparison.Ordinal);
        await SendAsync(client, "$c#63");
        await Until(() => target.Running);
        client.Shutdown(SocketShutdown.Send);
        Assert.Equal("", await ReceiveToEndAsync(client));
        Assert.Equal(1, target.Disposals);
    }

    [Fact]
    public async Task Each_session_is_its_own()
    {
        await using GdbListener listener = GdbListener.Start(new GdbEndpoint.Tcp(IPAddress.Loopback, 0), new FakeTarget(), NullLogger.Instance);
        using Socket first = await ConnectAsync(listener.Endpoint);
        using Socket second = await ConnectAsync(listener.Endpoint);
        await SendAsync(first, "$QStartNoAckMode#b0+$Hg2#e1");
        Assert.Equal("+$OK#9a$OK#9a", await ReceiveAsync(first, 13));
        await SendAsync(second, "$qC#b4");
        Assert.Equal("+$QC1#c5", await ReceiveAsync(second, 8));
    }

    private static async Task<Socket> ConnectAsync(GdbEndpoint endpoint)
    {
        EndPoint where = endpoint is GdbEndpoint.Tcp tcp ? new IPEndPoint(tcp.Address, tcp.Port) : new UnixDomainSocketEndPoint(((GdbEndpoint.Unix)endpoint).Path);
        var socket = new Socket(where.AddressFamily, SocketType.Stream, endpoint is GdbEndpoint.Tcp ? ProtocolType.Tcp : ProtocolType.Unspecified);
        await socket.ConnectAsync(where, Cancel);
        return socket;
    }

    private static async Task SendAsync(Socket socket, string text) => await socket.SendAsync(Encoding.Latin1.GetBytes(text), Cancel);

    private static async Task<string> ReceiveAsync(Socket socket, int count)
    {
        byte[] buffer = new byte[count];
        int done = 0;
        while (done < count)
        {
            int read = await socket.ReceiveAsync(buffer.AsMemory(done), Cancel);
            Assert.NotEqual(0, read);
            done += read;
        }

        return Encoding.Latin1.GetString(buffer);
    }

    private static async Task<string> ReceiveToEndAsync(Socket socket)
    {
        var text = new StringBuilder();
        byte[] buffer = new byte[4096];
        int read;
        while ((read = await socket.ReceiveAsync(buffer, Cancel)) > 0)
        {
            text.Append(Encoding.Latin1.GetString(buffer, 0, read));
        }

        return text.ToString();
    }

    private static async Task Until(Func<bool> condition)
    {
        while (!condition())
        {
            await Task.Delay(5, Cancel);
        }
    }
}
