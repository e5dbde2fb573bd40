using System.Globalization;
using System.Text;
using Debugging;
using Emulator;
using GuestOs;
using GuestOs.Linux;
using Snapshots;

namespace Cli.Archives;

/// <summary>What debuggers are told about the guest in a machine (monitor info, monitor dmesg).</summary>
/// <param name="verdict">What a live machine's last end was; asked each time.</param>
internal sealed class GuestInformation(Func<TrapVerdict?> verdict) : IGuestInformation
{
    private readonly CaptureInfo? capture;

    /// <summary>For an archived machine.</summary>
    public GuestInformation(CaptureInfo capture)
        : this(() => null) => this.capture = capture;

    /// <inheritdoc/>
    public string? KernelLog(IMachineView view) => (LinuxKernel.FindRunning(view) ?? LinuxKernel.Find(view))?.Log?.ToText() ?? capture?.PanicText;

    /// <inheritdoc/>
    public string? Describe(IMachineView view)
    {
        var text = new StringBuilder();
        if (LinuxKernel.FindRunning(view) is { } kernel)
        {
            text.Append(CultureInfo.InvariantCulture, $"guest: Linux {kernel.Info.Release}\n");
            Line(text, "build id", kernel.Info.BuildId);
            Line(text, "kaslr", kernel.Info.KernelOffset is { } offset ? $"0x{offset:x}" : null);
        }

        TrapVerdict? last = verdict();
        Line(text, "crash", capture?.Title ?? last?.Report?.Title);
        Line(text, "cause", capture?.Cause ?? last?.Summary);
        return text.Length == 0 ? null : text.ToString();
    }

    private static void Line(StringBuilder text, string name, string? value)
    {
        if (!string.IsNullOrEmpty(value))
        {
            text.Append(CultureInfo.InvariantCulture, $"{name}: {ArchiveText.Printable(value)}\n");
        }
    }
}
