using System.Globalization;
using System.Text;

namespace GuestOs.Linux;

/// <summary>
/// Guest bytes as text that is safe to show: a guest chooses what it logs, so nothing that steers a terminal survives.
/// </summary>
internal static class GuestText
{
    /// <summary>
    /// UTF-8 with replacement characters for what is not; control characters except tab and newline become <c>\xNN</c>,
    /// as the kernel's own <c>/dev/kmsg</c> reader writes them.
    /// </summary>
    public static string Decode(ReadOnlySpan<byte> bytes)
    {
        string text = Encoding.UTF8.GetString(bytes);
        int first = IndexOfControl(text, 0);
        if (first < 0)
        {
            return text;
        }

        var clean = new StringBuilder(text.Length + 16);
        int from = 0;
        for (int at = first; at >= 0; at = IndexOfControl(text, from))
        {
            clean.Append(text, from, at - from).Append(CultureInfo.InvariantCulture, $"\\x{(int)text[at]:x2}");
            from = at + 1;
        }

        return clean.Append(text, from, text.Length - from).ToString();
    }

    private static int IndexOfControl(string text, int from)
    {
        for (int i = from; i < text.Length; i++)
        {
            if (char.IsControl(text[i]) && text[i] is not ('\n' or '\t'))
            {
                return i;
            }
        }

        return -1;
    }
}
