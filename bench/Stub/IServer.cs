namespace Bench.Stub;

/// <summary>A stub that is measured: the little guest with the memory of <see cref="SmallGuest"/>, standing still.</summary>
internal interface IServer : IDisposable
{
    /// <summary>Where the live machine is served.</summary>
    int Port { get; }

    /// <summary>Where an archive of it is; null for what has none.</summary>
    int? ArchivePort { get; }

    /// <summary>Boots Debian with a command line, stops it before its first instruction and serves it to what is measured.</summary>
    double WithDebian(DebianFiles debian, string commandLine, Func<int, double> measure);
}
