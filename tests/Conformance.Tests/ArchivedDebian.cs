using System.Net;
using System.Security.Cryptography;
using Debugging;
using Debugging.Kernels;
using Debugging.Processes;
using GdbStub.Sessions;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Snapshots;
using Snapshots.Tests;

namespace Conformance.Tests;

/// <summary>A store with one archive: Debian at its panic.</summary>
internal sealed class ArchivedDebian : IDisposable, IImageStore
{
    private readonly TemporaryDirectory directory = new();
    private readonly StoredArchive stored;
    private readonly byte[] hash;

    private ArchivedDebian(Snapshot snapshot)
    {
        stored = Store.Open(directory.File("store")).Write(snapshot, cancellation: TestContext.Current.CancellationToken);
        hash = SHA256.HashData(System.IO.File.ReadAllBytes(stored.Path));
        Rip = snapshot.Vcpus[0].Rip;
    }

    /// <summary>Behind the instruction that asked for the reset.</summary>
    public ulong Rip { get; }

    public string Path => stored.Path;

    public static async Task<ArchivedDebian> MakeAsync(DebianRuns runs)
    {
        LiveDebian live = await runs.LiveAsync();
        using Snapshot snapshot = live.Capture();
        return new ArchivedDebian(snapshot);
    }

    /// <summary>A file of the test's own, gone with the store.</summary>
    public string File(string name) => directory.File(name);

    /// <summary>Serves it as the one process there is; <paramref name="resume"/>: continuing runs a copy.</summary>
    public GdbListener Serve(bool resume, KernelSymbols? kernels = null, ILogger? logger = null) => GdbListener.Start(
        new GdbEndpoint.Tcp(IPAddress.Loopback, 0),
        new ProcessTargetProvider(runner: null, this, stored.Id, new DebugOptions { Resume = resume, Kernels = kernels }), logger ?? NullLogger.Instance);

    public IReadOnlyList<StoredImage> List() => [new StoredImage(stored.Id, stored.Title, stored.Time)];

    public OpenedImage Open(string id) => new(new OverlayView(ArchiveReader.Open(stored.Path), owns: true), null);

    public void AssertUntouched() => Assert.Equal(hash, SHA256.HashData(System.IO.File.ReadAllBytes(stored.Path)));

    public void Dispose() => directory.Dispose();
}
