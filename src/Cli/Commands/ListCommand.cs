using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Cli.Archives;
using Snapshots;

namespace Cli.Commands;

/// <summary>gdbstub ls: the archives of the store, newest first.</summary>
internal sealed class ListCommand : Command, IExample
{
    private readonly Option<bool> json = new("--json") { Description = "An array of objects with id, title, time, bytes, state and more" };
    private readonly Option<bool> newest = new("-1") { Description = "Only the newest" };
    private readonly Option<string?> count = new("-n") { Description = "So many of the newest", HelpName = "n" };
    private readonly Option<string?> since = new("--since") { Description = "Not older: 2026-05-01, \"2026-05-01 12:00\", or 30m, 12h, 7d ago", HelpName = "time" };
    private readonly Option<string?> title = new("--title") { Description = "Only with these words in the title", HelpName = "words" };
    private readonly Option<string?> machine = new("--machine") { Description = "Only of the machine with this name", HelpName = "name" };
    private readonly Option<string?> release = new("--release") { Description = "Only of kernels whose release begins so", HelpName = "release" };
    private readonly Option<string?> store = CommonOptions.Store();

    /// <summary>The command.</summary>
    public ListCommand()
        : base("ls", "Lists the archived crashes, newest first.")
    {
        Add(json);
        Option[] filters = [newest, count, since, title, machine, release];
        foreach (Option filter in filters)
        {
            Add(filter);
        }

        Add(store);
        SetAction(parsed => List(CommonOptions.ReadStore(parsed, store), parsed.GetValue(json), all => Filter(parsed, all)));
    }

    /// <inheritdoc/>
    public string Example => "gdbstub ls\ngdbstub ls --since 7d --release 6.1 -n 5\ngdbstub ls --json";

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

    private IEnumerable<StoredArchive> Filter(ParseResult parsed, IReadOnlyList<StoredArchive> all)
    {
        int limit = CommonOptions.Read(parsed, count, ReadCount, parsed.GetValue(newest) ? 1 : int.MaxValue);
        DateTimeOffset earliest = CommonOptions.Read(
            parsed, since, (string text, out DateTimeOffset value, out string error) => TryParseSince(text, DateTimeOffset.Now, out value, out error), DateTimeOffset.MinValue);
        string? words = parsed.GetValue(title), name = parsed.GetValue(machine), kernel = parsed.GetValue(release);
        return all
            .Where(a => a.Time >= earliest
                && (words is null || a.Title.Contains(words, StringComparison.OrdinalIgnoreCase))
                && (name is null || a.Info?.Capture.MachineName == name)
                && (kernel is null || a.Info?.Capture.GuestRelease?.StartsWith(kernel, StringComparison.Ordinal) == true))
            .Take(limit);
    }

    private static bool ReadCount(string text, out int value, out string error)
    {
        bool read = int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out value);
        error = read ? "" : $"'{text}' is not a count: give 0 or more";
        return read;
    }

    private static void List(string directory, bool json, Func<IReadOnlyList<StoredArchive>, IEnumerable<StoredArchive>> filter)
    {
        ArchiveDescription[] archives = [.. filter(Store.Open(directory).List()).Select(ArchiveDescription.Of)];
        if (json)
        {
            Console.Out.WriteLine(JsonSerializer.Serialize(archives, ArchiveDescriptionJson.Default.ArchiveDescriptionArray));
        }
        else if (archives.Length > 0)
        {
            Console.Out.Write(ArchiveText.Table(archives));
        }
        else
        {
            Console.Error.WriteLine($"no archives in {directory}");
        }
    }
}
