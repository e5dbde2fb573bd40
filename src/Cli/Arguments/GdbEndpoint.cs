using System.Globalization;
using System.Net;
using System.Text;

namespace Cli.Arguments;

/// <summary>Where debuggers connect: tcp:HOST:PORT, unix:PATH, stdio or none.</summary>
internal abstract record GdbEndpoint
{
    /// <summary>A Unix socket's address holds at most this many bytes, its terminating zero aside (unix(7)).</summary>
    public const int MaximumUnixPath = 107;

    private const string Forms = "give tcp:HOST:PORT, unix:PATH, stdio or none";

    private GdbEndpoint()
    {
    }

    /// <summary>A loopback port the system picks.</summary>
    public static GdbEndpoint AnyLoopbackPort { get; } = new Tcp("127.0.0.1", 0);

    /// <summary>True when somebody on another machine could connect.</summary>
    public virtual bool IsExposed => false;

    /// <summary>The endpoint; false with a line that says what is wrong.</summary>
    public static bool TryParse(string text, out GdbEndpoint endpoint, out string error)
    {
        endpoint = new None();
        error = "";
        switch (text)
        {
            case "none":
                return true;
            case "stdio":
                endpoint = new Stdio();
                return true;
        }

        if (text.StartsWith("unix:", StringComparison.Ordinal))
        {
            string path = text[5..];
            int length = Encoding.UTF8.GetByteCount(path);
            error = length == 0 ? "unix: needs a path: unix:/run/user/1000/guest.sock"
                : length > MaximumUnixPath ? $"the socket's path is {length} bytes long; {MaximumUnixPath} is the system's limit"
                : "";
            endpoint = new Unix(path);
            return error.Length == 0;
        }

        if (!text.StartsWith("tcp:", StringComparison.Ordinal))
        {
            error = $"'{text}' is no place to listen: {Forms}";
            return false;
        }

        int colon = text.LastIndexOf(':');
        string host = colon > 4 ? text[4..colon] : "";
        if (host.StartsWith('[') && host.EndsWith(']'))
        {
            host = host[1..^1];
        }
        else if (host.Contains(':'))
        {
            error = $"'{text}': write an IPv6 address in brackets, tcp:[::1]:PORT";
            return false;
        }

        if (host.Length == 0)
        {
            error = $"'{text}' names no host: for this machine alone give tcp:127.0.0.1:PORT";
            return false;
        }

        if (!ushort.TryParse(text.AsSpan(colon + 1), NumberStyles.None, CultureInfo.InvariantCulture, out ushort port))
        {
            error = $"'{text[(colon + 1)..]}' is not a port: give 0 to 65535 (0 picks one)";
            return false;
        }

        endpoint = new Tcp(host, port);
        return true;
    }

    /// <summary>A TCP port on one address.</summary>
    public sealed record Tcp(string Host, ushort Port) : GdbEndpoint
    {
        /// <inheritdoc/>
        public override bool IsExposed =>
            Host != "localhost" && !(IPAddress.TryParse(Host, out IPAddress? address) && IPAddress.IsLoopback(address));

        /// <inheritdoc/>
        public override string ToString() => Host.Contains(':') ? $"tcp:[{Host}]:{Port}" : $"tcp:{Host}:{Port}";
    }

    /// <summary>A Unix socket only its owner may use.</summary>
    public sealed record Unix(string Path) : GdbEndpoint
    {
        /// <inheritdoc/>
        public override string ToString() => $"unix:{Path}";
    }

    /// <summary>One debugger on standard input and output: gdb's <c>target remote | command</c>.</summary>
    public sealed record Stdio : GdbEndpoint
    {
        /// <inheritdoc/>
        public override string ToString() => "stdio";
    }

    /// <summary>No debugger.</summary>
    public sealed record None : GdbEndpoint
    {
        /// <inheritdoc/>
        public override string ToString() => "none";
    }
}
