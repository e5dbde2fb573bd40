using System.Globalization;
using System.Text;
using Emulator;
using GuestOs.Linux;
using GuestOs.Linux.Symbols;
using Snapshots;

namespace Cli.Archives;

/// <summary>What a crashed machine's memory tells of its crash, beyond what was noted when it was taken.</summary>
internal static class CrashAnalysis
{
    // Functions that are on the stack of a CPU which is dying, and on no other's.
    private static readonly string[] Dying = ["panic", "vpanic", "die", "oops_end", "__crash_kexec", "crash_kexec", "machine_kexec"];

    /// <summary>Opens an archive or a dump. One without page tables is searched for its kernel.</summary>
    /// <param name="path">The file.</param>
    /// <param name="rawBase">The guest-physical address of its first byte, when it is RAM and nothing else.</param>
    /// <param name="known">The kernel's VMCOREINFO, when it was found before.</param>
    public static IMachineImage Open(string path, ulong? rawBase, string? known = null) => ImageFile.Open(path, new ImageOptions
    {
        RawBase = rawBase,
        FindVmcoreinfo = view => known is not null ? known : LinuxKernel.Find(view)?.Info is { IsReconstructed: false } info ? Encoding.Latin1.GetString(info.Text.Span) : null,
    });

    /// <summary>A fresh capture with the name its crash has, and with the kernel's VMCOREINFO. Searches RAM and walks the stack: not for a machine's own thread.</summary>
    public static CaptureInfo Name(IMachineView view, CaptureInfo capture)
    {
        LinuxKernel? kernel = LinuxKernel.FindRunning(view);
        return capture with
        {
            Title = TitleOf(view, kernel, capture),
            Vmcoreinfo = kernel is null ? null : Encoding.Latin1.GetString(kernel.Info.Text.Span),
        };
    }

    /// <summary>
    /// What the file says and what its memory shows: kernel, log, and the panic in it. This is where a crash in a foreign
    /// dump gets its title. An archive says it all itself.
    /// </summary>
    public static CaptureInfo Complete(IMachineImage image)
    {
        CaptureInfo capture = image.Capture;
        if (capture.Kind != CaptureKind.Import || capture.PanicText is not null || LinuxKernel.Find(image) is not { } kernel)
        {
            return capture;
        }

        IReadOnlyList<PrintkRecord> records = kernel.Log?.Records ?? [];
        int panic = KernelWords.FindPanic(records);
        capture = capture with
        {
            PanicLine = panic >= 0 ? records[panic].Text : null,
            Fault = KernelWords.FindFault(records, panic),
            CurrentVcpu = panic >= 0 && KernelWords.FindCpu(records, panic) is { } cpu && cpu >= 0 && cpu < image.Vcpus.Count ? cpu : capture.CurrentVcpu,
            PanicText = kernel.Log?.ToText(),
            GuestRelease = kernel.Info.Release,
            BuildId = kernel.Info.BuildId,
            KernelOffset = kernel.Info.KernelOffset,
            Vmcoreinfo = kernel.Info.IsReconstructed ? capture.Vmcoreinfo : Encoding.Latin1.GetString(kernel.Info.Text.Span),
        };
        return capture with { Title = TitleOf(image, kernel, capture) };
    }

    /// <summary>The stack of the CPU that crashed: walked, or where that leads nowhere as the kernel printed it.</summary>
    public static IReadOnlyList<StackFrame> StackOf(IMachineView view, KernelImage image, int vcpu)
    {
        bool known = view is not IMachineImage { HasRegisters: false } && vcpu >= 0 && vcpu < view.VcpuCount;
        IReadOnlyList<StackFrame> walked = known ? image.Unwind(view.Vcpus[vcpu]) : [];
        if (walked.Any(frame => frame.Symbol is { } name && Array.IndexOf(Dying, name) >= 0))
        {
            return walked;
        }

        IReadOnlyList<PrintkRecord> records = image.Kernel.Log?.Records ?? [];
        IReadOnlyList<StackFrame> printed = CallTrace.Find(records, KernelWords.FindPanic(records));
        return printed.Count > 0 ? printed : walked;
    }

    private static string TitleOf(IMachineView view, LinuxKernel? kernel, CaptureInfo capture)
    {
        if (capture.PanicLine is not { } line)
        {
            return capture.Title;
        }

        bool shutDown = capture.Kind == CaptureKind.TripleFault;
        var image = kernel is null ? null : new KernelImage(view, kernel);
        IReadOnlyList<StackFrame> stack = image is null ? []
            : shutDown ? image.Unwind(view.Vcpus[capture.CurrentVcpu])
            : StackOf(view, image, capture.CurrentVcpu);
        string title = CrashTitle.Of(line, capture.Fault, stack);

        // Where nothing has a name, the place is still the same for crashes alike.
        return shutDown && (stack.Count == 0 || stack[0].Symbol is null)
            ? string.Create(CultureInfo.InvariantCulture, $"triple fault at 0x{view.Vcpus[capture.CurrentVcpu].Rip:x}")
            : title;
    }
}
