using System.CommandLine;
using Cli.Arguments;
using Snapshots;

namespace Cli.Commands;

/// <summary>The options that say what a store keeps; each command has its own instance.</summary>
internal sealed class KeepOptions
{
    private readonly Option<string?> keep = new("--keep") { Description = "Keep so many of the newest archives", HelpName = "n" };
    private readonly Option<string?> keepBytes = new("--keep-bytes") { Description = "Keep the newest that fit into so much together, for example 2G", HelpName = "size" };

    private readonly Option<bool> perTitle = new("--keep-per-title")
    {
        Description = "Keep only the first and the last of those with the same title; how many there were is remembered",
    };

    /// <summary>Adds them to a command.</summary>
    public void AddTo(Command command)
    {
        command.Add(keep);
        command.Add(keepBytes);
        command.Add(perTitle);
    }

    /// <summary>What they say.</summary>
    public KeepRules Read(ParseResult parsed) => new()
    {
        Archives = CommonOptions.Read<int?>(parsed, keep, ReadCount, null),
        Bytes = CommonOptions.Read<long?>(parsed, keepBytes, ReadBytes, null),
        CollapseTitles = parsed.GetValue(perTitle),
    };

    /// <summary>A count as --keep has it; false with a line that says what is wrong.</summary>
    public static bool ReadCount(string text, out int? value, out string error)
    {
        bool read = Number.TryParse(text, out ulong number) && number <= int.MaxValue;
        value = (int)Math.Min(number, int.MaxValue);
        error = read ? "" : $"'{text}' is not a count: give 0 or more";
        return read;
    }

    /// <summary>A size as --keep-bytes has it; false with a line that says what is wrong.</summary>
    public static bool ReadBytes(string text, out long? value, out string error)
    {
        bool read = MemorySize.TryParse(text, out ulong bytes, out _);
        value = (long)bytes;
        error = read ? "" : $"'{text}' is not a size: give a number and a unit, 1M to 512G";
        return read;
    }
}
