using System.Text.Json.Serialization;
using Emulator;
using Snapshots;

namespace Cli.Archives;

/// <summary>An archive as `ls --json` and `show --json` tell of it. The names are a contract with scripts.</summary>
internal sealed record ArchiveDescription
{
    /// <summary>Its name in the store.</summary>
    public required string Id { get; init; }

    /// <summary>The crash in one line; of a damaged archive what is wrong with it.</summary>
    public required string Title { get; init; }

    /// <summary>The host's time at the capture.</summary>
    public required DateTimeOffset Time { get; init; }

    /// <summary>Length of the file.</summary>
    public required long Bytes { get; init; }

    /// <summary>"whole" or "damaged".</summary>
    public required string State { get; init; }

    /// <summary>The file.</summary>
    public required string Path { get; init; }

    /// <summary>What made it worth keeping: "panic", "panic-without-reset", "triple-fault", "request", "import".</summary>
    public string? Kind { get; init; }

    /// <summary>How many crashes of this title the store has seen, those it no longer has included; only `ls` tells.</summary>
    public long? Count { get; init; }

    /// <summary>The line a panicking kernel ended with, as it said it.</summary>
    public string? PanicLine { get; init; }

    /// <summary>The first line of the oops the panic came from.</summary>
    public string? Fault { get; init; }

    /// <summary>The machine's name.</summary>
    public string? Name { get; init; }

    /// <summary>The kernel's release.</summary>
    public string? Release { get; init; }

    /// <summary>The kernel's build id.</summary>
    public string? BuildId { get; init; }

    /// <summary>KASLR's offset, in hexadecimal with 0x.</summary>
    public string? KernelOffset { get; init; }

    /// <summary>Why the machine stood still.</summary>
    public string? Cause { get; init; }

    /// <summary>Guest nanoseconds since power-on.</summary>
    public ulong? Nanoseconds { get; init; }

    /// <summary>The vCPU to look at first.</summary>
    public int? Vcpu { get; init; }

    /// <summary>The kernel's command line.</summary>
    public string? CommandLine { get; init; }

    /// <summary>Bytes of RAM; only `show` tells.</summary>
    public ulong? MemoryBytes { get; init; }

    /// <summary>The program that wrote it.</summary>
    public string? Writer { get; init; }

    /// <summary>The guest's own report; only `show` tells.</summary>
    public string? PanicText { get; init; }

    /// <summary>Describes an archive in a store, as far as a list goes.</summary>
    public static ArchiveDescription Of(StoredArchive archive)
    {
        CaptureInfo? capture = archive.Info?.Capture;
        return new ArchiveDescription
        {
            Id = archive.Id,
            Title = archive.Title,
            Time = archive.Time,
            Bytes = archive.Bytes,
            State = archive.State == ArchiveState.Whole ? "whole" : "damaged",
            Path = archive.Path,
            Kind = capture is null ? null : KindOf(capture.Kind),
            PanicLine = capture?.PanicLine,
            Fault = capture?.Fault,
            Name = capture?.MachineName,
            Release = capture?.GuestRelease,
            BuildId = capture?.BuildId,
            KernelOffset = capture?.KernelOffset is { } offset ? $"0x{offset:x}" : null,
            Cause = capture?.Cause,
            Nanoseconds = capture?.GuestNanoseconds,
            Vcpu = capture?.CurrentVcpu,
            CommandLine = capture?.CommandLine,
            Writer = archive.Info?.Writer,
        };
    }

    /// <summary>Describes a file that is in no store.</summary>
    public static ArchiveDescription Of(IMachineImage image, CaptureInfo capture)
    {
        var file = new StoredArchive(
            System.IO.Path.GetFileName(image.Path), image.Path, capture.Title, capture.HostTime, image.Length, ArchiveState.Whole,
            new ArchiveInfo { Id = "", Writer = image.Format, Capture = capture });
        return Of(file).With(image) with { PanicText = capture.PanicText };
    }

    /// <summary>With what only the open archive tells.</summary>
    public ArchiveDescription With(IMachineImage reader)
    {
        ulong bytes = 0;
        foreach (PhysicalRange range in reader.Ram)
        {
            bytes += range.Length;
        }

        return this with { MemoryBytes = bytes, PanicText = reader.Capture.PanicText };
    }

    private static string KindOf(CaptureKind kind) => kind switch
    {
        CaptureKind.Panic => "panic",
        CaptureKind.PanicWithoutReset => "panic-without-reset",
        CaptureKind.TripleFault => "triple-fault",
        CaptureKind.Request => "request",
        CaptureKind.Import => "import",
        _ => throw new ArgumentOutOfRangeException(nameof(kind), kind, null),
    };
}

/// <summary>How descriptions become JSON.</summary>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull, WriteIndented = true)]
[JsonSerializable(typeof(ArchiveDescription))]
[JsonSerializable(typeof(ArchiveDescription[]))]
[JsonSerializable(typeof(TitleGroup[]))]
internal sealed partial class ArchiveDescriptionJson : JsonSerializerContext;
