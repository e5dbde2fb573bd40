using System.Globalization;
using System.Text;

namespace Cli.Archives;

/// <summary>Archives for people.</summary>
internal static class ArchiveText
{
    /// <summary>A table, newest first, with a line of headings; nothing for an empty store.</summary>
    public static string Table(IReadOnlyList<ArchiveDescription> archives) => Table(
        ["ID", "TIME", ">SIZE", "STATE", "MACHINE", "RELEASE", ">COUNT", "TITLE"],
        archives.Select(archive => (string[])
        [
            archive.Id, Time(archive.Time), Size(archive.Bytes), archive.State, archive.Name ?? "-", archive.Release ?? "-",
            archive.Count?.ToString(CultureInfo.InvariantCulture) ?? "-", archive.Title,
        ]));

    /// <summary>A table of crashes alike, those with the newest first.</summary>
    public static string Table(IReadOnlyList<TitleGroup> groups) => Table(
        [">COUNT", "FIRST", "LAST", "NEWEST", "TITLE"],
        groups.Select(group => (string[])
            [group.Count.ToString(CultureInfo.InvariantCulture), Time(group.First), Time(group.Last), group.Archives[0], group.Title]));

    /// <summary>Columns as wide as they must be; a heading that begins with &gt; has its column to the right. The last one may be of any length.</summary>
    public static string Table(string[] headings, IEnumerable<string[]> rows)
    {
        string[][] cells = [.. rows.Select(row => row.Select(Printable).ToArray())];
        if (cells.Length == 0)
        {
            return "";
        }

        int[] widths = [.. headings.Select((heading, i) => Math.Max(heading.TrimStart('>').Length, cells.Max(row => row[i].Length)))];
        var text = new StringBuilder();
        Line([.. headings.Select(heading => heading.TrimStart('>'))]);
        foreach (string[] row in cells)
        {
            Line(row);
        }

        return text.ToString();

        void Line(string[] row)
        {
            for (int i = 0; i < row.Length - 1; i++)
            {
                text.Append(headings[i][0] == '>' ? row[i].PadLeft(widths[i]) : row[i].PadRight(widths[i])).Append("  ");
            }

            text.Append(row[^1]).Append('\n');
        }
    }

    /// <summary>A time as people read it, by this host's zone.</summary>
    public static string Time(DateTimeOffset time) => time.ToLocalTime().ToString("yyyy-MM-dd HH:mm:ss", CultureInfo.InvariantCulture);

    /// <summary>A length in the unit that suits it.</summary>
    public static string Size(long bytes) => bytes switch
    {
        < 1 << 10 => string.Create(CultureInfo.InvariantCulture, $"{bytes} B"),
        < 1 << 20 => string.Create(CultureInfo.InvariantCulture, $"{bytes / 1024.0:F1} KiB"),
        < 1 << 30 => string.Create(CultureInfo.InvariantCulture, $"{bytes / 1048576.0:F1} MiB"),
        _ => string.Create(CultureInfo.InvariantCulture, $"{bytes / 1073741824.0:F1} GiB"),
    };

    /// <summary>Text that a guest or a file made up, without what could move a terminal's cursor.</summary>
    public static string Printable(string text)
    {
        if (!text.Any(char.IsControl))
        {
            return text;
        }

        var clean = new StringBuilder(text.Length);
        foreach (char letter in text)
        {
            clean.Append(letter == '\t' || !char.IsControl(letter) ? letter : '?');
        }

        return clean.ToString();
    }
}
