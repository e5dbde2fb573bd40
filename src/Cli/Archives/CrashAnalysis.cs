using System.Text;
using GuestOs.Linux;
using Snapshots;

namespace Cli.Archives;

/// <summary>Dumps that others wrote, opened with what we know of guests, and what can be told of the crash in one.</summary>
internal static class DumpDescription
{
    /// <summary>Opens an archive or a dump. One without page tables is searched for its kernel.</summary>
    public static IMachineImage Open(string path, ulong? rawBase) => ImageFile.Open(path, new ImageOptions
    {
        RawBase = rawBase,
        FindVmcoreinfo = view => LinuxKernel.Find(view)?.Info is { IsReconstructed: false } info ? Encoding.Latin1.GetString(info.Text.Span) : null,
    });

    /// <summary>
    /// What the file says and what its memory shows: kernel, log, and the panic in it. This is where a crash in a foreign
    /// dump gets its title.
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
        return capture with
        {
            Title = panic >= 0 ? records[panic].Text : capture.Title,
            CurrentVcpu = panic >= 0 && KernelWords.FindCpu(records, panic) is { } cpu && cpu >= 0 && cpu < image.Vcpus.Count ? cpu : capture.CurrentVcpu,
            PanicText = kernel.Log?.ToText(),
            GuestRelease = kernel.Info.Release,
            BuildId = kernel.Info.BuildId,
            KernelOffset = kernel.Info.KernelOffset,
            Vmcoreinfo = kernel.Info.IsReconstructed ? capture.Vmcoreinfo : Encoding.Latin1.GetString(kernel.Info.Text.Span),
        };
    }
}
