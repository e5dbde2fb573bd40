using System.Globalization;

namespace Snapshots;

/// <summary>The one number an archive's header needs out of VMCOREINFO's key=value lines.</summary>
internal static class VmcoreinfoText
{
    /// <summary>NUMBER(phys_base): where the kernel's text map begins, a signed decimal, often negative. 0 when absent.</summary>
    public static ulong PhysBase(string? text)
    {
        const string key = "NUMBER(phys_base)=";
        foreach (ReadOnlySpan<char> line in text.AsSpan().EnumerateLines())
        {
            if (line.StartsWith(key, StringComparison.Ordinal) &&
                long.TryParse(line[key.Length..], NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out long value))
            {
                return (ulong)value;
            }
        }

        return 0;
    }
}
