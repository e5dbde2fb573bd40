using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Cli.Comparison;

/// <summary>A comparison for scripts. The names are a contract.</summary>
internal sealed record ComparisonJson
{
    /// <summary>The first crash's ID.</summary>
    public required string First { get; init; }

    /// <summary>The second's.</summary>
    public required string Second { get; init; }

    /// <summary>Facts that differ.</summary>
    public required DifferenceJson[] Facts { get; init; }

    /// <summary>The CPUs.</summary>
    public required CpuDifferenceJson[] Cpus { get; init; }

    /// <summary>Tasks that differ.</summary>
    public required DifferenceJson[] Tasks { get; init; }

    /// <summary>Modules that differ.</summary>
    public required DifferenceJson[] Modules { get; init; }

    /// <summary>The logs as a unified difference, a line each.</summary>
    public required IReadOnlyList<string> Log { get; init; }

    /// <summary>The memory.</summary>
    public required PagesJson Pages { get; init; }

    /// <summary>The comparison as one object.</summary>
    public static string Write(CrashComparison comparison)
    {
        PageComparison pages = comparison.Pages;
        var json = new ComparisonJson
        {
            First = comparison.First.Archive.Id,
            Second = comparison.Second.Archive.Id,
            Facts = Of(comparison.Facts),
            Cpus = [.. comparison.Cpus.Select(cpu => new CpuDifferenceJson(cpu.Vcpu, Of(cpu.Registers), cpu.Stack))],
            Tasks = Of(comparison.Tasks),
            Modules = Of(comparison.Modules),
            Log = comparison.Log,
            Pages = new PagesJson(
                pages.Same, pages.Different, pages.DifferentBytes, pages.OnlyFirst, pages.OnlySecond,
                [.. pages.Ranges.Select(range => new RangeJson(string.Create(CultureInfo.InvariantCulture, $"0x{range.Start:x}"), range.Pages, range.Bytes))]),
        };
        return JsonSerializer.Serialize(json, ComparisonJsonContext.Default.ComparisonJson) + "\n";
    }

    private static DifferenceJson[] Of(IReadOnlyList<Difference> differences) =>
        [.. differences.Select(difference => new DifferenceJson(difference.Name, difference.First, difference.Second))];
}

/// <summary>Something that differs.</summary>
internal sealed record DifferenceJson(string Name, string? First, string? Second);

/// <summary>A CPU's differences.</summary>
internal sealed record CpuDifferenceJson(int Vcpu, DifferenceJson[] Registers, IReadOnlyList<string> Stack);

/// <summary>A range of pages that differ.</summary>
internal sealed record RangeJson(string Address, long Pages, long Bytes);

/// <summary>The memory.</summary>
internal sealed record PagesJson(long Same, long Different, long DifferentBytes, long OnlyFirst, long OnlySecond, RangeJson[] Ranges);

/// <summary>How comparisons become JSON.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, WriteIndented = true)]
[JsonSerializable(typeof(ComparisonJson))]
internal sealed partial class ComparisonJsonContext : JsonSerializerContext;
