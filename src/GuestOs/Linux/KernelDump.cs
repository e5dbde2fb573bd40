using System.Globalization;
using System.Text;

namespace GuestOs.Linux;

/// <summary>
/// One dump of the kernel log put together from the store's records. The kernel writes the newest stretch first
/// (<c>Part1</c>), so that it is kept even when the store fills up; joined, the oldest comes first.
/// </summary>
public sealed record KernelDump
{
    /// <summary>Records looked at; the rest is ignored. A store of 64 KiB to a few MiB holds far fewer.</summary>
    public const int MaxRecords = 4096;

    /// <summary>Lines taken from one dump.</summary>
    public const int MaxLines = 1 << 16;

    /// <summary>Why the log was dumped.</summary>
    public required KernelDumpReason Reason { get; init; }

    /// <summary>The kernel's number for the dump.</summary>
    public required int Count { get; init; }

    /// <summary>The records, oldest stretch of the log first.</summary>
    public required IReadOnlyList<ErstRecord> Parts { get; init; }

    /// <summary>The text as written, oldest first, each line <c>&lt;N&gt;[seconds] text</c>.</summary>
    public required string RawText { get; init; }

    /// <summary>The messages in <see cref="RawText"/>.</summary>
    public required IReadOnlyList<PrintkRecord> Records { get; init; }

    /// <summary>A part is missing between the first and the last, or one could not be read to its end.</summary>
    public required bool Incomplete { get; init; }

    /// <summary>The text as dmesg shows it.</summary>
    public string ToText()
    {
        var text = new StringBuilder(RawText.Length);
        foreach (PrintkRecord record in Records)
        {
            record.AppendTo(text);
        }

        return text.ToString();
    }

    /// <summary>
    /// Joins log records given in the order they were written. Records of other kinds are passed over. A dump begins
    /// where reason or number change, or where a part number does not grow: a later boot counts from 1 again.
    /// </summary>
    public static IReadOnlyList<KernelDump> Join(IEnumerable<ErstRecord> records)
    {
        ArgumentNullException.ThrowIfNull(records);
        var dumps = new List<KernelDump>();
        var parts = new List<ErstRecord>();
        foreach (ErstRecord record in records.Take(MaxRecords))
        {
            if (record.Content != ErstContent.KernelLog)
            {
                continue;
            }

            if (parts.Count > 0 && (record.Reason != parts[^1].Reason || record.Count != parts[^1].Count || record.Part <= parts[^1].Part))
            {
                dumps.Add(Make(parts));
                parts = [];
            }

            parts.Add(record);
        }

        if (parts.Count > 0)
        {
            dumps.Add(Make(parts));
        }

        return dumps;
    }

    private static KernelDump Make(List<ErstRecord> written)
    {
        bool incomplete = false;
        var text = new StringBuilder();
        for (int i = written.Count - 1; i >= 0; i--)
        {
            incomplete |= written[i].Incomplete || written[i].Part != i + 1;
            text.Append(written[i].Text);
            if (text.Length > 0 && text[^1] != '\n')
            {
                text.Append('\n');
            }
        }

        string raw = text.ToString();
        return new KernelDump
        {
            Reason = written[0].Reason,
            Count = written[0].Count,
            Parts = [.. Enumerable.Reverse(written)],
            RawText = raw,
            Records = ParseLines(raw),
            Incomplete = incomplete,
        };
    }

    private static List<PrintkRecord> ParseLines(string raw)
    {
        var records = new List<PrintkRecord>();
        foreach (ReadOnlySpan<char> line in raw.AsSpan().EnumerateLines())
        {
            if (records.Count == MaxLines)
            {
                break;
            }

            if (!line.IsEmpty)
            {
                records.Add(ParseLine(line, (ulong)records.Count));
            }
        }

        return records;
    }

    // "<6>[    0.123456] text", with "[  T1] " or "[  C0] " in between where the kernel names the caller.
    private static PrintkRecord ParseLine(ReadOnlySpan<char> line, ulong sequence)
    {
        // A line whose beginning was cut off says nothing of who wrote it: 255 is no facility, so nobody takes it for the kernel's.
        byte facility = 255, level = 7;
        ReadOnlySpan<char> rest = line;
        int close = line[0] == '<' ? line[..Math.Min(line.Length, 8)].IndexOf('>') : -1;
        if (close > 1 && uint.TryParse(line[1..close], NumberStyles.None, CultureInfo.InvariantCulture, out uint priority) && priority < 256 * 8)
        {
            facility = (byte)(priority >> 3);
            level = (byte)(priority & 7);
            rest = line[(close + 1)..];
        }

        ulong nanoseconds = 0;
        uint? caller = null;
        if (TryBracket(ref rest, out ReadOnlySpan<char> time))
        {
            int dot = time.IndexOf('.');
            if (dot > 0
                && ulong.TryParse(time[..dot], NumberStyles.AllowLeadingWhite, CultureInfo.InvariantCulture, out ulong seconds)
                && uint.TryParse(time[(dot + 1)..], NumberStyles.None, CultureInfo.InvariantCulture, out uint micros)
                && seconds < ulong.MaxValue / 2_000_000_000 && micros < 1_000_000)
            {
                nanoseconds = (seconds * 1_000_000_000) + (micros * 1000UL);
                ReadOnlySpan<char> after = rest;
                if (TryBracket(ref after, out ReadOnlySpan<char> who) && TryCaller(who.Trim(), out uint id))
                {
                    caller = id;
                    rest = after;
                }

                rest = rest is [' ', ..] ? rest[1..] : rest;
            }
            else
            {
                rest = line[(close + 1)..];
            }
        }

        return new PrintkRecord(sequence, nanoseconds, facility, level, caller, rest.ToString());
    }

    private static bool TryBracket(ref ReadOnlySpan<char> rest, out ReadOnlySpan<char> inside)
    {
        inside = default;
        int close = rest is ['[', ..] ? rest[..Math.Min(rest.Length, 40)].IndexOf(']') : -1;
        if (close < 0)
        {
            return false;
        }

        inside = rest[1..close];
        rest = rest[(close + 1)..];
        return true;
    }

    private static bool TryCaller(ReadOnlySpan<char> who, out uint id)
    {
        id = 0;
        if (who.Length < 2 || who[0] is not ('T' or 'C') || !uint.TryParse(who[1..], NumberStyles.None, CultureInfo.InvariantCulture, out id))
        {
            return false;
        }

        id = who[0] == 'C' ? id | 0x8000_0000 : id & 0x7FFF_FFFF;
        return true;
    }
}
