using Cli.Archives;
using Snapshots;

namespace Cli.Inspection;

/// <summary>An image to be inspected: a file, and the capture it holds as far as lists know of it.</summary>
/// <param name="Id">How results name it: the archive's ID, or the file as it was given.</param>
/// <param name="Path">The file.</param>
/// <param name="RawBase">Guest-physical address of its first byte, when it is RAM and nothing else.</param>
internal sealed record InspectedImage(string Id, string Path, ulong? RawBase)
{
    /// <summary>What is known of the crash. Of a dump that others wrote its memory has to be searched. Throws <see cref="ArchiveException"/>.</summary>
    public CaptureInfo ReadCapture(out ulong memoryBytes)
    {
        using IMachineImage image = CrashAnalysis.Open(Path, RawBase);
        memoryBytes = image.Ram.Aggregate(0UL, (sum, range) => sum + range.Length);
        return CrashAnalysis.Complete(image);
    }
}

/// <summary>How an inspection ended.</summary>
internal enum InspectionStatus
{
    /// <summary>Every command succeeded.</summary>
    Ok,

    /// <summary>A command failed, or a script ended gdb with an exit code of its own.</summary>
    Failed,

    /// <summary>It took longer than it may.</summary>
    TimedOut,

    /// <summary>gdb itself was killed by a signal.</summary>
    Crashed,

    /// <summary>The image could not be opened.</summary>
    Unreadable,

    /// <summary>Ended because the whole inspection was.</summary>
    Cancelled,
}

/// <summary>What came of inspecting one image.</summary>
/// <param name="Image">The image.</param>
/// <param name="Title">The crash's title; empty when it could not be read.</param>
/// <param name="Status">How it ended.</param>
/// <param name="ExitCode">gdb's; null when it did not end by itself.</param>
/// <param name="Seconds">How long it took.</param>
/// <param name="Output">What gdb and the scripts printed, both streams as they came.</param>
/// <param name="IsCut">There was more than is kept.</param>
internal sealed record InspectionResult(
    InspectedImage Image, string Title, InspectionStatus Status, int? ExitCode, double Seconds, string Output, bool IsCut)
{
    /// <summary>The status as results name it. Scripts rely on the words.</summary>
    public string Word => Status switch
    {
        InspectionStatus.Ok => "ok",
        InspectionStatus.Failed => "failed",
        InspectionStatus.TimedOut => "timed-out",
        InspectionStatus.Crashed => "crashed",
        InspectionStatus.Unreadable => "unreadable",
        _ => "cancelled",
    };
}
