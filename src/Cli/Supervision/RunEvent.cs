using System.Globalization;
using System.Text.Json.Serialization;

namespace Cli.Supervision;

/// <summary>
/// Something that happened in a run and that its owner wants to know: a line on standard error for a person, an object on
/// standard output with --json. The names are a contract with scripts.
/// </summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "event")]
[JsonDerivedType(typeof(StartedEvent), "started")]
[JsonDerivedType(typeof(ListeningEvent), "gdb")]
[JsonDerivedType(typeof(TrappedEvent), "trapped")]
[JsonDerivedType(typeof(FrozenEvent), "frozen")]
[JsonDerivedType(typeof(ArchivedEvent), "archived")]
[JsonDerivedType(typeof(ArchiveFailedEvent), "archive-failed")]
[JsonDerivedType(typeof(ShrunkEvent), "shrunk")]
[JsonDerivedType(typeof(PrunedEvent), "pruned")]
[JsonDerivedType(typeof(PruneFailedEvent), "prune-failed")]
[JsonDerivedType(typeof(BackoffEvent), "backoff")]
[JsonDerivedType(typeof(RestartedEvent), "restarted")]
[JsonDerivedType(typeof(StayingEvent), "staying")]
[JsonDerivedType(typeof(EndedEvent), "ended")]
[JsonDerivedType(typeof(StatisticsEvent), "statistics")]
[JsonDerivedType(typeof(MachineFailedEvent), "failed")]
internal abstract record RunEvent
{
    /// <summary>The event for a person; null when the person need not be bothered.</summary>
    internal abstract string? Text { get; }
}

/// <summary>The guest's first instruction is about to be executed.</summary>
internal sealed record StartedEvent(string Name, string Kernel, ulong MemoryBytes, ulong Seed, string Engine) : RunEvent
{
    /// <inheritdoc/>
    internal override string? Text => null;
}

/// <summary>Debuggers can connect; <paramref name="Remote"/> is what gdb's <c>target remote</c> wants.</summary>
internal sealed record ListeningEvent(string Remote) : RunEvent
{
    /// <inheritdoc/>
    internal override string? Text => $"gdb: target remote {Remote}";
}

/// <summary>The machine came to a stand, and this is what it was.</summary>
internal sealed record TrappedEvent(
    string Kind, bool Crash, string Summary, string? Title, string? Fault, string? Reset, string? Release, int Vcpu, ulong Nanoseconds) : RunEvent
{
    /// <inheritdoc/>
    internal override string? Text => Crash
        ? $"gdbstub: trapped at {Nanoseconds / 1e9:F3} s{(Reset is null ? "" : $" ({Reset})")}: {Title}\n"
            + (Fault is null ? "" : $"gdbstub: {Fault}\n")
            + $"gdbstub: {Summary}"
        : Kind == "none" ? null : $"gdbstub: {Summary}{(Reset is null ? "" : $" ({Reset})")}";
}

/// <summary>The machine was shared copy-on-write with a snapshot.</summary>
internal sealed record FrozenEvent(double PauseMilliseconds) : RunEvent
{
    /// <inheritdoc/>
    internal override string? Text => $"gdbstub: frozen in {PauseMilliseconds:F3} ms";
}

/// <summary>A crash is on disk, under its title; <paramref name="Count"/> were seen of that title, this one included.</summary>
internal sealed record ArchivedEvent(string Id, string Path, long Bytes, double Seconds, string Title, long Count) : RunEvent
{
    /// <inheritdoc/>
    internal override string? Text => $"gdbstub: archived as {Id} ({Bytes / 1048576.0:F1} MiB in {Seconds:F1} s): {Path}\n"
        + $"gdbstub: {Title}{(Count > 1 ? $" (number {Count} of this title)" : "")}";
}

/// <summary>An archive was written again in less room; nothing else about it has changed.</summary>
internal sealed record ShrunkEvent(string Id, long Bytes) : RunEvent
{
    /// <inheritdoc/>
    internal override string? Text => null;
}

/// <summary>An archive was removed, as the rules of what to keep say.</summary>
internal sealed record PrunedEvent(string Id, string Title) : RunEvent
{
    /// <inheritdoc/>
    internal override string? Text => $"gdbstub: pruned {Id}: {Title}";
}

/// <summary>The store could not be pruned; it is tried again after the next crash.</summary>
internal sealed record PruneFailedEvent(string Message) : RunEvent
{
    /// <inheritdoc/>
    internal override string? Text => $"gdbstub: {Message}";
}

/// <summary>The guest crashed <paramref name="Crashes"/> times in a row soon after its start, and is started again only after a while.</summary>
internal sealed record BackoffEvent(int Crashes, double Seconds) : RunEvent
{
    /// <inheritdoc/>
    internal override string? Text =>
        string.Create(CultureInfo.InvariantCulture, $"gdbstub: {Crashes} crashes in a row, each soon after a start: the guest starts again in {Seconds:0.#} s (--backoff none: at once)");
}

/// <summary>A crash could not be written; it stays in memory and is tried again.</summary>
internal sealed record ArchiveFailedEvent(string Message) : RunEvent
{
    /// <inheritdoc/>
    internal override string? Text => $"gdbstub: {Message}";
}

/// <summary>The guest was started again.</summary>
internal sealed record RestartedEvent(ulong Count) : RunEvent
{
    /// <inheritdoc/>
    internal override string? Text => $"gdbstub: the guest starts again (restart {Count})";
}

/// <summary>The machine stays as it is; <paramref name="Hint"/> says what can be done with it.</summary>
internal sealed record StayingEvent(string Hint) : RunEvent
{
    /// <inheritdoc/>
    internal override string? Text => $"gdbstub: {Hint}";
}

/// <summary>The run is over.</summary>
internal sealed record EndedEvent(int ExitCode, string Why) : RunEvent
{
    /// <inheritdoc/>
    internal override string? Text => $"gdbstub: {Why}";
}

/// <summary>One of several machines could not start, or ended by an error; the others go on.</summary>
internal sealed record MachineFailedEvent(string Message) : RunEvent
{
    /// <inheritdoc/>
    internal override string? Text => $"gdbstub: {Message}";
}

/// <summary>What the machine did and what it cost, told after the end with --stats.</summary>
internal sealed record StatisticsEvent(IReadOnlyList<Counter> Counters) : RunEvent
{
    /// <inheritdoc/>
    internal override string? Text =>
        string.Join('\n', Counters.Select(counter => string.Create(CultureInfo.InvariantCulture, $"{counter.Value,20:#,0.######} {counter.Name}")));
}

/// <summary>One number of a <see cref="StatisticsEvent"/>; the name says the unit.</summary>
internal sealed record Counter(string Name, double Value);

/// <summary>How events become JSON.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(RunEvent))]
[JsonSerializable(typeof(string))]
internal sealed partial class RunEventJson : JsonSerializerContext;
