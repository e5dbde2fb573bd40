using System.Text;
using Cli.Archives;
using Cli.Supervision;
using Emulator;
using GuestOs;
using GuestOs.Linux;
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
internal sealed class StoreArchiver(Store store) : IArchiver
{
    /// <inheritdoc/>
    public ArchivedCrash Archive(ICapture capture, Action<double> progress)
    {
        Snapshot snapshot = ((MachineCapture)capture).Snapshot;

        // Looked for here and not at the trap: a search through RAM is no business of a machine that wants to run on.
        string? vmcoreinfo = LinuxKernel.FindRunning(snapshot) is { } kernel ? Encoding.Latin1.GetString(kernel.Info.Text.Span) : null;
        using Snapshot complete = snapshot.Share(snapshot.Info with { Vmcoreinfo = vmcoreinfo });
        StoredArchive archive = store.Write(complete, progress: new ArchiveShare(progress));
        return new ArchivedCrash(archive.Id, archive.Path, archive.Bytes);
    }
}
