using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using Cli.Archives;
using GuestOs.Linux.Symbols;

namespace Cli.Pages;

/// <summary>A crash page for scripts: what `ls --json` has of an archive, and what its memory tells. The names are a contract.</summary>
internal sealed record CrashPageJson
{
    /// <summary>uname -n.</summary>
    public string? Node { get; init; }

    /// <summary>uname -v.</summary>
    public string? Version { get; init; }

    /// <summary>The guest's own clock.</summary>
    public DateTimeOffset? GuestTime { get; init; }

    /// <summary>The CPUs.</summary>
    public required CpuJson[] Cpus { get; init; }

    /// <summary>The tasks.</summary>
    public required TaskJson[] Tasks { get; init; }

    /// <summary>The modules.</summary>
    public required ModuleJson[] Modules { get; init; }

    /// <summary>Bytes of memory by what they are used for.</summary>
    public required Dictionary<string, long> Memory { get; init; }

    /// <summary>The log.</summary>
    public required string Log { get; init; }

    /// <summary>What could not be read.</summary>
    public required string[] Problems { get; init; }

    /// <summary>The page as one object.</summary>
    public static string Write(CrashPage page)
    {
        var log = new StringBuilder();
        foreach (LogLine line in page.Log)
        {
            log.Append(line.Text).Append('\n');
        }

        var more = new CrashPageJson
        {
            Node = page.Guest?.NodeName,
            Version = page.Guest?.Version,
            GuestTime = page.Guest?.Clock,
            Cpus = [.. page.Cpus.Select(Cpu)],
            Tasks = [.. page.Tasks.Select(Task)],
            Modules = [.. page.Modules.Select(module => new ModuleJson(module.Name, Hex(module.TextAddress), module.Length))],
            Memory = Enumerable.Range(0, MemoryUse.Kinds).Where(kind => page.Memory.Total[kind] != 0)
                .ToDictionary(kind => MemoryUse.Name((PageKind)kind), kind => page.Memory.Total[kind] * 4096),
            Log = log.ToString(),
            Problems = [.. page.Problems],
        };

        // Both parts are one object: the members of the first, then those of the second.
        using JsonDocument first = JsonSerializer.SerializeToDocument(page.Archive, ArchiveDescriptionJson.Default.ArchiveDescription);
        using JsonDocument second = JsonSerializer.SerializeToDocument(more, CrashPageJsonContext.Default.CrashPageJson);
        using var output = new MemoryStream();
        using (var writer = new Utf8JsonWriter(output, new JsonWriterOptions { Indented = true }))
        {
            writer.WriteStartObject();
            foreach (JsonProperty member in first.RootElement.EnumerateObject().Concat(second.RootElement.EnumerateObject()))
            {
                member.WriteTo(writer);
            }

            writer.WriteEndObject();
        }

        return Encoding.UTF8.GetString(output.GetBuffer(), 0, (int)output.Length) + "\n";
    }

    private static CpuJson Cpu(CpuPage cpu) => new(
        cpu.Vcpu, cpu.Crashed, cpu.Task?.Pid,
        cpu.Registers is { } state ? RegisterText.All(state).ToDictionary(register => register.Name, register => Hex(register.Value)) : null,
        [.. cpu.Stack.Select(Frame)]);

    private static TaskJson Task(TaskPage task) => new(
        task.Task.Pid, task.Task.ProcessId, task.Task.Name, task.Task.State.ToString(), task.Task.Cpu, task.Task.Vcpu, task.Task.IsKernelThread, [.. task.Stack.Select(Frame)]);

    private static FrameJson Frame(StackFrame frame) => new(frame.Pc == 0 ? null : Hex(frame.Pc), frame.Symbol, frame.Symbol is null ? null : frame.Offset, frame.Module);

    private static string Hex(ulong value) => string.Create(CultureInfo.InvariantCulture, $"0x{value:x}");
}

/// <summary>A CPU.</summary>
internal sealed record CpuJson(int Vcpu, bool Crashed, int? Pid, Dictionary<string, string>? Registers, FrameJson[] Frames);

/// <summary>A task.</summary>
internal sealed record TaskJson(int Pid, int ProcessId, string Name, string State, int Cpu, int? Vcpu, bool KernelThread, FrameJson[] Frames);

/// <summary>A frame of a stack.</summary>
internal sealed record FrameJson(string? Pc, string? Function, ulong? Offset, string? Module);

/// <summary>A module.</summary>
internal sealed record ModuleJson(string Name, string Address, ulong Bytes);

/// <summary>How a page becomes JSON.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(CrashPageJson))]
internal sealed partial class CrashPageJsonContext : JsonSerializerContext;
