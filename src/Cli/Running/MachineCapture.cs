using Cli.Archives;
using Cli.Supervision;
using Emulator;
using GuestOs;
using Microsoft.Extensions.Logging;
using Snapshots;

namespace Cli.Running;

/// <summary>A crashed machine, shared copy-on-write with the one that may run on.</summary>
internal sealed class MachineCapture(Snapshot snapshot) : ICapture
{
    /// <summary>The machine as it was.</summary>
    public Snapshot Snapshot => snapshot;

    /// <inheritdoc/>
    public string Title => snapshot.Info.Title;

    /// <summary>What is known of a crash at the time of the capture.</summary>
    public static CaptureInfo Describe(RunOptions options, MachineExit exit, TrapVerdict verdict, DateTimeOffset now)
    {
        CrashReport? report = verdict.Report;
        return new CaptureInfo
        {
            Kind = verdict.Kind switch
            {
                TrapKind.KernelPanic or TrapKind.ResetWithoutReport => CaptureKind.Panic,
                TrapKind.PanicWithoutReset => CaptureKind.PanicWithoutReset,
                TrapKind.TripleFault => CaptureKind.TripleFault,
                _ => CaptureKind.Request,
            },
            Title = report?.Title ?? verdict.Summary,
            PanicLine = report?.Title,
            Fault = report?.Fault,
            HostTime = now,
            StopCause = exit,
            CurrentVcpu = report?.Cpu ?? exit.Vcpu,
            RunningProcesses = report is { Process: { } process, Cpu: 0 } ? [process] : null,
            Cause = exit is { Kind: MachineExitKind.Reset, Reset: { } cause } ? $"{verdict.Summary}; {RunWords.Of(cause)}" : verdict.Summary,
            PanicText = report?.Text,
            GuestRelease = report?.Release,
            BuildId = report?.BuildId,
            KernelOffset = report?.KaslrOffset,
            MachineName = options.Name,
            GuestNanoseconds = exit.InstructionCount,
            CommandLine = options.Append,
        };
    }

    /// <inheritdoc/>
    public void Dispose() => snapshot.Dispose();
}

/// <summary>Writes captures into a store.</summary>
/// <param name="store">The store.</param>
/// <param name="rules">What is kept of this machine's archives.</param>
/// <param name="threads">Threads that compress.</param>
/// <param name="logger">Hears of what must not stop an archive.</param>
internal sealed partial class StoreArchiver(Store store, KeepRules rules, int threads, ILogger logger) : IArchiver
{
    /// <inheritdoc/>
    public ArchivedCrash Archive(ICapture capture, Action<double> progress)
    {
        Snapshot snapshot = ((MachineCapture)capture).Snapshot;

        using Snapshot complete = snapshot.Share(Name(snapshot));
        StoredArchive archive;
        try
        {
            archive = Write(complete, progress);
        }
        catch (ArchiveException) when (MadeRoom())
        {
            archive = Write(complete, progress);
        }

        return new ArchivedCrash(archive.Id, archive.Path, archive.Bytes, archive.Title, CountOf(archive.Title));
    }

    /// <inheritdoc/>
    public long? Shrink(ArchivedCrash archived, CancellationToken cancellation) =>
        store.Shrink(archived.Id, cancellation)?.Bytes is { } bytes && bytes < archived.Bytes ? bytes : null;

    /// <inheritdoc/>
    public IReadOnlyList<(string Id, string Title)> Prune() => [.. store.Prune(rules).Select(archive => (archive.Id, archive.Title))];

    private StoredArchive Write(Snapshot snapshot, Action<double> progress) =>
        store.Write(snapshot, new ArchiveWriterOptions { Parallelism = threads, Thorough = false }, new ArchiveShare(progress));

    // On a full disk what the rules would remove afterwards has to go before.
    private bool MadeRoom()
    {
        try
        {
            long newest = store.List().FirstOrDefault(archive => archive.State == ArchiveState.Whole)?.Bytes ?? 0;
            return store.Prune(rules.WithOneMore(newest)).Count > 0;
        }
        catch (IOException)
        {
            return false;
        }
    }

    // The archive is written by now: nothing here may say that it is not.
    private long CountOf(string title)
    {
        try
        {
            return store.Count(store.List()).GetValueOrDefault(title)?.Count ?? 1;
        }
        catch (IOException)
        {
            return 1;
        }
    }

    // Here and not at the trap: a search through RAM is no business of a machine that wants to run on. Whatever a guest's
    // memory made of it, the capture is kept.
    private CaptureInfo Name(Snapshot snapshot)
    {
        try
        {
            return CrashAnalysis.Name(snapshot, snapshot.Info);
        }
        catch (Exception failure) when (failure is not IOException)
        {
            LogUnnamed(logger, failure);
            return snapshot.Info;
        }
    }

    [LoggerMessage(Level = LogLevel.Error, Message = "The crash could not be named")]
    private static partial void LogUnnamed(ILogger logger, Exception failure);
}
