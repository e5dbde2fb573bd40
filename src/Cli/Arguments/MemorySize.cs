using System.Globalization;

namespace Cli.Arguments;

/// <summary>The guest's RAM, as people write it: a number and K, M or G (powers of 1024).</summary>
internal static class MemorySize
{
    /// <summary>Less leaves no room below the BIOS area.</summary>
    public const ulong Minimum = 1UL << 20;

    /// <summary>More than any archive reader of ours accepts.</summary>
    public const ulong Maximum = 512UL << 30;

    private const string Form = "give a number and a unit, for example 256M or 4G";

    /// <summary>Bytes; false with a line that says what is wrong.</summary>
    public static bool TryParse(string text, out ulong bytes, out string error)
    {
        bytes = 0;
        int shift = text.Length == 0 ? -1 : char.ToUpperInvariant(text[^1]) switch { 'K' => 10, 'M' => 20, 'G' => 30, _ => -1 };
        if (shift < 0 || !ulong.TryParse(text.AsSpan(0, text.Length - 1), NumberStyles.None, CultureInfo.InvariantCulture, out ulong number))
        {
            error = $"'{text}' is not a memory size: {Form}";
            return false;
        }

        if (number > Maximum >> shift || number << shift < Minimum)
        {
            error = $"{text} of memory is out of range: 1M to 512G can be had";
            return false;
        }

        bytes = number << shift;
        if (bytes % 4096 != 0)
        {
            error = $"{text} of memory is not a whole number of 4K pages";
            return false;
        }

        error = "";
        return true;
    }

    /// <summary>The shortest exact form.</summary>
    public static string Format(ulong bytes) =>
        bytes % (1UL << 30) == 0 ? $"{bytes >> 30}G" : bytes % (1UL << 20) == 0 ? $"{bytes >> 20}M" : $"{bytes >> 10}K";
}
