using System.Globalization;

namespace Bench.Processes;

/// <summary>
/// A line the guest wrote to port E9h: "begin NAME" or "end NAME STATUS RESULT"; and how things stood when it arrived.
/// Our own machine's process adds a tab and what it knows of the machine.
/// </summary>
internal sealed record Mark
{
    /// <summary>True for "begin".</summary>
    public required bool Begins { get; init; }

    /// <summary>What begins or ends.</summary>
    public required string Name { get; init; }

    /// <summary>The exit code of what ended.</summary>
    public int Status { get; init; }

    /// <summary>What it computed: a text that must be the same under every contender.</summary>
    public string Result { get; init; } = "";

    /// <summary>Seconds since the process was started.</summary>
    public double Seconds { get; init; }

    /// <summary>The process at this instant.</summary>
    public ProcessFigures Process { get; init; }

    /// <summary>Of our own machine.</summary>
    public MachineFigures? Machine { get; init; }

    /// <summary>The mark a line is, or null when it is none.</summary>
    public static Mark? Parse(string line, double seconds, ProcessFigures process)
    {
        string[] parts = line.Split('\t');
        string[] words = parts[0].Split(' ', 4);
        MachineFigures? machine = parts.Length > 1 ? MachineFigures.Parse(parts[1]) : null;
        return words switch
        {
            ["begin", var name] => new Mark { Begins = true, Name = name, Seconds = seconds, Process = process, Machine = machine },
            ["end", var name, var status, .. var rest] when int.TryParse(status, NumberStyles.None, CultureInfo.InvariantCulture, out int code) => new Mark
            {
                Begins = false,
                Name = name,
                Status = code,
                Result = rest.Length > 0 ? rest[0] : "",
                Seconds = seconds,
                Process = process,
                Machine = machine,
            },
            _ => null,
        };
    }
}

/// <summary>What the process of our machine tells of it at a mark.</summary>
/// <param name="Instructions">Executed since power-on.</param>
/// <param name="Pages">Pages of RAM, of 4 KiB, that are allocated.</param>
internal readonly record struct MachineFigures(ulong Instructions, long Pages)
{
    /// <summary>As <see cref="Parse"/> reads it.</summary>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Instructions} {Pages}");

    /// <summary>Null when the text is none.</summary>
    public static MachineFigures? Parse(string text) =>
        text.Split(' ') is [var instructions, var pages]
        && ulong.TryParse(instructions, NumberStyles.None, CultureInfo.InvariantCulture, out ulong count)
        && long.TryParse(pages, NumberStyles.None, CultureInfo.InvariantCulture, out long allocated)
            ? new MachineFigures(count, allocated)
            : null;
}
