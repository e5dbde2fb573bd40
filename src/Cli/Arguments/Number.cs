using System.Globalization;

namespace Cli.Arguments;

/// <summary>Numbers as people type them: decimal, or hexadecimal with 0x in front.</summary>
internal static class Number
{
    /// <summary>The number; false when the text is not one that fits 64 bits.</summary>
    public static bool TryParse(string text, out ulong value) =>
        text.StartsWith("0x", StringComparison.OrdinalIgnoreCase)
            ? ulong.TryParse(text.AsSpan(2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out value)
            : ulong.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out value);
}
