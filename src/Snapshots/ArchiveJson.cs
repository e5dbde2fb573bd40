using System.Text.Json.Serialization;
using Emulator;

namespace Snapshots;

/// <summary>How an archive's plain records become JSON and come back: by generated code, so that nothing needs reflection.</summary>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    IgnoreReadOnlyProperties = true,
    RespectNullableAnnotations = true,
    UseStringEnumConverter = true)]
[JsonSerializable(typeof(ArchiveInfo))]
[JsonSerializable(typeof(MachineState))]
[JsonSerializable(typeof(VcpuState[]))]
[JsonSerializable(typeof(PrunedCrash))]
internal sealed partial class ArchiveJson : JsonSerializerContext;
