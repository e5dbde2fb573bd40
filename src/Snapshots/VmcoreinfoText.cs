using System.Globalization;

namespace Snapshots;

/// <summary>What archives and dumps need out of VMCOREINFO's key=value lines.</summary>
internal static class VmcoreinfoText
{
    /// <summary>NUMBER(phys_base): where the kernel's text map begins, a signed decimal, often negative. 0 when absent.</summary>
    public static ulong PhysBase(string? text) =>
        long.TryParse(Value(text, "NUMBER(phys_base)"), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out long value) ? (ulong)value : 0;

    /// <summary>A key's value, or null.</summary>
    public static string? Value(string? text, string key)
    {
        foreach (ReadOnlySpan<char> line in text.AsSpan().EnumerateLines())
        {
            if (line.Length > key.Length && line[key.Length] == '=' && line.StartsWith(key, StringComparison.Ordinal))
            {
                return line[(key.Length + 1)..].ToString();
            }
        }

        return null;
    }

    /// <summary>A key's value, hexadecimal without 0x, or null.</summary>
    public static ulong? Hexadecimal(string? text, string key) =>
        ulong.TryParse(Value(text, key), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out ulong value) ? value : null;
}
