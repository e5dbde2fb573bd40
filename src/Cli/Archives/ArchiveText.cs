using System.Globalization;
using System.Text;

namespace Cli.Archives;

/// <summary>Archives for people.</summary>
internal static class ArchiveText
{
    /// <summary>A table, newest first, with a line of headings; nothing for an empty store.</summary>
    public static string Table(IReadOnlyList<ArchiveDescription> archives)
    {
        var text = new StringBuilder();
        if (archives.Count > 0)
        {
            int width = Math.Max(2, archives.Max(archive => archive.Id.Length));
            text.AppendLine($"{"ID".PadRight(width)}  {"TIME",-19}  {"SIZE",9}  {"STATE",-7}  TITLE");
            foreach (ArchiveDescription archive in archives)
            {
                text.AppendLine(string.Create(
                    CultureInfo.InvariantCulture,
                    $"{archive.Id.PadRight(width)}  {archive.Time.ToLocalTime():yyyy-MM-dd HH:mm:ss}  {Size(archive.Bytes),9}  {archive.State,-7}  {Printable(archive.Title)}"));
            }
        }

        return text.ToString();
    }

    /// <summary>Everything known of one.</summary>
    public static string Details(ArchiveDescription archive)
    {
        var text = new StringBuilder();
        Line("id", archive.Id);
        Line("title", archive.Title);
        Line("state", archive.State);
        Line("time", archive.Time.ToLocalTime().ToString("yyyy-MM-dd HH:mm:ss zzz", CultureInfo.InvariantCulture));
        Line("file", archive.Path);
        Line("size", string.Create(CultureInfo.InvariantCulture, $"{archive.Bytes} ({Size(archive.Bytes)})"));
        Line("kind", archive.Kind);
        Line("cause", archive.Cause);
        Line("machine", archive.Name);
        Line("memory", archive.MemoryBytes is { } memory ? Arguments.MemorySize.Format(memory) : null);
        Line("guest time", archive.Nanoseconds is { } time ? string.Create(CultureInfo.InvariantCulture, $"{time / 1e9:F6} s") : null);
        Line("vcpu", archive.Vcpu?.ToString(CultureInfo.InvariantCulture));
        Line("release", archive.Release);
        Line("build id", archive.BuildId);
        Line("kaslr", archive.KernelOffset);
        Line("command line", archive.CommandLine);
        Line("written by", archive.Writer);
        if (!string.IsNullOrEmpty(archive.PanicText))
        {
            text.AppendLine();
            foreach (string line in archive.PanicText.TrimEnd('\n').Split('\n'))
            {
                text.AppendLine(Printable(line));
            }
        }

        return text.ToString();

        void Line(string name, string? value)
        {
            if (!string.IsNullOrEmpty(value))
            {
                text.AppendLine($"{name + ":",-14}{Printable(value)}");
            }
        }
    }

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
