using System.Globalization;
using System.Text;
using Debugging;
using Emulator;
using GuestOs.Linux;
using Snapshots;

namespace Cli.Archives;

/// <summary>What debuggers are told about the guest in a machine (monitor info, monitor dmesg).</summary>
/// <param name="crash">What the machine is kept for, if it is; asked each time.</param>
internal sealed class GuestInformation(Func<CaptureInfo?> crash) : IGuestInformation
{
    /// <summary>The end of the log is what tells of a crash; <c>monitor dmesg</c> has all of it.</summary>
    private const int PanicLines = 80;

    /// <summary>Where an x86-64 kernel's text is linked: __START_KERNEL_map and CONFIG_PHYSICAL_START. Source: Linux, Documentation/arch/x86/x86_64/mm.rst.</summary>
    private const ulong LinkedText = 0xFFFF_FFFF_8100_0000;

    /// <inheritdoc/>
    public string? KnownVmcoreinfo => crash()?.Vmcoreinfo;

    /// <inheritdoc/>
    public string? KernelLog(IMachineView view) => LinuxKernel.FindRunning(view, KnownVmcoreinfo)?.Log?.ToText() ?? crash()?.PanicText;

    /// <inheritdoc/>
    public string? Describe(IMachineView view)
    {
        var text = new StringBuilder();
        if (LinuxKernel.FindRunning(view, KnownVmcoreinfo) is { } kernel)
        {
            text.Append(CultureInfo.InvariantCulture, $"guest: Linux {kernel.Info.Release}\n");
            Line(text, "build id", kernel.Info.BuildId);
            Line(text, "kaslr", kernel.Info.KernelOffset is { } offset ? $"0x{offset:x}" : null);
        }

        CaptureInfo? capture = crash();
        Line(text, "crash", capture?.Title);
        Line(text, "cause", capture?.Cause);
        return text.Length == 0 ? null : text.ToString();
    }

    /// <inheritdoc/>
    public string? Panic(IMachineView view)
    {
        if (crash() is not { } capture)
        {
            return null;
        }

        var text = new StringBuilder();
        Line(text, "crash", capture.Title);
        Line(text, "cause", capture.Cause);
        string[] lines = (capture.PanicText ?? "").Split('\n', StringSplitOptions.RemoveEmptyEntries);
        foreach (string line in lines.TakeLast(PanicLines))
        {
            text.Append(line).Append('\n');
        }

        return text.ToString();
    }

    /// <inheritdoc/>
    public ReadOnlyMemory<byte>? Vmcoreinfo(IMachineView view) =>
        LinuxKernel.FindRunning(view, KnownVmcoreinfo)?.Info.Text is { Length: > 0 } text ? text : null;

    /// <inheritdoc/>
    public ulong? TextSegment(IMachineView view) => LinuxKernel.FindRunning(view, KnownVmcoreinfo)?.Info.KernelOffset + LinkedText;

    private static void Line(StringBuilder text, string name, string? value)
    {
        if (!string.IsNullOrEmpty(value))
        {
            text.Append(CultureInfo.InvariantCulture, $"{name}: {ArchiveText.Printable(value)}\n");
        }
    }
}
