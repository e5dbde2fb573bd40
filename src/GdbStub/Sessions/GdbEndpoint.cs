using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Net;

namespace GdbStub.Sessions;

/// <summary>Where debuggers connect.</summary>
public abstract record GdbEndpoint
{
    private GdbEndpoint()
    {
    }

    /// <summary>True when only this machine, and on a socket file only its owner, can reach it.</summary>
    public abstract bool IsPrivate { get; }

    /// <summary>What a gdb user types behind "target remote".</summary>
    public abstract string TargetRemote { get; }

    /// <summary>A TCP port; 0 picks a free one.</summary>
    public sealed record Tcp(IPAddress Address, int Port) : GdbEndpoint
    {
        /// <inheritdoc/>
        public override bool IsPrivate => IPAddress.IsLoopback(Address);

        /// <inheritdoc/>
        public override string TargetRemote => new IPEndPoint(Address, Port).ToString();
    }

    /// <summary>A socket file, created with mode 0600.</summary>
    public sealed record Unix(string Path) : GdbEndpoint
    {
        /// <inheritdoc/>
        public override bool IsPrivate => true;

        /// <inheritdoc/>
        public override string TargetRemote => Path;
    }

    /// <summary>Standard input and output: one connection, for <c>target remote | program</c>.</summary>
    public sealed record Stdio : GdbEndpoint
    {
        /// <inheritdoc/>
        public override bool IsPrivate => true;

        /// <inheritdoc/>
        public override string TargetRemote => "| program";
    }

    /// <summary>Reads <c>tcp:HOST:PORT</c>, <c>unix:PATH</c> or <c>stdio</c>; HOST is an address or localhost. False with what is wrong.</summary>
    public static bool TryParse(string text, [NotNullWhen(true)] out GdbEndpoint? endpoint, [NotNullWhen(false)] out string? error)
    {
        const int longestPath = 107;
        endpoint = null;
        error = null;
        if (text == "stdio")
        {
            endpoint = new Stdio();
        }
        else if (text.StartsWith("unix:", StringComparison.Ordinal))
        {
            string path = text["unix:".Length..];
            if (path.Length == 0 || System.Text.Encoding.UTF8.GetByteCount(path) > longestPath)
            {
                error = $"'{text}': a socket path has 1 to {longestPath} bytes";
            }
            else
            {
                endpoint = new Unix(path);
            }
        }
        else if (text.StartsWith("tcp:", StringComparison.Ordinal))
        {
            string rest = text["tcp:".Length..];
            int colon = rest.LastIndexOf(':');
            string host = colon < 0 ? "" : rest[..colon].Trim('[', ']');
            if (colon < 0 || !ushort.TryParse(rest[(colon + 1)..], NumberStyles.None, CultureInfo.InvariantCulture, out ushort port))
            {
                error = $"'{text}': expected tcp:HOST:PORT with a port of 0 to 65535";
            }
            else if (host == "localhost")
            {
                endpoint = new Tcp(IPAddress.Loopback, port);
            }
            else if (IPAddress.TryParse(host, out IPAddress? address))
            {
                endpoint = new Tcp(address, port);
            }
            else
            {
                error = $"'{text}': the host must be an IP address or localhost";
            }
        }
        else
        {
            error = $"'{text}': expected tcp:HOST:PORT, unix:PATH or stdio";
        }

        return endpoint is not null;
    }
}
