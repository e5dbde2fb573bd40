using System.Globalization;
using System.Text;

namespace GuestOs.Linux;

/// <summary>One message of the kernel log.</summary>
/// <param name="Sequence">The kernel's number for it, from 0; a line's number where the source has none.</param>
/// <param name="Nanoseconds">The kernel's clock when it was stored.</param>
/// <param name="Facility">0 is the kernel itself and nobody else: what userspace writes to /dev/kmsg is forced to another.</param>
/// <param name="Level">0 emergency … 7 debug.</param>
/// <param name="Caller">Bit 31 clear: the task's id. Set: the CPU, outside of any task. Null when not recorded.</param>
/// <param name="Text">The message; may have several lines.</param>
public readonly record struct PrintkRecord(ulong Sequence, ulong Nanoseconds, byte Facility, byte Level, uint? Caller, string Text)
{
    /// <summary>Said by the kernel, not written into its log by a process.</summary>
    public bool FromKernel => Facility == 0;

    /// <summary>Appends the message as dmesg shows it: <c>[seconds.micros] </c> before every line.</summary>
    public void AppendTo(StringBuilder text)
    {
        string prefix = string.Create(CultureInfo.InvariantCulture, $"[{Nanoseconds / 1_000_000_000,5}.{Nanoseconds / 1000 % 1_000_000:D6}] ");
        foreach (ReadOnlySpan<char> line in Text.AsSpan().EnumerateLines())
        {
            text.Append(prefix).Append(line).Append('\n');
        }
    }
}
