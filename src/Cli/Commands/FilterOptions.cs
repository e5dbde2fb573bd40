using System.CommandLine;
using System.Globalization;
using Cli.Archives;

namespace Cli.Commands;

/// <summary>The options that say which archives of a store are meant; each command has its own instance.</summary>
internal sealed class FilterOptions
{
    private readonly Option<bool> newest = new("-1") { Description = "Only the newest" };
    private readonly Option<string?> count = new("-n") { Description = "So many of the newest", HelpName = "n" };
    private readonly Option<string?> since = new("--since") { Description = "Not older: 2026-05-01, \"2026-05-01 12:00\", or 30m, 12h, 7d ago", HelpName = "time" };
    private readonly Option<string?> title = new("--title") { Description = "Only with these words in the title", HelpName = "words" };
    private readonly Option<string?> machine = new("--machine") { Description = "Only of the machine with this name", HelpName = "name" };
    private readonly Option<string?> release = new("--release") { Description = "Only of kernels whose release begins so", HelpName = "release" };

    /// <summary>Adds them to a command.</summary>
    public void AddTo(Command command)
    {
        Option[] options = [newest, count, since, title, machine, release];
        foreach (Option option in options)
        {
            command.Add(option);
        }
    }

    /// <summary>What they say.</summary>
    public ArchiveFilter Read(ParseResult parsed) => new()
    {
        Limit = CommonOptions.Read(parsed, count, ReadCount, parsed.GetValue(newest) ? 1 : int.MaxValue),
        Since = CommonOptions.Read(
            parsed, since, (string text, out DateTimeOffset value, out string error) => TryParseSince(text, DateTimeOffset.Now, out value, out error), DateTimeOffset.MinValue),
        Title = parsed.GetValue(title),
        Machine = parsed.GetValue(machine),
        Release = parsed.GetValue(release),
    };

    /// <summary>True when any of them was given.</summary>
    public bool AreGiven(ParseResult parsed) =>
        parsed.GetValue(newest) || parsed.GetValue(count) is not null || parsed.GetValue(since) is not null || parsed.GetValue(title) is not null
        || parsed.GetValue(machine) is not null || parsed.GetValue(release) is not null;

    /// <summary>A time as --since has it, on a clock that now shows <paramref name="now"/>; false with a line that says what is wrong.</summary>
    public static bool TryParseSince(string text, DateTimeOffset now, out DateTimeOffset since, out string error)
    {
        error = "";
        int unit = text.Length < 2 ? 0 : text[^1] switch { 's' => 1, 'm' => 60, 'h' => 3600, 'd' => 86400, _ => 0 };
        if (unit != 0 && int.TryParse(text.AsSpan(0, text.Length - 1), NumberStyles.None, CultureInfo.InvariantCulture, out int number)
            && (long)number * unit < 100L * 366 * 86400)
        {
            since = now.AddSeconds(-(double)number * unit);
            return true;
        }

        if (DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, DateTimeStyles.AssumeLocal, out since))
        {
            return true;
        }

        error = $"'{text}' is not a time: give 2026-05-01, 2026-05-01T12:00, or 30m, 12h, 7d";
        return false;
    }

    private static bool ReadCount(string text, out int value, out string error)
    {
        bool read = int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out value);
        error = read ? "" : $"'{text}' is not a count: give 0 or more";
        return read;
    }
}
